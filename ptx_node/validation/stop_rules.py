"""Stop rules: delivery pauses, and inference goes on, when a figure crosses the limit that the site has set. A person resumes.

What crossed is an alarm, which a person settles; until then the rule is silent, and afterwards it counts only what came since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from ptx_node.db import audit, destinations, watching
from ptx_node.db.observed import Stream
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.stop_counts import StopFigure, counted
from ptx_node.domain.audit import NODE
from ptx_node.domain.audit_events import decision
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

log = get(__name__)


@dataclass(frozen=True, slots=True)
class StopRule:
    """One rule.

    Attributes:
        above, below: the limit; one of the two is None.
        minimum: cases that the figure is made of, at least.
        days: back from now.
        model: its name in `[models]`; empty: all of them together.
        destinations: whose deliveries pause.
    """

    name: str
    figure: StopFigure
    above: float | None
    below: float | None
    minimum: int
    days: int
    model: str
    destinations: tuple[str, ...]

    def crossed(self, hits: int, of: int) -> bool:
        """Whether so many of so many are beyond the limit."""
        if of < max(1, self.minimum):
            return False
        share = hits / of
        return (self.above is not None and share > self.above) or (self.below is not None and share < self.below)

    def words(self, hits: int, of: int) -> str:
        """What crossed, for people."""
        figure, limit = self.figure.value.replace("_", " "), f"above {self.above}" if self.above is not None else f"below {self.below}"
        whose = f" of {self.model}" if self.model else ""
        return f"stop rule {self.name}: {figure}{whose} is {hits / of:.3f} ({hits} of {of} in {self.days} days), {limit}"


def look(engine: Engine, rules: Sequence[StopRule], zone: ZoneInfo) -> int:
    """Hold each rule against the rows; how many stopped deliveries. May be asked any time, by any number.

    Raises:
        DatabaseUnavailableError: a retry may help.
    """
    stopped = 0
    for rule in rules:
        with begin_read(engine) as session:
            hits, of = _counted(session, rule, zone)
        if rule.crossed(hits, of):
            with begin_write(engine) as session:
                stopped += _stop(session, rule, zone)
    return stopped


def _counted(session: Session, rule: StopRule, zone: ZoneInfo) -> tuple[int, int]:
    """What the rule counts now; nothing while its last alarm is open."""
    moment = now()
    first_day = (moment - timedelta(days=rule.days)).astimezone(zone).date()
    since = datetime.combine(first_day, time(), zone)
    last = watching.last_alarm(session, watching.STOP, rule.name)
    if last is not None:
        if last.acknowledged_at is None:
            return 0, 0
        since = max(since, last.acknowledged_at)
    return counted(session, rule.figure, since=since, first_day=first_day, model=rule.model)


def _stop(session: Session, rule: StopRule, zone: ZoneInfo) -> int:
    """Suspend what is not suspended yet; counted once more, since others may have been faster."""
    hits, of = _counted(session, rule, zone)
    if not rule.crossed(hits, of):
        return 0
    moment, words = now(), rule.words(hits, of)
    detail = {"figure": rule.figure.value, "hits": hits, "of": of, "destinations": list(rule.destinations)}
    day = moment.astimezone(zone).date()
    number = watching.raise_alarm(
        session, watching.STOP, rule.name, Stream(rule.model, "", ""), day=day, words=words, detail=detail, now=moment
    )
    if number is None:
        return 0
    for name in rule.destinations:
        if not destinations.lock_destination(session, name).suspended:
            destinations.suspend(session, name, words, moment)
            audit.note(session, decision(NODE, "suspend destination", destination=name, reason=words, alarm=number))
    log.error("a stop rule pauses delivery", rule=rule.name, alarm=number, **detail)
    return 1
