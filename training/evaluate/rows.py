"""One row a case: what is known of it, what was answered, and the pixel counts. Every table can be computed again from these."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np

from training.overlap import PixelCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Row:
    """One judged case.

    Attributes:
        label: 1, 0, or None where the truth is uncertain: such a case counts in no table.
        positive: the node's outcome under the decision rule.
        truth_pixels, answer_pixels, both_pixels, pixels: of the answer (empty where the outcome is negative) on the source
            grid; None where the set draws no masks. `pixels` counts the whole picture or series.
        alone_answer, alone_both: the same of the mask alone, before the image's probability is asked.
        slices, air_slices: of a CT series, and how many of its slices hold true air.
        air_answer, air_both: `answer_pixels` and `both_pixels` in the slices with true air.
        volume_ml, truth_volume_ml: of the answer and the true mask; None without spacing, and for radiographs.
        share_percent, truth_share_percent: of the hemithorax that the pneumothorax takes, on the worse side.
    """

    case_id: str
    patient_id: str
    site: str
    sex: str
    age_years: float | None
    view: str
    modality: str
    size: str
    tube: bool | None
    simulated: bool
    label: int | None
    probability: float
    positive: bool
    laterality: str
    truth_laterality: str
    pixels: int | None = None
    truth_pixels: int | None = None
    answer_pixels: int | None = None
    both_pixels: int | None = None
    alone_answer: int | None = None
    alone_both: int | None = None
    slices: int | None = None
    air_slices: int | None = None
    air_answer: int | None = None
    air_both: int | None = None
    volume_ml: float | None = None
    truth_volume_ml: float | None = None
    share_percent: float | None = None
    truth_share_percent: float | None = None

    @property
    def counts(self) -> PixelCounts | None:
        """Pixels of the answer under the whole rule."""
        return self._counts(self.answer_pixels, self.both_pixels)

    @property
    def alone(self) -> PixelCounts | None:
        """Pixels of the mask alone."""
        return self._counts(self.alone_answer, self.alone_both)

    @property
    def air_dice(self) -> float:
        """Dice over the slices with true air of this patient, their voxels together; NaN without such a slice."""
        if not self.air_slices or self.air_answer is None or self.air_both is None or self.truth_pixels is None:
            return math.nan
        return 2 * self.air_both / (self.air_answer + self.truth_pixels)

    @property
    def volume_error(self) -> float:
        """|answer - truth| / truth; NaN without true air or without spacing. A missed pneumothorax is wrong by 1."""
        if not self.truth_volume_ml or self.volume_ml is None:
            return math.nan
        return abs(self.volume_ml - self.truth_volume_ml) / self.truth_volume_ml

    def _counts(self, answer: int | None, both: int | None) -> PixelCounts | None:
        if self.pixels is None or self.truth_pixels is None or answer is None or both is None:
            return None
        return PixelCounts(both, answer - both, self.truth_pixels - both, self.pixels - answer - self.truth_pixels + both)


def known(rows: Sequence[Row]) -> list[Row]:
    """Those whose truth is certain."""
    return [row for row in rows if row.label is not None]


def truth_of(rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Labels of rows whose truth is certain."""
    return np.array([row.label == 1 for row in rows], dtype=bool)


def probability_of(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Their probabilities."""
    return np.array([row.probability for row in rows], dtype=np.float64)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """As CSV, unknown values empty, numbers in full."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [one.name for one in fields(Row)]
        writer.writerow(names)
        writer.writerows([_text(getattr(row, name)) for name in names] for row in rows)


def read_rows(path: Path) -> list[Row]:
    """The rows that `write_rows` wrote, the same to the last digit."""
    types = get_type_hints(Row)
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**{name: _value(text, types[name]) for name, text in line.items()}) for line in csv.DictReader(file)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _value(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if text == "":
        return None
    kinds = getattr(kind, "__args__", (kind,))
    if bool in kinds:
        return text == "True"
    return int(text) if int in kinds else float(text)
