"""Instances become jobs, once, on both databases, whoever is killed and however many work at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from sqlalchemy import Engine, event, func, select, update

from ptx_node.db import jobs as job_queries
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.tables import Collection, FindingRow, Instance, Job, JobInput, Result
from ptx_node.domain.decision import Policy
from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.job import JobState
from ptx_node.domain.routing import Rule, parse_rules
from ptx_node.domain.study import Origin, Via
from ptx_node.errors import PtxError, RetryableError
from ptx_node.pipeline.enqueue import enqueue_new, queue_due
from ptx_node.pipeline.explain import Subject, explain, stored
from ptx_node.pipeline.store import FileStore
from tests.factories import Place, Size, as_file, cr, ct_series, dx

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
REQUIREMENTS = {"cxr": Requirements("radiograph", min_age_years=18), "ct": Requirements("ct")}
SMALL = Size(16, 16)
DESTINATIONS = [{"name": "pacs", "kinds": ["seg", "sr"]}]


def rules(*raw: dict[str, Any]) -> tuple[Rule, ...]:
    return parse_rules([{"model": "cxr", "destinations": DESTINATIONS, **one} for one in raw])


CXR = {"name": "cxr", "match": {"keyword": "Modality", "any_of": ["CR", "DX"]}}
CT = {"name": "ct", "model": "ct", "trigger": "series", "quiet_s": 20, "match": {"keyword": "Modality", "equals": "CT"}}


@dataclass
class Node:
    """A database and a store with instances that were received, and what routing made of them."""

    engine: Engine
    store: FileStore
    count: int = 0
    rules: tuple[Rule, ...] = field(default_factory=lambda: rules(CXR, CT))

    def receive(self, *datasets: Dataset | bytes, at_s: float = 0, **columns: Any) -> list[int]:
        """Store instances as the receiver does: the file, then the row with routed_at null."""
        rows = []
        for ds in datasets:
            self.count += 1
            data = ds if isinstance(ds, bytes) else as_file(ds)
            header = Dataset() if isinstance(ds, bytes) else ds
            path = f"{self.count}.dcm"
            self.store.path(path).write_bytes(data)
            rows.append(
                Instance(
                    **{
                        "sop_instance_uid": str(header.get("SOPInstanceUID", f"raw.{self.count}")),
                        "sop_class_uid": str(header.get("SOPClassUID", "")),
                        "series_instance_uid": str(header.get("SeriesInstanceUID", "")),
                        "study_instance_uid": str(header.get("StudyInstanceUID", "")),
                        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                        **dict.fromkeys(("modality", "patient_id", "issuer_of_patient_id", "accession_number"), ""),
                        "path": path,
                        "size_bytes": len(data),
                        "sha256": "0" * 64,
                        "via": "dimse",
                        "source": "main",
                        "calling_ae": "DR1",
                        "called_ae": "PTX",
                        "peer_address": "127.0.0.1",
                        "received_at": START + timedelta(seconds=at_s),
                        **columns,
                    }
                )
            )
        with begin_write(self.engine) as session:
            session.add_all(rows)
            session.flush()
            return [row.id for row in rows]

    def enqueue(self, **options: Any) -> int:
        routed = 0
        while outcome := enqueue_new(self.engine, self.store, self.rules, REQUIREMENTS, **options):
            routed += outcome.routed
        return routed

    def queue_due(self, at_s: float) -> int:
        return queue_due(self.engine, self.rules, START + timedelta(seconds=at_s))

    def jobs(self) -> Sequence[Job]:
        with begin_read(self.engine) as session:
            return session.scalars(select(Job).order_by(Job.id)).all()

    def inputs(self, job_id: int) -> list[tuple[bool, str | None]]:
        with begin_read(self.engine) as session:
            rows = session.execute(
                select(JobInput.eligible, JobInput.reason).where(JobInput.job_id == job_id).order_by(JobInput.instance_id)
            )
            return [(row.eligible, row.reason) for row in rows]

    def outcomes(self) -> list[str | None]:
        with begin_read(self.engine) as session:
            return list(session.scalars(select(Instance.route_outcome).order_by(Instance.id)))


@pytest.fixture
def node(engine: Engine, tmp_path: Path) -> Node:
    return Node(engine, FileStore(tmp_path / "store", watermark_bytes=0))


def slices(count: int, *, series: int = 1, first: int = 0) -> list[Dataset]:
    return ct_series(first + count, Place(series=series), size=SMALL)[first:]


def test_radiograph_becomes_a_job_at_once(node: Node) -> None:
    """Trigger instance: one job with the rule's model, priority, destinations, and the times of the instance."""
    node.rules = rules({**CXR, "priority": 80, "report_not_eligible": True})
    node.receive(cr(size=SMALL))
    assert node.enqueue() == 1
    (job,) = node.jobs()
    assert (job.rule, job.model, job.priority, job.state, job.level) == ("cxr", "cxr", 80, "queued", "instance")
    assert job.destinations == DESTINATIONS
    assert (job.first_instance_at, job.last_instance_at, job.complete_at) == (START, START, START)
    assert node.inputs(job.id) == [(True, None)]
    assert node.outcomes() == ["queued"]
    with begin_write(node.engine) as session:
        (claim,) = job_queries.claim(session, owner="w", limit=9, lease_s=60, now=job.queued_at)
    assert claim.inputs[0].path == "1.dcm"


