"""What the dashboard's first page shows: the last day by the hour, how long things take, what waits, what failed. Read only.

Each question is answered from an index, so that the answer comes as fast with a million jobs as with ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select

from ptx_node.db import destinations
from ptx_node.db.tables import Collection, Delivery, Heartbeat, Instance, Job, Refusal
from ptx_node.domain.job import DeliveryState, JobState

if TYPE_CHECKING:
    from collections.abc import Collection as AnyCollection
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
JOBS_TIMED = 10_000
"""Percentiles are of the last so many jobs at most."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour: studies of which something came, jobs that the model answered, jobs whose results all arrived."""

    begins_at: datetime
    received: int
    inferred: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Stage:
    """How long one stage took: seconds that half, 95 % and 99 % of the jobs stayed below."""

    stage: str
    jobs: int
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one state, and since when the oldest does."""

    state: str
    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, by the closed list of its place."""

    place: str
    cause: str
    count: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the node and how long it has been silent."""

    process: str
    role: str
    host: str
    pid: int
    started_at: datetime
    silent_s: float
    detail: dict[str, Any]


def hour(session: Session, begins_at: datetime) -> Hour:
    """The counts of the hour that begins at this moment."""

    def within(column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
        return (column >= begins_at) & (column < begins_at + HOUR)

    received = select(func.count(func.distinct(Instance.study_instance_uid))).where(within(Instance.received_at))
    inferred = select(func.count()).where(within(Job.inferred_at))
    delivered = select(func.count()).where(within(Job.accepted_at))
    return Hour(begins_at, session.scalar(received) or 0, session.scalar(inferred) or 0, session.scalar(delivered) or 0)


STAGES: tuple[tuple[str, InstrumentedAttribute[Any], InstrumentedAttribute[Any]], ...] = (
    ("collecting", Job.first_instance_at, Job.complete_at),
    ("waiting for a worker", Job.queued_at, Job.started_at),
    ("reading", Job.started_at, Job.inferred_at),
    ("writing results", Job.inferred_at, Job.encoded_at),
    ("delivering", Job.encoded_at, Job.accepted_at),
    ("commitment", Job.accepted_at, Job.committed_at),
    ("last image to delivered", Job.last_instance_at, Job.accepted_at),
)


def turnaround(session: Session, *, now: datetime) -> list[Stage]:
    """How long each stage took for the jobs of the last day. A stage that none has passed is left out."""
    ends = tuple(dict.fromkeys(moment for _, *pair in STAGES for moment in pair))
    of_the_day = select(*ends).where(Job.queued_at > now - DAY).order_by(Job.queued_at.desc()).limit(JOBS_TIMED)
    newest = session.execute(of_the_day).mappings().all()
    found = []
    for name, begin, end in STAGES:
        took_s = [
            max(0.0, (row[end.key] - row[begin.key]).total_seconds())
            for row in newest
            if row[begin.key] is not None and row[end.key] is not None
        ]
        if took_s:
            p50, p95, p99 = (float(value) for value in np.percentile(took_s, (50, 95, 99)))
            found.append(Stage(name, len(took_s), p50, p95, p99))
    return found


def waiting(session: Session, deliveries: Mapping[str, Mapping[str, Waiting]]) -> list[Waiting]:
    """What waits, in the order of the flow; every state is there, also with nothing in it. `deliveries` is of `open_deliveries`."""

    def of(state: str, since: InstrumentedAttribute[Any], *where: ColumnElement[bool]) -> Waiting:
        count, oldest = session.execute(select(func.count(), func.min(since, type_=since.type)).where(*where)).one()
        return Waiting(state, count, oldest)

    sent = [one for states in deliveries.values() for state, one in states.items() if state != DeliveryState.FAILED]
    oldest = min((one.oldest_at for one in sent if one.oldest_at), default=None)
    return [
        of("to be routed", Instance.received_at, Instance.routed_at.is_(None)),
        of("collecting", Collection.first_instance_at, Collection.closed_at.is_(None)),
        of("queued", Job.queued_at, Job.state == JobState.QUEUED),
        of("running", Job.started_at, Job.state == JobState.RUNNING),
        Waiting("to be delivered", sum(one.count for one in sent), oldest),
        of("quarantined", Job.queued_at, Job.state == JobState.QUARANTINED),
    ]


def failures(session: Session, deliveries: Mapping[str, Mapping[str, Waiting]], *, now: datetime) -> list[Failure]:
    """Jobs in quarantine and deliveries given up that stand now, and refusals of the last day, the most frequent first."""
    jobs = select(Job.cause, func.count()).where(Job.state == JobState.QUARANTINED).group_by(Job.cause)
    refused = select(Refusal.reason, func.count()).where(Refusal.refused_at > now - DAY).group_by(Refusal.reason)
    found = [Failure("quarantine", str(cause), count) for cause, count in session.execute(jobs)]
    found += [
        Failure("delivery given up", name, states[DeliveryState.FAILED].count)
        for name, states in deliveries.items()
        if DeliveryState.FAILED in states
    ]
    found += [Failure("refused, last 24 h", str(reason), count) for reason, count in session.execute(refused)]
    return sorted(found, key=lambda one: (-one.count, one.place, one.cause))


def processes(session: Session, *, now: datetime) -> list[Process]:
    """The node's processes by role, each with its last sign of life."""
    return [
        Process(beat.process, beat.role, beat.host, beat.pid, beat.started_at, (now - beat.beat_at).total_seconds(), beat.detail)
        for beat in session.scalars(select(Heartbeat).order_by(Heartbeat.role, Heartbeat.process))
    ]


def open_deliveries(session: Session, configured: AnyCollection[str]) -> dict[str, dict[str, Waiting]]:
    """For each destination that is configured or that a delivery names: what is not accepted, by state."""
    found: dict[str, dict[str, Waiting]] = {}
    for name in sorted({*configured, *destinations.named(session)}):
        found[name] = {}
        for state in (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.FAILED):
            query = select(func.count(), func.min(Delivery.queued_at, type_=Delivery.queued_at.type))
            count, oldest = session.execute(query.where(Delivery.destination == name, Delivery.state == state)).one()
            if count:
                found[name][state.value] = Waiting(state.value, count, oldest)
    return found
