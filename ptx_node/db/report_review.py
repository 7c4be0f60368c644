"""Labels that a person should look at, and what persons say: it counts before the rules, and stays when the text is labelled again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 - the API's schema is made of these fields
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from ptx_node.db import radiology_reports as reports
from ptx_node.db.tables import RadiologyReport, RadiologyReportVersion, ReportLabelRow
from ptx_node.domain.radiology_report import joined
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.domain.finding import Laterality
    from ptx_node.domain.truth import LabelValue

RULE = "person"
TEXT_CHANGED = "text_changed"
"""A person decided, and the report says something else since: the decision stands until he looks again."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A report whose label a person should look at. `sentence` is what decided, in the report's own words."""

    report_id: int
    source: str
    examined_on: date | None
    label: str
    rule: str
    review: tuple[str, ...]
    sentence: str


def doubtful(session: Session, limit: int) -> list[Doubtful]:
    """Reports whose label is in doubt and nobody has decided, or was decided on an earlier text; the newest examination first."""
    table = ReportLabelRow
    wanted = (
        select(RadiologyReport, table)
        .join(table, table.id == RadiologyReport.label_id)
        .where(or_(table.needs_review.is_(True), table.reviewer.is_not(None) & (table.text_sha256 != RadiologyReport.text_sha256)))
        .order_by(RadiologyReport.examined_on.desc(), RadiologyReport.id.desc())
        .limit(limit)
    )
    found = []
    for report, label in session.execute(wanted):
        text = text_of(session, report)
        sentence = "" if label.sentence_start is None else text[label.sentence_start : label.sentence_end]
        found.append(
            Doubtful(
                report.id, report.source, report.examined_on, label.value, label.rule, tuple(label.review) or (TEXT_CHANGED,), sentence
            )
        )
    return found


def text_of(session: Session, report: RadiologyReport) -> str:
    """What a report says now: the version that counts, and its addenda."""
    versions = [session.get_one(RadiologyReportVersion, number) for number in report.version_ids]
    return joined(one.text for one in versions) if versions else ""


def decide(
    session: Session, report_id: int, value: LabelValue, *, laterality: Laterality | None, reviewer: str, note: str, now: datetime
) -> int:
    """Write what a person says of a report; from now on it counts. Returns the label's number.

    Raises:
        UsageError: there is no such report, or it has no version that counts.
    """
    report = session.get(RadiologyReport, report_id, with_for_update=True)
    if report is None or not report.version_ids:
        raise UsageError(f"there is no radiology report {report_id} that counts. List the doubtful ones: ptx reports review")
    row = ReportLabelRow(
        report_id=report.id,
        version_id=report.version_ids[-1],
        text_sha256=report.text_sha256,
        value=str(value),
        laterality=str(laterality) if laterality else None,
        size="",
        drain=False,
        rule=RULE,
        language="",
        labeller="",
        reviewer=reviewer,
        note=note or None,
        needs_review=False,
        review=[],
        decided_at=now,
    )
    session.add(row)
    session.flush()
    report.label_id = row.id
    reports.touch(report, now=now)
    session.flush()
    return row.id
