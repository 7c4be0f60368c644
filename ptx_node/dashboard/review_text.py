"""What the review shows of one report: its text in pieces, so that what decided can be marked, and which study it is of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from ptx_node.db import report_review, study_search
from ptx_node.db.tables import FindingRow, Instance, PairRow, RadiologyReport, ReportLabelRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Mark = Literal["", "sentence", "evidence"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a report's text: plain, of the sentence that decided, or of the words in it."""

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class ReportShown:
    """A report and the label that counts. `label_id` is given back with a decision, so that nobody decides on what has changed.

    `text_changed`: it says something else since the label was given, and nothing is marked.
    """

    report_id: int
    source: str
    examined_on: date | None
    procedure: str
    label_id: int | None
    label: str
    laterality: str | None
    rule: str
    reviewer: str | None
    note: str | None
    review: list[str]
    text_changed: bool
    text: list[Piece]
    study: int | None


def pieces(text: str, sentence: tuple[int, int] | None, evidence: tuple[int, int] | None) -> list[Piece]:
    """The text cut at the ends of both spans; offsets count characters. Joined together the pieces are the text."""
    spans: tuple[tuple[Mark, tuple[int, int] | None], ...] = (("evidence", evidence), ("sentence", sentence))
    cuts = sorted({0, len(text), *(min(max(edge, 0), len(text)) for _, span in spans if span for edge in span)})
    found = []
    for start, end in pairwise(cuts):
        mark: Mark = next((name for name, span in spans if span and span[0] <= start < end <= span[1]), "")
        found.append(Piece(text[start:end], mark))
    return found


def shown(session: Session, report_id: int) -> tuple[ReportShown, str] | None:
    """A report, and the Study Instance UID that it names or is paired with ("" where none is known); None when there is no such report."""
    report = session.get(RadiologyReport, report_id)
    if report is None:
        return None
    label = session.get(ReportLabelRow, report.label_id) if report.label_id else None
    text, changed = report_review.text_of(session, report), label is not None and label.text_sha256 != report.text_sha256
    marks = label if not changed else None
    uid = _study_uid(session, report)
    made = ReportShown(
        report.id,
        report.source,
        report.examined_on,
        report.procedure_text or report.procedure_code,
        report.label_id,
        label.value if label else "not labelled",
        label.laterality if label else None,
        label.rule if label else "",
        label.reviewer if label else None,
        label.note if label else None,
        list(label.review) if label else [],
        changed,
        pieces(
            text,
            _span(marks.sentence_start, marks.sentence_end) if marks else None,
            _span(marks.evidence_start, marks.evidence_end) if marks else None,
        ),
        study_number(session, uid),
    )
    return made, uid


def _span(start: int | None, end: int | None) -> tuple[int, int] | None:
    return None if start is None or end is None else (start, end)


def _study_uid(session: Session, report: RadiologyReport) -> str:
    """Of the images that it was held against, else the study that it names, else the one with its accession number."""
    standing = (PairRow.report_id == report.id, PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None))
    paired = session.scalar(select(PairRow).where(*standing).limit(1))
    if paired is not None:
        return session.get_one(FindingRow, paired.finding_id).study_instance_uid
    for known, column in ((report.study_instance_uid, Instance.study_instance_uid), (report.accession_number, Instance.accession_number)):
        found = session.scalar(select(Instance.study_instance_uid).where(column == known).limit(1)) if known else None
        if found:
            return found
    return ""


def study_number(session: Session, uid: str) -> int | None:
    """By which number the pages name a study; None where no image of it is here."""
    found = study_search.summaries(session, [uid]) if uid else []
    return found[0].number if found else None
