"""What each rule has done since a moment, and what became of instances. Read only, along indexes of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.tables import Collection, Instance, Job

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session


@dataclass(slots=True)
class RuleDone:
    """Jobs of one rule by state, and series or studies that it is waiting to complete now."""

    jobs: dict[str, int] = field(default_factory=dict)
    collecting: int = 0


def by_rule(session: Session, since: datetime) -> dict[str, RuleDone]:
    """Rule name -> what it has done with what was queued since then."""
    found: dict[str, RuleDone] = {}
    jobs = select(Job.rule, Job.state, func.count()).where(Job.queued_at >= since).group_by(Job.rule, Job.state)
    for rule, state, count in session.execute(jobs):
        found.setdefault(rule, RuleDone()).jobs[state] = int(count)
    open_ = select(Collection.rule, func.count()).where(Collection.closed_at.is_(None)).group_by(Collection.rule)
    for rule, count in session.execute(open_):
        found.setdefault(rule, RuleDone()).collecting = int(count)
    return found


def by_outcome(session: Session, since: datetime) -> dict[str, int]:
    """What routing made of the instances that came since then; `waiting` for those that it has not looked at."""
    counted = select(Instance.route_outcome, func.count()).where(Instance.received_at >= since).group_by(Instance.route_outcome)
    return {outcome or "waiting": int(count) for outcome, count in session.execute(counted)}
