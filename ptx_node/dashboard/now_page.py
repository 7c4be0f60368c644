"""Now: is the node keeping up? The last day by the hour, turnaround, what waits, what failed, who is silent, who lives, the disk."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request, Response

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db import activity, senders, watching
from ptx_node.db.activity import DAY, HOUR, Failure, Hour, Process, Stage, Waiting
from ptx_node.db.heartbeats import INTERVAL_S
from ptx_node.db.senders import Sender
from ptx_node.db.session import begin_read, now
from ptx_node.db.tables import DestinationState
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.job import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["now"])

PAGE = Page("Now", "/", Permission.STATUS, (router, api))

Viewer = Annotated[Who, needs(Permission.STATUS)]
Watcher = Annotated[Who, needs(Permission.STATUS, background=True)]

FRESH_S = 2.0
"""So long one answer serves everybody who looks."""
SLOW_FRESH_S = 60.0
SETTLED = timedelta(hours=2)
"""An hour's counts do not change any more once it ended so long ago: rows are committed soon after their times."""
SILENT_S = 3 * INTERVAL_S
NEEDED = (("receive", "receiver"), ("worker-infer", "reader"), ("worker-flow", "delivery worker"), ("schedule", "scheduler"))
"""Roles without which a node does not work, and what people call them."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What waits for one destination, and whether it is suspended or does not answer."""

    name: str
    configured: bool
    waiting: int
    failed: int
    oldest_at: datetime | None
    suspended: bool
    reason: str
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Disk:
    """The file store's disk; below the watermark instances are refused."""

    total_bytes: int
    free_bytes: int
    watermark_bytes: int


@dataclass(frozen=True, slots=True)
class Now:
    """The node at this moment."""

    made_at: datetime
    hours: list[Hour]
    stages: list[Stage]
    waiting: list[Waiting]
    failures: list[Failure]
    destinations: list[Destination]
    senders: list[Sender]
    processes: list[Process]
    disk: Disk | None
    summary: list[str]


class Watch:
    """What is shown, made once for all who look. One for a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hours: dict[datetime, Hour] = {}
        self._senders: tuple[float, list[Sender]] = (float("-inf"), [])
        self._seen: tuple[float, Now] | None = None

    def look(self, parts: Parts) -> Now:
        """The node now, or a moment ago.

        Raises:
            DatabaseUnavailableError: it cannot be seen.
        """
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > FRESH_S:
                seen = self._make(parts)
                self._seen = (time.monotonic(), seen)
            return self._seen[1]

    def _make(self, parts: Parts) -> Now:
        moment = now()
        with begin_read(parts.engine) as session:
            deliveries = activity.open_deliveries(session, parts.node.destinations)
            if time.monotonic() - self._senders[0] > SLOW_FRESH_S:
                self._senders = (time.monotonic(), senders.senders(session, now=moment))
            waiting = activity.waiting(session, deliveries)
            failures = activity.failures(session, deliveries, now=moment)
            destinations = _destinations(session, parts, deliveries)
            processes = activity.processes(session, now=moment)
            hours, stages = self._by_hour(session, moment), activity.turnaround(session, now=moment)
            alarms = watching.open_count(session)
        disk = _disk(parts)
        summary = _summary(waiting, destinations, self._senders[1], processes, disk)
        if alarms:
            summary.insert(0, f"{alarms} {'alarm waits' if alarms == 1 else 'alarms wait'} for a person on the page Drift")
        return Now(moment, hours, stages, waiting, failures, destinations, self._senders[1], processes, disk, summary)

    def _by_hour(self, session: Session, moment: datetime) -> list[Hour]:
        """The last day's hours, the running one last."""
        running = moment.replace(minute=0, second=0, microsecond=0)
        found = []
        for number in range(int(DAY / HOUR) - 1, -1, -1):
            begins_at = running - number * HOUR
            one = self._hours.get(begins_at) or activity.hour(session, begins_at)
            if moment - begins_at > HOUR + SETTLED:
                self._hours[begins_at] = one
            found.append(one)
        self._hours = {at: one for at, one in self._hours.items() if moment - at < 2 * DAY}
        return found


def _destinations(session: Session, parts: Parts, deliveries: Mapping[str, Mapping[str, Waiting]]) -> list[Destination]:
    rows = {row.name: row for row in session.query(DestinationState)}
    found = []
    for name, states in deliveries.items():
        row = rows.get(name)
        ways = [states[state] for state in (DeliveryState.WAITING, DeliveryState.SENDING) if state in states]
        found.append(
            Destination(
                name,
                name in parts.node.destinations,
                sum(one.count for one in ways),
                states[DeliveryState.FAILED].count if DeliveryState.FAILED in states else 0,
                min((one.oldest_at for one in ways if one.oldest_at), default=None),
                suspended=row is not None and row.suspended,
                reason=row.reason if row else "",
                retry_at=row.retry_at if row and row.retry_at and row.retry_at > now() else None,
            )
        )
    return found


def _disk(parts: Parts) -> Disk | None:
    folder = parts.node.store_folder
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        found = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(found.total, found.free, parts.node.watermark_bytes)


def _summary(
    waiting: list[Waiting], destinations: list[Destination], known: list[Sender], processes: list[Process], disk: Disk | None
) -> list[str]:
    """What a person should look at, in words; nothing when all is well."""
    found = [f"{one.count} in quarantine" for one in waiting if one.state == "quarantined" and one.count]
    found += [f"{one.name} is suspended: {one.reason}" for one in destinations if one.suspended]
    found += [f"{one.name} does not answer" for one in destinations if one.retry_at and not one.suspended]
    found += [f"{one.failed} deliveries to {one.name} were given up" for one in destinations if one.failed]
    found += [
        f"{one.name} is no longer configured, and {one.waiting} wait for it" for one in destinations if not one.configured and one.waiting
    ]
    found += [f"{one.ae_title or one.source} is silent" for one in known if one.silent]
    alive = {one.role for one in processes if one.silent_s <= SILENT_S}
    found += [f"no {what} is running" for role, what in NEEDED if role not in alive]
    found += [f"{one.role} on {one.host} gives no sign of life" for one in processes if one.silent_s > SILENT_S and one.role in alive]
    if disk and disk.free_bytes < disk.watermark_bytes:
        found.append("the disk is full: images are refused")
    elif disk and disk.free_bytes < max(2 * disk.watermark_bytes, disk.total_bytes // 20):
        found.append("the disk is nearly full")
    return found


def _look(request: Request, parts: Parts) -> Now:
    watch: Watch = request.app.state.watch
    return watch.look(parts)


@router.get("/")
def whole(request: Request, parts: PartsOf, _who: Viewer) -> Response:
    """The page."""
    return page(request, "now.jinja", seen=_look(request, parts), silent_s=SILENT_S)


@router.get("/now/live")
def live(request: Request, parts: PartsOf, _who: Watcher) -> Response:
    """What changes of it; the page asks every few seconds."""
    return page(request, "now_live.jinja", seen=_look(request, parts), silent_s=SILENT_S)


@api.get("/now")
def now_as_json(request: Request, parts: PartsOf, _who: Watcher) -> Now:
    """The node at this moment: the last day by the hour, turnaround, what waits, failures, destinations, senders, processes, disk."""
    return _look(request, parts)
