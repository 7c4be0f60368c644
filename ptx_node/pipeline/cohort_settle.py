"""What the model said of a cohort's radiographs, member by member, and the end of a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.db import cohorts
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.cohort import Exclusion, MemberState, in_turn
from ptx_node.domain.finding import Outcome
from ptx_node.domain.job import JobState
from ptx_node.pipeline.cohort_merges import apply, follow

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.tables import Cohort, CohortMember

ENDED = (JobState.DONE, JobState.NOT_ELIGIBLE, JobState.QUARANTINED, JobState.SUPERSEDED)
OTHER_MODEL = "other_model"
"""A worker that still had an earlier model of this name answered."""


def settle(engine: Engine, cohort: Cohort) -> int:
    """Count those whose jobs ended with an answer, exclude the others; how many went forward.

    Raises:
        DatabaseUnavailableError: call again.
    """
    follow(engine, cohort.id)
    with begin_read(engine) as session:
        reading = cohorts.members_in(session, cohort.id, MemberState.READING)
    done = 0
    for member in reading:
        with begin_write(engine) as session:
            done += _settle(session, cohort, member)
    return done


def open_jobs(engine: Engine, cohort: Cohort) -> int:
    """Radiographs that are still to be read."""
    with begin_read(engine) as session:
        reading = cohorts.members_in(session, cohort.id, MemberState.READING)
        return sum(member.job_id is not None and _open(session, member.job_id) for member in reading)


def turn(engine: Engine, cohort: Cohort, limit: int) -> list[CohortMember]:
    """The next members to look for, at most `limit`."""
    follow(engine, cohort.id)
    with begin_read(engine) as session:
        numbers = in_turn(cohorts.standings(session, cohort.id), cohort.wanted)[:limit]
        return cohorts.members_by_id(session, numbers)


def finish(engine: Engine, cohort: Cohort) -> bool:
    """Complete the cohort if nobody is missing; whether it is complete.

    Raises:
        DatabaseUnavailableError: call again.
    """
    with begin_write(engine) as session:
        merged = apply(session, cohort.id)
        standings = cohorts.standings(session, cohort.id)
        if (
            merged
            or in_turn(standings, cohort.wanted)
            or any(one.state in (MemberState.FETCHING, MemberState.READING) for one in standings)
        ):
            return False
        cohorts.close(session, cohort.id, now=current_time())
    return True


def _open(session: Session, job_id: int) -> bool:
    job, _ = cohorts.job_with_finding(session, job_id)
    return job.state not in ENDED


def _settle(session: Session, cohort: Cohort, member: CohortMember) -> bool:
    assert member.job_id is not None
    job, finding = cohorts.job_with_finding(session, member.job_id)
    moment = current_time()
    if job.state not in ENDED:
        return False
    if job.state == JobState.NOT_ELIGIBLE:
        return cohorts.exclude(session, member, Exclusion.UNREADABLE, code=job.cause, detail=job.detail, now=moment)
    if job.state != JobState.DONE or finding is None or finding.outcome not in {Outcome.POSITIVE, Outcome.NEGATIVE}:
        return cohorts.exclude(session, member, Exclusion.MODEL_FAILED, code=job.cause, detail=job.detail, now=moment)
    if finding.device_uid != cohort.device_uid:
        return cohorts.exclude(session, member, Exclusion.MODEL_FAILED, code=OTHER_MODEL, now=moment)
    return cohorts.advance(session, member, MemberState.COUNTED, now=moment, finding_id=finding.id)
