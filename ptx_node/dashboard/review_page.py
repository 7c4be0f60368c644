"""Review: doubtful labels of reports, and findings that the truth contradicts. One key a decision; it is added, and never changed.

`ptx reports review` lists and decides the same labels by the same queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse

from ptx_node.dashboard import review_acts as acts
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import BEYOND, Named, Number
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.review_acts import LONGEST_NOTE, FindingSaid, LabelSaid
from ptx_node.dashboard.review_text import ReportShown
from ptx_node.dashboard.show import page
from ptx_node.dashboard.study_viewer import viewer_of
from ptx_node.db import assessments, report_review
from ptx_node.db.assessments import Disagreement
from ptx_node.db.report_review import Doubtful
from ptx_node.db.session import begin_read
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.assessment import Assessment
from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Sequence

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["review"])

PAGE = Page("Review", "/review", Permission.REVIEW, (router, api))

Reviewer = Annotated[Who, needs(Permission.REVIEW)]
Limit = Annotated[int, Query(ge=1, le=200)]

ON_A_PAGE = 50


class Pressed(BaseModel):
    """The form of one decision: what was on the screen, what was pressed, and which one comes after (0: none)."""

    say: str = Field(max_length=40)
    seen: int = Field(default=0, ge=0, lt=BEYOND)
    after: int = Field(default=0, ge=0, lt=BEYOND)
    note: str = Field(default="", max_length=LONGEST_NOTE)


PressedForm = Annotated[Pressed, Form()]


@dataclass(frozen=True, slots=True)
class Key:
    """A decision, the key that makes it, and how the button reads."""

    key: str
    value: str
    side: str
    words: str

    @property
    def say(self) -> str:
        """The button's value in the form."""
        return f"{self.value} {self.side}".strip()


