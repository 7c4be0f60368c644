"""Figures by which a model is judged. Rank based AUC; Dice over positives only, since an empty answer is right for negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def roc_auc(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Probability that a positive scores above a negative, ties counted half; NaN without both kinds."""
    positive, negative = score[truth], score[~truth]
    if not positive.size or not negative.size:
        return float("nan")
    above = (positive[:, None] > negative[None, :]).mean() + 0.5 * (positive[:, None] == negative[None, :]).mean()
    return float(above)


def dice(truth: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float:
    """Overlap of two masks, 1 if both are empty."""
    total = int(truth.sum()) + int(mask.sum())
    return 1.0 if total == 0 else 2 * int((truth & mask).sum()) / total


def best_threshold(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """The middle of the range of thresholds with the largest sum of sensitivity and specificity."""
    candidates = np.unique(np.concatenate([[0.0, 1.0], (np.sort(score)[1:] + np.sort(score)[:-1]) / 2]))
    youden = np.array([(score[truth] >= t).mean() + (score[~truth] < t).mean() for t in candidates])
    best = candidates[youden >= youden.max() - 1e-9]
    return float(np.clip((best[0] + best[-1]) / 2, 0.01, 0.99))
