"""Real senders against the receiver: dcmtk, pynetdicom, TLS, every transfer syntax, several processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, _config, build_context
from sqlalchemy import Engine, select

sys.path.insert(0, str(Path(__file__).parent))
from scp_parts import Peer, make_receiver, scp_in_thread, scp_processes

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Instance, Refusal
from ptx_node.dicom.part10 import split_part10
from ptx_node.settings import TlsFiles
from ptx_node.simulator.processes import wait_until
from tests import factories, raw_peer


def rows(engine: Engine, table: type = Instance) -> list[Instance]:
    with begin_read(engine) as session:
        return list(session.scalars(select(table)))


def dcmtk(program: str, *words: str | Path, ok: bool = True) -> str:
    done = subprocess.run(
        [f"/usr/bin/{program}", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"TCP_NODELAY": "1"},
    )
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def slices(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    for number, ds in enumerate(factories.ct_series(count)):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        (folder / f"{number}.dcm").write_bytes(factories.as_file(ds))
    return sorted(folder.iterdir())


def test_dcmtk_echoes_and_sends(engine: Engine, tmp_path: Path) -> None:
    sent = slices(tmp_path / "sent", 5)
    with scp_in_thread(engine, tmp_path / "store", sources={"EMERGENCY": "er"}) as scp:
        dcmtk("echoscu", "-aec", "PTX", "127.0.0.1", str(scp.port))
        dcmtk("dcmsend", "-aec", "EMERGENCY", "127.0.0.1", str(scp.port), *sent)
        stored = rows(engine)
        assert [("er", "EMERGENCY", "DCMSEND", "dimse")] * 5 == [(r.source, r.called_ae, r.calling_ae, r.via) for r in stored]
        originals = {str(dcmread(path).SOPInstanceUID): split_part10(memoryview(path.read_bytes())).data_set for path in sent}
        for row in stored:
            kept = split_part10(memoryview(scp.store.path(row.path).read_bytes()))
            assert originals[row.sop_instance_uid] == kept.data_set


def test_every_real_transfer_syntax_is_stored_as_received(
    sqlite_engine: Engine, tmp_path: Path, real_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of one file's renderings have one SOP Instance UID: each gets a receiver's empty store of its own."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # the sender sends the file's bytes, not its own encoding
    files = sorted(real_files.rglob("*.dcm"))
    for number, path in enumerate(files):
        part = split_part10(memoryview(path.read_bytes()))
        with sqlite_engine.begin() as connection:
            connection.execute(Instance.__table__.delete())
        with scp_in_thread(sqlite_engine, tmp_path / str(number)) as scp:
            ae = AE("MODALITY")
            ae.add_requested_context(part.sop_class_uid, part.transfer_syntax_uid)
            assoc = ae.associate("127.0.0.1", scp.port, ae_title="PTX")
            assert assoc.is_established
            status = assoc.send_c_store(path)
            assoc.release()
            assert (path.name, 0x0000) == (path.name, status.Status)
            [row] = rows(sqlite_engine)
            kept = split_part10(memoryview(scp.store.path(row.path).read_bytes()))
            assert part.data_set == kept.data_set
            assert (part.transfer_syntax_uid, part.sop_instance_uid) == (row.transfer_syntax_uid, row.sop_instance_uid)


def test_a_fragmented_instance_arrives_whole(sqlite_engine: Engine, tmp_path: Path) -> None:
    """A peer that sends small PDUs, to a receiver that allows only small ones."""
    [path] = slices(tmp_path / "sent", 1)
    with scp_in_thread(sqlite_engine, tmp_path / "store", max_pdu=4096) as scp:
        dcmtk("storescu", "-aec", "PTX", "127.0.0.1", str(scp.port), path)
        [row] = rows(sqlite_engine)
        kept = split_part10(memoryview(scp.store.path(row.path).read_bytes()))
        assert split_part10(memoryview(path.read_bytes())).data_set == kept.data_set


def test_statuses_reach_the_sender(sqlite_engine: Engine, tmp_path: Path) -> None:
    [path] = slices(tmp_path / "sent", 1)
    full = make_receiver(sqlite_engine, tmp_path / "store", watermark_bytes=2**62)
    ae = AE("MODALITY")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    with scp_in_thread(sqlite_engine, tmp_path / "store", receiver=full) as scp:
        assoc = ae.associate("127.0.0.1", scp.port, ae_title="PTX")
        answer = assoc.send_c_store(path)
        assert 0xA700 == answer.Status
        assert "storage_full" in answer.ErrorComment
    with scp_in_thread(sqlite_engine, tmp_path / "store") as scp:
        assoc = ae.associate("127.0.0.1", scp.port, ae_title="PTX")
        ds = dcmread(path)
        assert 0x0000 == assoc.send_c_store(ds).Status
        ds.PixelData = bytes(len(ds.PixelData))
        assert 0x0111 == assoc.send_c_store(ds).Status
        del ds.SOPClassUID
        assoc.release()


@pytest.mark.parametrize(
    ("peers", "calling", "called", "reason"),
    [
        ((), "MODALITY", "PTX", "Calling AE Title Not Recognized"),
        ((Peer(ae_title="CT1"),), "MODALITY", "PTX", "Calling AE Title Not Recognized"),
        ((Peer(ae_title="MODALITY", addresses=("10.0.0.0/8",)),), "MODALITY", "PTX", "Calling AE Title Not Recognized"),
        ((Peer(ae_title="*"),), "MODALITY", "WRONG", "Called AE Title Not Recognized"),
    ],
)
def test_who_is_not_allowed_is_rejected_with_the_reason(
    sqlite_engine: Engine, tmp_path: Path, peers: tuple[Peer, ...], calling: str, called: str, reason: str
) -> None:
    with scp_in_thread(sqlite_engine, tmp_path, peers=peers) as scp:
        said = dcmtk("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(scp.port), ok=False)
        assert reason in said
        wait_until(lambda: bool(rows(sqlite_engine, Refusal)), what="the trace of the rejection")
        [refusal] = rows(sqlite_engine, Refusal)
        assert "association_rejected" == refusal.reason


def test_an_allowed_network_may_associate(sqlite_engine: Engine, tmp_path: Path) -> None:
    peers = (Peer(ae_title="MODALITY", addresses=("10.0.0.0/8", "127.0.0.0/24")),)
    with scp_in_thread(sqlite_engine, tmp_path, peers=peers) as scp:
        dcmtk("echoscu", "-aet", "MODALITY", "-aec", "PTX", "127.0.0.1", str(scp.port))


def test_one_association_too_many_is_rejected_for_now(sqlite_engine: Engine, tmp_path: Path) -> None:
    """The answer is read as bytes (PS3.8 9.3.4): rejected-transient, by the presentation provider, local limit exceeded."""
    with scp_in_thread(sqlite_engine, tmp_path, max_associations=1) as scp, raw_peer.associated(scp.port, "1.2.840.10008.1.1"):
        with socket.create_connection(("127.0.0.1", scp.port), timeout=10) as second:
            second.sendall(raw_peer.associate_rq("1.2.840.10008.1.1"))
            kind, body = raw_peer.read_pdu(second)
        assert (raw_peer.ASSOCIATE_RJ, (2, 3, 2)) == (kind, tuple(body[1:4]))


def test_what_is_not_served_is_refused_in_negotiation(sqlite_engine: Engine, tmp_path: Path) -> None:
    ae = AE("MODALITY")
    ae.requested_contexts = [build_context("1.2.840.10008.5.1.4.1.1.128"), build_context(CTImageStorage)]
    with scp_in_thread(sqlite_engine, tmp_path) as scp:
        assoc = ae.associate("127.0.0.1", scp.port, ae_title="PTX")
        assert [CTImageStorage] == [cx.abstract_syntax for cx in assoc.accepted_contexts]
        assoc.release()


@pytest.mark.parametrize("client_certificate", [False, True])
def test_tls_with_and_without_client_certificates(sqlite_engine: Engine, tmp_path: Path, client_certificate: bool) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    tls = TlsFiles(certificate=certificate, private_key=key, trusted=certificate if client_certificate else None)
    [path] = slices(tmp_path / "sent", 1)
    with scp_in_thread(sqlite_engine, tmp_path / "store", tls=tls) as scp:
        place = ["-aec", "PTX", "127.0.0.1", str(scp.port), path]
        dcmtk("storescu", *place, ok=False)
        dcmtk("storescu", "--anonymous-tls", "+cf", certificate, *place, ok=not client_certificate)
        dcmtk("storescu", "--enable-tls", key, certificate, "+cf", certificate, *place)
        assert 1 == len(rows(sqlite_engine))


def test_several_processes_share_a_port_survive_a_kill_and_end_in_good_order(engine: Engine, database_url: str, tmp_path: Path) -> None:
    sent = slices(tmp_path / "sent", 12)
    with scp_processes(database_url, tmp_path / "store") as (port, pid):
        parent = psutil.Process(pid)
        wait_until(lambda: len(parent.children()) == 2, what="two processes")
        senders = [
            subprocess.Popen(
                ["/usr/bin/dcmsend", "-aec", "PTX", "127.0.0.1", str(port), *map(str, sent[start::4])], env={"TCP_NODELAY": "1"}
            )
            for start in range(4)
        ]
        assert [0] * 4 == [sender.wait(60) for sender in senders]
        assert 12 == len(rows(engine))
        victim = parent.children()[0].pid
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len({child.pid for child in parent.children()} - {victim}) == 2, what="another process")
        for _ in range(4):
            dcmtk("echoscu", "-aec", "PTX", "127.0.0.1", str(port))
        children = parent.children()
        parent.terminate()
        _, alive = psutil.wait_procs([*children], timeout=10)
        assert [] == alive


def test_children_end_when_their_parent_is_killed(sqlite_engine: Engine, tmp_path: Path) -> None:
    with scp_processes(f"sqlite:///{tmp_path / 'ptx.db'}", tmp_path / "store") as (_port, pid):
        parent = psutil.Process(pid)
        wait_until(lambda: len(parent.children()) == 2, what="two processes")
        children = parent.children()
        parent.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert [] == alive


def test_the_receiver_loads_no_model() -> None:
    """Pydicom itself looks for codecs where they are installed; the receiver's own requirements name none."""
    code = (
        "import sys, ptx_node.inbound.supervisor, ptx_node.inbound.commitment_scp, ptx_node.pipeline.receive\n"
        "print([name for name in ('torch', 'monai', 'highdicom', 'celery', 'fastapi') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
