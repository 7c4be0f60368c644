"""How well a mask covers the true one: from four pixel counts a picture, which can be added up over pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Pixels that are in both masks (true positive), only in the answer, only in the truth, in neither."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> PixelCounts:
        """Count two masks of one shape, of any number of axes."""
        both, said, true = (int(np.count_nonzero(mask)) for mask in (truth & answer, answer, truth))
        return cls(both, said - both, true - both, truth.size - said - true + both)

    @classmethod
    def total(cls, counts: Iterable[PixelCounts]) -> PixelCounts:
        """All pixels of all pictures in one count; large masks weigh more than in a mean over pictures."""
        many = list(counts)
        return cls(
            sum(one.true_positive for one in many),
            sum(one.false_positive for one in many),
            sum(one.false_negative for one in many),
            sum(one.true_negative for one in many),
        )

    @property
    def truth(self) -> int:
        """Pixels of the true mask."""
        return self.true_positive + self.false_negative

    @property
    def answer(self) -> int:
        """Pixels of the answer."""
        return self.true_positive + self.false_positive

    @property
    def dice(self) -> float:
        """2 |A and B| / (|A| + |B|), the F1 of pixels. The empty rule: 1 if both are empty, and so 0 if only one is."""
        total = self.truth + self.answer
        return 1.0 if total == 0 else 2 * self.true_positive / total

    @property
    def iou(self) -> float:
        """|A and B| / |A or B|, Jaccard; 1 if both are empty."""
        union = self.truth + self.false_positive
        return 1.0 if union == 0 else self.true_positive / union

    @property
    def background_iou(self) -> float:
        """The same of the pixels outside the masks."""
        union = self.true_negative + self.false_positive + self.false_negative
        return 1.0 if union == 0 else self.true_negative / union

    @property
    def mean_iou(self) -> float:
        """Mean over the two classes, mask and background."""
        return (self.iou + self.background_iou) / 2

    @property
    def precision(self) -> float:
        """Part of the answer that is true; NaN for an empty answer."""
        return self.true_positive / self.answer if self.answer else math.nan

    @property
    def recall(self) -> float:
        """Part of the truth that was found; NaN for an empty truth."""
        return self.true_positive / self.truth if self.truth else math.nan

    @property
    def accuracy(self) -> float:
        """Part of all pixels that are right; near 1 for anything, since most pixels are background."""
        total = self.truth + self.false_positive + self.true_negative
        return (self.true_positive + self.true_negative) / total if total else math.nan


def dice(truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> float:
    """Dice of two masks under the empty rule."""
    return PixelCounts.of(truth, answer).dice


def binned_auc(positives_K: NDArray[np.int64], negatives_K: NDArray[np.int64]) -> float:
    """AUC of pixels from two histograms of their probability, those of one bin counted as ties; NaN without both kinds."""
    above = np.cumsum(negatives_K) - negatives_K
    pairs = float(positives_K.sum()) * float(negatives_K.sum())
    return float((positives_K * (above + negatives_K / 2)).sum() / pairs) if pairs else math.nan
