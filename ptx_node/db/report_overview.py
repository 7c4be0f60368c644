"""What people ask of the radiology reports: what came to the doors, what waits for its patient. Read only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ptx_node.db.tables import RadiologyReport, ReportLabelRow, ReportMessage

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Row = dict[str, Any]

NOT_TAKEN = ("refused", "quarantined", "ignored")
MESSAGE = ("id", "via", "sender", "control_id", "kind", "verdict", "acknowledgement", "reason", "detail", "path", "times_received")
REPORT = ("id", "source", "external_id", "status", "examined_on", "modality", "accession_number", "parked", "changed_at")


def messages(session: Session, *, not_taken: bool, limit: int) -> list[Row]:
    """What came, the newest first; `not_taken`: only what was refused, kept aside or passed over."""
    columns = [getattr(ReportMessage, name) for name in (*MESSAGE, "received_at")]
    wanted = select(*columns).order_by(ReportMessage.id.desc()).limit(limit)
    if not_taken:
        wanted = wanted.where(ReportMessage.verdict.in_(NOT_TAKEN))
    return [dict(row) for row in session.execute(wanted).mappings()]


def reports(session: Session, *, parked: bool, limit: int) -> list[Row]:
    """Reports as they stand with the label that counts, the newest first; `parked`: only those without a patient."""
    columns = [getattr(RadiologyReport, name) for name in REPORT]
    wanted = select(*columns, ReportLabelRow.value.label("label")).outerjoin(ReportLabelRow, ReportLabelRow.id == RadiologyReport.label_id)
    if parked:
        wanted = wanted.where(RadiologyReport.parked.is_not(None))
    return [dict(row) for row in session.execute(wanted.order_by(RadiologyReport.id.desc()).limit(limit)).mappings()]


def by_place(session: Session) -> dict[str, int]:
    """How many reports there are, by why their patient is not known; `with_patient` for the others."""
    place = func.coalesce(RadiologyReport.parked, "with_patient")
    return {row[0]: row[1] for row in session.execute(select(place, func.count()).group_by(place))}


def by_verdict(session: Session) -> dict[str, int]:
    """How many messages came to the doors for reports, by what became of them."""
    return {row[0]: row[1] for row in session.execute(select(ReportMessage.verdict, func.count()).group_by(ReportMessage.verdict))}
