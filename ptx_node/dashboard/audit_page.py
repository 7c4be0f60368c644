"""Audit: what the trail says, searched by kind, actor, object and time; and its chain followed from the first row to the last.

Who may not see patients is shown pseudonyms instead of UIDs, and no times of what happened to images: as on every other page.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from ptx_node.dashboard.description import BUSY
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.find_page import WITHHELD
from ptx_node.dashboard.given import Named, day
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import bare, page
from ptx_node.db import audit, audit_search
from ptx_node.db.audit import Segment
from ptx_node.db.session import begin_read, begin_write
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.audit import AuditKind, Event, Link

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ptx_node.dashboard.parts import Parts
    from ptx_node.domain.audit import Entry

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["audit"])

PAGE = Page("Audit", "/audit", Permission.AUDIT, (router, api))

Auditor = Annotated[Who, needs(Permission.AUDIT)]

ON_A_PAGE = 50
MOST_ROWS, LOOK_S = 20_000, 0.1
"""Looked at for one page, and about how long: who searches further goes on where it ended."""
OF_IMAGES = frozenset({AuditKind.RECEIPT, AuditKind.REFUSAL, AuditKind.INFERENCE, AuditKind.DELIVERY})
PLAIN = re.compile(r"[\w.@-]+", re.ASCII)
"""A word that stands in JSON as it is written."""
UID = re.compile(r"(?<![0-9.])[0-2](?:\.\d+){3,}(?![0-9.])")
OF_NOBODY = frozenset({"sop_class_uid", "transfer_syntax_uid", "device_uid"})
FIRST = ("what", "outcome", "step", "page", "stage")
"""Of an event's detail, what a person reads first."""
ANCHOR = r"^(\d{1,18}:[0-9a-f]{64})?$"

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of an address. `object` is any word of the event: a UID, a number, a name of a destination."""

    kind: AuditKind | None = None
    actor: str = ""
    object: str = ""
    since: date | None = None
    until: date | None = None
    before: int | None = None


def _asked(
    kind: str = "",
    actor: Annotated[str, Query(max_length=200)] = "",
    object: Annotated[str, Query(max_length=200)] = "",  # noqa: A002 - as it stands in the address
    since: str = "",
    until: str = "",
    before: Named = None,
) -> Asked:
    try:
        found = AuditKind(kind) if kind else None
    except ValueError:
        raise HTTPException(422, f"kind is one of {', '.join(AuditKind)}") from None
    return Asked(found, actor.strip(), object.strip(), day(since, "since"), day(until, "until"), before)


AskedFor = Annotated[Asked, Depends(_asked)]


class Anchor(BaseModel):
    """A head that was noted down earlier, SEQUENCE:HASH, or nothing."""

    expect: str = Field(default="", pattern=ANCHOR)


@dataclass(frozen=True, slots=True)
class EventShown:
    """One row. The time is null where it may not be seen, or was made unreadable."""

    sequence: int
    recorded_at: datetime | None
    kind: str
    actor: str
    detail: dict[str, Any]
    sha256: str


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, the newest first; `before` goes on where the search ended, null when there is nothing older."""

    events: list[EventShown]
    looked_at: int
    before: int | None


@dataclass(frozen=True, slots=True)
class Verified:
    """What following the chain found: how many rows fit, the head to note down, and the first row that does not fit."""

    intact: bool
    rows: int
    head: str
    broken: dict[str, Any] | None


@router.get("/audit")
def show(request: Request, parts: PartsOf, who: Auditor, asked: AskedFor) -> Response:
    """The page."""
    return _page(request, parts, who, asked)


@router.post("/audit/verify")
def verify(request: Request, parts: PartsOf, who: Auditor, form: Annotated[Anchor, Form()]) -> Response:
    """Follow the chain, and show what was found."""
    return _page(request, parts, who, Asked(), verified=_verify(parts, who, form.expect))


@api.get("/audit")
def search(parts: PartsOf, who: Auditor, asked: AskedFor, limit: Annotated[int, Query(ge=1, le=500)] = ON_A_PAGE) -> Found:
    """Events by kind, actor, a word of their detail, and day; one answer looks at 20,000 rows, or at those of a tenth of a second."""
    return _search(parts, who, asked, limit)


@api.post("/audit/verify", responses=BUSY)
def verify_as_json(parts: PartsOf, who: Auditor, wanted: Anchor) -> Verified:
    """Follow the chain from the first row to the last. That it was verified, and what was found, is written into the trail."""
    return _verify(parts, who, wanted.expect)


