"""Find: where is my study? One box, filters in the address, a study's whole timeline, CSV. Whoever may not see patients gets pseudonyms."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import Named, day
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import bare, page
from ptx_node.db import audit, study_search, timeline
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.study_search import Effort, StudyFound, Wanted
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.audit_events import looked
from ptx_node.domain.job import JobState
from ptx_node.domain.pseudonym import patient_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["find"])

PAGE = Page("Find", "/find", Permission.FIND, (router, api))

Finder = Annotated[Who, needs(Permission.FIND)]

ON_A_PAGE = 50
IN_A_TABLE = 10_000
LOOK_S, LOOK_FOR_A_TABLE_S = 0.1, 60.0
"""A search that finds little stops after so long, and a person goes on from there."""
WITHHELD = "withheld"
OUTCOMES = ("positive", "negative", "failed", "not_eligible")
CELLS_THAT_COUNT = ("=", "+", "-", "@", "\t", "\r")

Outcome = Literal["", "positive", "negative", "failed", "not_eligible"]
State = Literal["", "queued", "running", "done", "not_eligible", "quarantined", "superseded"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of an address, as the page writes them and as people share them."""

    q: str = ""
    state: str = ""
    outcome: str = ""
    since: date | None = None
    until: date | None = None
    before: int | None = None

    def address(self, path: str, **other: object) -> str:
        """The address of these filters at `path`, some of them changed."""
        told = {"q": self.q, "state": self.state, "outcome": self.outcome, "since": self.since, "until": self.until, "before": self.before}
        words = urlencode({name: str(value) for name, value in bare({**told, **other}).items()})
        return f"{path}?{words}" if words else path

    def wanted(self, session: Session, parts: Parts, who: Who) -> Wanted:
        """What the database is asked for; days are the site's."""
        zone = parts.node.zone
        begin = datetime.combine(self.since, time_of_day(), zone) if self.since else None
        end = datetime.combine(self.until + timedelta(days=1), time_of_day(), zone) if self.until else None
        before = study_search.last_received(session, self.before) if self.before is not None else None
        return Wanted(self.q, self.state, self.outcome, begin, end, before, patients=who.may(Permission.PATIENTS))


def _asked(
    q: Annotated[str, Query(max_length=200)] = "",
    state: State = "",
    outcome: Outcome = "",
    since: str = "",
    until: str = "",
    before: Named = None,
) -> Asked:
    return Asked(q.replace("\0", "").strip(), state, outcome, day(since, "since"), day(until, "until"), before)


