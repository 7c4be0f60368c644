"""Conditions and notices as rows: who is told what and when, claimed under a lease. Nothing is sent here."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.notice_tables import NoticeCondition, NoticeRow
from ptx_node.domain.notice import TOLD_ONCE, NamedStudy, Notice, NoticeKind, NoticeState, Step

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from ptx_node.db.deliveries import Lease
    from ptx_node.domain.notice import Condition

UNTOLD = (NoticeState.WAITING, NoticeState.SENDING)
KEPT = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One recipient, and what it is to be told.

    Attributes:
        deadline: a notice that nobody took for so long is given up.
        identifiers: whether the studies of a condition are told too.
    """

    receiver: str
    recipient: str
    kinds: frozenset[NoticeKind]
    deadline: timedelta
    identifiers: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: a condition that lasts is repeated every `repeat`, and is over when it was not seen for `calm`."""

    repeat: timedelta
    calm: timedelta


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice under our lease. `attempts` counts this one."""

    row_id: int
    recipient: str
    attempts: int
    notice: Notice


def open_conditions(session: Session) -> list[NoticeCondition]:
    """What lasts, the oldest first."""
    return list(session.scalars(select(NoticeCondition).where(NoticeCondition.ended_at.is_(None)).order_by(NoticeCondition.id)))


def settle(
    session: Session,
    found: Sequence[Condition],
    after: Mapping[tuple[str, str], Mapping[str, Any]],
    wanted: Sequence[Wanted],
    pace: Pace,
    *,
    now: datetime,
) -> int:
    """Bring the conditions up to what a look found, and write the notices that follow; how many.

    `after` has, of conditions that are not found any more, facts that say what came of them; `wanted` is whom to tell.
    """
    _open_new(session, found, now)
    query = select(NoticeCondition).where(NoticeCondition.ended_at.is_(None)).order_by(NoticeCondition.id)
    rows = list(session.scalars(query.with_for_update()))  # in one order, so that two schedulers wait and count what the other wrote
    seen = {one.key: one for one in found}
    written = 0
    for row in rows:
        one = seen.get((row.kind, row.subject))
        if one is not None:
            row.seen_at, row.facts = now, dict(one.facts)
            written += _tell_open(session, row, one, wanted, pace, now)
        elif now - row.seen_at >= pace.calm:
            row.ended_at, row.facts = now, {**row.facts, **after.get((row.kind, row.subject), {})}
            written += _tell_over(session, row, wanted, now)
    return written


def _open_new(session: Session, found: Sequence[Condition], now: datetime) -> None:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for one in found:
        values = {"uuid": str(uuid.uuid4()), "kind": one.kind, "subject": one.subject, "facts": dict(one.facts)}
        session.execute(insert(NoticeCondition).values(**values, began_at=now, seen_at=now).on_conflict_do_nothing())


def _told(session: Session, row: NoticeCondition) -> dict[tuple[str, str], Any]:
    """Of each recipient: when it was last written to, with what number, and how many notices it has not been told yet."""
    query = (
        select(
            NoticeRow.receiver,
            NoticeRow.recipient,
            func.max(NoticeRow.queued_at, type_=NoticeRow.queued_at.type).label("last_at"),
            func.max(NoticeRow.number).label("number"),
            func.sum(case((NoticeRow.state.in_(UNTOLD), 1), else_=0)).label("untold"),
        )
        .where(NoticeRow.condition_id == row.id)
        .group_by(NoticeRow.receiver, NoticeRow.recipient)
    )
    return {(one.receiver, one.recipient): one for one in session.execute(query)}


def _tell_open(session: Session, row: NoticeCondition, one: Condition, wanted: Sequence[Wanted], pace: Pace, now: datetime) -> int:
    told, written = _told(session, row), 0
    for who in wanted:
        if one.kind not in who.kinds:
            continue
        last = told.get((who.receiver, who.recipient))
        if last is None:
            session.add(_row(row, who, (Step.BEGAN, 0), one.studies, now))
        elif one.kind not in TOLD_ONCE and not last.untold and now - last.last_at >= pace.repeat:
            session.add(_row(row, who, (Step.LASTS, last.number + 1), one.studies, now))
        else:
            continue
        written += 1
    return written


def _tell_over(session: Session, row: NoticeCondition, wanted: Sequence[Wanted], now: datetime) -> int:
    """Only whom it was told that it began; a recipient who is no longer named hears nothing."""
    told = _told(session, row)
    chosen = [who for who in wanted if (who.receiver, who.recipient) in told]
    for who in chosen:
        session.add(_row(row, who, (Step.OVER, 0), (), now))
    return len(chosen)


def _row(row: NoticeCondition, who: Wanted, which: tuple[Step, int], studies: Sequence[NamedStudy], now: datetime) -> NoticeRow:
    named = [[one.study_instance_uid, one.accession_number] for one in studies] if who.identifiers else []
    return NoticeRow(
        uuid=str(uuid.uuid4()),
        condition_id=row.id,
        receiver=who.receiver,
        recipient=who.recipient,
        step=which[0],
        number=which[1],
        facts=dict(row.facts),
        studies=named,
        state=NoticeState.WAITING,
        attempts=0,
        next_attempt_at=now,
        deadline_at=now + who.deadline,
        queued_at=now,
    )


def anything_due(session: Session, receiver: str, recipients: Collection[str], moment: datetime) -> bool:
    """Whether a claim would find something; takes no lock."""
    return bool(session.scalar(select(exists().where(_due(receiver, recipients, moment)))))


