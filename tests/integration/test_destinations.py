"""Each kind of destination against real peers: Orthanc, dcmtk's storescp, and peers that misbehave."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification
from sqlalchemy import Engine

from ptx_node.domain.delivery import Arrival, Outgoing, Proof, Verdict
from ptx_node.errors import ConfigurationError, DestinationUnavailableError
from ptx_node.outbound.association import DimsePeer, TlsClient
from ptx_node.outbound.dicomweb import DicomwebService
from ptx_node.outbound.folder import Folder
from ptx_node.outbound.storage_commitment import CommitmentScu, read_report
from ptx_node.outbound.storage_scu import Commitment, StorageScu
from ptx_node.outbound.stow_rs import StowRs
from ptx_node.pipeline.deliver import Policy, deliver_due
from ptx_node.pipeline.prove import prove_due, record_commitment_report
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port, port_answers, running, wait_until
from tests.authority import Authority
from tests.queued import Outbox, outgoing, radiograph_files

TRANSACTION = "2.25.42"


@pytest.fixture(scope="module")
def shared_pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """One Orthanc for the tests that need no empty one; it sends commitment reports to nobody."""
    with running_pacs(tmp_path_factory.mktemp("pacs") / "pacs") as pacs:
        yield pacs


def dimse(pacs: Pacs, mode: str = "auto", **changes: Any) -> StorageScu:
    peer = DimsePeer("127.0.0.1", pacs.dicom_port, pacs.ae_title, timeout_s=5.0, **changes)
    return StorageScu("pacs", peer, Commitment(mode, report_wait_s=0.1))


def held_by(pacs: Pacs) -> set[str]:
    return {item["SOPInstanceUID"] for item in pacs.instances()}


def bytes_held(pacs: Pacs, sop_instance_uid: str) -> bytes:
    found = httpx.post(f"{pacs.http_url}/tools/lookup", content=sop_instance_uid).json()
    return httpx.get(f"{pacs.http_url}/instances/{found[0]['ID']}/file").content


def verdicts(answers: Any) -> list[Verdict]:
    return [answer.verdict for answer in answers]


@pytest.mark.parametrize("door", ["dimse", "stow"])
def test_orthanc_takes_a_batch_and_finds_it_again(shared_pacs: Pacs, tmp_path: Path, door: str) -> None:
    batch = radiograph_files(tmp_path, 3, study=10 + len(door))
    service = DicomwebService(shared_pacs.dicomweb_url, timeout_s=5.0)
    destination = dimse(shared_pacs, "c_find") if door == "dimse" else StowRs("pacs", service)
    assert verdicts(destination.send(batch)) == [Verdict.ACCEPTED] * 3
    assert {item.sop_instance_uid for item in batch} <= held_by(shared_pacs)
    by = "c_find" if door == "dimse" else "qido_rs"
    assert destination.prove(batch, transaction_uid=None) == [Proof(Arrival.PROVEN, by)] * 3
    absent = radiograph_files(tmp_path, 1, study=900)
    assert [proof.arrival for proof in destination.prove([*batch, *absent], transaction_uid=None)] == [Arrival.PROVEN] * 3 + [
        Arrival.MISSING
    ]


@pytest.mark.parametrize("door", ["dimse", "stow"])
def test_what_arrives_is_what_was_sent(shared_pacs: Pacs, tmp_path: Path, real_files: Path, door: str) -> None:
    """The data set's bytes are the same, also for a compressed transfer syntax."""
    items = [outgoing(real_files / "cxr-jpeg-baseline-8bit.dcm")]
    destination = dimse(shared_pacs) if door == "dimse" else StowRs("pacs", DicomwebService(shared_pacs.dicomweb_url))
    assert verdicts(destination.send(items)) == [Verdict.ACCEPTED]
    sent, held = dcmread(items[0].path), dcmread(io.BytesIO(bytes_held(shared_pacs, items[0].sop_instance_uid)))
    assert held.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert held == sent


