"""What readers say of images, beside the radiology reports: readings, which of them count, and what several make together. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING

from ptx_node.domain.reconciliation import TRUTHS
from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ptx_node.domain.finding import Laterality


class TruthKind(StrEnum):
    """Whose word a truth is: the closed list."""

    REPORT = "report"
    """The radiology report's of the same day."""
    READER = "reader"
    """Of people who looked at the image and gave a label."""
    MASK = "mask"
    """Of people who drew what they saw."""


class Level(StrEnum):
    """What a reading is of."""

    IMAGE = "image"
    SERIES = "series"
    STUDY = "study"
    ACCESSION = "accession"


LEVELS = tuple(Level)
"""The nearest to the image first."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What was read.

    Attributes:
        name: SOP, Series or Study Instance UID, or the accession number.
        patient_id: with an accession number, which alone may be another hospital's, too; else empty.
        patient_authority: who gave out `patient_id`, where it is said.
    """

    level: Level
    name: str
    patient_id: str = ""
    patient_authority: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader says of one subject.

    Attributes:
        size: words for the size, folded to lower case; empty where none are given.
        confidence: 0 to 1, as the reader gave it.
        read_at: when it was read, which orders a reader's versions; None where unsaid: then the import's moment stands for it.
        mask_sha256: of the file that holds the mask.
    """

    kind: TruthKind
    reader: str
    subject: Subject
    label: LabelValue
    laterality: Laterality | None = None
    size: str = ""
    confidence: float | None = None
    read_at: datetime | None = None
    mask_sha256: str | None = None

    @property
    def content_sha256(self) -> str:
        """Digest of all that it says: the same reading again has the same, whatever file it came in."""
        said = [
            *(self.kind, self.reader, self.subject.level, self.subject.name, self.subject.patient_authority, self.subject.patient_id),
            *(self.label, self.laterality, self.size, self.confidence, self.read_at.isoformat() if self.read_at else None),
            self.mask_sha256,
        ]
        return hashlib.sha256(json.dumps(said).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Given:
    """A reading as it is held against one finding.

    Attributes:
        order: when it was read, else imported; then the order of import.
        area_mm2: of a mask on the radiograph's grid.
        dice: of a mask against the node's own; None where it is not known, or both are empty.
    """

    reader: str
    level: Level
    label: LabelValue
    order: tuple[datetime, int]
    laterality: str | None = None
    size: str = ""
    confidence: float | None = None
    area_mm2: float | None = None
    dice: float | None = None


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the readers of one finding say together.

    Attributes:
        label: positive, negative, or uncertain where they leave it open or are as many on both sides.
        readers: how many were heard; `agreeing` of them gave `label`.
        confidence: mean of those who agree and gave one; `area_mm2` and `dice` likewise.
    """

    label: LabelValue
    readers: int
    agreeing: int
    laterality: str | None = None
    size: str = ""
    confidence: float | None = None
    area_mm2: float | None = None
    dice: float | None = None


def counting(readings: Iterable[Given]) -> list[Given]:
    """The one reading of each reader that counts: of what is nearest to the image, the newest."""
    best: dict[str, Given] = {}
    for one in readings:
        held = best.get(one.reader)
        if held is None or _rank(one) > _rank(held):
            best[one.reader] = one
    return [best[reader] for reader in sorted(best)]


def consensus(readings: Iterable[Given]) -> Consensus | None:
    """What those who count say together; None where nobody is heard.

    Each reader has one vote, for positive, negative (also: resolved, not mentioned) or open; who says that the examination does not show
    it has none. The most votes decide, and of a tie nothing: `uncertain`.
    """
    heard = [(one, _vote(one.label)) for one in counting(readings) if one.label is not LabelValue.NOT_COVERED]
    if not heard:
        return None
    votes = Counter(vote for _, vote in heard)
    (first, most), *others = votes.most_common()
    label = LabelValue.UNCERTAIN if others and others[0][1] == most else first
    agreeing = [one for one, vote in heard if vote is label]
    sized = {one.size for one in agreeing if one.size}
    sides = Counter(one.laterality for one in agreeing if one.laterality is not None).most_common()
    clear = sides and (len(sides) == 1 or sides[0][1] > sides[1][1])
    return Consensus(
        label,
        len(heard),
        len(agreeing),
        laterality=sides[0][0] if clear and label is not LabelValue.NEGATIVE else None,
        size=sized.pop() if len(sized) == 1 else "",
        confidence=_mean([one.confidence for one in agreeing]),
        area_mm2=_mean([one.area_mm2 for one in agreeing]),
        dice=_mean([one.dice for one in agreeing]),
    )


def _vote(label: LabelValue) -> LabelValue:
    truth = TRUTHS[label]
    return LabelValue.UNCERTAIN if truth is None else LabelValue.POSITIVE if truth else LabelValue.NEGATIVE


def _rank(one: Given) -> tuple[int, tuple[datetime, int]]:
    return -LEVELS.index(one.level), one.order


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
