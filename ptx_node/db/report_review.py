"""Labels that a person should look at, and what persons say: it counts before the rules, and stays when the text is labelled again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 - the API's schema is made of these fields
from typing import TYPE_CHECKING

from sqlalchemy import Boolean, literal_column, select

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
    """Reports whose label is in doubt and nobody has decided, or was decided on an earlier text; the newest report first."""
    label, report = ReportLabelRow, RadiologyReport
    # Each along an index of its own, with a look at the report of one label after the other: a join would read every report.
    counts = select(report.label_id).where(report.id == label.report_id).scalar_subquery() == label.id
    text_now = select(report.text_sha256).where(report.id == label.report_id).scalar_subquery()
    in_doubt = select(label).where(literal_column("report_labels.needs_review", Boolean), counts)
    outlived = select(label).where(label.reviewer.is_not(None), label.text_sha256 != text_now, counts)
    newest = [session.scalars(way.order_by(label.report_id.desc()).limit(limit)).all() for way in (in_doubt, outlived)]
    labels = {one.report_id: one for way in newest for one in way}
    numbers = sorted(labels, reverse=True)[:limit]
    reports_of = {one.id: one for one in session.scalars(select(report).where(report.id.in_(numbers)))}
    return [_doubtful(reports_of[one], labels[one], text_of(session, reports_of[one])) for one in numbers]


def _doubtful(report: RadiologyReport, label: ReportLabelRow, text: str) -> Doubtful:
    sentence = "" if label.sentence_start is None else text[label.sentence_start : label.sentence_end]
    review = tuple(label.review) or (TEXT_CHANGED,)
    return Doubtful(report.id, report.source, report.examined_on, label.value, label.rule, review, sentence)


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