def test_destination_without_kinds_gets_every_kind(node: Node) -> None:
    """A rule that names only the destination leaves the choice to the destination's policy."""
    node.rules = rules({**CXR, "destinations": ["pacs"]})
    node.receive(cr(size=SMALL))
    node.enqueue()
    assert node.jobs()[0].destinations == [{"name": "pacs", "kinds": ["seg", "sr", "sc"]}]


def test_routing_twice_changes_nothing(node: Node) -> None:
    node.receive(cr(Place(study=2), size=SMALL), *slices(3))
    assert (node.enqueue(), node.enqueue()) == (4, 0)
    assert (node.queue_due(100), node.queue_due(100)) == (1, 0)
    assert len(node.jobs()) == 2


def test_not_eligible_is_visible(node: Node) -> None:
    """A refused instance has a job that says why, and no worker takes it."""
    node.receive(cr(size=SMALL, ViewPosition="LL"))
    node.enqueue()
    (job,) = node.jobs()
    assert (job.state, job.cause) == ("not_eligible", "lateral_view")
    assert node.inputs(job.id) == [(False, "lateral_view")]
    assert node.outcomes() == ["not_eligible"]


def test_not_eligible_is_queued_where_the_rule_reports_it(node: Node) -> None:
    """Then the infer stage writes a not-eligible report."""
    node.rules = rules({**CXR, "report_not_eligible": True})
    node.receive(cr(size=SMALL, PatientAge="003Y"))
    node.enqueue()
    (job,) = node.jobs()
    assert (job.state, job.cause) == ("queued", None)
    assert node.inputs(job.id) == [(False, "below_minimum_age")]


def test_no_rule_and_unreadable_and_missing(node: Node) -> None:
    """What nobody reads is said so on the instance, makes no job, and costs its neighbours nothing."""
    gone = node.receive(cr(Place(instance=9), size=SMALL))
    node.store.path("1.dcm").unlink()
    node.receive(cr(size=SMALL, Modality="US"), b"garbage" * 100, cr(Place(instance=2), size=SMALL))
    assert gone
    assert node.enqueue() == 4
    assert node.outcomes() == ["unreadable", "no_rule", "unreadable", "queued"]
    assert len(node.jobs()) == 1


def test_model_that_is_not_here_is_seen_on_the_job(node: Node) -> None:
    """Routing goes on: the job is queued, and the infer stage says that its model is missing."""
    node.rules = rules({"name": "all", "model": "nowhere"})
    node.receive(cr(size=SMALL))
    node.enqueue()
    assert [job.state for job in node.jobs()] == ["queued"]


