"""How the node stands at this moment, for monitoring: what waits, who is silent, what failed. Read only.

Through the dashboards' own views where they say it, so that an alarm and a dashboard never disagree. Every question is about
what is open now or about the last days, so that its cost does not grow with the years.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Date, Integer, Text, bindparam, func, select, text

from ptx_node.db import audit_checks
from ptx_node.db.tables import AuditEvent, Delivery, Heartbeat, Job, UtcDateTime
from ptx_node.domain.job import DeliveryState, JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.orm import Session

    from ptx_node.db.audit_checks import Checked

RECENT = timedelta(days=7)
"""What is reconciled or given up is counted over so long: its whole history would take longer to count each year."""
LONGEST_WAIT = timedelta(days=92)
"""A notice that waited for longer before it was given up is not counted: what bounds the question has an index."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one state, and since when the oldest does."""

    kind: str
    state: str
    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one destination."""

    destination: str
    suspended: bool
    failures_in_a_row: int
    waiting: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notices:
    """What one receiver of notices has not been told yet, and what it will not be told.

    Attributes:
        given_up: those whose time ran out in the last `RECENT`, and that nobody has begun again.
    """

    receiver: str
    waiting: int
    oldest_at: datetime | None
    given_up: int


@dataclass(frozen=True, slots=True)
class Heard:
    """When a source of images or reports was last heard."""

    kind: str
    source: str
    last_received_at: datetime


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of a process, and what it said of itself."""

    process: str
    role: str
    beat_at: datetime
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gauges:
    """The node at this moment.

    Attributes:
        quarantined: jobs set aside now, by cause.
        failed: deliveries given up, by destination; only of destinations that were asked for.
        notices: one for each receiver that was asked for.
        unmatched: of the last `RECENT`, by (side, reason).
        audit_head: number and time of the newest row of the audit trail.
        audit_checked: what the scheduler has verified of it; None before its first look.
    """

    waiting: list[Waiting] = field(default_factory=list)
    backlog: list[Backlog] = field(default_factory=list)
    quarantined: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    notices: list[Notices] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    unmatched: dict[tuple[str, str], int] = field(default_factory=dict)
    beats: list[Beat] = field(default_factory=list)
    audit_head: tuple[int, datetime] | None = None
    audit_checked: Checked | None = None


WAITING = text("SELECT kind, state, count(*) AS count, min(since) AS oldest_at FROM ptx_v1_waiting GROUP BY kind, state").columns(
    kind=Text, state=Text, count=BigInteger, oldest_at=UtcDateTime
)
BACKLOG = text("SELECT destination, suspended, failures_in_a_row, waiting, oldest_at FROM ptx_v1_backlog").columns(
    destination=Text, suspended=Boolean, failures_in_a_row=Integer, waiting=BigInteger, oldest_at=UtcDateTime
)
UNTOLD = text(
    "SELECT receiver, count(*) AS count, min(queued_at) AS oldest_at FROM notices WHERE state IN ('waiting', 'sending') GROUP BY receiver"
).columns(receiver=Text, count=BigInteger, oldest_at=UtcDateTime)
GIVEN_UP = text(
    "SELECT receiver, count(*) FROM notices WHERE queued_at >= :queued AND deadline_at >= :since AND state = 'given_up' GROUP BY receiver"
).bindparams(bindparam("queued", type_=UtcDateTime), bindparam("since", type_=UtcDateTime))
HEARD = text("SELECT kind, source, last_received_at FROM ptx_v1_sources").columns(kind=Text, source=Text, last_received_at=UtcDateTime)
UNMATCHED = text("SELECT side, reason, count(*) FROM ptx_v1_unmatched WHERE reconciled_at >= :since GROUP BY side, reason").bindparams(
    bindparam("since", type_=UtcDateTime)
)
AGREEMENTS = ("true_positive", "false_positive", "false_negative", "true_negative", "undecided")
PAIRS = text(
    "SELECT model_name, model_version, sum(true_positive), sum(false_positive), sum(false_negative), sum(true_negative), sum(undecided) "
    "FROM ptx_v1_confusion WHERE examined_on >= :since GROUP BY model_name, model_version"
).bindparams(bindparam("since", type_=Date))


def gauges(session: Session, *, destinations: Collection[str], receivers: Collection[str] = (), now: datetime) -> Gauges:
    """Everything of `Gauges`; `destinations` and `receivers` of notices are those of the settings."""
    since, beats = now - RECENT, select(Heartbeat).order_by(Heartbeat.process)
    return Gauges(
        waiting=[Waiting(**row) for row in session.execute(WAITING).mappings()],
        backlog=[Backlog(**row) for row in session.execute(BACKLOG).mappings()],
        quarantined=_quarantined(session),
        failed=_failed(session, destinations),
        notices=_notices(session, receivers, now) if receivers else [],
        heard=[Heard(**row) for row in session.execute(HEARD).mappings()],
        unmatched=_unmatched(session, since),
        beats=[Beat(row.process, row.role, row.beat_at, row.detail) for row in session.scalars(beats)],
        audit_head=_audit_head(session),
        audit_checked=audit_checks.last(session),
    )


def _quarantined(session: Session) -> dict[str, int]:
    query = select(Job.cause, func.count()).where(Job.state == JobState.QUARANTINED).group_by(Job.cause)
    return {cause or "unknown": count for cause, count in session.execute(query)}


def _failed(session: Session, destinations: Collection[str]) -> dict[str, int]:
    """Asked by name, because the index begins with it."""
    query = (
        select(Delivery.destination, func.count())
        .where(Delivery.destination.in_(destinations), Delivery.state == DeliveryState.FAILED)
        .group_by(Delivery.destination)
    )
    return dict.fromkeys(destinations, 0) | {str(name): int(count) for name, count in session.execute(query)}


def _notices(session: Session, receivers: Collection[str], now: datetime) -> list[Notices]:
    """In words of SQL that name the states: only so does SQLite see that its index of those not told is meant."""
    waiting = {receiver: (count, oldest_at) for receiver, count, oldest_at in session.execute(UNTOLD)}
    spans = {"queued": now - LONGEST_WAIT, "since": now - RECENT}
    given_up = {row.receiver: row[1] for row in session.execute(GIVEN_UP, spans)}
    return [Notices(one, *waiting.get(one, (0, None)), given_up.get(one, 0)) for one in receivers]


def _unmatched(session: Session, since: datetime) -> dict[tuple[str, str], int]:
    return {(side, reason): count for side, reason, count in session.execute(UNMATCHED, {"since": since})}


def recent_pairs(session: Session, *, now: datetime) -> dict[tuple[str, str, str], int]:
    """Primary pairs of examinations of the last `RECENT`, by (model, version, agreement). Dearer than all of `gauges` together."""
    found: dict[tuple[str, str, str], int] = {}
    for model, version, *counts in session.execute(PAIRS, {"since": (now - RECENT).date()}):
        found |= {(model, version, agreement): int(count) for agreement, count in zip(AGREEMENTS, counts, strict=True)}
    return found


def _audit_head(session: Session) -> tuple[int, datetime] | None:
    row = session.execute(select(AuditEvent.sequence, AuditEvent.recorded_at).order_by(AuditEvent.sequence.desc()).limit(1)).first()
    return (row[0], row[1]) if row else None
