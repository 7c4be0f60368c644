"""What happens to an instance, a finding, a result and by a person's hand is in the audit trail, from the stages themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import Engine, func, select, text

from ptx_node.cli.app import main
from ptx_node.cli.context import acting_user
from ptx_node.db import audit, jobs
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import Instance, Job
from ptx_node.domain.audit import Trace, pixel_sha256
from ptx_node.domain.delivery import Answer, Arrival, CommitmentReport, Proof, Verdict
from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.finding import Finding, ModelIdentity, Outcome, ResultKind
from ptx_node.domain.image import Radiograph, Volume
from ptx_node.domain.job import JobState
from ptx_node.domain.result_policy import ResultDestination
from ptx_node.domain.routing import parse_rules
from ptx_node.domain.study import Origin, Via
from ptx_node.pipeline.deliver import Policy, deliver_due, resume, retry, suspend
from ptx_node.pipeline.enqueue import enqueue_new
from ptx_node.pipeline.infer import Inference
from ptx_node.pipeline.ledger import _Ticket
from ptx_node.pipeline.prove import prove_due, record_commitment_report
from ptx_node.pipeline.receive import Receiver, Status
from ptx_node.pipeline.results import encode_results, record_finding
from ptx_node.pipeline.store import FileStore
from ptx_node.settings import Settings
from ptx_node.wiring.node import settings_sha256
from tests.bench.audit import row
from tests.factories import Place, Size, as_file, dx, header
from tests.fakes import FakeDestination
from tests.findings import CONTEXT, finding
from tests.queued import Outbox

ORIGIN = Origin(Via.DIMSE, "er", "CT1", "PTX", "10.0.0.5")
SMALL = Size(32, 32)
POLICY = Policy(first_delay_s=3600.0, missing_after_s=60.0, max_resends=2)


def said(engine: Engine, kind: str) -> list[dict[str, Any]]:
    """The events of one kind in order, and a whole trail besides."""
    with begin_read(engine) as session:
        assert audit.verify(session).broken is None
        return [json.loads(one.body) for one in audit.entries(session, kinds=[kind])]


def details(engine: Engine, kind: str) -> list[dict[str, Any]]:
    return [one["detail"] for one in said(engine, kind)]


@pytest.fixture
def receiver(engine: Engine, tmp_path: Path) -> Receiver:
    store = FileStore(tmp_path / "store", watermark_bytes=0)
    return Receiver(engine, store, invalid_uid="accept", max_instance_bytes=10**7, ring=lambda: None)


def test_every_acknowledged_instance_is_a_receipt_and_every_refusal_an_event(engine: Engine, receiver: Receiver) -> None:
    ds = dx(size=SMALL)
    other = dx(size=SMALL, ImageComments="other bytes")
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    answers = [receiver.receive_part10(ORIGIN, data).status for data in (as_file(ds), as_file(ds), as_file(other), b"not DICOM")]
    assert [Status.SUCCESS, Status.SUCCESS, Status.DUPLICATE_SOP_INSTANCE, Status.CANNOT_UNDERSTAND] == answers
    receipts = said(engine, "receipt")
    assert ["stored", "already_stored", "kept_aside"] == [one["detail"]["outcome"] for one in receipts]
    assert {"peer CT1@10.0.0.5"} == {one["actor"] for one in receipts}
    assert {ds.SOPInstanceUID} == {one["detail"]["sop_instance_uid"] for one in receipts}
    with begin_read(engine) as session:
        stored = session.scalars(select(Instance)).one()
    assert stored.sha256 == receipts[0]["detail"]["sha256"] == receipts[2]["detail"]["stored_sha256"]
    refusals = details(engine, "refusal")
    assert [("receive", "conflict"), ("receive", "truncated")] == [(one["stage"], one["reason"]) for one in refusals]


def test_no_name_or_number_of_a_patient_is_in_the_trail(engine: Engine, receiver: Receiver) -> None:
    ds = dx(size=SMALL)
    ds.PatientName, ds.PatientID = "Zephyr^Quentin", "PID-4711"
    receiver.receive_part10(ORIGIN, as_file(ds))
    with begin_read(engine) as session:
        bodies = "".join(one.body for one in audit.entries(session))
    assert "Zephyr" not in bodies
    assert "4711" not in bodies


def test_what_the_trail_cannot_take_is_not_acknowledged(engine: Engine, receiver: Receiver) -> None:
    """Without its audit row an instance is not there, and its sender is told to try again."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_events RENAME TO elsewhere"))
    assert Status.PROCESSING_FAILURE == receiver.receive_part10(ORIGIN, as_file(dx(size=SMALL))).status
    with begin_read(engine) as session:
        assert 0 == session.scalar(select(func.count(Instance.id)))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_events"))
    assert Status.SUCCESS == receiver.receive_part10(ORIGIN, as_file(dx(size=SMALL))).status
    assert 1 == len(said(engine, "receipt"))


