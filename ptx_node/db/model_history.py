"""Which models answered in a period, at which thresholds, and from when to when. Read only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.tables import AuditEvent, ExaminationRow, FindingRow, PairRow, ReportLabelRow
from ptx_node.domain.audit import AuditKind, Link
from ptx_node.domain.finding import ModelIdentity

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Period

ABOUT_THE_TRAIL = (AuditKind.EXPORT, AuditKind.VERIFICATION, AuditKind.LOGIN, AuditKind.LOOK)
"""Rows that tell of looking at what is there, and change nothing of it."""


@dataclass(frozen=True, slots=True)
class Used:
    """A model at one threshold; `threshold` is None of findings without an answer."""

    model: ModelIdentity
    threshold: float | None
    findings: int
    first_at: datetime
    last_at: datetime


def used_models(session: Session, period: Period) -> list[Used]:
    """What answered about images examined in the period, by name, version and time."""
    return used_where(session, ExaminationRow.examined_on.between(period.since, period.until))


def used_where(session: Session, which: ColumnElement[bool]) -> list[Used]:
    """As `used_models`, of some examinations."""
    row = FindingRow
    identity = (row.model_manufacturer, row.model_name, row.model_version, row.weights_sha256, row.device_uid)
    wanted = (
        select(*identity, row.threshold, func.count(), func.min(row.inferred_at), func.max(row.inferred_at))
        .join(ExaminationRow, ExaminationRow.finding_id == row.id)
        .where(which)
        .group_by(*identity, row.threshold)
    )
    found = [Used(ModelIdentity(*one[:5]), *one[5:]) for one in session.execute(wanted)]
    return sorted(found, key=lambda one: (one.model.name, one.model.version, one.model.weights_sha256, one.first_at, one.threshold or 0.0))


def last_word(session: Session, period: Period) -> datetime | None:
    """When the last finding of the period's images, or the last label, was written: a cohort's images are read long after their day."""
    seen, pair = ExaminationRow, PairRow
    of_period = seen.examined_on.between(period.since, period.until)
    findings = select(func.max(FindingRow.inferred_at)).join(seen, seen.finding_id == FindingRow.id).where(of_period)
    labels = (
        select(func.max(ReportLabelRow.decided_at))
        .join(pair, pair.label_id == ReportLabelRow.id)
        .join(seen, seen.finding_id == pair.finding_id)
        .where(of_period, pair.superseded_at.is_(None))
    )
    return max((one for one in (session.scalar(findings), session.scalar(labels)) if one is not None), default=None)


def last_that_matters(session: Session, first: int, last: int) -> int:
    """The last row between these two that is not only about looking; the one before the first where there is none.

    A segment that ends there is the same again after an export, which is itself a row of the trail.
    """
    row = AuditEvent
    found = session.scalar(
        select(row.sequence)
        .where(row.sequence.between(first, last), row.kind.not_in(ABOUT_THE_TRAIL))
        .order_by(row.sequence.desc())
        .limit(1)
    )
    return found if found is not None else first - 1


def link_at(session: Session, sequence: int) -> Link | None:
    """A place in the chain, by its number."""
    found = session.execute(select(AuditEvent.sequence, AuditEvent.sha256).where(AuditEvent.sequence == sequence)).first()
    return Link(*found) if found else None


def recorded_at(session: Session, sequence: int) -> datetime | None:
    """When a row was recorded."""
    return session.scalar(select(AuditEvent.recorded_at).where(AuditEvent.sequence == sequence))
