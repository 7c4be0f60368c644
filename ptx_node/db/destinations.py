"""Queries on destinations: suspended by a person, held back after failures, and how much waits for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.session import now
from ptx_node.db.tables import Delivery, DestinationState
from ptx_node.domain.job import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one destination, for `ptx status`.

    Attributes:
        configured: False when the destination is no longer in the settings: its deliveries wait and are never dropped.
        retry_at: not tried before this moment, because the peer did not answer.
        oldest_waiting_at: when the oldest delivery that is not accepted yet was queued.
    """

    destination: str
    configured: bool
    suspended: bool
    reason: str
    retry_at: datetime | None
    oldest_waiting_at: datetime | None
    counts: dict[str, int]


def lock_destination(session: Session, name: str) -> DestinationState:
    """The destination's row, made if absent, locked until the transaction ends."""
    query = select(DestinationState).where(DestinationState.name == name).with_for_update()
    found = session.scalar(query)
    if found is not None:
        return found
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    values = {"name": name, "suspended": False, "reason": "", "changed_at": now(), "failures": 0}
    session.execute(insert(DestinationState).values(values).on_conflict_do_nothing())
    return session.scalars(query).one()


def suspend(session: Session, name: str, reason: str, moment: datetime) -> None:
    """Let deliveries wait. What is being sent at this moment is finished."""
    state = lock_destination(session, name)
    state.suspended, state.reason, state.changed_at = True, reason, moment


def resume(session: Session, name: str, moment: datetime, earliest_deadline_at: datetime) -> None:
    """Deliver again from now on; a deadline that passed or comes soon moves to `earliest_deadline_at`.

    A suspension costs no delivery its life: nothing fails for its deadline while suspended, nor right after.
    """
    state = lock_destination(session, name)
    state.suspended, state.reason, state.changed_at = False, "", moment
    state.retry_at, state.failures = None, 0
    session.execute(
        update(Delivery)
        .where(Delivery.destination == name, Delivery.state == DeliveryState.WAITING, Delivery.deadline_at < earliest_deadline_at)
        .values(deadline_at=earliest_deadline_at)
    )


def hold_back(state: DestinationState, retry_at: datetime) -> None:
    """Count a failure to reach the destination (locked) and try it again at `retry_at` only."""
    state.failures += 1
    state.retry_at = retry_at


def let_go(session: Session, name: str) -> None:
    """The destination answers: forget its failures."""
    session.execute(
        update(DestinationState)
        .where(DestinationState.name == name, or_(DestinationState.failures > 0, DestinationState.retry_at.is_not(None)))
        .values(failures=0, retry_at=None)
    )


def due_destinations(session: Session, moment: datetime) -> set[str]:
    """Names of destinations that have something to send or to prove now and may be tried; whom to wake."""
    lease_over = Delivery.lease_expires_at <= moment
    due = or_(
        and_(Delivery.state == DeliveryState.WAITING, Delivery.next_attempt_at <= moment),
        and_(Delivery.state == DeliveryState.SENDING, lease_over),
        and_(
            Delivery.state == DeliveryState.ACCEPTED,
            Delivery.proof.is_(None),
            Delivery.next_attempt_at <= moment,
            or_(Delivery.lease_owner.is_(None), lease_over),
        ),
    )
    names = set(session.scalars(select(Delivery.destination).where(due).distinct()))
    held = or_(DestinationState.suspended, DestinationState.retry_at > moment)
    return names - set(session.scalars(select(DestinationState.name).where(held)))


SETTLED = (DeliveryState.ACCEPTED, DeliveryState.COMMITTED)
"""States in which most deliveries of the years end."""


def backlog(session: Session, configured: Collection[str], *, settled_since: datetime | None = None) -> list[Backlog]:
    """One line for each destination that is configured or that some delivery names, in order of name.

    Args:
        session: for reading.
        configured: names in the settings.
        settled_since: count `SETTLED` ones only where they were queued since then; None: all, which reads the whole table.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in configured}
    oldest: dict[str, datetime] = {}
    for name, state, count, queued_at in _counted(session, settled_since):
        counts.setdefault(name, Counter())[state] = count
        if queued_at and state in (DeliveryState.WAITING, DeliveryState.SENDING):
            oldest[name] = min(queued_at, oldest.get(name, queued_at))
    states = {state.name: state for state in session.scalars(select(DestinationState))}
    return [
        Backlog(
            destination=name,
            configured=name in configured,
            suspended=name in states and states[name].suspended,
            reason=states[name].reason if name in states else "",
            retry_at=states[name].retry_at if name in states else None,
            oldest_waiting_at=oldest.get(name),
            counts={state.value: counts[name][state] for state in DeliveryState},
        )
        for name in sorted(counts)
    ]


def _counted(session: Session, settled_since: datetime | None) -> Iterator[tuple[str, str, int, datetime | None]]:
    """Destination, state, deliveries, when the first of them was queued; a destination without any in one state may have 0 of it."""
    queued = func.min(Delivery.queued_at, type_=Delivery.queued_at.type)
    groups = (Delivery.destination, Delivery.state)
    if settled_since is None:
        yield from map(tuple, session.execute(select(*groups, func.count(), queued).group_by(*groups)))
        return
    for name in named(session):
        for state in (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.FAILED):
            mine = (Delivery.destination == name, Delivery.state == state)
            count, first = session.execute(select(func.count(), queued).where(*mine)).one()
            yield name, state, count, first
    settled = select(*groups, func.count(), queued).where(Delivery.queued_at >= settled_since, Delivery.state.in_(SETTLED))
    yield from map(tuple, session.execute(settled.group_by(*groups)))


def named(session: Session) -> list[str]:
    """Every destination of a delivery, in order: each is the next one in the index, however many deliveries it has."""
    found: list[str] = []
    name = session.scalar(select(func.min(Delivery.destination)))
    while name is not None:
        found.append(name)
        name = session.scalar(select(func.min(Delivery.destination)).where(Delivery.destination > name))
    return found
