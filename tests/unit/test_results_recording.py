"""A finding, its results and its deliveries are recorded together, once, whoever records them again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import Engine, func, select

from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.tables import Delivery, FindingRow, Job, Result
from ptx_node.domain.finding import Finding, Outcome, ResultKind
from ptx_node.domain.job import DeliveryState, JobState
from ptx_node.domain.result_policy import DestinationPolicy, ResultDestination
from ptx_node.errors import PermanentError, StorageFullError
from ptx_node.pipeline.results import EncodedResult, destinations_of, encode_results, record_finding, superseded_reports
from ptx_node.pipeline.store import FileStore
from tests import factories as make
from tests.findings import CONTEXT, finding

QUEUED_AT = datetime(2026, 3, 1, tzinfo=UTC)
BOTH = frozenset({ResultKind.SEG, ResultKind.SR})
PACS = ResultDestination("pacs", BOTH, 3600.0)
ARCHIVE = ResultDestination("archive", frozenset({ResultKind.SR}), 60.0)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store", watermark_bytes=0)


@pytest.fixture
def sources() -> list[pydicom.Dataset]:
    return [make.header(make.dx(size=make.Size(64, 64)))]


def new_job(engine: Engine, key: str, **changes: Any) -> int:
    values: dict[str, Any] = {
        "idempotency_key": key,
        "rule": "chest",
        "model": "example",
        "level": "instance",
        "level_uid": key,
        "study_instance_uid": "1.2.3",
        "destinations": [],
        "report_failed": True,
        "report_not_eligible": True,
        "priority": 0,
        "rank_at": QUEUED_AT,
        "state": JobState.RUNNING,
        "attempts": 1,
        **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at"), QUEUED_AT),
    }
    known = {column.key for column in Job.__table__.columns}
    with begin_write(engine) as session:
        job = Job(**{key: value for key, value in {**values, **changes}.items() if key in known})
        session.add(job)
        session.flush()
        return job.id


def encode(sources: list[pydicom.Dataset], answer: Finding, *, later: timedelta = timedelta()) -> tuple[EncodedResult, ...]:
    context = type(CONTEXT)("Site", "1", CONTEXT.now + later)
    return encode_results(answer, sources, kinds=BOTH, context=context)


@pytest.fixture
def record(engine: Engine, store: FileStore, sources: list[pydicom.Dataset]) -> Callable[..., Any]:
    def recorded(job_id: int, answer: Finding | None = None, *destinations: ResultDestination, later: timedelta = timedelta()) -> Any:
        said = answer or finding(sources)
        encoded = encode(sources, said, later=later)
        return record_finding(engine, store, job_id=job_id, finding=said, encoded=encoded, destinations=destinations or (PACS, ARCHIVE))

    return recorded


def count(engine: Engine, table: type) -> int:
    with begin_read(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def deliveries(engine: Engine) -> dict[tuple[str, str], Delivery]:
    with begin_read(engine) as session:
        found = session.execute(select(Delivery, Result).join(Result, Delivery.result_id == Result.id))
        return {(result.kind, delivery.destination): delivery for delivery, result in found}


def mark(engine: Engine, **values: Any) -> None:
    with begin_write(engine) as session:
        for row in session.scalars(select(Delivery)):
            for key, value in values.items():
                setattr(row, key, value)


def assert_files_match_rows(engine: Engine, store: FileStore) -> None:
    with begin_read(engine) as session:
        for row in session.scalars(select(Result)):
            ds = pydicom.dcmread(store.path(row.path))
            assert (row.sop_instance_uid, row.sop_class_uid) == (ds.SOPInstanceUID, ds.SOPClassUID)
            assert row.size_bytes == store.path(row.path).stat().st_size


def test_finding_results_and_deliveries_are_recorded_together(engine: Engine, store: FileStore, record: Callable[..., Any]) -> None:
    job_id = new_job(engine, "a")
    recorded = record(job_id)
    assert (2, 3, 0) == (len(recorded.result_ids), recorded.deliveries_queued, recorded.replaced)
    assert {("seg", "pacs"), ("sr", "pacs"), ("sr", "archive")} == deliveries(engine).keys()
    assert {DeliveryState.WAITING} == {one.state for one in deliveries(engine).values()}
    assert timedelta(seconds=60) == deliveries(engine)["sr", "archive"].deadline_at - deliveries(engine)["sr", "archive"].queued_at
    with begin_read(engine) as session:
        row = session.scalars(select(FindingRow)).one()
    assert ("positive", 0.912345, "right", 1234.5) == (row.outcome, row.probability, row.laterality, row.area_mm2)
    assert_files_match_rows(engine, store)


@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=1)], ids=["same moment", "an hour later"])
def test_recording_again_changes_nothing(engine: Engine, store: FileStore, record: Callable[..., Any], later: timedelta) -> None:
    """A worker died after the commit and its job was run again: what the PACS has stays what we have."""
    job_id = new_job(engine, "a")
    first = record(job_id)
    mark(engine, state=DeliveryState.ACCEPTED)
    files = sorted(store.folder.rglob("*.dcm"))
    again = record(job_id, later=later)
    assert (first.finding_id, first.result_ids, 0, 0) == (again.finding_id, again.result_ids, again.replaced, again.deliveries_queued)
    assert files == sorted(store.folder.rglob("*.dcm"))
    assert {DeliveryState.ACCEPTED} == {one.state for one in deliveries(engine).values()}
    assert (1, 2, 3) == (count(engine, FindingRow), count(engine, Result), count(engine, Delivery))


def test_another_job_with_the_same_input_and_model_shares_results_and_adds_only_its_destinations(
    engine: Engine, record: Callable[..., Any]
) -> None:
    record(new_job(engine, "a"), None, PACS)
    second = record(new_job(engine, "b"), None, PACS, ARCHIVE)
    assert 1 == second.deliveries_queued
    assert (2, 2, 3) == (count(engine, FindingRow), count(engine, Result), count(engine, Delivery))


def test_another_job_gives_a_failed_delivery_a_new_chance(engine: Engine, record: Callable[..., Any]) -> None:
    first = new_job(engine, "a")
    record(first, None, PACS)
    mark(engine, state=DeliveryState.FAILED, attempts=9, error="refused")
    assert 0 == record(first, None, PACS).deliveries_queued
    assert 2 == record(new_job(engine, "b"), None, PACS).deliveries_queued
    assert {(DeliveryState.WAITING, 0, None)} == {(one.state, one.attempts, one.error) for one in deliveries(engine).values()}


def test_other_content_under_the_same_identity_replaces_and_is_delivered_again(
    engine: Engine, store: FileStore, record: Callable[..., Any], sources: list[pydicom.Dataset]
) -> None:
    job_id = new_job(engine, "a")
    first = record(job_id)
    mark(engine, state=DeliveryState.COMMITTED, accepted_at=QUEUED_AT, committed_at=QUEUED_AT, proof="c_find")
    again = record(job_id, finding(sources, probability=0.99))
    assert (first.result_ids, 1) == (again.result_ids, again.replaced), "the SEG is the same, the SR is not"
    states = {key: (one.state, one.committed_at) for key, one in deliveries(engine).items()}
    fresh, kept = (DeliveryState.WAITING, None), (DeliveryState.COMMITTED, QUEUED_AT)
    assert {("seg", "pacs"): kept, ("sr", "pacs"): fresh, ("sr", "archive"): fresh} == states
    assert (1, 2, 3) == (count(engine, FindingRow), count(engine, Result), count(engine, Delivery))
    assert_files_match_rows(engine, store)


def test_replaced_content_also_goes_again_to_where_only_another_job_sends(
    engine: Engine, record: Callable[..., Any], sources: list[pydicom.Dataset]
) -> None:
    record(new_job(engine, "a"), None, ARCHIVE)
    mark(engine, state=DeliveryState.ACCEPTED)
    record(new_job(engine, "b"), finding(sources, probability=0.99), PACS)
    assert DeliveryState.WAITING == deliveries(engine)["sr", "archive"].state


def test_a_mask_is_not_sent_any_more_when_the_answer_turned_negative(
    engine: Engine, record: Callable[..., Any], sources: list[pydicom.Dataset]
) -> None:
    job_id = new_job(engine, "a")
    record(job_id, None, PACS)
    record(job_id, finding(sources, Outcome.NEGATIVE), PACS)
    states = {key: one.state for key, one in deliveries(engine).items()}
    assert {("seg", "pacs"): DeliveryState.FAILED, ("sr", "pacs"): DeliveryState.WAITING} == states


def test_a_superseded_job_records_nothing(engine: Engine, record: Callable[..., Any]) -> None:
    newer = new_job(engine, "b")
    older = new_job(engine, "a", superseded_by_id=newer, state=JobState.SUPERSEDED)
    assert record(older).superseded
    assert (0, 0, 0) == (count(engine, FindingRow), count(engine, Result), count(engine, Delivery))


def test_a_superseding_job_finds_the_reports_that_it_replaces(engine: Engine, store: FileStore, record: Callable[..., Any]) -> None:
    slices = [make.header(ds) for ds in make.ct_series(4, size=make.Size(32, 32))]
    study = str(slices[0].StudyInstanceUID)
    older, newer = new_job(engine, "a"), new_job(engine, "b")
    early = finding(slices[:3])
    encoded = encode(slices[:3], early)
    record_finding(engine, store, job_id=older, finding=early, encoded=encoded, destinations=[PACS])
    with begin_write(engine) as session:
        session.get_one(Job, older).superseded_by_id = newer
    (report,) = superseded_reports(engine, job_id=newer, finding=finding(slices), study_instance_uid=study)
    assert {one.kind: str(one.dataset.SOPInstanceUID) for one in encoded}[ResultKind.SR] == report.sop_instance_uid
    assert () == superseded_reports(engine, job_id=newer, finding=early, study_instance_uid=study), "the same input is the same report"


def test_a_finding_without_results_is_recorded_too(engine: Engine, store: FileStore, sources: list[pydicom.Dataset]) -> None:
    said = finding(sources, Outcome.NOT_ELIGIBLE)
    recorded = record_finding(engine, store, job_id=new_job(engine, "a"), finding=said, encoded=(), destinations=[PACS])
    assert () == recorded.result_ids
    with begin_read(engine) as session:
        assert ("not_eligible", "unsupported_transfer_syntax") == session.execute(select(FindingRow.outcome, FindingRow.reason)).one()


def test_many_workers_that_record_the_same_finding_leave_one_set(engine: Engine, store: FileStore, sources: list[pydicom.Dataset]) -> None:
    jobs = [new_job(engine, str(n)) for n in range(4)]
    said = finding(sources)
    encoded = [encode(sources, said, later=timedelta(minutes=n)) for n in range(4)]
    barrier, errors = threading.Barrier(4), []

    def work(index: int) -> None:
        barrier.wait()
        try:
            record_finding(engine, store, job_id=jobs[index], finding=said, encoded=encoded[index], destinations=[PACS])
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors
    assert (4, 2, 2) == (count(engine, FindingRow), count(engine, Result), count(engine, Delivery))
    assert_files_match_rows(engine, store)


def test_a_full_store_records_nothing(engine: Engine, tmp_path: Path, sources: list[pydicom.Dataset]) -> None:
    full = FileStore(tmp_path / "full", watermark_bytes=10**18)
    said = finding(sources)
    with pytest.raises(StorageFullError):
        record_finding(engine, full, job_id=new_job(engine, "a"), finding=said, encoded=encode(sources, said), destinations=[PACS])
    assert (0, 0, 0) == (count(engine, FindingRow), count(engine, Result), count(engine, Delivery))


def test_a_job_that_is_not_there_is_an_error(engine: Engine, record: Callable[..., Any]) -> None:
    with pytest.raises(PermanentError, match="job 4711 is not in the database"):
        record(4711)


def test_a_destination_gets_what_the_rule_asks_and_its_policy_allows() -> None:
    policies = {
        "pacs": DestinationPolicy(frozenset({ResultKind.SR}), 10.0),
        "viewer": DestinationPolicy(frozenset(ResultKind), 20.0),
        "nothing": DestinationPolicy(frozenset({ResultKind.SC}), 20.0),
    }
    asked = [{"name": name, "kinds": ["seg", "sr"]} for name in ("pacs", "viewer", "nothing", "gone")]
    expected = (ResultDestination("pacs", frozenset({ResultKind.SR}), 10.0), ResultDestination("viewer", BOTH, 20.0))
    assert expected == destinations_of(asked, policies)


def test_files_of_an_attempt_that_died_before_its_row_are_removed_by_the_next(
    engine: Engine, store: FileStore, record: Callable[..., Any], sources: list[pydicom.Dataset]
) -> None:
    (encoded, _) = encode(sources, finding(sources), later=timedelta(hours=-1))
    uid = str(encoded.dataset.SOPInstanceUID)
    stray = store.put(f"results/{uid[-2:]}/{uid}.0123456789abcdef.dcm", encoded.part10())
    neighbour = store.put(f"results/{uid[-2:]}/{uid}0.0123456789abcdef.dcm", b"another result")
    record(new_job(engine, "first", attempts=2))
    assert not store.path(stray.path).exists()
    assert store.path(neighbour.path).exists()
    with begin_read(engine) as session:
        assert all(store.path(path).exists() for path in session.scalars(select(Result.path)))
