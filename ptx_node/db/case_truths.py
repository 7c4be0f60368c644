"""What a person says of a finding, or why nobody is heard: the truth against which an auditor holds the answers. Read only.

Truth is the label of the radiology report in the primary pair, or what readers say of the image, by label or by mask.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ptx_node.db import truths
from ptx_node.db.tables import CohortMember, PairRow, RadiologyReport, RadiologyReportVersion, ReportLabelRow, UnmatchedRow
from ptx_node.domain.cohort import MemberState
from ptx_node.domain.radiology_report import joined
from ptx_node.domain.reading import TruthKind
from ptx_node.domain.reconciliation import Unmatched
from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

NO_READING = "no_reading"
"""Why there is no truth of readers."""

LABEL_RANK: dict[str, int] = {LabelValue.POSITIVE: 0, LabelValue.UNCERTAIN: 1}
"""Where several reports tell of one CT series: one that names a pneumothorax counts, then one that leaves it open, then any."""

SECONDARY_RANK = (Unmatched.ORDER_UNKNOWN, Unmatched.NOT_NEAREST, Unmatched.NO_RADIOGRAPH_BEFORE, Unmatched.OTHER_EXAMINATION)
"""Where no pair of a finding is primary, the first of these that holds is why."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a person says of a case.

    Attributes:
        report: (source, the source's number) of the radiology report; None where readers say it.
        drain: None where a person gave the label, who was not asked; `doubtful` likewise of readers.
        rule: that decided; of readers how many of them agree.
        doubtful: a person should look, and none has, or it was at another text.
        words: that decided, where they were asked for and are known.
        interval_s: from the image to the CT; None where a time is missing.
    """

    kind: TruthKind
    label: str
    laterality: str | None
    size: str
    rule: str
    report: tuple[str, str] | None = None
    depth_mm: float | None = None
    drain: bool | None = None
    version: str = ""
    language: str = ""
    doubtful: bool | None = None
    words: str | None = None
    interval_s: float | None = None


_LABEL = ("value", "laterality", "size", "depth_mm", "drain", "rule", "labeller", "language", "needs_review", "reviewer")


def report_truths(session: Session, findings: Collection[int], *, words: bool = False) -> dict[int, Truth]:
    """The label of each finding's primary pair that stands. `words`: also those that decided, which are read from the texts."""
    pair = PairRow
    standing = (pair.finding_id.in_(findings), pair.superseded_at.is_(None), pair.secondary_reason.is_(None))
    return _labels_by(session, pair, standing, words=words)


def cohort_truths(session: Session, cohort_id: int, findings: Collection[int], *, words: bool = False) -> dict[int, Truth]:
    """As `report_truths`, by the label that decided a counted member's group."""
    member = CohortMember
    counted = (member.cohort_id == cohort_id, member.finding_id.in_(findings), member.state == MemberState.COUNTED)
    return _labels_by(session, member, counted, words=words)


def _labels_by(
    session: Session, link: type[PairRow | CohortMember], which: Sequence[ColumnElement[bool]], *, words: bool
) -> dict[int, Truth]:
    """What is said of each finding by the rows that hold it against a label."""
    label, report = ReportLabelRow, RadiologyReport
    wanted = (
        select(
            *(link.finding_id, link.report_id, link.interval_s, report.source, report.external_id),
            *(getattr(label, name) for name in _LABEL),
            *(label.evidence_start, label.evidence_end, report.version_ids),
            label.text_sha256 == report.text_sha256,
        )
        .join(label, label.id == link.label_id)
        .join(report, report.id == link.report_id)
        .where(*which)
    )
    rows = sorted(session.execute(wanted), key=lambda row: (row.finding_id, LABEL_RANK.get(row.value, len(LABEL_RANK)), row.report_id))
    first = {row.finding_id: row for row in reversed(rows)}
    texts = _texts(session, {one for row in first.values() for one in row.version_ids}) if words else {}
    return {finding: _told(row, texts) for finding, row in first.items()}


def reader_truths(session: Session, findings: Collection[int], kind: TruthKind) -> dict[int, Truth]:
    """What readers of this kind say together of each finding of which they say anything."""
    return {
        finding: Truth(kind, str(said.label), said.laterality, said.size, f"{said.agreeing} of {said.readers} readers")
        for (finding, whose), said in truths.truths_of(session, findings).items()
        if whose is kind
    }


def unmatched(session: Session, findings: Collection[int]) -> dict[int, str]:
    """Why findings have no primary pair, by the last reconciliation."""
    pair, alone = PairRow, UnmatchedRow
    reasons: defaultdict[int, set[str]] = defaultdict(set)
    pairs = (pair.finding_id.in_(findings), pair.superseded_at.is_(None))
    for finding, reason in session.execute(select(pair.finding_id, pair.secondary_reason).where(*pairs)):
        reasons[finding].add(reason or "")
    found = {finding: min(some, key=_secondary_rank) for finding, some in reasons.items() if "" not in some}
    standing = select(alone.finding_id, alone.reason).where(alone.finding_id.in_(findings), alone.superseded_at.is_(None))
    return found | {finding: reason for finding, reason in session.execute(standing) if finding is not None}


def _secondary_rank(reason: str) -> int:
    return SECONDARY_RANK.index(Unmatched(reason))


def _told(row: Any, texts: dict[int, str]) -> Truth:
    (*_, start, end, versions, same_text) = row
    here = texts and same_text and start is not None and all(one in texts for one in versions)
    return Truth(
        kind=TruthKind.REPORT,
        report=(row.source, row.external_id),
        label=row.value,
        laterality=row.laterality,
        size=row.size,
        depth_mm=row.depth_mm,
        drain=row.drain if row.reviewer is None else None,
        rule=row.rule,
        version=row.labeller,
        language=row.language,
        doubtful=row.needs_review if row.reviewer is None else not same_text,
        words=joined(texts[one] for one in versions)[start:end] if here else None,
        interval_s=row.interval_s,
    )


def _texts(session: Session, versions: Collection[int]) -> dict[int, str]:
    table = RadiologyReportVersion
    return {row.id: row.text for row in session.execute(select(table.id, table.text).where(table.id.in_(versions)))}
