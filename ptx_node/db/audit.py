"""The audit trail's rows: appended inside the caller's transaction, read by time, verified in flat memory.

`note` an event in a `begin_write` block: it becomes a row as the last thing before the commit, or the transaction fails.
On PostgreSQL the chain's end is locked from there until the commit, so that one process appends at a time; nothing else may
be waited for meanwhile, else two processes could wait for each other. On SQLite there is one writer anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, func, select, type_coerce

from ptx_node.db.tables import AuditEvent
from ptx_node.domain.audit import START, Broken, Entry, Event, Link, chain, check

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection, RowMapping, Select
    from sqlalchemy.orm import Session

LOCK_KEY = 0x70747861
"""PostgreSQL's advisory lock on the chain's end."""
BATCH = 2000
"""Rows read at once."""

HELD_S = 30
"""A process that falls silent with PostgreSQL's lock in its hands (its machine is gone, or stopped) loses it after so long."""

_NOTED = "audit"
_NO_END = 2**62
_LOCK = f"SELECT pg_advisory_xact_lock({LOCK_KEY}), set_config('idle_in_transaction_session_timeout', '{HELD_S}s', true)"
_LAST = "SELECT sequence, sha256 FROM audit_events ORDER BY sequence DESC LIMIT 1"
_INSERT = "INSERT INTO audit_events (sequence, recorded_at, kind, body, sha256) VALUES ({0}, {0}, {0}, {0}, {0})"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the chain without a gap: the numbers of its first and last row."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found. `head` is the last row that fits, `rows` how many do; `broken` the first that does not."""

    rows: int
    head: Link
    first_at: datetime | None
    last_at: datetime | None
    broken: Broken | None


def begin_notes(session: Session) -> None:
    """Let events be noted in this session's transaction; `begin_write` does it."""
    session.info[_NOTED] = []


def note(session: Session, *events: Event) -> None:
    """Have events appended to the trail when this transaction commits; with it they come, or go.

    Args:
        session: of `begin_write`; another has nobody who would append them, and is a `KeyError`.
        events: in the order in which they happened.
    """
    session.info[_NOTED].extend(events)


def append_noted(session: Session) -> None:
    """Append what was noted; the last thing before the commit."""
    noted = session.info[_NOTED]
    if noted:
        session.flush()  # what waits for other rows' locks is done before the chain's end is locked
        append(session.connection(), noted)


def append(connection: Connection, events: Sequence[Event]) -> Link:
    """Append one or more events in a write transaction whose last statement this must be; the chain's new end.

    Lock and look-up are two statements on purpose: only one that begins when the lock is ours sees what its last owner wrote.
    """
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.exec_driver_sql(_LOCK)
    found = connection.exec_driver_sql(_LAST).first()
    moment = datetime.now(UTC)
    added = chain(Link(*found) if found else START, events, moment)
    as_stored = AuditEvent.__table__.c.recorded_at.type.bind_processor(connection.dialect)
    at = as_stored(moment) if as_stored else moment
    rows = [(one.sequence, at, one.kind, one.body, one.sha256) for one in added]
    connection.exec_driver_sql(_INSERT.format("?" if sqlite else "%s"), rows)
    return added[-1].link


def head(session: Session) -> Link:
    """The chain's end; `START` when nothing was ever written."""
    found = session.execute(stored_rows().order_by(AuditEvent.sequence.desc()).limit(1)).mappings().first()
    return entry_of(found).link if found else START


def segment(session: Session, since: datetime | None, until: datetime | None) -> Segment | None:
    """The stretch that holds every row recorded at or after `since` and before `until`; None when there is none.

    Clocks may be set back, so that a row of another time may lie within: the stretch has no gap, and stays a chain.
    """
    within = [AuditEvent.recorded_at >= since] if since else []
    within += [AuditEvent.recorded_at < until] if until else []
    first = session.scalar(select(func.min(AuditEvent.sequence)).where(*within))  # both at once would read the whole table on SQLite
    last = session.scalar(select(func.max(AuditEvent.sequence)).where(*within))
    return Segment(first, last) if first and last else None


def entries(session: Session, part: Segment | None = None, *, kinds: Collection[str] = ()) -> Iterator[Entry]:
    """Rows in order, read `BATCH` at a time; of a segment, of some kinds."""
    after = part.first - 1 if part else None
    while True:
        wanted = stored_rows().order_by(AuditEvent.sequence).limit(BATCH)
        if after is not None:
            wanted = wanted.where(AuditEvent.sequence > after)
        if part is not None:
            wanted = wanted.where(AuditEvent.sequence <= part.last)
        if kinds:
            wanted = wanted.where(AuditEvent.kind.in_(kinds))
        rows = session.execute(wanted).mappings().all()
        yield from map(entry_of, rows)
        if len(rows) < BATCH:
            return
        after = rows[-1]["sequence"]


def newest(session: Session, part: Segment, *, kinds: Collection[str], limit: int) -> list[Entry]:
    """The last rows of a segment, the newest first."""
    wanted = stored_rows().where(AuditEvent.sequence.between(part.first, part.last)).order_by(AuditEvent.sequence.desc()).limit(limit)
    if kinds:
        wanted = wanted.where(AuditEvent.kind.in_(kinds))
    return [entry_of(row) for row in session.execute(wanted).mappings()]


def verify(session: Session, anchors: Collection[Link] = (), *, after: Link = START, most: int | None = None) -> Verdict:
    """Follow the chain from its first row to its last, or a stretch of it.

    Args:
        session: for reading.
        anchors: places that were noted down earlier and kept elsewhere; each must still be there. Of a stretch, those within it count.
        after: the row before the first one to look at; it is believed.
        most: rows to look at; None: to the end.
    """
    kept = {one.sequence: one.sha256 for one in anchors}
    last, first_at, last_at = after, None, None
    until = None if most is None else after.sequence + most
    first = -_NO_END if after == START else after.sequence + 1  # before the first row none may stand
    for entry in entries(session, Segment(first, until or _NO_END)):
        broken = check(entry, last)
        if broken is None and entry.sha256 != kept.get(entry.sequence, entry.sha256):
            problem = f"the trail was rewritten: row {entry.sequence} had the hash {kept[entry.sequence]}, it has {entry.sha256} now"
            broken = Broken(entry.sequence, problem)
        if broken is not None:
            return Verdict(last.sequence, last, first_at, last_at, broken)
        last, first_at, last_at = entry.link, first_at or entry.recorded_at, entry.recorded_at
    beyond = [sequence for sequence in kept if last.sequence < sequence <= (until or sequence)]
    lost = Broken(last.sequence + 1, f"the trail was cut: it ends with row {last.sequence}, and had {max(beyond)}") if beyond else None
    return Verdict(last.sequence, last, first_at, last_at, lost)


def stored_rows() -> Select[int, Any, str, str, str]:
    """Rows of the trail as they lie there, for `entry_of`."""
    # the time as it is stored, so that one which somebody made unreadable is found, and does not end the search
    return select(
        AuditEvent.sequence,
        type_coerce(AuditEvent.recorded_at, Text).label("recorded_at"),
        AuditEvent.kind,
        AuditEvent.body,
        AuditEvent.sha256,
    )


def entry_of(row: RowMapping) -> Entry:
    """A row of `stored_rows`."""
    return Entry(row["sequence"], _time(row["recorded_at"]), str(row["kind"]), str(row["body"]), str(row["sha256"]))


def _time(stored: object) -> datetime | None:
    if isinstance(stored, datetime):
        return stored
    try:
        return datetime.fromisoformat(str(stored)).replace(tzinfo=UTC)
    except ValueError:
        return None
