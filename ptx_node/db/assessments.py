"""Findings that the truth contradicts, and what people say of them. What a person says is added, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 - the API's schema is made of these fields
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from ptx_node.db import audit
from ptx_node.db.assessment_tables import AssessmentRow
from ptx_node.db.tables import ExaminationRow, FindingRow, PairRow, ReportLabelRow
from ptx_node.domain.assessment import Assessment
from ptx_node.domain.audit_events import decision
from ptx_node.domain.finding import Outcome
from ptx_node.domain.reconciliation import Agreement
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.domain.finding import Laterality

DISAGREEING = (Agreement.FALSE_POSITIVE, Agreement.FALSE_NEGATIVE)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A primary pair in which finding and report say opposite things. Areas in mm², volumes in ml, the interval in seconds."""

    pair_id: int
    finding_id: int
    report_id: int
    study_instance_uid: str
    modality: str
    examined_on: date | None
    agreement: str
    outcome: str
    probability: float | None
    threshold: float | None
    laterality: str | None
    area_mm2: float | None
    volume_ml: float | None
    label: str
    label_laterality: str | None
    interval_s: float | None


def disagreements(session: Session, limit: int, *, finding_id: int | None = None) -> list[Disagreement]:
    """Primary pairs that stand, disagree, and of which nobody has said anything, the newest first; or those of one finding."""
    wanted = (
        select(PairRow, FindingRow, ReportLabelRow, ExaminationRow.modality, ExaminationRow.examined_on)
        .join(FindingRow, FindingRow.id == PairRow.finding_id)
        .join(ReportLabelRow, ReportLabelRow.id == PairRow.label_id)
        .join(ExaminationRow, ExaminationRow.finding_id == PairRow.finding_id)
        .where(PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None))
        .order_by(PairRow.id.desc())
        .limit(limit)
    )
    if finding_id is None:
        said = exists().where(AssessmentRow.pair_id == PairRow.id)
        wanted = wanted.where(PairRow.agreement.in_(DISAGREEING), ~said)
    else:
        wanted = wanted.where(PairRow.finding_id == finding_id)
    return [
        Disagreement(
            pair.id,
            finding.id,
            pair.report_id,
            finding.study_instance_uid,
            modality,
            examined_on,
            pair.agreement,
            finding.outcome,
            finding.probability,
            finding.threshold,
            finding.laterality,
            finding.area_mm2,
            finding.volume_ml,
            label.value,
            label.laterality,
            pair.interval_s,
        )
        for pair, finding, label, modality, examined_on in session.execute(wanted)
    ]


def said_of(session: Session, finding_id: int) -> Sequence[AssessmentRow]:
    """What people have said of a finding, the newest first."""
    return session.scalars(select(AssessmentRow).where(AssessmentRow.finding_id == finding_id).order_by(AssessmentRow.id.desc())).all()


def assess(
    session: Session,
    finding_id: int,
    word: Assessment,
    *,
    laterality: Laterality | None = None,
    pair_id: int | None = None,
    by: str,
    note: str = "",
    now: datetime,
) -> int:
    """Add what a person says of a finding, and note it in the audit trail. Returns the row's number.

    Raises:
        UsageError: there is no such finding or pair, the model gave no answer, or a side goes with another word than `modify`.
    """
    finding = session.get(FindingRow, finding_id, with_for_update=True)
    if finding is None or finding.outcome not in (Outcome.POSITIVE, Outcome.NEGATIVE):
        raise UsageError(f"there is no finding {finding_id} in which a model says yes or no")
    if laterality is not None and word is not Assessment.MODIFY:
        raise UsageError(f"a side goes with modify, not with {word}")
    if word is Assessment.MODIFY and laterality is None and not note.strip():
        raise UsageError("modify needs a side, or a note that says what is different")
    if pair_id is not None and session.scalar(select(PairRow.finding_id).where(PairRow.id == pair_id)) != finding_id:
        raise UsageError(f"pair {pair_id} is not of finding {finding_id}")
    row = AssessmentRow(
        finding_id=finding_id,
        pair_id=pair_id,
        word=str(word),
        laterality=str(laterality) if laterality else None,
        note=note.strip(),
        assessed_by=by,
        assessed_at=now,
    )
    if session.get_bind().dialect.name == "sqlite":  # where the table takes the next number only, and has one writer
        row.id = (session.scalar(select(func.max(AssessmentRow.id))) or 0) + 1
    session.add(row)
    session.flush()
    audit.note(session, decision(by, "finding assessment", finding=finding_id, assessment=row.id, value=str(word)))
    return row.id
