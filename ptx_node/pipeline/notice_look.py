"""What is wrong at this moment, in the words of `ptx_node.domain.notice`: asked of the queries that metrics and pages ask too.

Facts are counts, times, values of closed lists, and names of the site's own parts. Never free text of a row: reasons and errors may
quote what came from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ptx_node.db import audit_checks, notices, watching
from ptx_node.db.failing import failing, studies_of
from ptx_node.db.gauges import gauges
from ptx_node.db.senders import HABIT_DAYS, senders
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.job import JobState
from ptx_node.domain.notice import Condition, NoticeKind, plain_name
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.gauges import Gauges
    from ptx_node.db.notices import Pace, Wanted

log = get(__name__)

AGAIN = (JobState.QUEUED, JobState.RUNNING)
WORK = (("job", "queued"), ("instance", "not_routed"))
"""What waits for the node itself, and not for a sender or a destination."""
FAILING_FOR = timedelta(hours=1)
"""An attempt that failed counts so long after the job was read after all."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """From when on something is worth a notice.

    Attributes:
        destinations: names in the settings.
        backlog: age of the oldest delivery of a destination.
        waiting: age of the oldest job, and of the oldest instance that no rule has looked at.
        silent_reports: silence of a sender of reports; zero: nobody looks.
        identifiers: whether any receiver is to be told studies.
    """

    destinations: tuple[str, ...]
    backlog: timedelta
    waiting: timedelta
    silent_reports: timedelta
    identifiers: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One look: what is wrong, and what came of conditions that are not."""

    conditions: list[Condition] = field(default_factory=list)
    after: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


def look(engine: Engine, bounds: Bounds, wanted: Sequence[Wanted], pace: Pace, *, clock: Callable[[], datetime] = now) -> int:
    """Hold the rows against the bounds, and write down the notices that follow; how many. May be asked any time, by any number.

    Raises:
        DatabaseUnavailableError: a retry may help; nothing was written.
    """
    with begin_read(engine) as session:
        found = find(session, bounds, now=clock())
    with begin_write(engine) as session:
        moment = clock()
        written = notices.settle(session, found.conditions, found.after, wanted, pace, now=moment)
        late = notices.give_up(session, moment)
    for receiver, count in late:
        log.error("notices were given up: nobody took them in time", receiver=receiver, count=count, again="ptx notify retry")
    if written:
        log.info("notices are due", count=written)
    return written


def find(session: Session, bounds: Bounds, *, now: datetime) -> Found:
    """Everything that is wrong now."""
    state = gauges(session, destinations=bounds.destinations, now=now)
    found = Found()
    found.conditions.extend(_failures(session, state, bounds, now))
    found.conditions.extend(_quarantine(session, state, bounds))
    found.conditions.extend(_backlog(state, bounds, now))
    found.conditions.extend(_alarms(session))
    found.conditions.extend(_audit(session))
    lasting = {one.subject: one.began_at for one in notices.open_conditions(session) if one.kind == NoticeKind.SILENT_SOURCE}
    _silence(session, state, bounds, lasting, found, now)
    return found


def _failures(session: Session, state: Gauges, bounds: Bounds, now: datetime) -> Iterator[Condition]:
    """Whatever fails at all: one condition for the readings, one for each destination."""
    reading = failing(session, since=now - FAILING_FOR)
    if reading.again or reading.recovered or state.quarantined:
        causes = sorted({*reading.again, *state.quarantined})
        facts = {"what": "reading", "again": sum(reading.again.values()), "recovered": reading.recovered, "causes": causes}
        studies = studies_of(session, (*AGAIN, JobState.QUARANTINED)) if bounds.identifiers else ()
        yield Condition(NoticeKind.FIRST_FAILURE, "reading", {**facts, "quarantined": sum(state.quarantined.values())}, studies)
    unreached = {one.destination: one.failures_in_a_row for one in state.backlog}
    for name in sorted({*unreached, *state.failed}):
        failed, in_a_row = state.failed.get(name, 0), unreached.get(name, 0)
        if failed or in_a_row:
            facts = {"what": "delivery", "destination": plain_name(name), "failed": failed, "failures_in_a_row": in_a_row}
            yield Condition(NoticeKind.FIRST_FAILURE, f"delivery to {plain_name(name)}", facts)


