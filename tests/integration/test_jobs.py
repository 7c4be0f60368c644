"""Jobs as rows: claimed once, in order, fenced by their lease, quarantined after three failures. On both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from sqlalchemy import Engine, select

from ptx_node.db import jobs
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Instance, Job, JobInput
from ptx_node.domain.audit import Trace
from ptx_node.domain.finding import Finding, ModelIdentity, Outcome
from ptx_node.domain.image import Radiograph, Volume
from ptx_node.domain.job import Cause, JobState
from ptx_node.errors import DatabaseUnavailableError, InputError, ModelError, StorageFullError
from ptx_node.pipeline.infer import Inference

IDENTITY = ModelIdentity("SIMULATED", "fake", "1", "0" * 64, "2.25.1")


def add_job(engine: Engine, name: str, *, priority: int = 50, queued_at: datetime | None = None, count: int = 1, **values: Any) -> int:
    """A queued job with `count` eligible instances of one series."""
    moment = queued_at or now()
    with begin_write(engine) as session:
        instances = [
            Instance(
                sop_instance_uid=f"1.2.{name}.{number}",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
                series_instance_uid=f"1.3.{name}",
                study_instance_uid=f"1.4.{name}",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                modality="CR",
                patient_id="P",
                issuer_of_patient_id="",
                accession_number="",
                path=f"{name}/{number}.dcm",
                size_bytes=1,
                sha256="0" * 64,
                via="dimse",
                source="test",
                calling_ae="A",
                called_ae="B",
                peer_address="127.0.0.1",
                received_at=moment,
                routed_at=moment,
            )
            for number in range(count)
        ]
        session.add_all(instances)
        job = Job(
            idempotency_key=name,
            rule="r",
            model="fake",
            level="instance",
            level_uid=name,
            study_instance_uid=f"1.4.{name}",
            destinations=[],
            report_failed=values.pop("report_failed", False),
            report_not_eligible=False,
            priority=priority,
            state=JobState.QUEUED,
            attempts=0,
            first_instance_at=moment,
            last_instance_at=moment,
            complete_at=moment,
            queued_at=moment,
            **values,
        )
        session.add(job)
        session.flush()
        session.add_all(JobInput(job_id=job.id, instance_id=instance.id, eligible=True) for instance in instances)
        return job.id


def claim(engine: Engine, owner: str = "w", limit: int = 10, lease_s: float = 60.0, moment: datetime | None = None) -> list[jobs.Claim]:
    with begin_write(engine) as session:
        return jobs.claim(session, owner=owner, limit=limit, lease_s=lease_s, now=moment or now())


def job_of(engine: Engine, job_id: int) -> Job:
    with begin_read(engine) as session:
        return session.scalars(select(Job).where(Job.id == job_id)).one()


def test_priority_comes_first_and_age_catches_up(engine: Engine) -> None:
    """Ten points of priority are worth ten minutes of waiting, no more."""
    moment = now()
    low_old = add_job(engine, "low_old", priority=50, queued_at=moment - timedelta(minutes=11))
    high_new = add_job(engine, "high_new", priority=60, queued_at=moment)
    low_new = add_job(engine, "low_new", priority=50, queued_at=moment)
    assert [low_old, high_new, low_new] == [one.job_id for one in claim(engine)]


def test_two_workers_never_hold_the_same_job(engine: Engine) -> None:
    """Whatever the timing, each job goes to one claimer."""
    expected = {add_job(engine, f"j{number}") for number in range(30)}

    def take(owner: str) -> list[int]:
        taken: list[int] = []
        while found := claim(engine, owner=owner, limit=2):
            taken += [one.job_id for one in found]
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [job_id for part in pool.map(take, "abcd") for job_id in part]
    assert sorted(expected) == sorted(taken)


def test_dead_workers_jobs_come_back_then_are_quarantined(engine: Engine) -> None:
    """A lease that expires queues the job again; the third lost attempt quarantines it; a person can retry it."""
    job_id = add_job(engine, "lost")
    for attempt in (1, 2, 3):
        assert [attempt] == [one.attempts for one in claim(engine, lease_s=-1)]
        with begin_write(engine) as session:
            assert ((1, 0) if attempt < 3 else (0, 1)) == jobs.reap(session, now=now())
    assert (JobState.QUARANTINED, Cause.WORKER_LOST) == (job_of(engine, job_id).state, job_of(engine, job_id).cause)
    assert [] == claim(engine)
    with begin_write(engine) as session:
        assert [job_id] == jobs.retry(session, [job_id], now=now())
    assert [1] == [one.attempts for one in claim(engine)]


def test_a_lost_lease_cannot_settle_the_job(engine: Engine) -> None:
    """A worker that was believed dead does not overwrite what its successor does."""
    job_id = add_job(engine, "fence")
    (late,) = claim(engine, owner="slow", lease_s=-1)
    with begin_write(engine) as session:
        jobs.reap(session, now=now())
    claim(engine, owner="quick")
    with begin_write(engine) as session:
        assert not jobs.settle(session, late, JobState.DONE)
    assert (JobState.RUNNING, "quick") == (job_of(engine, job_id).state, job_of(engine, job_id).lease_owner)


class FakeModel:
    """A predictor and decoder whose behaviour a test chooses by file name."""

    identity = IDENTITY

    def __init__(self, reads: Literal["radiograph", "ct"] = "radiograph") -> None:
        self.reads: Literal["radiograph", "ct"] = reads
        self.batches: list[int] = []

    def radiograph(self, path: Path) -> Radiograph:
        if "truncated" in str(path):
            raise InputError("pixel_data_truncated", "half of it is missing")
        if "missing" in str(path):
            raise FileNotFoundError(path)
        return Radiograph(str(path), np.zeros((2, 2), np.float32), None, "unknown")

    def volume(self, paths: Sequence[Path]) -> Volume:
        return Volume("s", tuple(map(str, paths)), np.zeros((len(paths), 2, 2), np.int16), None, None, "unknown")

    def prepare(self, image: Radiograph | Volume) -> Radiograph | Volume:
        return image

    def predict(self, batch: Sequence[Radiograph | Volume], threshold: float | None = None) -> tuple[list[Finding], float]:
        self.batches.append(len(batch))
        names = [one.sop_instance_uid if isinstance(one, Radiograph) else "volume" for one in batch]
        if any("crash" in name for name in names):
            raise RuntimeError("the network does not like it")
        if any("memory" in name for name in names):
            raise MemoryError
        return [Finding(Outcome.NEGATIVE, (name,), IDENTITY, probability=0.1, threshold=0.5) for name in names], 7.0


class Answers:
    """A results stage that remembers."""

    def __init__(self) -> None:
        self.findings: dict[int, list[Finding]] = {}

    def __call__(
        self, claim: jobs.Claim, finding: Finding, paths: Sequence[Path], picture: Radiograph | Volume | None, trace: Trace
    ) -> None:
        self.findings.setdefault(claim.job_id, []).append(finding)


def inference(engine: Engine, model: FakeModel, answers: Callable[..., None], **values: Any) -> Inference:
    def predictor(name: str) -> FakeModel:
        if name != "fake":
            raise ModelError(f"no model {name}")
        return model

    settings = {"batch_size": 8, "lease_s": 60.0, "retry_delay_s": 0.0, **values}
    return Inference(engine, "w", predictor, model, answers, Path, pool=ThreadPoolExecutor(2), **settings)


def test_bad_neighbours_cost_a_batch_nothing(engine: Engine) -> None:
    """One truncated, one missing, one that breaks the network: the others of their batch are answered at once."""
    good, also_good = add_job(engine, "good"), add_job(engine, "also_good")
    truncated, missing, crash = add_job(engine, "truncated"), add_job(engine, "missing"), add_job(engine, "crash")
    answers = Answers()
    inference(engine, FakeModel(), answers).run()
    assert [JobState.DONE, JobState.DONE] == [job_of(engine, one).state for one in (good, also_good)]
    assert (JobState.NOT_ELIGIBLE, "pixel_data_truncated") == (job_of(engine, truncated).state, job_of(engine, truncated).cause)
    assert (JobState.QUARANTINED, Cause.INPUT_MISSING, 1) == (
        job_of(engine, missing).state,
        job_of(engine, missing).cause,
        job_of(engine, missing).attempts,
    )
    assert (JobState.QUARANTINED, Cause.INFERENCE_FAILED, 3) == (
        job_of(engine, crash).state,
        job_of(engine, crash).cause,
        job_of(engine, crash).attempts,
    )
    assert [Outcome.NEGATIVE] == [one.outcome for one in answers.findings[good]]
    assert [Outcome.NOT_ELIGIBLE] == [one.outcome for one in answers.findings[truncated]]


def test_failure_is_reported_where_the_rule_says_so(engine: Engine) -> None:
    """No answer is never ambiguous: a quarantined job can send a coded failure."""
    job_id = add_job(engine, "memory", report_failed=True)
    answers = Answers()
    inference(engine, FakeModel(), answers).run()
    assert Cause.OUT_OF_MEMORY == job_of(engine, job_id).cause
    assert [(Outcome.FAILED, "out_of_memory")] == [(one.outcome, one.reason) for one in answers.findings[job_id]]


def test_unknown_model_quarantines_at_once(engine: Engine) -> None:
    """A model that this node does not have is a fault of the settings: trying three times cannot help."""
    job_id = add_job(engine, "j")
    with begin_write(engine) as session:
        session.get_one(Job, job_id).model = "gone"
    inference(engine, FakeModel(), Answers()).run()
    assert (JobState.QUARANTINED, Cause.MODEL_UNAVAILABLE, 1) == (
        job_of(engine, job_id).state,
        job_of(engine, job_id).cause,
        job_of(engine, job_id).attempts,
    )


def test_a_series_is_one_finding_and_a_study_of_radiographs_one_each(engine: Engine) -> None:
    """What a finding is about depends on what the model reads."""
    series = add_job(engine, "ct", count=5)
    answers = Answers()
    inference(engine, FakeModel("ct"), answers).run()
    study = add_job(engine, "cr", count=3)
    inference(engine, FakeModel(), answers).run()
    assert (1, 3) == (len(answers.findings[series]), len(answers.findings[study]))


def test_database_away_while_answering_loses_nothing(engine: Engine) -> None:
    """The attempt ends, the job stays claimed, and comes back when its lease expires."""
    job_id = add_job(engine, "j")

    def away(*_: object) -> None:
        raise DatabaseUnavailableError("gone")

    with pytest.raises(DatabaseUnavailableError):
        inference(engine, FakeModel(), away, lease_s=-1).run()
    with begin_write(engine) as session:
        assert (1, 0) == jobs.reap(session, now=now())
    assert JobState.QUEUED == job_of(engine, job_id).state


def test_a_full_disk_uses_up_no_attempt(engine: Engine) -> None:
    """The job waits with its cause until there is room, however long that takes."""
    job_id = add_job(engine, "j")

    def full(*_: Any) -> None:
        raise StorageFullError("no room")

    for _ in range(4):
        inference(engine, FakeModel(), full).run()
        assert (JobState.QUEUED, Cause.STORAGE_FULL, 0) == (
            job_of(engine, job_id).state,
            job_of(engine, job_id).cause,
            job_of(engine, job_id).attempts,
        )
        with begin_write(engine) as session:
            session.get_one(Job, job_id).not_before_at = None
    inference(engine, FakeModel(), Answers()).run()
    assert (JobState.DONE, None) == (job_of(engine, job_id).state, job_of(engine, job_id).cause)
