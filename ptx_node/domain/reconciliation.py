"""Which finding is held against which CT report: rules for one patient and one local day. Pure: no database, no clock.

Every pair of a day is kept. The primary pair of a CT report is the nearest radiograph before it, and a radiograph is primary for the
nearest CT after it alone: what was treated in between is no error of the model. Which one is nearest is known only where every time of the
day is: an examination without one may lie between any two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class Unmatched(StrEnum):
    """Why a finding or a report of a day has no partner, or no primary one: the closed list."""

    NO_REPORT_THAT_DAY = "no_report_that_day"
    NO_RADIOGRAPH_THAT_DAY = "no_radiograph_that_day"
    NO_RADIOGRAPH_BEFORE = "no_radiograph_before"
    """Radiographs of the day were all made after the CT."""
    ORDER_UNKNOWN = "order_unknown"
    """Several of the day, and a time of examination is missing: it cannot be told which came before, or which is the nearest."""
    NOT_NEAREST = "not_nearest"
    """Another radiograph lies between this one and the CT, or another CT between this radiograph and the report's."""
    OTHER_EXAMINATION = "other_examination"
    """The report is of another CT of the day than the series that was read."""
    NO_EXAMINATION_DATE = "no_examination_date"
    PATIENT_UNKNOWN = "patient_unknown"
    """No identity of the report is that of a patient whose images came."""
    ISSUER_AMBIGUOUS = "issuer_ambiguous"
    """The number is known of several issuers, and this side names none."""
    NOT_COVERED = "not_covered"
    """The examination does not show the thorax."""
    NOT_CT = "not_ct"
    """The report is of another kind of examination."""
    NO_TEXT = "no_text"
    """The report has no text that can be read."""
    NOT_LABELLED = "not_labelled"
    PRELIMINARY = "preliminary"
    WITHDRAWN = "withdrawn"
    NOT_ANSWERED = "not_answered"
    """The model gave no answer: not eligible, or failed."""


class Agreement(StrEnum):
    """What a pair says of the model."""

    TRUE_POSITIVE = "true_positive"
    FALSE_POSITIVE = "false_positive"
    TRUE_NEGATIVE = "true_negative"
    FALSE_NEGATIVE = "false_negative"
    UNDECIDED = "undecided"
    """The report leaves it open."""


TRUTHS: dict[LabelValue, bool | None] = {
    LabelValue.POSITIVE: True,
    LabelValue.NEGATIVE: False,
    LabelValue.RESOLVED: False,
    LabelValue.NOT_MENTIONED: False,
    LabelValue.UNCERTAIN: None,
    LabelValue.NOT_COVERED: None,
}
"""Whether there was a pneumothorax. A CT of the thorax that does not name one is taken as without; the label is kept with the pair, so that
an analysis may leave these out."""