def claim(session: Session, receiver: str, recipients: Collection[str], lease: Lease) -> Claimed | None:
    """Take the oldest notice that is due; None when there is none. One whose sender was lost is due again."""
    row = session.scalar(
        select(NoticeRow).where(_due(receiver, recipients, lease.moment)).order_by(NoticeRow.id).limit(1).with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.state = NoticeState.SENDING
    row.attempts += 1
    row.lease_owner, row.lease_expires_at = lease.owner, lease.moment + lease.duration
    return Claimed(row.id, row.recipient, row.attempts, _notice(row, session.get_one(NoticeCondition, row.condition_id)))


def renew(session: Session, owner: str, expires_at: datetime) -> None:
    """Prolong the lease of what `owner` still holds."""
    session.execute(update(NoticeRow).where(NoticeRow.lease_owner == owner).values(lease_expires_at=expires_at))


def keep_told(session: Session, row_id: int, owner: str, now: datetime) -> bool:
    """The notice was taken. False when the lease was lost meanwhile: then it is told again, with the same id."""
    values = {"state": NoticeState.TOLD, "told_at": now, "error": None, "lease_owner": None, "lease_expires_at": None}
    return _settle(session, row_id, owner, values)


def postpone(session: Session, row_id: int, owner: str, retry_at: datetime, error: str) -> bool:
    """The notice was not taken: it waits. False when the lease was lost meanwhile."""
    values = {"state": NoticeState.WAITING, "next_attempt_at": retry_at, "error": error, "lease_owner": None, "lease_expires_at": None}
    return _settle(session, row_id, owner, values)


def _settle(session: Session, row_id: int, owner: str, values: Mapping[str, Any]) -> bool:
    held = update(NoticeRow).where(NoticeRow.id == row_id, NoticeRow.lease_owner == owner, NoticeRow.state == NoticeState.SENDING)
    return session.scalar(held.values(values).returning(NoticeRow.id)) is not None


def hold_back(session: Session, receiver: str, retry_at: datetime) -> None:
    """Nothing gets through to a receiver: what waits for it costs one attempt, not one each."""
    waits = (NoticeRow.receiver == receiver, NoticeRow.state == NoticeState.WAITING, NoticeRow.next_attempt_at < retry_at)
    session.execute(update(NoticeRow).where(*waits).values(next_attempt_at=retry_at))


def give_up(session: Session, now: datetime) -> list[tuple[str, int]]:
    """Give up what is past its deadline and on nobody's way: by receiver, how many."""
    late = and_(NoticeRow.state == NoticeState.WAITING, NoticeRow.deadline_at <= now)
    lost = and_(NoticeRow.state == NoticeState.SENDING, NoticeRow.lease_expires_at <= now, NoticeRow.deadline_at <= now)
    values = {"state": NoticeState.GIVEN_UP, "lease_owner": None, "lease_expires_at": None}
    names = session.scalars(update(NoticeRow).where(or_(late, lost)).values(values).returning(NoticeRow.receiver)).all()
    return sorted((name, names.count(name)) for name in set(names))


def retry(session: Session, deadlines: Mapping[str, timedelta], now: datetime) -> int:
    """Make what waits and what was given up due now, of these receivers; how many. Each receiver's deadline begins anew."""
    changed = 0
    for name, deadline in deadlines.items():
        states = (NoticeState.WAITING, NoticeState.GIVEN_UP)
        values = {"state": NoticeState.WAITING, "attempts": 0, "next_attempt_at": now, "deadline_at": now + deadline}
        again = update(NoticeRow).where(NoticeRow.receiver == name, NoticeRow.state.in_(states)).values(values)
        changed += len(session.scalars(again.returning(NoticeRow.id)).all())
    return changed


def newest(session: Session, *, receiver: str = "", state: str = "", limit: int) -> list[dict[str, Any]]:
    """Notices with their conditions, the newest first."""
    query = select(NoticeRow, NoticeCondition).join(NoticeCondition, NoticeCondition.id == NoticeRow.condition_id)
    if receiver:
        query = query.where(NoticeRow.receiver == receiver)
    if state:
        query = query.where(NoticeRow.state == state)
    names = ("receiver", "recipient", "step", "state", "attempts", "queued_at", "told_at", "next_attempt_at", "error")
    return [
        {"id": row.uuid, "kind": condition.kind, "subject": condition.subject, **{name: getattr(row, name) for name in names}}
        for row, condition in session.execute(query.order_by(NoticeRow.id.desc()).limit(limit))
    ]


def forget(session: Session, *, now: datetime) -> None:
    """Remove notices of more than a year ago, and conditions long over that no notice is left of. What waits stays."""
    session.execute(delete(NoticeRow).where(NoticeRow.queued_at < now - KEPT, NoticeRow.state.not_in(UNTOLD)))
    left = exists().where(NoticeRow.condition_id == NoticeCondition.id)
    session.execute(delete(NoticeCondition).where(NoticeCondition.ended_at < now - KEPT, ~left))


def _due(receiver: str, recipients: Collection[str], moment: datetime) -> ColumnElement[bool]:
    waiting = and_(NoticeRow.state == NoticeState.WAITING, NoticeRow.next_attempt_at <= moment)
    lost = and_(NoticeRow.state == NoticeState.SENDING, NoticeRow.lease_expires_at <= moment)
    return and_(NoticeRow.receiver == receiver, NoticeRow.recipient.in_(recipients), or_(waiting, lost))


def _notice(row: NoticeRow, condition: NoticeCondition) -> Notice:
    step = Step(row.step)
    return Notice(
        notice_id=row.uuid,
        condition_id=condition.uuid,
        kind=NoticeKind(condition.kind),
        step=step,
        subject=condition.subject,
        began_at=condition.began_at,
        said_at=row.queued_at,
        ended_at=condition.ended_at if step is Step.OVER else None,
        facts=row.facts,
        studies=tuple(NamedStudy(*one) for one in row.studies),
    )