def _quarantine(session: Session, state: Gauges, bounds: Bounds) -> Iterator[Condition]:
    for cause, count in sorted(state.quarantined.items()):
        studies = studies_of(session, (JobState.QUARANTINED,), cause) if bounds.identifiers else ()
        yield Condition(NoticeKind.QUARANTINE, cause, {"cause": cause, "count": count}, studies)


def _backlog(state: Gauges, bounds: Bounds, now: datetime) -> Iterator[Condition]:
    """A destination that a person or a stop rule has suspended is no news: its results are meant to wait."""
    for one in state.backlog:
        if one.oldest_at is not None and not one.suspended and now - one.oldest_at > bounds.backlog:
            name = plain_name(one.destination)
            facts = {"what": "deliveries", "destination": name, "count": one.waiting, "oldest_at": one.oldest_at.isoformat()}
            yield Condition(NoticeKind.BACKLOG, f"deliveries to {name}", facts)
    for waits in state.waiting:
        if (waits.kind, waits.state) in WORK and now - waits.oldest_at > bounds.waiting:
            facts = {"what": f"{waits.kind}s", "count": waits.count, "oldest_at": waits.oldest_at.isoformat()}
            yield Condition(NoticeKind.BACKLOG, f"{waits.kind}s", facts)


def _alarms(session: Session) -> Iterator[Condition]:
    for alarm in watching.alarms(session, settled=0):
        model = plain_name(f"{alarm.model_name} {alarm.model_version}")
        facts = {"alarm": alarm.id, "what": alarm.kind, "name": plain_name(alarm.name), "model": model, "day": alarm.day.isoformat()}
        yield Condition(NoticeKind.DRIFT_ALARM, f"alarm {alarm.id}", facts)


def _audit(session: Session) -> Iterator[Condition]:
    known = audit_checks.last(session)
    if known is not None and known.broken_sequence is not None and known.broken_at is not None:
        facts = {"row": known.broken_sequence, "found_at": known.broken_at.isoformat()}
        yield Condition(NoticeKind.AUDIT_BROKEN, "audit trail", facts)


def _silence(session: Session, state: Gauges, bounds: Bounds, lasting: Mapping[str, datetime], found: Found, now: datetime) -> None:
    """A sender falls silent against its habit, and stays so until something comes: an hour at which it never sends is no end of it.

    After the days in which a habit is known nobody expects it any more.
    """
    for one in senders(session, now=now):
        subject = plain_name(f"{one.ae_title} ({one.source})" if one.ae_title else one.source)
        began_at = lasting.get(subject)
        facts = {
            "what": "images",
            "ae_title": plain_name(one.ae_title),
            "source": plain_name(one.source),
            "last_at": one.last_at.isoformat(),
        }
        still = began_at is not None and one.last_at <= began_at and now - one.last_at < timedelta(days=HABIT_DAYS)
        if one.silent or still:
            habit = {"days_at_this_hour": one.days_at_this_hour, "days_known": one.days_known}
            found.conditions.append(Condition(NoticeKind.SILENT_SOURCE, subject, facts | habit))
        elif began_at is not None:
            found.after[NoticeKind.SILENT_SOURCE, subject] = {"last_at": one.last_at.isoformat(), "came": one.last_at > began_at}
    for heard in state.heard:
        if heard.kind == "images":
            continue
        source = plain_name(heard.source)
        subject = f"{heard.kind} of {source}"
        facts = {"what": heard.kind, "ae_title": "", "source": source, "last_at": heard.last_received_at.isoformat()}
        silent_for = now - heard.last_received_at
        if bounds.silent_reports and bounds.silent_reports < silent_for < bounds.silent_reports + timedelta(days=HABIT_DAYS):
            found.conditions.append(Condition(NoticeKind.SILENT_SOURCE, subject, facts | {"days_at_this_hour": 0, "days_known": 0}))
        elif subject in lasting:
            found.after[NoticeKind.SILENT_SOURCE, subject] = {
                "last_at": facts["last_at"],
                "came": heard.last_received_at > lasting[subject],
            }