def _verify(parts: Parts, who: Who, expect: str) -> Verified:
    sequence, _, sha256 = expect.partition(":")
    anchors = [Link(int(sequence), sha256)] if expect else []
    if not _one_at_a_time.acquire(blocking=False):
        raise HTTPException(429, "the chain is being followed for somebody else: try again in a minute", {"Retry-After": "60"})
    try:
        with begin_read(parts.engine) as session:
            found = audit.verify(session, anchors)
    finally:
        _one_at_a_time.release()
    told = Verified(found.broken is None, found.rows, str(found.head), asdict(found.broken) if found.broken else None)
    with begin_write(parts.engine) as session:
        audit.note(session, Event(AuditKind.VERIFICATION, who.actor, {"what": "audit trail", **asdict(told)}))
    return told


def _search(parts: Parts, who: Who, asked: Asked, limit: int = ON_A_PAGE) -> Found:
    identified, zone = who.may(Permission.PATIENTS), parts.node.zone
    kinds = {asked.kind} if asked.kind else set(AuditKind)
    since = datetime.combine(asked.since, time_of_day(), zone) if asked.since else None
    until = datetime.combine(asked.until + timedelta(days=1), time_of_day(), zone) if asked.until else None
    if (since or until) and not identified:
        kinds -= OF_IMAGES  # else days of images could be found out by asking
    events: list[EventShown] = []
    looked_at, before, end_s = 0, asked.before, time.monotonic() + LOOK_S
    most = limit if not (asked.actor or asked.object) else audit.BATCH
    with begin_read(parts.engine) as session:
        part = audit_search.stretch(session, since, until)
        while part is not None and kinds and looked_at < MOST_ROWS and len(events) < limit and (not looked_at or time.monotonic() < end_s):
            rows = _older(session, part, before, kinds, most)
            for row in rows:
                looked_at, before = looked_at + 1, row.sequence
                shown = _shown(parts, row, identified=identified) if _may_fit(row, asked, identified=identified) else None
                if shown is not None and _fits(shown, asked):
                    events.append(shown)
                    if len(events) == limit:
                        break
            if len(rows) < most and len(events) < limit:
                before = None
                break
    return Found(events, looked_at, before if looked_at else None)


def _older(session: Session, part: Segment, before: int | None, kinds: set[AuditKind], most: int) -> list[Entry]:
    last = part.last if before is None else min(part.last, before - 1)
    return audit_search.newest(session, Segment(part.first, last), kinds=kinds, limit=most)


def _may_fit(row: Entry, asked: Asked, *, identified: bool) -> bool:
    """False where the row's text tells already that it does not fit; most rows are put aside so, without being taken apart."""
    words = [asked.actor, asked.object if identified else ""]  # whoever is shown pseudonyms searches those, which no row has
    body = row.body.casefold()
    return all(word.casefold() in body for word in words if PLAIN.fullmatch(word))


def _fits(one: EventShown, asked: Asked) -> bool:
    """Only what is shown is searched, so that nobody finds out by asking what they may not see."""
    wanted = asked.object.casefold()
    return asked.actor.casefold() in one.actor.casefold() and (
        not wanted or wanted in json.dumps(one.detail, ensure_ascii=False).casefold()
    )


def _shown(parts: Parts, row: Entry, *, identified: bool) -> EventShown:
    try:
        said = json.loads(row.body)
        actor, detail = str(said["actor"]), dict(said["detail"])
    except (ValueError, LookupError, TypeError):
        actor, detail = "", {"problem": "this row was altered: verify the trail"}
    if not identified:
        detail = _masked(parts, detail)
    detail = {name: detail[name] for name in sorted(detail, key=lambda one: one not in FIRST)}
    at = None if row.kind in OF_IMAGES and not identified else row.recorded_at
    return EventShown(row.sequence, at, row.kind, actor, detail, row.sha256)


def _masked(parts: Parts, value: Any, name: str = "") -> Any:
    """`value` with pseudonyms for UIDs; under a name that says so the whole word is one, since public data have UIDs that are none."""
    made = parts.node.pseudonyms
    if isinstance(value, dict):
        return {inner: _masked(parts, one, inner) for inner, one in value.items()}
    if isinstance(value, list):
        return [_masked(parts, one, name) for one in value]
    if not isinstance(value, str) or name in OF_NOBODY:
        return value
    if name.endswith(("_uid", "_uids")):
        return made.uid(value) if made else WITHHELD
    return UID.sub(lambda found: made.uid(found[0]) if made else WITHHELD, value)


def _page(request: Request, parts: Parts, who: Who, asked: Asked, *, verified: Verified | None = None) -> Response:
    found = _search(parts, who, asked)
    told = {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(asked).items()}
    older = urlencode({name: str(value) for name, value in bare({**told, "before": found.before}).items()})
    return page(
        request,
        "audit.jinja",
        found=found,
        asked=asked,
        kinds=list(AuditKind),
        older=f"/audit?{older}" if found.before else "",
        verified=verified,
        identified=who.may(Permission.PATIENTS),
    )
