"""Destinations: what waits for each, whether it answers, when certificates end; suspend and resume, as `ptx deliveries` does."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field

from ptx_node.dashboard.description import BUSY
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db import destinations as rows
from ptx_node.db.session import begin_read, now
from ptx_node.domain.access import Permission, Who
from ptx_node.errors import PtxError, UsageError
from ptx_node.pipeline import deliver

if TYPE_CHECKING:
    from ptx_node.dashboard.desk import DestinationFacts
    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["destinations"])

PAGE = Page("Destinations", "/destinations", Permission.STATUS, (router, api))

Watcher = Annotated[Who, needs(Permission.STATUS)]
Operator = Annotated[Who, needs(Permission.OPERATE)]

LONGEST_REASON = 500
Why = Annotated[str, Form(max_length=LONGEST_REASON)]

SOON = timedelta(days=30)
DAY = timedelta(hours=24)
_tests = threading.BoundedSemaphore(4)


class Reason(BaseModel):
    """Why, for those who come later."""

    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate by what it is for. `ends_at` is null where the file is of no use, and `problem` says why."""

    what: str
    ends_at: datetime | None
    problem: str
    mood: str


@dataclass(frozen=True, slots=True)
class DestinationShown:
    """A destination and what waits for it.

    `retry_at`: it did not answer, and is not tried before. `counts`: those accepted and committed are of the last 24 hours.
    """

    name: str
    kind: str
    address: str
    result_kinds: list[str]
    configured: bool
    suspended: bool
    reason: str
    retry_at: datetime | None
    oldest_waiting_at: datetime | None
    counts: dict[str, int]
    certificates: list[Certificate]


@dataclass(frozen=True, slots=True)
class Tested:
    """What a destination said to a test, and when the certificate ends that it showed."""

    name: str
    answers: bool
    said: str
    certificate: Certificate | None


@router.get("/destinations")
def destinations(request: Request, parts: PartsOf, who: Watcher) -> Response:
    """The page."""
    return _page(request, parts, who)


@router.post("/destinations/{name}/test")
def test(request: Request, parts: PartsOf, who: Operator, name: str) -> Response:
    """Ask it whether it is there, and show what it said."""
    return _page(request, parts, who, tested=_test(parts, name))


@router.post("/destinations/{name}/suspend")
def suspend(
    request: Request, parts: PartsOf, who: Operator, name: str, reason: Annotated[str, Form(max_length=LONGEST_REASON)]
) -> Response:
    """Let deliveries wait."""
    try:
        _suspend(parts, who, name, reason)
    except UsageError as error:
        return _page(request, parts, who, 400, problem=str(error))
    return _page(request, parts, who)


@router.post("/destinations/{name}/resume")
def resume(request: Request, parts: PartsOf, who: Operator, name: str) -> Response:
    """Deliver again."""
    _resume(parts, who, name)
    return _page(request, parts, who)


@api.get("/destinations")
def list_destinations(parts: PartsOf, _who: Watcher) -> list[DestinationShown]:
    """Every destination that is configured or that some delivery names."""
    return _all(parts)


@api.post("/destinations/{name}/test", responses=BUSY)
def ask_destination(parts: PartsOf, _who: Operator, name: str) -> Tested:
    """C-ECHO, a query by QIDO-RS, or a file that is written and taken away: a few seconds at most."""
    return _test(parts, name)


@api.post("/destinations/{name}/suspend")
def suspend_destination(parts: PartsOf, who: Operator, name: str, wanted: Reason) -> DestinationShown:
    """Let everything for it wait; no deadline runs out meanwhile."""
    _suspend(parts, who, name, wanted.reason)
    return _one(parts, name)


@api.post("/destinations/{name}/resume")
def resume_destination(parts: PartsOf, who: Operator, name: str) -> DestinationShown:
    """Deliver again; what waits has its whole time anew."""
    _resume(parts, who, name)
    return _one(parts, name)


def _known(parts: Parts, name: str) -> DestinationFacts:
    found = parts.desk.destinations.get(name)
    if found is None:
        raise HTTPException(404, "no destination of this name is configured")
    return found


def _test(parts: Parts, name: str) -> Tested:
    facts = _known(parts, name)
    if not _tests.acquire(blocking=False):
        raise HTTPException(429, "several tests are running: try again in a few seconds", {"Retry-After": "5"})
    try:
        said = facts.echo()
        ends = facts.peer_ends()
    except PtxError as error:
        return Tested(name, answers=False, said=str(error), certificate=None)
    finally:
        _tests.release()
    return Tested(name, answers=True, said=said, certificate=_certificate("theirs", ends) if ends else None)


def _suspend(parts: Parts, who: Who, name: str, reason: str) -> None:
    _known(parts, name)
    if not reason.strip():
        raise UsageError("say why, for those who come later")
    deliver.suspend(parts.engine, name, reason.strip(), by=who.actor)


def _resume(parts: Parts, who: Who, name: str) -> None:
    deliver.resume(parts.engine, name, grace_s=_known(parts, name).deadline_s, by=who.actor)


def _one(parts: Parts, name: str) -> DestinationShown:
    return next(one for one in _all(parts) if one.name == name)


def _all(parts: Parts) -> list[DestinationShown]:
    known = parts.desk.destinations
    with begin_read(parts.engine) as session:
        found = rows.backlog(session, list(known), settled_since=now() - DAY)
    return [
        DestinationShown(
            one.destination,
            known[one.destination].kind if one.configured else "",
            known[one.destination].address if one.configured else "",
            list(known[one.destination].result_kinds) if one.configured else [],
            one.configured,
            one.suspended,
            one.reason,
            one.retry_at if one.retry_at and one.retry_at > now() else None,
            one.oldest_waiting_at,
            one.counts,
            [_certificate(word, ends) for word, ends in known[one.destination].certificates().items()] if one.configured else [],
        )
        for one in found
    ]


def _certificate(what: str, ends: datetime | str) -> Certificate:
    if isinstance(ends, str):
        return Certificate(what, None, ends, "bad")
    left = ends - now()
    return Certificate(what, ends, "", "bad" if left <= timedelta() else "wait" if left < SOON else "good")


def _page(request: Request, parts: Parts, who: Who, status: int = 200, *, tested: Tested | None = None, problem: str = "") -> Response:
    return page(
        request, "destinations.jinja", status, all=_all(parts), tested=tested, problem=problem, operates=who.may(Permission.OPERATE)
    )
