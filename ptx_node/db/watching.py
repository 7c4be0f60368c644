"""Looks and alarms of the watch over drift: written once, settled once."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db import audit
from ptx_node.db.watch_tables import DriftLook, WatchAlarm
from ptx_node.domain.audit_events import decision
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.db.observed import Stream

DRIFT, STOP = "drift", "stop"
SHOWN_DAYS = timedelta(days=120)
LONGEST_NOTE = 2000


class AlarmOutcome(StrEnum):
    """What came of an alarm: the closed list.

    new_normal: a change that was meant, such as a new machine; the reference begins anew with the days that alarmed. corrected: a fault
    that was found and put right. no_cause: looked for, and none was found. false_alarm: nothing had changed.
    """

    NEW_NORMAL = "new_normal"
    CORRECTED = "corrected"
    NO_CAUSE = "no_cause"
    FALSE_ALARM = "false_alarm"


def add_looks(session: Session, looks: Sequence[Mapping[str, Any]]) -> None:
    """Note looks; one that another process has noted stays as it is."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for one in looks:
        session.execute(insert(DriftLook).values(**one).on_conflict_do_nothing())


def last_look(session: Session) -> date | None:
    """The last day that was looked at."""
    return session.scalar(select(func.max(DriftLook.day)))


def quiet_since(session: Session, stream: Stream, figure: str, day: date) -> bool:
    """Whether a figure was as in the reference at some look after `day`: only then a new alarm tells anything new."""
    calm = select(DriftLook.id).where(
        DriftLook.weights_sha256 == stream.weights_sha256,
        DriftLook.figure == figure,
        DriftLook.day > day,
        DriftLook.method != "",
        ~DriftLook.crossed,
    )
    return session.scalar(calm.limit(1)) is not None


def raise_alarm(
    session: Session, kind: str, name: str, stream: Stream, *, day: date, words: str, detail: Mapping[str, Any], now: datetime
) -> int | None:
    """Write an alarm; its number, or None where one of this name stands open."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {
        "kind": kind,
        "name": name,
        "weights_sha256": stream.weights_sha256,
        "model_name": stream.model_name,
        "model_version": stream.model_version,
        "day": day,
        "words": words,
        "detail": dict(detail),
        "raised_at": now,
    }
    return session.scalar(insert(WatchAlarm).values(**values).on_conflict_do_nothing().returning(WatchAlarm.id))


def last_alarm(session: Session, kind: str, name: str, weights_sha256: str | None = None) -> WatchAlarm | None:
    """The newest of this name, open or settled."""
    wanted = select(WatchAlarm).where(WatchAlarm.kind == kind, WatchAlarm.name == name)
    if weights_sha256 is not None:
        wanted = wanted.where(WatchAlarm.weights_sha256 == weights_sha256)
    return session.scalar(wanted.order_by(WatchAlarm.id.desc()).limit(1))


def new_normal(session: Session, weights_sha256: str) -> dict[str, tuple[date, date]]:
    """Of each figure whose last settled alarm was a change that was meant: the day that alarmed, and the first day of its window."""
    wanted = select(WatchAlarm).where(
        WatchAlarm.kind == DRIFT, WatchAlarm.weights_sha256 == weights_sha256, WatchAlarm.outcome == AlarmOutcome.NEW_NORMAL
    )
    return {one.name: (one.day, _first_of(one)) for one in session.scalars(wanted.order_by(WatchAlarm.id))}


def _first_of(alarm: WatchAlarm) -> date:
    first: str = alarm.detail["since"]
    return type(alarm.day).fromisoformat(first)


def alarms(session: Session, *, settled: int = 50) -> list[WatchAlarm]:
    """Every open alarm, and the newest of the settled ones; open ones first, the newest first."""
    still = select(WatchAlarm).where(WatchAlarm.acknowledged_at.is_(None)).order_by(WatchAlarm.id.desc())
    done = select(WatchAlarm).where(WatchAlarm.acknowledged_at.is_not(None)).order_by(WatchAlarm.id.desc()).limit(settled)
    return [*session.scalars(still), *session.scalars(done)]


def open_count(session: Session) -> int:
    """How many alarms wait for a person."""
    return session.scalar(select(func.count()).select_from(WatchAlarm).where(WatchAlarm.acknowledged_at.is_(None))) or 0


def acknowledge(session: Session, number: int, outcome: AlarmOutcome, note: str, *, by: str, now: datetime) -> None:
    """Settle an alarm, once; the audit trail says who did.

    Raises:
        UsageError: there is no such alarm, or it is settled, or nothing was noted.
    """
    told = " ".join(note.replace("\0", "").split())
    if not told or len(told) > LONGEST_NOTE:
        raise UsageError(f"write in 1 to {LONGEST_NOTE} characters what was found")
    values = {"acknowledged_at": now, "acknowledged_by": by, "outcome": outcome.value, "note": told}
    changed = session.execute(
        update(WatchAlarm).where(WatchAlarm.id == number, WatchAlarm.acknowledged_at.is_(None)).values(values).returning(WatchAlarm.id)
    ).scalar()
    if changed is None:
        raise UsageError(f"alarm {number} is unknown, or somebody has settled it")
    audit.note(session, decision(by, "acknowledge alarm", alarm=number, outcome=outcome.value))


class Course(NamedTuple):
    """One look of many: how far its window was from the reference. `id` is that of the row."""

    id: int
    model_name: str
    model_version: str
    weights_sha256: str
    figure: str
    day: date
    effect: float | None
    crossed: bool


def course(session: Session, since: date) -> list[Course]:
    """The looks from a day on by model and figure, the oldest first, without their shares, which are most of a row."""
    table = DriftLook
    columns = (table.id, table.model_name, table.model_version, table.weights_sha256, table.figure, table.day, table.effect, table.crossed)
    order = (table.model_name, table.model_version, table.weights_sha256, table.figure, table.day)
    return [Course(*row) for row in session.execute(select(*columns).where(table.day >= since).order_by(*order))]


def looks(session: Session, numbers: Collection[int]) -> dict[int, DriftLook]:
    """Whole looks by their numbers."""
    return {one.id: one for one in session.scalars(select(DriftLook).where(DriftLook.id.in_(numbers)))}


def newest_looks(session: Session, since: date) -> list[DriftLook]:
    """Whole looks from a day on, the oldest first."""
    wanted = select(DriftLook).where(DriftLook.day >= since)
    return list(session.scalars(wanted.order_by(DriftLook.model_name, DriftLook.model_version, DriftLook.figure, DriftLook.day)))
