"""Who sends images: each calling AE title with its source, when it last did, and whether it is silent against its habit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from ptx_node.db.tables import Instance

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

HABIT_DAYS = 14
FEWEST_DAYS = 3
"""A sender has a habit at an hour once it sent then on so many days."""
USUAL = 0.75
"""Share of the days on which it sent at this hour, from which its silence is news."""


@dataclass(frozen=True, slots=True)
class Sender:
    """One sender.

    Attributes:
        ae_title: calling AE title; empty for STOW-RS.
        days_at_this_hour: of the `days_known` days before today (14 at most), those on which it sent in the last hour's hour.
        silent: nothing came in the last hour, in which it usually sends.
    """

    ae_title: str
    source: str
    last_at: datetime
    days_known: int
    days_at_this_hour: int
    silent: bool


def senders(session: Session, *, now: datetime) -> list[Sender]:
    """Every sender, the silent first, then by name."""
    found = [_sender(session, ae_title, source, now) for ae_title, source in pairs(session)]
    return sorted(found, key=lambda one: (not one.silent, one.ae_title, one.source))


def pairs(session: Session) -> list[tuple[str, str]]:
    """Calling AE title and source of every sender: each is the next one in the index, however many images it sent."""
    found: list[tuple[str, str]] = []
    query = select(Instance.calling_ae, Instance.source).order_by(Instance.calling_ae, Instance.source).limit(1)
    row = session.execute(query).first()
    while row is not None:
        ae_title, source = row
        found.append((ae_title, source))
        # two questions, since one with OR reads every image of the AE title
        row = session.execute(query.where(Instance.calling_ae == ae_title, Instance.source > source)).first()
        row = row or session.execute(query.where(Instance.calling_ae > ae_title)).first()
    return found


def _sender(session: Session, ae_title: str, source: str, now: datetime) -> Sender:
    mine = (Instance.calling_ae == ae_title, Instance.source == source)
    when = Instance.received_at
    hours = [now - timedelta(days=days) for days in range(1, HABIT_DAYS + 1)]
    sent = [exists().where(*mine, when > end - timedelta(hours=1), when <= end) for end in hours]
    first, last, *found = session.execute(
        select(
            select(func.min(when, type_=when.type)).where(*mine).scalar_subquery(),
            select(func.max(when, type_=when.type)).where(*mine).scalar_subquery(),
            *sent,
        )
    ).one()
    known = min(HABIT_DAYS, max(0, (now - first).days))
    days = sum(bool(one) for one in found)
    usual = days >= FEWEST_DAYS and days >= USUAL * known
    return Sender(ae_title, source, last, known, days, silent=usual and now - last > timedelta(hours=1))
