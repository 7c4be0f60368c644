"""What a simulated CT report is: its text, where its parts stand in it, and what it truly says of a pneumothorax."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ptx_node.domain.finding import Laterality
    from ptx_node.domain.truth import LabelValue, Span
    from ptx_node.simulator.patient import Size

Language = Literal["en", "fr"]


class Part(StrEnum):
    """A section of a report, whatever its heading is called or whether it has one."""

    TITLE = "title"
    INDICATION = "indication"
    TECHNIQUE = "technique"
    COMPARISON = "comparison"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Section:
    """One section: `start` is at its heading, or at its first word where it has none."""

    part: Part
    heading: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Odds:
    """How often a report says less than the patient has, each 0 to 1.

    Attributes:
        occult_uncertain: of an occult pneumothorax, that the reader leaves it open.
        small_uncertain: of a small one.
        negative_uncertain: without a pneumothorax, that the reader leaves one open all the same.
        negative_resolved: without a pneumothorax, that an earlier one is told as gone.
        negative_not_mentioned: without a pneumothorax, that the report does not name it.
        missed: with a pneumothorax, that the report denies it; the label is then negative, `truth` stays True.
        final: that the report is final, not preliminary or corrected.
    """

    occult_uncertain: float = 0.25
    small_uncertain: float = 0.03
    negative_uncertain: float = 0.02
    negative_resolved: float = 0.08
    negative_not_mentioned: float = 0.20
    missed: float = 0.0
    final: float = 0.93


@dataclass(frozen=True, slots=True)
class CtReport:
    """The radiologist's report of the CT of the same day; SIMULATED, about nobody.

    Attributes:
        text: as dictated, lines ended by LF.
        label: what the text says of a pneumothorax now.
        truth: whether the patient has one.
        laterality: side as the text tells it, of a positive or uncertain report; None where it tells none.
        size: of the patient's larger pneumothorax where the report is positive.
        depth_mm: the largest measure given in the text, in mm; None without one.
        drain: whether the text says that a chest tube is in place.
        spans: of every sentence outside indication and comparison that decides the label, in reading order; empty for
            not_mentioned.
        status: "final", "preliminary" or "corrected", as the information system sends it; the text does not say.
    """

    text: str
    sections: tuple[Section, ...]
    language: Language
    label: LabelValue
    truth: bool
    laterality: Laterality | None
    size: Size | None
    depth_mm: float | None
    drain: bool
    spans: tuple[Span, ...]
    status: str