def test_orthanc_reports_commitment_on_a_new_association(tmp_path: Path, sqlite_engine: Engine) -> None:
    """C-STORE, N-ACTION, then the report arrives at our listener and commits the results."""
    outbox = Outbox(sqlite_engine, tmp_path)
    outbox.add_job("pacs")
    port = free_port()
    policy = Policy()

    def on_report(event: Any) -> tuple[int, None]:
        record_commitment_report(sqlite_engine, read_report(event.event_information), policy=policy)
        return 0x0000, None

    modalities = {"ptx": ("PTX", "127.0.0.1", port)}
    with running_pacs(tmp_path / "pacs", modalities=modalities) as pacs, scp(port, {StorageCommitmentPushModel: on_report}):
        destination = dimse(pacs)
        assert deliver_due(sqlite_engine, outbox, destination, owner="test", policy=policy) == 2
        prove_due(sqlite_engine, outbox, destination, owner="test", policy=policy)
        wait_until(lambda: outbox.states() == ["committed", "committed"], what="the commitment report")
        assert {delivery.proof for delivery in outbox.deliveries()} == {"storage_commitment"}
        assert outbox.job().committed_at is not None
        outbox.add_job("pacs", kinds=("sr",))
        deliver_due(sqlite_engine, outbox, destination, owner="test", policy=policy)
        for item in httpx.get(f"{pacs.http_url}/instances").json():
            httpx.delete(f"{pacs.http_url}/instances/{item}")
        prove_due(sqlite_engine, outbox, destination, owner="test", policy=policy)
        wait_until(lambda: outbox.states()[2] == "waiting", what="the report that the result is missing")


def test_a_pacs_that_was_away_gets_everything_once_when_it_returns(tmp_path: Path, sqlite_engine: Engine) -> None:
    outbox, ports = Outbox(sqlite_engine, tmp_path), (free_port(), free_port())
    policy = Policy(first_delay_s=0.05, max_delay_s=0.1)
    destination = StorageScu("pacs", DimsePeer("127.0.0.1", ports[0], "PACS", timeout_s=2.0))
    uids = [uid for _ in range(3) for uid in outbox.add_job("pacs").values()]
    for _ in range(3):
        assert deliver_due(sqlite_engine, outbox, destination, owner="test", policy=policy) == 0
    with running_pacs(tmp_path / "pacs", ports=ports) as pacs:

        def everything_committed() -> bool:
            deliver_due(sqlite_engine, outbox, destination, owner="test", policy=policy)
            prove_due(sqlite_engine, outbox, destination, owner="test", policy=policy)
            return set(outbox.states()) == {"committed"}

        wait_until(everything_committed, what="all results in the PACS")
        assert sorted(item["SOPInstanceUID"] for item in pacs.instances()) == sorted(uids)


def test_a_report_on_the_requesting_association_is_taken(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 2)

    def on_action(event: Any) -> tuple[int, None]:
        threading.Thread(target=report_back, args=(event, batch[:1], batch[1:])).start()
        return 0x0000, None

    with committing_peer(on_action) as port:
        proofs = StorageScu("pacs", DimsePeer("127.0.0.1", port, "PEER"), Commitment(report_wait_s=5.0)).prove(
            batch, transaction_uid=TRANSACTION
        )
    assert [proof.arrival for proof in proofs] == [Arrival.PROVEN, Arrival.MISSING]
    assert "0x0112" in proofs[1].detail


def test_without_a_report_the_proof_is_pending_and_a_peer_without_queries_stays_unsupported(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 1)
    with committing_peer(lambda event: (0x0000, None)) as port:
        destination = StorageScu("pacs", DimsePeer("127.0.0.1", port, "PEER"), Commitment(report_wait_s=0.05))
        assert destination.prove(batch, transaction_uid=TRANSACTION)[0].arrival is Arrival.PENDING
        assert destination.prove(batch, transaction_uid=None)[0] == Proof(
            Arrival.UNSUPPORTED, "storage_commitment", "no report came, and the peer answers no query"
        )