def test_a_commit_whose_answer_was_lost_is_one_receipt(engine: Engine, receiver: Receiver) -> None:
    """The receiver repeats a transaction that may have been committed."""
    batch = [_Ticket(row()), _Ticket(row())]
    assert 2 == receiver.ledger._transaction(batch)[0]
    assert 0 == receiver.ledger._transaction(batch, repeated=True)[0]
    assert 2 == len(said(engine, "receipt"))


def test_an_instance_that_no_model_reads_is_a_refusal_with_its_reason(engine: Engine, receiver: Receiver) -> None:
    child, ultrasound, read = (dx(Place(study=number), size=SMALL) for number in (1, 2, 3))
    child.PatientAge, ultrasound.Modality, read.PatientAge = "005Y", "US", "050Y"
    for ds in (child, ultrasound, read):
        assert Status.SUCCESS == receiver.receive_part10(ORIGIN, as_file(ds)).status
    rules = parse_rules(
        [{"name": "chest", "model": "cxr", "match": {"keyword": "Modality", "equals": "DX"}, "destinations": [{"name": "pacs"}]}]
    )
    enqueue_new(engine, receiver.store, rules, {"cxr": Requirements("radiograph", min_age_years=18)})
    refused = {one["sop_instance_uid"]: one for one in details(engine, "refusal")}
    assert {child.SOPInstanceUID, ultrasound.SOPInstanceUID} == set(refused)
    assert "not_eligible" == refused[child.SOPInstanceUID]["outcome"]
    assert "below_minimum_age" in refused[child.SOPInstanceUID]["detail"]
    assert "no_rule" == refused[ultrasound.SOPInstanceUID]["outcome"]


def add_job(engine: Engine, name: str, **changes: Any) -> int:
    moment = now()
    values: dict[str, Any] = {
        "idempotency_key": name,
        "rule": "chest",
        "model": "fake",
        "level": "instance",
        "level_uid": name,
        "study_instance_uid": "1.2.3",
        "destinations": [],
        "report_failed": False,
        "report_not_eligible": False,
        "priority": 0,
        "state": JobState.RUNNING,
        "attempts": 1,
        **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at"), moment),
    }
    with begin_write(engine) as session:
        job = Job(**values | changes)
        session.add(job)
        session.flush()
        return job.id