LABEL_KEYS = (
    Key("p", "positive", "", "positive"),
    Key("l", "positive", "left", "positive, left"),
    Key("r", "positive", "right", "positive, right"),
    Key("b", "positive", "bilateral", "positive, both sides"),
    Key("u", "uncertain", "", "uncertain"),
    Key("n", "negative", "", "negative"),
    Key("g", "resolved", "", "resolved (gone)"),
    Key("m", "not_mentioned", "", "not mentioned"),
    Key("c", "not_covered", "", "chest not covered"),
)
FINDING_KEYS = (
    Key("a", "accept", "", "accept"),
    Key("x", "reject", "", "reject"),
    Key("l", "modify", "left", "modify: left"),
    Key("r", "modify", "right", "modify: right"),
    Key("b", "modify", "bilateral", "modify: both sides"),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """The number under which a decision is kept."""

    number: int


@router.get("/review")
def labels(request: Request, parts: PartsOf, who: Reviewer, report: Named = None, done: Named = None) -> Response:
    """Doubtful labels, one of them with its text."""
    rows = list_labels(parts, who, ON_A_PAGE)
    chosen = report or (rows[0].report_id if rows else None)
    seen = acts.read(parts, who, chosen) if chosen else None
    after = _after([row.report_id for row in rows], chosen)
    return page(
        request,
        "review_labels.jinja",
        rows=rows,
        seen=seen,
        viewer=viewer_of(parts, who, seen.study) if seen else None,
        after=after,
        done=done,
        keys=LABEL_KEYS,
        full=len(rows) == ON_A_PAGE,
    )


@router.post("/review/labels/{report}")
def say_label(parts: PartsOf, who: Reviewer, report: Number, form: PressedForm) -> Response:
    """One key was pressed."""
    wanted = _pressed(LABEL_KEYS, form.say)
    said = LabelSaid(label=LabelValue(wanted.value), laterality=_side(wanted), note=form.note, seen=form.seen)
    acts.keep_label(parts, who, report, said)
    return RedirectResponse(f"/review?done={report}" + (f"&report={form.after}" if form.after else ""), 303)


@router.get("/review/findings")
def findings(request: Request, parts: PartsOf, who: Reviewer, finding: Named = None, done: Named = None) -> Response:
    """Findings that the truth contradicts, one of them with the report."""
    rows = list_disagreements(parts, who, ON_A_PAGE)
    chosen = finding or (rows[0].finding_id if rows else None)
    with begin_read(parts.engine) as session:
        of_it = assessments.disagreements(session, 1, finding_id=chosen) if chosen else []
        said = assessments.said_of(session, chosen) if chosen else ()
    if chosen and not of_it:
        raise HTTPException(404, f"finding {chosen} is held against no report now")
    seen = acts.read(parts, who, of_it[0].report_id, of_it[0].study_instance_uid) if of_it else None
    return page(
        request,
        "review_findings.jinja",
        rows=rows,
        pair=of_it[0] if of_it else None,
        seen=seen,
        viewer=viewer_of(parts, who, seen.study) if seen else None,
        said=said,
        after=_after([row.finding_id for row in rows], chosen),
        done=done,
        keys=FINDING_KEYS,
        full=len(rows) == ON_A_PAGE,
    )


@router.post("/review/findings/{finding}")
def say_finding(parts: PartsOf, who: Reviewer, finding: Number, form: PressedForm) -> Response:
    """One key was pressed."""
    wanted = _pressed(FINDING_KEYS, form.say)
    said = FindingSaid(word=Assessment(wanted.value), laterality=_side(wanted), note=form.note, seen=form.seen)
    acts.keep_finding(parts, who, finding, said)
    return RedirectResponse(f"/review/findings?done={finding}" + (f"&finding={form.after}" if form.after else ""), 303)


@api.get("/review/labels")
def list_labels(parts: PartsOf, who: Reviewer, limit: Limit = ON_A_PAGE) -> list[Doubtful]:
    """Reports whose label is in doubt, with the sentence that decided, the newest report first."""
    acts.may_read(who)
    with begin_read(parts.engine) as session:
        rows = report_review.doubtful(session, limit)
    if rows:
        acts.note_look(parts, who, [], reports=[row.report_id for row in rows])
    return rows


@api.get("/review/labels/{report}")
def show_label(parts: PartsOf, who: Reviewer, report: Number) -> ReportShown:
    """A report's text in pieces, with what decided marked."""
    return acts.read(parts, who, report)


@api.post("/review/labels/{report}", status_code=201)
def keep_label(parts: PartsOf, who: Reviewer, report: Number, said: LabelSaid) -> Kept:
    """Say what a report says; from now on it counts before the rules."""
    return Kept(acts.keep_label(parts, who, report, said))


@api.get("/review/findings")
def list_disagreements(parts: PartsOf, who: Reviewer, limit: Limit = ON_A_PAGE) -> list[Disagreement]:
    """Findings that their report contradicts and of which nobody has said anything, the newest first."""
    acts.may_read(who)
    with begin_read(parts.engine) as session:
        rows = assessments.disagreements(session, limit)
    if rows:
        acts.note_look(parts, who, list(dict.fromkeys(row.study_instance_uid for row in rows)))
    return rows


@api.get("/review/findings/{finding}")
def show_pair(parts: PartsOf, who: Reviewer, finding: Number) -> Disagreement:
    """A finding and the report that it is held against now, also where they agree."""
    acts.may_read(who)
    with begin_read(parts.engine) as session:
        found = assessments.disagreements(session, 1, finding_id=finding)
    if not found:
        raise HTTPException(404, f"finding {finding} is held against no report now")
    acts.note_look(parts, who, [found[0].study_instance_uid])
    return found[0]


@dataclass(frozen=True, slots=True)
class Said:
    """One word of a person on a finding."""

    number: int
    word: str
    laterality: str | None
    note: str
    by: str
    at: datetime


@api.get("/findings/{finding}/assessments")
def list_assessments(parts: PartsOf, _who: Reviewer, finding: Number) -> list[Said]:
    """What people have said of a finding, the newest first."""
    with begin_read(parts.engine) as session:
        rows = assessments.said_of(session, finding)
    return [Said(row.id, row.word, row.laterality, row.note, row.assessed_by, row.assessed_at) for row in rows]


@api.post("/findings/{finding}/assessments", status_code=201)
def keep_finding(parts: PartsOf, who: Reviewer, finding: Number, said: FindingSaid) -> Kept:
    """Accept, modify or reject a finding. What the model said stays as it is."""
    return Kept(acts.keep_finding(parts, who, finding, said))


def _pressed(keys: Sequence[Key], say: str) -> Key:
    found = next((one for one in keys if one.say == say), None)
    if found is None:
        raise HTTPException(422, f"say is one of {', '.join(one.say for one in keys)}")
    return found


def _side(wanted: Key) -> Laterality | None:
    return Laterality(wanted.side) if wanted.side else None


def _after(numbers: Sequence[int], chosen: int | None) -> int | None:
    """The one below in the list, for after the decision."""
    rest = numbers[numbers.index(chosen) + 1 :] if chosen in numbers else ()
    return rest[0] if rest else None
