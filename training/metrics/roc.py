"""Telling positives from negatives by a score: the curve, the area under it with DeLong's interval, operating points.

Truth is boolean, a higher score means positive, and a case is called positive at and above a threshold, as the node does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from training.metrics.proportions import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold gives: cases at and above it are called positive."""

    threshold: float
    sensitivity: float
    specificity: float


def roc_curve(
    truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(thresholds, sensitivities, specificities), from nobody called positive (threshold infinite) to everybody.

    NaN sensitivities without positives, NaN specificities without negatives.
    """
    order = np.argsort(-score_N, kind="stable")
    score, truth = score_N[order], truth_N[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if score.size else np.zeros(0, dtype=np.int64)
    hits, alarms = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    with np.errstate(invalid="ignore"):
        sensitivity = np.concatenate([[0], hits]) / np.float64(truth.sum())
        specificity = 1 - np.concatenate([[0], alarms]) / np.float64((~truth).sum())
    return np.concatenate([[np.inf], score[last]]), sensitivity, specificity


def roc_auc(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> float:
    """Probability that a positive scores above a negative, ties counted half; NaN without both kinds."""
    positives, negatives = int(truth_N.sum()), int((~truth_N).sum())
    if not positives or not negatives:
        return math.nan
    ranks = midranks(score_N)
    return float((ranks[truth_N].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_interval(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], confidence: float = CONFIDENCE) -> Estimate:
    """AUC with DeLong's variance (by ranks: Sun and Xu 2014), the interval taken on the logit scale, so that it stays inside 0..1.

    Where all pairs are in order DeLong's variance is 0 and says nothing. Then the limit is exact and cautious: of m disjoint pairs,
    which are independent, all are in order with probability AUC^m, m the number of the rarer kind.
    Cases must be of different patients.
    """
    positives, negatives = int(truth_N.sum()), int((~truth_N).sum())
    area = roc_auc(truth_N, score_N)
    if math.isnan(area):
        return Estimate(math.nan, math.nan, math.nan, truth_N.size)
    bound = ((1 - confidence) / 2) ** (1 / min(positives, negatives))
    if area in {0.0, 1.0}:
        return Estimate(area, bound if area else 0.0, 1.0 if area else 1 - bound, truth_N.size)
    if min(positives, negatives) == 1:
        return Estimate(area, math.nan, math.nan, truth_N.size)
    ranks = midranks(score_N)
    above_P = (ranks[truth_N] - midranks(score_N[truth_N])) / negatives
    below_N = 1 - (ranks[~truth_N] - midranks(score_N[~truth_N])) / positives
    variance = float(above_P.var(ddof=1)) / positives + float(below_N.var(ddof=1)) / negatives
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance) / (area * (1 - area))
    centre = math.log(area / (1 - area))
    return Estimate(area, 1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre)), truth_N.size)


def midranks(score_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal scores sharing the mean of theirs."""
    _, place, counts = np.unique(score_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], dtype=np.float64)


def sensitivity_at_specificity(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], specificity: float) -> OperatingPoint:
    """The most sensitive point whose specificity is at least this; NaN without both kinds."""
    thresholds, sensitivities, specificities = roc_curve(truth_N, score_N)
    return _best(thresholds, sensitivities, specificities, np.where(specificities >= specificity - 1e-12, sensitivities, -1.0))


def specificity_at_sensitivity(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], sensitivity: float) -> OperatingPoint:
    """The most specific point whose sensitivity is at least this; NaN without both kinds."""
    thresholds, sensitivities, specificities = roc_curve(truth_N, score_N)
    return _best(thresholds, sensitivities, specificities, np.where(sensitivities >= sensitivity - 1e-12, specificities, -1.0))


def youden(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> OperatingPoint:
    """The point with the largest sum of sensitivity and specificity."""
    thresholds, sensitivities, specificities = roc_curve(truth_N, score_N)
    return _best(thresholds, sensitivities, specificities, sensitivities + specificities)


def _best(
    thresholds: NDArray[np.float64], sensitivities: NDArray[np.float64], specificities: NDArray[np.float64], merit: NDArray[np.float64]
) -> OperatingPoint:
    """The point of the largest merit; between equals the one that sees more."""
    if np.isnan(sensitivities).any() or np.isnan(specificities).any():
        return OperatingPoint(math.nan, math.nan, math.nan)
    best = np.flatnonzero(merit >= merit.max() - 1e-12)
    index = int(max(best, key=lambda one: (sensitivities[one], specificities[one])))
    return OperatingPoint(float(thresholds[index]), float(sensitivities[index]), float(specificities[index]))