def test_an_inference_names_inputs_model_threshold_settings_timings_and_outputs(engine: Engine, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store", watermark_bytes=0)
    sources = [header(dx(size=Size(64, 64)))]
    answer = finding(sources)
    encoded = encode_results(answer, sources, kinds=[ResultKind.SEG, ResultKind.SR], context=CONTEXT)
    job_id = add_job(engine, "a")
    trace = Trace("5" * 64, settings_sha256(Settings()), {"decode": 12.34567, "forward": 700.0})
    destination = ResultDestination("pacs", frozenset(ResultKind), 60.0)
    record_finding(engine, store, job_id=job_id, finding=answer, encoded=encoded, destinations=[destination], trace=trace)
    (event,) = said(engine, "inference")
    told = event["detail"]
    assert ("node", job_id, "chest", 1) == (event["actor"], told["job_id"], told["rule"], told["attempt"])
    assert ("positive", answer.probability, answer.threshold) == (told["outcome"], told["probability"], told["threshold"])
    assert list(answer.sop_instance_uids) == told["sop_instance_uids"]
    assert answer.model.weights_sha256 == told["model"]["weights_sha256"]
    assert answer.model.device_uid == told["model"]["device_uid"]
    assert ("5" * 64, settings_sha256(Settings())) == (told["pixel_sha256"], told["settings_sha256"])
    assert {"decode": 12.346, "forward": 700.0} == told["timings_ms"]
    written = {one["sop_instance_uid"]: one for one in told["outputs"]}
    assert {str(one.dataset.SOPInstanceUID) for one in encoded} == set(written)
    files = {str(dcmread(path).SOPInstanceUID): path for path in store.folder.rglob("*.dcm")}
    for uid, one in written.items():
        assert hashlib.sha256(files[uid].read_bytes()).hexdigest() == one["sha256"]


def test_an_answer_that_a_newer_job_overtook_is_an_event_without_outputs(engine: Engine, tmp_path: Path) -> None:
    newer = add_job(engine, "newer")
    older = add_job(engine, "older", superseded_by_id=newer)
    sources = [header(dx(size=Size(64, 64)))]
    answer = finding(sources)
    encoded = encode_results(answer, sources, kinds=[ResultKind.SR], context=CONTEXT)
    record_finding(engine, FileStore(tmp_path, watermark_bytes=0), job_id=older, finding=answer, encoded=encoded, destinations=())
    (told,) = details(engine, "inference")
    assert (older, False, []) == (told["job_id"], told["recorded"], told["outputs"])


IDENTITY = ModelIdentity("SIMULATED", "fake", "1", "0" * 64, "2.25.1")
IMAGE = Radiograph("1.2.3.4", np.random.default_rng(1).random((16, 16), dtype=np.float32), None, None)


class Fake:
    """Predictor and decoder in one; the second job's network breaks."""

    identity = IDENTITY
    reads: Literal["radiograph", "ct"] = "radiograph"

    def radiograph(self, path: Path) -> Radiograph:
        return IMAGE

    def volume(self, paths: Sequence[Path]) -> Volume:
        raise NotImplementedError

    def prepare(self, image: Radiograph | Volume) -> Any:
        return image

    def predict(self, batch: Sequence[Any], threshold: float | None = None) -> tuple[list[Finding], float]:
        return [Finding(Outcome.NEGATIVE, ("1.2.3.4",), IDENTITY, probability=0.1, threshold=0.5) for _ in batch], 7.0


def queue(engine: Engine, receiver: Receiver, ds: Dataset) -> None:
    receiver.receive_part10(ORIGIN, as_file(ds))
    rules = parse_rules(
        [{"name": "all", "model": "fake", "match": {"keyword": "Modality", "equals": "DX"}, "destinations": [{"name": "pacs"}]}]
    )
    enqueue_new(engine, receiver.store, rules, {"fake": Requirements("radiograph")})


def infer(engine: Engine, answer: Callable[..., None]) -> None:
    fake = Fake()
    with ThreadPoolExecutor(1) as pool:
        Inference(engine, "w", lambda _: fake, fake, answer, Path, 4, 60.0, 0.0, pool).run()


def test_the_results_stage_is_told_what_the_trail_wants_to_know(engine: Engine, receiver: Receiver) -> None:
    queue(engine, receiver, dx(size=SMALL))
    traces: list[Trace] = []
    infer(engine, lambda *given: traces.append(given[-1]))
    (trace,) = traces
    assert pixel_sha256(IMAGE) == trace.pixel_sha256
    assert 7.0 == trace.timings_ms["forward"]
    assert trace.timings_ms["decode"] > 0


def test_an_attempt_that_fails_and_a_worker_that_is_lost_are_events(engine: Engine, receiver: Receiver) -> None:
    queue(engine, receiver, dx(size=SMALL))

    def broken(*_: object) -> None:
        raise RuntimeError("the encoder does not like it")

    infer(engine, broken)
    told = [(one["attempt"], one["cause"], one["state"]) for one in details(engine, "inference")]
    assert [(1, "encode_failed", "queued"), (2, "encode_failed", "queued"), (3, "encode_failed", "quarantined")] == told
    add_job(engine, "lost", attempts=2, lease_owner="gone", lease_expires_at=now() - timedelta(seconds=1))
    with begin_write(engine) as session:
        jobs.reap(session, now=now())
    last = details(engine, "inference")[-1]
    assert (2, "worker_lost", "queued") == (last["attempt"], last["cause"], last["state"])


@pytest.fixture
def outbox(engine: Engine, tmp_path: Path) -> Outbox:
    return Outbox(engine, tmp_path)


def deliver(outbox: Outbox, destination: FakeDestination) -> None:
    deliver_due(outbox.engine, outbox, destination, owner="test", policy=POLICY)


def test_every_answer_and_every_proof_of_a_destination_is_an_event(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.answers[uids["seg"]] = Answer(Verdict.REFUSED, "0xA900", "for Zephyr^Quentin")
    deliver(outbox, pacs)
    prove_due(outbox.engine, outbox, pacs, owner="test", policy=POLICY)
    told = {(one["step"], one["sop_instance_uid"]): one for one in details(outbox.engine, "delivery")}
    assert {("answered", uids["seg"]), ("answered", uids["sr"]), ("proof", uids["sr"])} == set(told)
    refused, proven = told["answered", uids["seg"]], told["proof", uids["sr"]]
    assert ("failed", "refused", "0xA900", "pacs") == (refused["state"], refused["verdict"], refused["status"], refused["destination"])
    assert ("committed", "proven", "fake") == (proven["state"], proven["arrival"], proven["by"])
    assert "Zephyr" not in str(told)


def test_a_commitment_report_is_an_event_and_an_open_question_is_none(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.proofs = {uid: Proof(Arrival.PENDING, "storage_commitment") for uid in uids.values()}
    deliver(outbox, pacs)
    prove_due(outbox.engine, outbox, pacs, owner="test", policy=POLICY)
    assert {"answered"} == {one["step"] for one in details(outbox.engine, "delivery")}
    transaction_uid = str(outbox.deliveries()[0].commitment_transaction_uid)
    record_commitment_report(outbox.engine, CommitmentReport(transaction_uid, (uids["sr"],), {uids["seg"]: 0x0112}))
    proofs = {
        one["sop_instance_uid"]: (one["arrival"], one["state"]) for one in details(outbox.engine, "delivery") if one["step"] == "proof"
    }
    assert {uids["sr"]: ("proven", "committed"), uids["seg"]: ("missing", "waiting")} == proofs


def test_a_delivery_that_is_given_up_is_an_event(outbox: Outbox) -> None:
    pacs = FakeDestination()
    pacs.down = True
    outbox.add_job("pacs", deadline_s=-1.0)
    deliver(outbox, pacs)
    told = details(outbox.engine, "delivery")
    assert [("given_up", "failed", "deadline")] * 2 == [(one["step"], one["state"], one["reason"]) for one in told]


def test_what_a_person_decides_is_an_event_with_the_person(outbox: Outbox) -> None:
    outbox.add_job("pacs")
    suspend(outbox.engine, "pacs", "moving", by="user alice")
    resume(outbox.engine, "pacs", grace_s=60.0, by="user bob")
    assert 2 == retry(outbox.engine, destination="pacs", deadline_s=60.0, by="user carol")
    assert 0 == retry(outbox.engine, delivery_ids=[99], deadline_s=60.0, by="user carol")
    told = [(one["actor"], one["detail"]["what"]) for one in said(outbox.engine, "decision")]
    assert [("user alice", "suspend destination"), ("user bob", "resume destination"), ("user carol", "retry deliveries")] == told
    assert [1, 2] == details(outbox.engine, "decision")[2]["delivery_ids"]


def test_the_settings_hash_tells_settings_apart_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_sha256(Settings())
    assert before == settings_sha256(Settings())
    monkeypatch.setenv("PTX_DATABASE__URL", "postgresql+psycopg://ptx:secret@host/one")
    one = settings_sha256(Settings())
    monkeypatch.setenv("PTX_DATABASE__URL", "postgresql+psycopg://ptx:other@host/one")
    assert one == settings_sha256(Settings())
    monkeypatch.setenv("PTX_WORKER__BATCH_SIZE", "3")
    assert one != settings_sha256(Settings())


@pytest.fixture
def ptx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs `ptx` in a fresh site; gives exit code and output."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(words)
        return code, *capfd.readouterr()

    assert 0 == run("init")[0]
    assert 0 == run("db", "upgrade")[0]
    return run


def test_the_commands_verify_list_and_find_what_was_touched(ptx: Any, tmp_path: Path) -> None:
    assert 0 == ptx("deliveries", "suspend", "folder", "--reason", "service")[0]
    assert 0 == ptx("deliveries", "resume", "folder")[0]
    code, out, _ = ptx("audit", "verify", "--json")
    told = json.loads(out)
    assert (0, True, 2) == (code, told["intact"], told["rows"])
    head = told["head"]
    newest, oldest = json.loads(ptx("audit", "list", "--json", "--kind", "decision")[1])
    assert ("resume destination", acting_user()) == (newest["detail"]["what"], newest["actor"])
    assert "service" == oldest["detail"]["reason"]
    assert "suspend destination" in ptx("audit", "list")[1]
    assert [] == json.loads(ptx("audit", "list", "--json", "--until", "2020-01-01")[1])
    lines = ptx("audit", "list", "--lines")[1].splitlines()
    assert [1, 2] == [json.loads(line)["sequence"] for line in lines]
    assert (0, "verification") == (
        ptx("audit", "verify", "--record")[0],
        json.loads(ptx("audit", "list", "--json", "-n", "1")[1])[0]["kind"],
    )
    assert 0 == ptx("audit", "verify", "--expect", head)[0]
    engine = open_engine(f"sqlite:///{tmp_path / 'ptx-home' / 'ptx.db'}")
    with engine.begin() as connection:
        for statement in ("DROP TRIGGER audit_events_no_update", "UPDATE audit_events SET body = replace(body, 'service', 'holiday')"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    code, out, _ = ptx("audit", "verify", "--expect", head)
    assert 1 == code
    assert out.startswith("row 1 is broken: its content or its hash was changed")
    assert {"sequence": 1} == {
        key: value for key, value in json.loads(ptx("audit", "verify", "--json")[1])["broken"].items() if key == "sequence"
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["verify", "--expect", "12:xyz"], "SEQUENCE:HASH"),
        (["list", "--since", "yesterday"], "no day or moment"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(ptx: Any, words: list[str], problem: str) -> None:
    code, _, err = ptx("audit", *words)
    assert 2 == code
    assert problem in err
    assert 1 == len(err.splitlines())
