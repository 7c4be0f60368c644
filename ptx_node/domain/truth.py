"""What a person's words say of a pneumothorax: the label of a radiology report, with the place in the text that decided it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptx_node.domain.finding import Laterality

Span = tuple[int, int]
"""Start and end (exclusive) in characters of the text as it came."""


class LabelValue(StrEnum):
    """What a careful reader takes from a report about a pneumothorax now."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNCERTAIN = "uncertain"
    """The reader leaves it open."""
    RESOLVED = "resolved"
    """It was there and is gone, or is told as history or of an earlier examination only."""
    NOT_MENTIONED = "not_mentioned"
    """The thorax was examined and no word of it; also where only the indication asks for it."""
    NOT_COVERED = "not_covered"
    """The examination is not of the thorax."""


class ReviewReason(StrEnum):
    """Why a person should look at a label before it counts."""

    IMPRESSION_AGAINST_FINDINGS = "impression_against_findings"
    CONTRADICTION = "contradiction"
    """Affirmed and denied in one section, and not of two sides."""
    ADDENDUM_AGAINST_REPORT = "addendum_against_report"
    QUALIFIED_NEGATION = "qualified_negation"
    """Only a large one, or tension, is denied."""
    OUTCOME_NOT_TOLD = "outcome_not_told"
    """An earlier one is named, and not what became of it."""
    SIGN_WITHOUT_NAME = "sign_without_name"
    """A pleural line or a lung without markings is told, and no pneumothorax named."""
    OUTSIDE_FINDINGS = "outside_findings"
    """The only words of it stand under technique, a title or a preliminary read."""
    OTHER_REGION = "other_region"
    """It is named in the report of an examination that is not of the thorax."""
    TOO_LONG = "too_long"
    """There are more mentions than are read."""


@dataclass(frozen=True, slots=True)
class ReportLabel:
    """The label of one radiology report.

    Attributes:
        laterality: side of the patient, of a positive or uncertain report; None where the text tells none.
        size: the words for its size as written, folded to lower case without accents; "" where there are none.
        depth_mm: the largest measure of a pneumothorax that is present, in mm.
        drain: whether the text says that a pleural drain is in place.
        sentence: the sentence that decided, in the text as it came; None where nothing is said.
        evidence: the words that decided, within the sentence.
        rule: name of the rule that decided.
        language: "en" or "fr".
        labeller: version of the rules.
        review: why a person should look; empty when nothing is doubtful.
    """

    value: LabelValue
    rule: str
    language: str
    labeller: str
    laterality: Laterality | None = None
    size: str = ""
    depth_mm: float | None = None
    drain: bool = False
    sentence: Span | None = None
    evidence: Span | None = None
    review: tuple[ReviewReason, ...] = ()

    @property
    def needs_review(self) -> bool:
        """Whether a person should look at it."""
        return bool(self.review)