def test_a_peer_that_reports_elsewhere_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    ask = CommitmentScu.ask

    def noted(scu: CommitmentScu, assoc: Any, given: Any, transaction_uid: str, wait_s: float) -> Any:
        waits.append(wait_s)
        return ask(scu, assoc, given, transaction_uid, wait_s)

    monkeypatch.setattr(CommitmentScu, "ask", noted)
    batch = radiograph_files(tmp_path, 1)
    with committing_peer(lambda event: (0x0000, None)) as port:
        destination = StorageScu("pacs", DimsePeer("127.0.0.1", port, "PEER"), Commitment(report_wait_s=0.25))
        proofs = [destination.prove(batch, transaction_uid=TRANSACTION)[0] for _ in range(2)]
    assert [0.25, 0.0] == waits
    assert {Arrival.PENDING} == {one.arrival for one in proofs}


def test_a_refused_commitment_request_falls_back_to_a_query(shared_pacs: Pacs, tmp_path: Path) -> None:
    """Orthanc takes requests from modalities that it knows; it does not know us."""
    batch = radiograph_files(tmp_path, 1, study=77)
    destination = dimse(shared_pacs)
    destination.send(batch)
    assert destination.prove(batch, transaction_uid=TRANSACTION) == [Proof(Arrival.PROVEN, "c_find")]


def test_a_dumb_peer_takes_results_and_cannot_be_asked(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 2)
    with storescp(tmp_path) as port:
        destination = StorageScu("dumb", DimsePeer("127.0.0.1", port, "DUMB"))
        assert verdicts(destination.send(batch)) == [Verdict.ACCEPTED] * 2
        proofs = destination.prove(batch, transaction_uid=TRANSACTION)
    assert [proof.arrival for proof in proofs] == [Arrival.UNSUPPORTED] * 2
    assert len(list((tmp_path / "received").iterdir())) == 2


def test_a_peer_that_takes_implicit_vr_only_gets_it(tmp_path: Path) -> None:
    """The default transfer syntax is all that a peer must support (PS3.5 section 10)."""
    batch = radiograph_files(tmp_path, 1)
    assert batch[0].transfer_syntax_uid == ExplicitVRLittleEndian
    with storescp(tmp_path, "+xi") as port:
        assert verdicts(StorageScu("old", DimsePeer("127.0.0.1", port, "OLD")).send(batch)) == [Verdict.ACCEPTED]
    received = dcmread(next((tmp_path / "received").iterdir()))
    assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert received == dcmread(batch[0].path)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0xB000, Verdict.WARNING),
        (0xB006, Verdict.WARNING),
        (0xB007, Verdict.WARNING),
        (0x0111, Verdict.WARNING),
        (0xA700, Verdict.UNAVAILABLE),
        (0x0110, Verdict.UNAVAILABLE),
        (0x0122, Verdict.REFUSED),
        (0xA900, Verdict.REFUSED),
        (0xC123, Verdict.REFUSED),
    ],
)
def test_storage_statuses_are_told_apart(tmp_path: Path, status: int, verdict: Verdict) -> None:
    batch = radiograph_files(tmp_path, 2)
    with storing_peer(lambda event: status if event.request.AffectedSOPInstanceUID == batch[0].sop_instance_uid else 0) as port:
        answers = StorageScu("pacs", DimsePeer("127.0.0.1", port, "PEER")).send(batch)
    assert verdicts(answers) == [verdict, Verdict.ACCEPTED]
    assert answers[0].status == f"0x{status:04X}"


def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    """The peer checks ours, and we check the peer's: a stranger's is not talked to."""
    ca = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    (certificate, key), own = ca.issue("pacs"), ca.issue("node")
    batch = radiograph_files(tmp_path, 1)
    with storescp(tmp_path, "+tls", str(key), str(certificate), "+cf", str(ca.certificate)) as port:
        peer = DimsePeer("127.0.0.1", port, "PEER", timeout_s=5.0)
        trusting = replace(peer, tls=TlsClient(*own, ca.certificate))
        assert verdicts(StorageScu("pacs", trusting).send(batch)) == [Verdict.ACCEPTED]
        for unacceptable in (TlsClient(*own, stranger.certificate), TlsClient(*stranger.issue("node"), ca.certificate), None):
            with pytest.raises(DestinationUnavailableError):
                StorageScu("pacs", replace(peer, tls=unacceptable, timeout_s=1.0)).send(batch)


