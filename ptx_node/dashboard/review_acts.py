"""What the review's pages and its API do alike: read a report, keep a decision on a label or a finding, note who looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import HTTPException
from pydantic import BaseModel, Field

from ptx_node.dashboard import review_text
from ptx_node.dashboard.given import BEYOND
from ptx_node.db import assessments, audit, report_review
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import FindingRow, RadiologyReport
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.assessment import Assessment
from ptx_node.domain.audit_events import decision, looked
from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.dashboard.parts import Parts
    from ptx_node.dashboard.review_text import ReportShown

LONGEST_NOTE = 2000
WITH_A_SIDE = (LabelValue.POSITIVE, LabelValue.UNCERTAIN)
Seen = Annotated[int | None, Field(ge=0, lt=BEYOND)]
FASTER = "somebody has decided on this meanwhile: look at it again"


class LabelSaid(BaseModel):
    """What a person says of a report. `seen`: the `label_id` that was looked at, 0 for none; with another one nothing is kept (409)."""

    label: LabelValue
    laterality: Laterality | None = None
    note: str = Field(default="", max_length=LONGEST_NOTE)
    seen: Seen = None


class FindingSaid(BaseModel):
    """What a person says of a finding: one of IHE AIRA's three words; a side goes with `modify`.

    `seen`: the number of the newest assessment that was looked at, 0 for none; where there is a newer one nothing is kept (409).
    """

    word: Assessment
    laterality: Laterality | None = None
    note: str = Field(default="", max_length=LONGEST_NOTE)
    seen: Seen = None


def keep_label(parts: Parts, who: Who, report: int, said: LabelSaid) -> int:
    """Keep what a person says of a report; the label's number."""
    if said.laterality is not None and said.label not in WITH_A_SIDE:
        raise UsageError(f"a side goes with a positive or uncertain report, not with {said.label}")
    with begin_write(parts.engine) as session:
        known = session.get(RadiologyReport, report, with_for_update=True)
        if known is not None and said.seen is not None and (known.label_id or 0) != said.seen:
            raise HTTPException(409, FASTER)
        number = report_review.decide(
            session, report, said.label, laterality=said.laterality, reviewer=who.actor, note=said.note.strip(), now=now()
        )
        audit.note(session, decision(who.actor, "report label", report=report, label=number, value=str(said.label)))
    return number


def keep_finding(parts: Parts, who: Who, finding: int, said: FindingSaid) -> int:
    """Keep a word on a finding; its number."""
    with begin_write(parts.engine) as session:
        session.get(FindingRow, finding, with_for_update=True)
        before = assessments.said_of(session, finding)
        if said.seen is not None and (before[0].id if before else 0) != said.seen:
            raise HTTPException(409, FASTER)
        of_it = assessments.disagreements(session, 1, finding_id=finding)
        pair = of_it[0].pair_id if of_it else None
        return assessments.assess(
            session, finding, said.word, laterality=said.laterality, pair_id=pair, by=who.actor, note=said.note, now=now()
        )


def read(parts: Parts, who: Who, report: int, study_instance_uid: str = "") -> ReportShown:
    """A report for a person to read, which the audit trail notes."""
    may_read(who)
    with begin_read(parts.engine) as session:
        found = review_text.shown(session, report)
    if found is None:
        raise HTTPException(404, f"there is no radiology report {report}")
    uid = study_instance_uid or found[1]
    note_look(parts, who, [uid] if uid else [], reports=[report])
    return found[0]


def may_read(who: Who) -> None:
    """A report's text is a patient's: whoever may decide and not see patients decides elsewhere."""
    if not who.may(Permission.PATIENTS):
        raise HTTPException(403, f"{who.name} may not read reports: it needs the permission {Permission.PATIENTS.value!r} too")


def note_look(parts: Parts, who: Who, uids: Sequence[str], **told: object) -> None:
    """Who was shown what stands in the trail before they see it."""
    with begin_write(parts.engine) as session:
        audit.note(session, looked(who.actor, "review", uids, **told))
