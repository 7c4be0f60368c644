"""What the reconciliation holds now, for people and figures: counts, and the primary pairs with what both sides said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.report_review import text_of
from ptx_node.db.tables import ExaminationRow, FindingRow, PairRow, PatientIdentifier, RadiologyReport, ReportLabelRow, UnmatchedRow

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session


def standing_counts(session: Session) -> dict[str, int]:
    """How many primary pairs hold by what they say, and what is without a partner by reason (`unmatched …`)."""
    primary = (PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None))
    counts = {
        name: int(number)
        for name, number in session.execute(select(PairRow.agreement, func.count()).where(*primary).group_by(PairRow.agreement))
    }
    alone = select(UnmatchedRow.reason, func.count()).where(UnmatchedRow.superseded_at.is_(None)).group_by(UnmatchedRow.reason)
    return counts | {f"unmatched {reason}": int(number) for reason, number in session.execute(alone)}


@dataclass(frozen=True, slots=True)
class Held:
    """A primary pair that stands, as people read it. `evidence` is the sentence of the report that decided."""

    person_id: int | None
    study_instance_uid: str
    modality: str
    outcome: str
    probability: float | None
    laterality: str | None
    label: str
    label_laterality: str | None
    evidence: str
    interval_s: float | None
    agreement: str


def primary_pairs(session: Session, study_instance_uids: Collection[str] | None = None) -> list[Held]:
    """The primary pairs that stand, by time of examination; of these studies alone, where they are given."""
    wanted = (
        select(PairRow, FindingRow, ReportLabelRow, RadiologyReport, ExaminationRow.modality, PatientIdentifier.person_id)
        .join(FindingRow, FindingRow.id == PairRow.finding_id)
        .join(ReportLabelRow, ReportLabelRow.id == PairRow.label_id)
        .join(RadiologyReport, RadiologyReport.id == PairRow.report_id)
        .join(ExaminationRow, ExaminationRow.finding_id == PairRow.finding_id)
        .outerjoin(PatientIdentifier, PatientIdentifier.id == RadiologyReport.identifier_id)
        .where(PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None))
        .order_by(ExaminationRow.examined_on, ExaminationRow.examined_at, PairRow.id)
    )
    if study_instance_uids is not None:
        wanted = wanted.where(FindingRow.study_instance_uid.in_(study_instance_uids))
    return [
        Held(
            person_id,
            finding.study_instance_uid,
            modality,
            finding.outcome,
            finding.probability,
            finding.laterality,
            label.value,
            label.laterality,
            "" if label.sentence_start is None else text_of(session, report)[label.sentence_start : label.sentence_end],
            pair.interval_s,
            pair.agreement,
        )
        for pair, finding, label, report, modality, person_id in session.execute(wanted)
    ]
