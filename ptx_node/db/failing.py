"""Readings that fail but are not set aside yet, and the studies of those that are: what a notice tells beside the gauges. Read only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.tables import Instance, Job
from ptx_node.domain.job import JobState
from ptx_node.domain.notice import NamedStudy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

MOST_STUDIES = 20
"""Studies that one notice names: who needs more, looks at the dashboard."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Jobs of which an attempt failed.

    Attributes:
        again: by cause, those that wait for another attempt or are at it.
        recovered: those that were read at a later attempt.
    """

    again: dict[str, int]
    recovered: int


def failing(session: Session, *, since: datetime) -> Failing:
    """Attempts that failed; of what was read after all, since `since`."""
    open_states = (JobState.QUEUED, JobState.RUNNING)
    by_cause = select(Job.cause, func.count()).where(Job.state.in_(open_states), Job.cause.is_not(None)).group_by(Job.cause)
    read = select(func.count()).select_from(Job).where(Job.inferred_at >= since, Job.attempts > 1, Job.state == JobState.DONE)
    return Failing({str(cause): int(count) for cause, count in session.execute(by_cause)}, session.scalar(read) or 0)


def studies_of(session: Session, states: Sequence[JobState], cause: str | None = None) -> tuple[NamedStudy, ...]:
    """The newest studies of jobs of which an attempt failed, in these states; of one cause."""
    query = select(Job.study_instance_uid).where(Job.state.in_(states), Job.cause.is_not(None))
    if cause is not None:
        query = query.where(Job.cause == cause)
    uids = list(dict.fromkeys(session.scalars(query.order_by(Job.id.desc()).limit(MOST_STUDIES))))
    named = select(Instance.study_instance_uid, func.max(Instance.accession_number)).where(Instance.study_instance_uid.in_(uids))
    accessions = {row[0]: row[1] for row in session.execute(named.group_by(Instance.study_instance_uid))}
    return tuple(NamedStudy(uid, accessions.get(uid) or "") for uid in uids)