def test_two_models_make_two_jobs(node: Node) -> None:
    node.rules = rules(CXR, {"name": "both", "model": "ct"}, {"name": "shadowed"})
    node.receive(cr(size=SMALL))
    node.enqueue()
    assert [(job.rule, job.state) for job in node.jobs()] == [("cxr", "queued"), ("both", "not_eligible")]
    assert node.outcomes() == ["queued"]


def test_origin_decides(node: Node) -> None:
    """Rules see who sent the instance."""
    node.rules = rules({"name": "bedside", "match": {"all": [{"source": "bedside"}, {"calling_ae": "ICU*"}]}})
    node.receive(cr(size=SMALL))
    node.receive(cr(Place(instance=2), size=SMALL), source="bedside", calling_ae="ICU7")
    node.enqueue()
    assert node.outcomes() == ["no_rule", "queued"]


def test_own_results_are_not_read(node: Node) -> None:
    """A result that the PACS sends back starts nothing, even under a rule that takes everything and reports refusals."""
    node.rules = rules({"name": "all", "report_not_eligible": True})
    with begin_write(node.engine) as session:
        job = Job(
            **dict.fromkeys(("idempotency_key", "rule", "model", "level", "level_uid", "study_instance_uid"), "x"),
            destinations=[],
            report_failed=True,
            report_not_eligible=True,
            priority=1,
            state="done",
            attempts=1,
            **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at"), START),
        )
        session.add(job)
        session.flush()
        names = ("model_manufacturer", "model_name", "model_version", "weights_sha256", "device_uid", "series_instance_uid")
        uids = {"study_instance_uid": "1", "sop_instance_uids": ["1"], "input_digest": "0", "outcome": "negative"}
        finding = FindingRow(job_id=job.id, inferred_at=START, **uids, **dict.fromkeys(names, "x"))
        session.add(finding)
        session.flush()
        ours = {"sop_instance_uid": Place(instance=5).uid(3), "sop_class_uid": "1", "series_instance_uid": "1", "study_instance_uid": "1"}
        session.add(Result(finding_id=finding.id, kind="sc", **ours, path="x", size_bytes=1, sha256="0", encoded_at=START))
    by_device = cr(Place(instance=6), size=SMALL)
    equipment = Dataset()
    equipment.DeviceUID = "1.2.3.4"
    by_device.ContributingEquipmentSequence = [equipment]
    node.receive(cr(Place(instance=5), size=SMALL), by_device)
    node.enqueue(own_device_uids={"1.2.3.4"})
    assert node.outcomes() == ["own_result", "own_result"]
    assert len(node.jobs()) == 1


def test_series_waits_for_quiet(node: Node) -> None:
    """A series is queued when nothing came for the quiet time after its last instance, with all its instances in one job."""
    for index, one in enumerate(slices(5)):
        node.receive(one, at_s=index * 4)
        node.enqueue()
    assert node.queue_due(16 + 19) == 0
    assert node.queue_due(16 + 20) == 1
    (job,) = node.jobs()
    assert node.inputs(job.id) == [(True, None)] * 5
    assert (job.first_instance_at, job.last_instance_at) == (START, START + timedelta(seconds=16))
    assert job.complete_at == START + timedelta(seconds=36)
    assert set(node.outcomes()) == {"collected"}


def test_collection_waits_for_what_is_not_routed_yet(node: Node) -> None:
    """After an outage the quiet time is long over when routing begins: half a series is never taken for the whole."""
    node.receive(*slices(5))
    enqueue_new(node.engine, node.store, node.rules, REQUIREMENTS, limit=3)
    assert node.queue_due(1000) == 0
    node.enqueue()
    assert node.queue_due(1000) == 1
    assert len(node.inputs(node.jobs()[0].id)) == 5


