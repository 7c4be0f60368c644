"""Reports whose newest label by the rules is of another version of the labeller, or of another text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, select

from ptx_node.db.tables import RadiologyReport, ReportLabelRow
from ptx_node.domain.radiology_report import ReportStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

MEANING = (
    *(
        "text_sha256",
        "value",
        "laterality",
        "size",
        "depth_mm",
        "drain",
        "sentence_start",
        "sentence_end",
        "evidence_start",
        "evidence_end",
    ),
    *("rule", "language", "review"),
)
"""All that a label says, but for who says it and when."""


def outdated(session: Session, version: str, *, after: int, limit: int) -> Sequence[RadiologyReport]:
    """Readable reports behind number `after` that `version` has not labelled as they stand; locked, what another has locked left out."""
    report, label = RadiologyReport, ReportLabelRow
    done = exists().where(
        label.report_id == report.id, label.reviewer.is_(None), label.labeller == version, label.text_sha256 == report.text_sha256
    )
    wanted = select(report).where(report.id > after, report.readable, report.status != ReportStatus.WITHDRAWN, ~done)
    return session.scalars(wanted.order_by(report.id).limit(limit).with_for_update(skip_locked=True, key_share=True)).all()


def machine_label(session: Session, report_id: int) -> ReportLabelRow | None:
    """The newest label that the rules gave a report."""
    table = ReportLabelRow
    newest = select(func.max(table.id)).where(table.report_id == report_id, table.reviewer.is_(None)).scalar_subquery()
    return session.scalar(select(table).where(table.id == newest))


def meaning(label: ReportLabelRow | None) -> tuple[Any, ...] | None:
    """What a label says, for comparing."""
    return None if label is None else tuple(getattr(label, name) for name in MEANING)