CT_MODALITIES = frozenset({"CT", "CAT"})
UNSPECIFIC_MODALITIES = frozenset({"", "RAD", "IMG", "OT", "RX"})
"""What HL7 senders write for "radiology" (table 0074), or nothing: the procedure has to tell."""
CT_WORDS = re.compile(r"\b(?:ct|cta|ctpa|hrct|tdm|scanner|angio-?scanner|tomodensitom\w+|computed tomograph\w*)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answered:
    """One finding that answered, as far as pairing needs it.

    Attributes:
        examined_at: aware UTC; None where only the day is known.
        model: findings of different models or versions are paired apart.
        names: of the examination: Study Instance UID and accession number, where they are known.
    """

    finding_id: int
    model: str
    positive: bool
    examined_at: datetime | None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reported:
    """One report chain as it stands, as far as pairing needs it; `names` as of `Answered`."""

    report_id: int
    label: LabelValue
    examined_at: datetime | None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pair:
    """A finding and a CT report of the same patient and day.

    Attributes:
        interval_s: from the radiograph to the CT, negative where the CT came first; None where a time is missing.
        secondary_reason: why it is not the primary pair; None where it is.
    """

    finding_id: int
    report_id: int
    agreement: Agreement
    interval_s: float | None
    secondary_reason: Unmatched | None

    @property
    def primary(self) -> bool:
        """Whether it counts in the figures."""
        return self.secondary_reason is None


def pair(findings: Sequence[Answered], reports: Sequence[Reported]) -> list[Pair]:
    """Every pair of one patient's day, in the order of findings and reports; each model for itself.

    Args:
        findings: of radiographs, all of the same patient and local day.
        reports: of CTs that cover the thorax, of the same patient and day.
    """
    pairs: list[Pair] = []
    for model in dict.fromkeys(one.model for one in findings):
        mine = [one for one in findings if one.model == model]
        nearest = _nearest_pairs(mine, reports)
        times = [*(one.examined_at for one in mine), *(one.examined_at for one in reports)]
        counts = None not in times or len(mine) == len(reports) == 1
        for finding, report in product(mine, reports):
            found = (finding.finding_id, report.report_id) in nearest
            reason = _reason(finding, report) if not found else None if counts else Unmatched.ORDER_UNKNOWN
            pairs.append(_pair(finding, report, reason))
    return pairs


def pair_series(findings: Sequence[Answered], reports: Sequence[Reported]) -> list[Pair]:
    """Every pair of one patient's day where CT series were read: primary is the report of the very examination.

    It is told by Study Instance UID or accession number; where no report of the day names one of the day's series, and there is one
    examination and one report, they belong together.
    """
    named = any(finding.names & report.names for finding, report in product(findings, reports))
    alone = not named and len(reports) == 1 and len({one.names for one in findings}) == 1
    return [
        _pair(finding, report, None if alone or finding.names & report.names else Unmatched.OTHER_EXAMINATION)
        for finding, report in product(findings, reports)
    ]


def is_ct(modality: str, procedure: str) -> bool:
    """Whether a report is of a CT, by the sender's modality, else by the words of the procedure (English, French)."""
    said = modality.strip().upper()
    return said in CT_MODALITIES or (said in UNSPECIFIC_MODALITIES and CT_WORDS.search(procedure) is not None)


def _pair(finding: Answered, report: Reported, reason: Unmatched | None) -> Pair:
    agreement = agreement_of(report.label, positive=finding.positive)
    return Pair(finding.finding_id, report.report_id, agreement, interval_s(finding, report), reason)


def agreement_of(label: LabelValue, *, positive: bool) -> Agreement:
    """What the pair of an answer and a label says."""
    truth = TRUTHS[label]
    if truth is None:
        return Agreement.UNDECIDED
    if truth:
        return Agreement.TRUE_POSITIVE if positive else Agreement.FALSE_NEGATIVE
    return Agreement.FALSE_POSITIVE if positive else Agreement.TRUE_NEGATIVE


def interval_s(finding: Answered, report: Reported) -> float | None:
    """Seconds from the radiograph to the CT; None where a time is missing."""
    if finding.examined_at is None or report.examined_at is None:
        return None
    return (report.examined_at - finding.examined_at).total_seconds()


def _nearest_pairs(findings: Sequence[Answered], reports: Sequence[Reported]) -> set[tuple[int, int]]:
    """Pairs in which the radiograph is the nearest before the CT, and the CT the nearest after the radiograph, of those with a time."""
    if len(findings) == len(reports) == 1 and interval_s(findings[0], reports[0]) is None:
        return {(findings[0].finding_id, reports[0].report_id)}  # nothing else it could be
    nearest_finding = {one.report_id: _nearest((interval_s(other, one), other.finding_id) for other in findings) for one in reports}
    nearest_report = {one.finding_id: _nearest((interval_s(one, other), other.report_id) for other in reports) for one in findings}
    return {
        (finding_id, report_id)
        for report_id, finding_id in nearest_finding.items()
        if finding_id is not None and nearest_report[finding_id] == report_id
    }


def _nearest(candidates: Iterable[tuple[float | None, int]]) -> int | None:
    """Of the shortest time that is not negative; of two at once the one that came here first."""
    before = [(interval, number) for interval, number in candidates if interval is not None and interval >= 0]
    return min(before)[1] if before else None


def _reason(finding: Answered, report: Reported) -> Unmatched:
    interval = interval_s(finding, report)
    if interval is None:
        return Unmatched.ORDER_UNKNOWN
    return Unmatched.NOT_NEAREST if interval >= 0 else Unmatched.NO_RADIOGRAPH_BEFORE