@pytest.mark.parametrize("expected", [4, "ImagesInAcquisition"])
def test_expected_count_completes_at_once(node: Node, expected: int | str) -> None:
    """The count completes before the quiet time; instances that are not eligible count too."""
    node.rules = rules({**CT, "expected_count": expected})
    series = ct_series(4, size=SMALL, ImagesInAcquisition=4)
    series[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    node.receive(*series[:3])
    node.enqueue()
    assert node.queue_due(1) == 0
    node.receive(series[3], at_s=1)
    node.enqueue()
    assert node.queue_due(1) == 1
    assert node.inputs(node.jobs()[0].id) == [(False, "localizer"), *[(True, None)] * 3]


def test_late_instance_supersedes(node: Node) -> None:
    """The late slice and the older ones make a new job; the older job, not finished, ends and names the new one."""
    everything = slices(4)
    node.receive(*everything[:3])
    node.enqueue()
    node.queue_due(100)
    node.receive(everything[3], at_s=200)
    node.enqueue()
    assert [job.state for job in node.jobs()] == ["queued"]
    assert node.queue_due(219) == 0
    assert node.queue_due(220) == 1
    old, new = node.jobs()
    assert (old.state, old.superseded_by_id, new.state) == ("superseded", new.id, "queued")
    assert (len(node.inputs(old.id)), len(node.inputs(new.id))) == (3, 4)
    assert (new.first_instance_at, new.last_instance_at) == (START, START + timedelta(seconds=200))


def test_superseding_takes_a_running_job_from_its_worker(node: Node) -> None:
    """The worker that runs the older job finds its claim gone when it wants to record: one answer, not two."""
    everything = slices(3)
    node.receive(*everything[:2])
    node.enqueue()
    node.queue_due(100)
    with begin_write(node.engine) as session:
        (claim,) = job_queries.claim(session, owner="w", limit=1, lease_s=600, now=datetime.now(UTC))
    node.receive(everything[2], at_s=200)
    node.enqueue()
    node.queue_due(300)
    with begin_write(node.engine) as session:
        assert not job_queries.still_held(session, claim)
        assert not job_queries.settle(session, claim, JobState.DONE)
    assert [job.state for job in node.jobs()] == ["superseded", "queued"]


def test_superseding_leaves_a_finished_job_done(node: Node) -> None:
    """What was answered stays answered: the finished job only points to the newer one."""
    everything = slices(3)
    node.receive(*everything[:2])
    node.enqueue()
    node.queue_due(100)
    with begin_write(node.engine) as session:
        session.execute(update(Job).values(state="done"))
    node.receive(everything[2], at_s=200)
    node.enqueue()
    node.queue_due(300)
    old, new = node.jobs()
    assert (old.state, old.superseded_by_id, new.state) == ("done", new.id, "queued")


def test_late_instance_that_no_model_reads_changes_nothing(node: Node) -> None:
    """A late scout does not make the model read the whole series again."""
    node.receive(*slices(2))
    node.enqueue()
    node.queue_due(100)
    node.receive(*ct_series(3, size=SMALL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[2:], at_s=200)
    node.enqueue()
    assert node.queue_due(1000) == 0
    assert node.outcomes() == ["collected", "collected", "late_ignored"]


def test_late_instance_is_ignored_where_the_rule_says_so(node: Node) -> None:
    node.rules = rules({**CT, "late": "ignore"})
    everything = slices(3)
    node.receive(*everything[:2])
    node.enqueue()
    node.queue_due(100)
    node.receive(everything[2], at_s=200)
    node.enqueue()
    assert node.queue_due(1000) == 0
    assert node.outcomes() == ["collected", "collected", "late_ignored"]
    assert [job.state for job in node.jobs()] == ["queued"]


def test_late_instances_complete_an_expected_count(node: Node) -> None:
    """The quiet time was over too early; the rest arrives, the count is reached, and the new job is queued at once."""
    node.rules = rules({**CT, "expected_count": 6})
    everything = slices(6)
    node.receive(*everything[:4])
    node.enqueue()
    assert node.queue_due(100) == 1
    node.receive(*everything[4:], at_s=200)
    node.enqueue()
    assert node.queue_due(200) == 1
    assert len(node.inputs(node.jobs()[1].id)) == 6


def test_study_holds_several_radiographs(node: Node) -> None:
    """Trigger study: one job for the study, the lateral view in it as not eligible."""
    node.rules = rules({**CXR, "trigger": "study", "quiet_s": 10})
    node.receive(dx(Place(series=1), size=SMALL), dx(Place(series=2), size=SMALL, ViewPosition="RL"), dx(Place(study=2), size=SMALL))
    node.enqueue()
    assert node.queue_due(10) == 2
    assert [node.inputs(job.id) for job in node.jobs()] == [[(True, None), (False, "lateral_view")], [(True, None)]]


def test_series_without_anything_to_read_ends(node: Node) -> None:
    """Nothing eligible in it: the job says how many were refused for what."""
    scouts = ct_series(2, size=SMALL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    node.receive(*scouts)
    node.enqueue()
    node.queue_due(100)
    (job,) = node.jobs()
    assert (job.state, job.cause, job.detail) == ("not_eligible", "localizer", "none of 2 instances: 2 localizer")


def test_instances_without_series_uid_are_never_mixed(node: Node) -> None:
    """Two strangers whose senders left out the Series Instance UID do not become one series."""
    for instance in (1, 2):
        node.receive(ct_series(instance, Place(study=instance), size=SMALL)[-1], series_instance_uid="")
    node.enqueue()
    assert node.queue_due(100) == 2


def test_rule_that_went_away_keeps_its_collections(node: Node) -> None:
    """A renamed rule loses nothing: its collections wait until it is there again."""
    node.receive(*slices(2))
    node.enqueue()
    before, node.rules = node.rules, rules(CXR)
    assert node.queue_due(100) == 0
    node.rules = before
    assert node.queue_due(100) == 1


def test_unreadable_store_keeps_instances(node: Node) -> None:
    """A store that is away is the store's problem: nothing is marked, and the error says that a retry helps."""
    node.receive(cr(size=SMALL))
    node.store.path("1.dcm").unlink()
    node.store.path("1.dcm").mkdir()
    with pytest.raises(RetryableError, match="mounted"):
        node.enqueue()
    assert node.outcomes() == [None]


class KilledError(Exception):
    """The process died here."""


@pytest.mark.parametrize("killed_at", range(1, 24))
def test_killed_at_every_statement_then_again(sqlite_engine: Engine, tmp_path: Path, killed_at: int) -> None:
    """A process that dies at any statement leaves nothing half done; the next one ends where it should have."""
    kill_and_go_on(Node(sqlite_engine, FileStore(tmp_path / "store", watermark_bytes=0)), killed_at)


@pytest.mark.parametrize("killed_at", [7, 13, 19])
def test_killed_then_again(node: Node, killed_at: int) -> None:
    """The same on both databases."""
    kill_and_go_on(node, killed_at)


def kill_and_go_on(node: Node, killed_at: int) -> None:
    node.rules = rules(CXR, {**CT, "expected_count": 3})
    node.receive(cr(Place(study=2), size=SMALL), cr(Place(study=3), size=SMALL, ViewPosition="LL"), *slices(3))
    seen = 0

    def die(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == killed_at:
            raise KilledError

    event.listen(node.engine, "after_cursor_execute", die)
    died = 0
    for step in (node.enqueue, lambda: node.queue_due(1)):
        try:
            step()
        except KilledError:
            died += 1
    event.remove(node.engine, "after_cursor_execute", die)
    node.enqueue()
    node.queue_due(1)
    assert died == 1
    assert sorted((job.rule, job.state) for job in node.jobs()) == [("ct", "queued"), ("cxr", "not_eligible"), ("cxr", "queued")]
    assert sorted(len(node.inputs(job.id)) for job in node.jobs()) == [1, 1, 3]
    assert sorted(map(str, node.outcomes())) == ["collected"] * 3 + ["not_eligible", "queued"]


def test_many_workers_make_each_job_once(node: Node) -> None:
    """Several processes at the same queue: each instance has one job or one place, each series one job."""
    node.rules = rules(CXR, {**CT, "expected_count": 12})
    node.receive(*(cr(Place(study=n), size=SMALL) for n in range(10, 22)))
    for series in (1, 2):
        node.receive(*slices(12, series=series))
    errors: list[Exception] = []
    gate = threading.Barrier(4)

    def work() -> None:
        try:
            gate.wait(30)
            for _ in range(60):
                enqueue_new(node.engine, node.store, node.rules, REQUIREMENTS, limit=5)
                node.queue_due(1)
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    jobs = node.jobs()
    assert sorted(job.rule for job in jobs) == ["ct"] * 2 + ["cxr"] * 12
    assert sorted(len(node.inputs(job.id)) for job in jobs) == [1] * 12 + [12, 12]
    assert None not in node.outcomes()


def test_closing_and_arriving_at_once_loses_nothing(node: Node) -> None:
    """A series that is closed again and again while it arrives: its newest job has every slice, the others point onward."""
    node.rules = rules({**CT, "quiet_s": 0})
    arriving = threading.Event()
    errors: list[Exception] = []

    def work() -> None:
        try:
            while not arriving.is_set():
                enqueue_new(node.engine, node.store, node.rules, REQUIREMENTS, limit=3)
                node.queue_due(1)
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for one in slices(15):
        node.receive(one)
    arriving.set()
    for thread in threads:
        thread.join()
    node.enqueue()
    node.queue_due(1)
    assert not errors
    *older, newest = node.jobs()
    assert len(node.inputs(newest.id)) == 15
    assert (newest.state, newest.superseded_by_id) == ("queued", None)
    assert {job.state for job in older} <= {"superseded"}
    assert [job.superseded_by_id for job in older] == [job.id for job in [*older, newest][1:]]


def test_routing_time_grows_with_the_series_not_its_square(sqlite_engine: Engine, tmp_path: Path) -> None:
    """Statements an instance do not grow with the size of the series that it joins."""
    node = Node(sqlite_engine, FileStore(tmp_path / "store", watermark_bytes=0))
    statements: list[str] = []
    event.listen(node.engine, "after_cursor_execute", lambda _c, _cursor, statement, *_: statements.append(statement))
    seen, times = [], []
    for series, count in ((1, 50), (2, 600)):
        node.receive(*slices(count, series=series))
        statements.clear()
        started = time.process_time()
        node.enqueue()
        assert node.queue_due(100) == 1
        times.append((time.process_time() - started) / count)
        seen.append(len(statements) / count)
    assert seen[1] <= seen[0]
    assert times[1] < 3 * times[0]
    with begin_read(node.engine) as session:
        assert session.scalar(select(func.sum(Collection.instance_count))) == 650


def test_explain_stored_study(node: Node) -> None:
    """Explain says what routing did, with the same conditions and the values they saw."""
    node.receive(cr(size=SMALL, ViewPosition="LL"))
    node.enqueue()
    policy = Policy(node.rules, REQUIREMENTS)
    (subject,) = stored(node.engine, node.store.path, Place().uid(1), limit=5)
    answer = explain(policy, subject)
    assert answer["routed"]["outcome"] == "not_eligible"
    assert [(one["rule"], one["acts"]) for one in answer["rules"]] == [("cxr", True), ("ct", False)]
    assert answer["rules"][0]["condition"] == {"held": True, "condition": "Modality is 'CR' or 'DX'", "seen": ["CR"]}
    assert answer["models"]["cxr"]["reason"] == "lateral_view"
    assert answer["models"]["ct"]["reason"] == "wrong_modality"
    with pytest.raises(PtxError, match="no file"):
        stored(node.engine, node.store.path, "1.2.3", limit=5)


def test_explain_what_cannot_be_read(sqlite_engine: Engine, tmp_path: Path) -> None:
    """A file that is no DICOM is explained as such."""
    path = tmp_path / "a.dcm"
    path.write_bytes(b"nothing")
    answer = explain(Policy((), {}), Subject("", path, Origin(Via.DIMSE, "", "", "", "")))
    assert "SOP" in answer["error"]
