"""Jobs as rows with a lease: claim, renew, settle, give back. Each function takes a Session inside a write transaction.

A Celery message never carries work: whoever wakes claims here. On PostgreSQL rows locked by another claimer are skipped;
on SQLite the write transaction (`BEGIN IMMEDIATE`) lets one claimer in at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, update

from ptx_node.db import audit
from ptx_node.db.tables import Instance, Job, JobInput
from ptx_node.domain.audit_events import attempt_failed
from ptx_node.domain.job import MAX_ATTEMPTS, Cause, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Input:
    """One stored instance that a job reads."""

    sop_instance_uid: str
    series_instance_uid: str
    path: str
    eligible: bool
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this process holds until its lease expires."""

    job_id: int
    owner: str
    rule: str
    model: str
    level: str
    attempts: int
    study_instance_uid: str
    destinations: tuple[dict[str, Any], ...]
    report_failed: bool
    report_not_eligible: bool
    inputs: tuple[Input, ...]


def claim(session: Session, *, owner: str, limit: int, lease_s: float, now: datetime, rule: str | None = None) -> list[Claim]:
    """Take up to `limit` waiting jobs, first by rank (priority with ageing); their attempts count one more. `rule`: of this one only."""
    due = and_(Job.state == JobState.QUEUED, or_(Job.not_before_at.is_(None), Job.not_before_at <= now))
    if rule is not None:
        due = and_(due, Job.rule == rule)
    jobs = session.scalars(select(Job).where(due).order_by(Job.rank_at, Job.id).limit(limit).with_for_update(skip_locked=True)).all()
    for job in jobs:
        job.state = JobState.RUNNING
        job.attempts += 1
        job.lease_owner = owner
        job.lease_expires_at = now + timedelta(seconds=lease_s)
        job.started_at = now
    session.flush()
    inputs = _inputs_of(session, [job.id for job in jobs])
    return [
        Claim(
            job_id=job.id,
            owner=owner,
            rule=job.rule,
            model=job.model,
            level=job.level,
            attempts=job.attempts,
            study_instance_uid=job.study_instance_uid,
            destinations=tuple(job.destinations),
            report_failed=job.report_failed,
            report_not_eligible=job.report_not_eligible,
            inputs=tuple(inputs.get(job.id, ())),
        )
        for job in jobs
    ]


def _inputs_of(session: Session, job_ids: Sequence[int]) -> dict[int, list[Input]]:
    rows = session.execute(
        select(JobInput.job_id, Instance, JobInput.eligible, JobInput.reason, JobInput.detail)
        .join(Instance, Instance.id == JobInput.instance_id)
        .where(JobInput.job_id.in_(job_ids))
        .order_by(Instance.id)
    )
    inputs: dict[int, list[Input]] = {}
    for job_id, instance, eligible, reason, detail in rows:
        inputs.setdefault(job_id, []).append(
            Input(instance.sop_instance_uid, instance.series_instance_uid, instance.path, eligible, reason, detail)
        )
    return inputs


def renew(session: Session, claims: Iterable[Claim], *, lease_s: float, now: datetime) -> None:
    """Hold jobs longer: called while a long inference runs, so that only a dead worker's lease expires."""
    for one in claims:
        session.execute(_held(one).values(lease_expires_at=now + timedelta(seconds=lease_s)))


def settle(session: Session, one: Claim, state: JobState, **values: Any) -> bool:
    """Bring a held job to a terminal state. False when the lease was lost meanwhile: the other holder's word counts."""
    changed = session.execute(_held(one).values(state=state, lease_owner=None, lease_expires_at=None, **values).returning(Job.id))
    return changed.first() is not None


def still_held(session: Session, one: Claim) -> bool:
    """Whether this claim still holds its job; locks the row, so that the answer stays true in this transaction."""
    held = select(Job.id).where(
        Job.id == one.job_id, Job.lease_owner == one.owner, Job.attempts == one.attempts, Job.state == JobState.RUNNING
    )
    return session.scalar(held.with_for_update()) is not None


def give_back(session: Session, one: Claim, cause: Cause, detail: str, *, not_before: datetime, permanent: bool = False) -> JobState:
    """After a failed attempt: queue the job again, or quarantine it when attempts are used up or it cannot help.

    A full disk is no fault of the job: that attempt does not count, and the job waits until there is room.
    """
    if cause is Cause.STORAGE_FULL:
        settle(session, one, JobState.QUEUED, cause=cause, detail=detail, not_before_at=not_before, attempts=one.attempts - 1)
        return JobState.QUEUED
    if permanent or one.attempts >= MAX_ATTEMPTS:
        settle(session, one, JobState.QUARANTINED, cause=cause, detail=detail)
        return JobState.QUARANTINED
    settle(session, one, JobState.QUEUED, cause=cause, detail=detail, not_before_at=not_before)
    return JobState.QUEUED


def _held(one: Claim) -> Any:
    return update(Job).where(
        Job.id == one.job_id, Job.lease_owner == one.owner, Job.attempts == one.attempts, Job.state == JobState.RUNNING
    )


def reap(session: Session, *, now: datetime) -> tuple[int, int]:
    """Free the jobs of workers that died: (queued again, quarantined because it was the last attempt)."""
    lost = and_(Job.state == JobState.RUNNING, Job.lease_expires_at < now)
    given_up = session.execute(
        update(Job)
        .where(lost, Job.attempts >= MAX_ATTEMPTS)
        .values(
            state=JobState.QUARANTINED,
            cause=Cause.WORKER_LOST,
            detail="the worker died during each attempt; retry by hand with: ptx jobs retry",
            lease_owner=None,
            lease_expires_at=None,
        )
        .returning(Job.id, Job.attempts)
    ).all()
    queued = session.execute(
        update(Job)
        .where(lost)
        .values(
            state=JobState.QUEUED, cause=Cause.WORKER_LOST, detail="the worker died; queued again", lease_owner=None, lease_expires_at=None
        )
        .returning(Job.id, Job.attempts)
    ).all()
    for rows, state in ((given_up, JobState.QUARANTINED), (queued, JobState.QUEUED)):
        audit.note(session, *(attempt_failed(row.id, row.attempts, Cause.WORKER_LOST, state) for row in rows))
    return len(queued), len(given_up)


def retry(session: Session, job_ids: Sequence[int] | None, *, now: datetime) -> list[int]:
    """Queue quarantined jobs again by hand (all of them when `job_ids` is None), with fresh attempts."""
    wanted = Job.state == JobState.QUARANTINED
    if job_ids is not None:
        wanted = and_(wanted, Job.id.in_(job_ids))
    changed = session.execute(
        update(Job)
        .where(wanted)
        .values(state=JobState.QUEUED, attempts=0, not_before_at=None, queued_at=now, rank_at=now)
        .returning(Job.id)
    )
    return sorted(row.id for row in changed)


def waiting(session: Session, *, now: datetime) -> int:
    """How many jobs could start now."""
    due = and_(Job.state == JobState.QUEUED, or_(Job.not_before_at.is_(None), Job.not_before_at <= now))
    return session.scalar(select(func.count()).select_from(Job).where(due)) or 0