def test_tls_files_that_are_not_there_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.pem"):
        TlsClient(trusted=tmp_path / "absent.pem").context()


def test_a_peer_without_the_sop_class_refuses_for_good(tmp_path: Path) -> None:
    with scp(free_port(), {Verification: None}) as port:
        answers = StorageScu("pacs", DimsePeer("127.0.0.1", port, "PEER")).send(radiograph_files(tmp_path, 2))
    assert verdicts(answers) == [Verdict.REFUSED] * 2
    assert answers[0].status == "no presentation context"


def test_an_instance_at_which_the_peer_aborts_does_not_stop_the_others(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 3)

    def store(event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == batch[1].sop_instance_uid:
            event.assoc.abort()
        return 0x0000

    with storing_peer(store) as port:
        answers = StorageScu("pacs", DimsePeer("127.0.0.1", port, "PEER", timeout_s=2.0)).send(batch)
    assert verdicts(answers) == [Verdict.ACCEPTED, Verdict.UNAVAILABLE, Verdict.ACCEPTED]


@contextmanager
def rejecting_peer() -> Iterator[int]:
    """Answers A-ASSOCIATE-RJ and waits for us to close; dcmtk's `--refuse` closes at once, and the answer may be lost."""
    ae = AE("YES")
    ae.require_called_aet = True
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def test_unreachable_silent_and_rejecting_peers_are_unavailable(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 1)
    with pytest.raises(DestinationUnavailableError, match="does not answer"):
        StorageScu("gone", DimsePeer("127.0.0.1", free_port(), "GONE", timeout_s=1.0)).send(batch)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DestinationUnavailableError, match="does not answer"):
            StorageScu("silent", DimsePeer("127.0.0.1", port, "SILENT", timeout_s=0.5)).send(batch)
        with pytest.raises(DestinationUnavailableError, match="does not answer"):
            StowRs("silent", DicomwebService(f"http://127.0.0.1:{port}", timeout_s=0.5)).send(batch)
    with rejecting_peer() as port, pytest.raises(DestinationUnavailableError, match="rejected"):
        StorageScu("refusing", DimsePeer("127.0.0.1", port, "NO", timeout_s=10.0)).send(batch)


def test_orthanc_behind_a_password(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 1)
    extra = {"AuthenticationEnabled": True, "RegisteredUsers": {"ptx": "secret"}}
    with running_pacs(tmp_path / "pacs", extra=extra) as pacs:
        with pytest.raises(DestinationUnavailableError, match="credentials"):
            StowRs("pacs", DicomwebService(pacs.dicomweb_url)).send(batch)
        allowed = StowRs("pacs", DicomwebService(pacs.dicomweb_url, basic=("ptx", "secret")))
        assert verdicts(allowed.send(batch)) == [Verdict.ACCEPTED]
        assert allowed.prove(batch, transaction_uid=None) == [Proof(Arrival.PROVEN, "qido_rs")]


def test_stow_answers_are_read_instance_by_instance(tmp_path: Path) -> None:
    """A service that stores one, warns on one and fails one, as PS3.18 table 10.5.3-1 has it with 202."""
    batch = radiograph_files(tmp_path, 3)
    stored, warned, failed = (item.sop_instance_uid for item in batch)
    body = {
        "00081199": {"vr": "SQ", "Value": [reference(stored), reference(warned, "00081196", 0xB000)]},
        "00081198": {"vr": "SQ", "Value": [reference(failed, "00081197", 0xA900)]},
    }
    with web(202, body) as (url, requests):
        answers = StowRs("web", DicomwebService(url, bearer_token="t0ken")).send(batch)
    assert verdicts(answers) == [Verdict.ACCEPTED, Verdict.WARNING, Verdict.REFUSED]
    assert requests[0]["authorization"] == "Bearer t0ken"
    assert answers[2].status == "HTTP 202 0xA900"