AskedFor = Annotated[Asked, Depends(_asked)]


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it is shown. Without the permission `patients`, numbers and UIDs are pseudonyms and times are left out.

    `study` names it in addresses: a number that tells nothing of the patient.
    """

    study: int
    study_instance_uid: str
    accession_number: str
    patient_id: str
    modalities: list[str]
    senders: list[str]
    images: int
    received_at: datetime | None
    states: list[str]
    outcomes: list[str]
    probability: float | None
    reason: str
    deliveries: int
    open_deliveries: int
    failed_deliveries: int


@dataclass(frozen=True, slots=True)
class StepShown:
    """One step of a timeline: when, and how long after the first one; the moment is left out for whoever may not see patients."""

    at: datetime | None
    after_s: float
    what: str
    detail: str
    mood: str


@dataclass(frozen=True, slots=True)
class Found:
    """A page of studies, the newest first; `before`, the number of the last one that was looked at, goes on with the next page.

    `stopped`: so little fits that older ones were not looked at for this answer.
    """

    studies: list[Study]
    before: int | None
    stopped: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """A study and its timeline."""

    study: Study
    steps: list[StepShown]


@router.get("/find")
def find(request: Request, parts: PartsOf, who: Finder, asked: AskedFor) -> Response:
    """The page."""
    found = _find(parts, who, asked)
    return page(
        request,
        "find.jinja",
        asked=asked,
        found=found,
        states=[one.value for one in JobState],
        outcomes=OUTCOMES,
        more=asked.address("/find", before=found.before) if found.before else "",
        table=asked.address("/find/studies.csv", before=None),
        identified=who.may(Permission.PATIENTS),
    )


@router.get("/find/studies.csv")
def find_as_csv(parts: PartsOf, who: Finder, asked: AskedFor) -> Response:
    """What the filters give, as a table, 10,000 lines at most."""
    found = _find(parts, who, asked, IN_A_TABLE, longest_s=LOOK_FOR_A_TABLE_S)
    text = io.StringIO()
    names = list(Study.__slots__)
    writer = csv.writer(text)
    writer.writerow(names)
    for one in found.studies:
        writer.writerow([_cell(getattr(one, name)) for name in names])
    headers = {"Content-Disposition": 'attachment; filename="studies.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


@api.get("/studies")
def find_as_json(parts: PartsOf, who: Finder, asked: AskedFor, limit: Annotated[int, Query(ge=1, le=200)] = ON_A_PAGE) -> Found:
    """Studies by accession number, patient ID, UID or AE title (`q`), job state, outcome and day of receipt, the newest first."""
    return _find(parts, who, asked, limit)


@api.get("/studies.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def find_as_table(parts: PartsOf, who: Finder, asked: AskedFor) -> Response:
    """The same as a table, 10,000 lines at most."""
    return find_as_csv(parts, who, asked)


@api.get("/studies/{study}")
def study_as_json(parts: PartsOf, who: Finder, study: str) -> Whole:
    """A study and every step of its way; `study` is its number, or its Study Instance UID."""
    return whole(parts, who, study)


def _find(parts: Parts, who: Who, asked: Asked, limit: int = ON_A_PAGE, *, longest_s: float = LOOK_S) -> Found:
    if (asked.since or asked.until) and not who.may(Permission.PATIENTS):  # else days of images could be found out by asking
        raise HTTPException(403, f"{who.name} is shown no times of studies, and may not ask for days: it needs the permission 'patients'")
    effort = Effort(time.monotonic() + longest_s)
    with begin_read(parts.engine) as session:
        rows = study_search.search(session, asked.wanted(session, parts, who), limit + 1, effort)
        shown, before = rows[:limit], None
        if len(rows) > limit:
            before = shown[-1].number
        elif effort.over:
            before = study_search.number_of(session, effort.last)
    _note(parts, who, "find", shown)
    return Found([_shown(parts, who, row) for row in shown], before, effort.over and len(rows) <= limit)


def whole(parts: Parts, who: Who, name: str) -> Whole:
    """A study by its number, or its UID, with its timeline; noted as a look at it.

    Raises:
        HTTPException: 404, nothing of it is here.
    """
    identified = who.may(Permission.PATIENTS)
    with begin_read(parts.engine) as session:
        uid = study_search.study_of(session, name, patients=identified)
        rows = study_search.summaries(session, [uid]) if uid else []
        steps = timeline.timeline(session, uid) if uid else []
    if not rows:
        raise HTTPException(404, "nothing of this study is here")
    _note(parts, who, "study", rows)
    begun = steps[0].at if steps else rows[0].received_at
    told = [
        StepShown(one.at if identified else None, (one.at - begun).total_seconds(), one.what, one.detail if identified else "", one.mood)
        for one in steps
    ]
    return Whole(_shown(parts, who, rows[0]), told)


def _note(parts: Parts, who: Who, where: str, rows: Sequence[StudyFound]) -> None:
    """Who was shown which patients stands in the audit trail before they see it; of pseudonyms there is nothing to note."""
    if rows and who.may(Permission.PATIENTS):
        with begin_write(parts.engine) as session:
            audit.note(session, looked(who.actor, where, [row.study_instance_uid for row in rows]))


def _shown(parts: Parts, who: Who, row: StudyFound) -> Study:
    uid, accession, patient, at = row.study_instance_uid, row.accession_number, row.patient_id, row.received_at
    told: datetime | None = at
    if not who.may(Permission.PATIENTS):
        made = parts.node.pseudonyms
        uid = made.uid(uid) if made else WITHHELD
        accession = made.accession(accession) if made else WITHHELD
        patient = made.patient(patient_identity(patient)) if made else WITHHELD
        told = None
    return Study(
        study=row.number,
        study_instance_uid=uid,
        accession_number=accession,
        patient_id=patient,
        modalities=row.modalities,
        senders=row.senders,
        images=row.instances,
        received_at=told,
        states=row.states,
        outcomes=row.outcomes,
        probability=row.probability,
        reason=row.reason,
        deliveries=row.deliveries,
        open_deliveries=row.open_deliveries,
        failed_deliveries=row.failed_deliveries,
    )


def _cell(value: object) -> str:
    """One cell; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(CELLS_THAT_COUNT) else text
