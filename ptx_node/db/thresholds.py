"""A site's own thresholds, in versions: what holds now, what held before, and the cases that one is proposed from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ptx_node.db.tables import ExaminationRow, FindingRow, PairRow, PatientIdentifier, RadiologyReport
from ptx_node.db.threshold_tables import ThresholdRow
from ptx_node.domain.reconciliation import Agreement

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy.orm import Session

WITH_AIR = (Agreement.TRUE_POSITIVE, Agreement.FALSE_NEGATIVE)
WITHOUT_AIR = (Agreement.TRUE_NEGATIVE, Agreement.FALSE_POSITIVE)


class Action(StrEnum):
    """What happened to a threshold."""

    PROPOSED = "proposed"
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"
    """The model's own counts again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the history; its number is the version that people name."""

    number: int
    action: str
    model: str
    weights_sha256: str
    value: float | None
    proposal: int | None
    evidence: dict[str, Any] | None
    decided_by: str
    note: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Verified:
    """A finding whose CT report was decided: what a threshold can be proposed from."""

    person_id: int
    probability: float
    pneumothorax: bool


def in_force(session: Session) -> dict[str, float]:
    """The site's own threshold by SHA-256 of the weights that it is for; models without one are not in it."""
    decided = ThresholdRow.action != Action.PROPOSED
    newest = select(func.max(ThresholdRow.id)).where(decided).group_by(ThresholdRow.weights_sha256)
    rows = session.execute(select(ThresholdRow.weights_sha256, ThresholdRow.value).where(ThresholdRow.id.in_(newest)))
    return {weights: value for weights, value in rows if value is not None}


def record(
    session: Session,
    action: Action,
    *,
    model: str,
    weights_sha256: str,
    value: float | None,
    decided_by: str,
    now: datetime,
    note: str = "",
    proposal_id: int | None = None,
    evidence: dict[str, Any] | None = None,
) -> int:
    """Add a step; its number."""
    row = ThresholdRow(
        action=str(action),
        model=model,
        weights_sha256=weights_sha256,
        value=value,
        proposal_id=proposal_id,
        evidence=evidence,
        decided_by=decided_by,
        note=note,
        decided_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def history(session: Session, model: str | None = None) -> list[Step]:
    """Every step, the newest first; of one model, or of all."""
    wanted = select(ThresholdRow).order_by(ThresholdRow.id.desc())
    if model is not None:
        wanted = wanted.where(ThresholdRow.model == model)
    return [_step(row) for row in session.scalars(wanted)]


def step(session: Session, number: int) -> Step | None:
    """The step of this number."""
    row = session.get(ThresholdRow, number)
    return None if row is None else _step(row)


def verified(session: Session, weights_sha256: str, since: date | None = None, until: date | None = None) -> list[Verified]:
    """Findings of these weights with a decided CT report: primary pairs that stand, of examinations in the period (both days in)."""
    decided = [str(one) for one in (*WITH_AIR, *WITHOUT_AIR)]
    wanted = (
        select(PatientIdentifier.person_id, FindingRow.probability, PairRow.agreement)
        .join(FindingRow, FindingRow.id == PairRow.finding_id)
        .join(ExaminationRow, ExaminationRow.finding_id == FindingRow.id)
        .join(RadiologyReport, RadiologyReport.id == PairRow.report_id)
        .join(PatientIdentifier, PatientIdentifier.id == RadiologyReport.identifier_id)
        .where(PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None), PairRow.agreement.in_(decided))
        .where(FindingRow.weights_sha256 == weights_sha256)
        .order_by(PairRow.finding_id)
    )
    if since is not None:
        wanted = wanted.where(ExaminationRow.examined_on >= since)
    if until is not None:
        wanted = wanted.where(ExaminationRow.examined_on <= until)
    rows = session.execute(wanted).tuples()
    return [Verified(person, said, agreement in WITH_AIR) for person, said, agreement in rows if said is not None]


def _step(row: ThresholdRow) -> Step:
    return Step(
        row.id,
        row.action,
        row.model,
        row.weights_sha256,
        row.value,
        row.proposal_id,
        row.evidence,
        row.decided_by,
        row.note,
        row.decided_at,
    )