@pytest.mark.parametrize(("code", "verdict"), [(400, Verdict.REFUSED), (409, Verdict.UNAVAILABLE), (500, Verdict.UNAVAILABLE)])
def test_a_stow_failure_of_the_whole_is_tried_one_by_one(tmp_path: Path, code: int, verdict: Verdict) -> None:
    with web(code, None) as (url, requests):
        answers = StowRs("web", DicomwebService(url)).send(radiograph_files(tmp_path, 2))
    assert verdicts(answers) == [verdict] * 2
    assert len(requests) == 3


@pytest.mark.parametrize("code", [401, 403, 404, 429, 502, 503, 302])
def test_a_service_that_is_busy_closed_or_elsewhere_is_unavailable(tmp_path: Path, code: int) -> None:
    with web(code, None) as (url, _), pytest.raises(DestinationUnavailableError, match=str(code)):
        StowRs("web", DicomwebService(url)).send(radiograph_files(tmp_path, 1))


def test_a_folder_holds_whole_files_under_checked_names(tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 2)
    evil = Outgoing(batch[0].path, "1.2", "../../etc/x", "1.2", "1.2", "1.2")
    target = tmp_path / "out" / "results"
    folder = Folder("share", target)
    assert verdicts(folder.send([batch[0], evil, batch[1]])) == [Verdict.ACCEPTED, Verdict.REFUSED, Verdict.ACCEPTED]
    assert verdicts(folder.send(batch)) == [Verdict.ACCEPTED] * 2, "again is no error"
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {f"{b.sop_instance_uid}.dcm": b.path.read_bytes() for b in batch}


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DestinationUnavailableError, match="cannot be written"):
        Folder("share", tmp_path / "file" / "folder").send(radiograph_files(tmp_path, 1))


@contextmanager
def scp(port: int, services: dict[Any, Callable[[Any], Any] | None]) -> Iterator[int]:
    """A small listener of pynetdicom: abstract syntax -> handler of its N-EVENT-REPORT."""
    ae = AE("PEER")
    handlers = []
    for syntax, handler in services.items():
        ae.add_supported_context(syntax, scu_role=True, scp_role=True)
        if handler is not None:
            handlers.append((evt.EVT_N_EVENT_REPORT, handler))
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def storing_peer(store: Callable[[Any], int]) -> Iterator[int]:
    ae, port = AE("PEER"), free_port()
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def committing_peer(on_action: Callable[[Any], Any]) -> Iterator[int]:
    """Storage Commitment SCP; no queries."""
    ae, port = AE("PEER"), free_port()
    ae.add_supported_context(StorageCommitmentPushModel)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_ACTION, on_action)])
    try:
        yield port
    finally:
        server.shutdown()


def report_back(event: Any, committed: list[Outgoing], failed: list[Outgoing]) -> None:
    """Send the report on the association on which the request came."""
    report = Dataset()
    report.TransactionUID = TRANSACTION
    for keyword, items in (("ReferencedSOPSequence", committed), ("FailedSOPSequence", failed)):
        sequence = []
        for item in items:
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = item.sop_class_uid, item.sop_instance_uid
            if keyword == "FailedSOPSequence":
                one.FailureReason = 0x0112
            sequence.append(one)
        setattr(report, keyword, sequence)
    event.assoc.send_n_event_report(report, 2, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """A peer (dcmtk's storescp) that stores and can do nothing else."""
    received, port = folder / "received", free_port()
    received.mkdir(exist_ok=True)
    command = ["/usr/bin/storescp", *options, "-od", str(received), str(port)]
    with running(command, log=folder / "storescp.log", ready=lambda: port_answers(port), env={"TCP_NODELAY": "1"}):
        yield port


def reference(uid: str, tag: str = "", reason: int = 0) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if tag:
        item[tag] = {"vr": "US", "Value": [reason]}
    return item


@contextmanager
def web(code: int, body: dict[str, Any] | None) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An HTTP service that answers every POST so, and keeps the headers it was sent."""
    requests: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            requests.append({key.lower(): value for key, value in self.headers.items()})
            content = json.dumps(body).encode() if body else b"no"
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()
