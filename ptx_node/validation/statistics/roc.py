"""Telling positives from negatives by a score: the curve, the area under it, operating points.

Truth is boolean, a higher score means positive, and a case is called positive at and above a threshold, as the node does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ptx_node.errors import UsageError
from ptx_node.validation.statistics.estimate import checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

HAIR = 1e-9
"""Part of a case by which a target may be missed, since 0.9 of 10 cases is written a little above or below 9."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a threshold is chosen for.

    Attributes:
        kind: `sensitivity`: at least `target`, and then as specific as can be; `specificity`: the reverse; `youden`: the largest
            sum of both.
        target: from 0 to 1; of no meaning for `youden`.

    Raises:
        UsageError: the target is not from 0 to 1.
    """

    kind: Literal["sensitivity", "specificity", "youden"]
    target: float = math.nan

    def __post_init__(self) -> None:
        if self.kind != "youden" and not 0 <= self.target <= 1:
            raise UsageError(f"a {self.kind} of {self.target} cannot be aimed at; give a share from 0 to 1, such as 0.95")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold gives: cases at and above it are called positive."""

    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """Cases by the place of their score among the K different ones, from the highest down: what every curve is counted from.

    Attributes:
        score_K: the different scores, highest first.
        place_N: twice the place of each case's score, one more for a positive: both kinds are counted in one pass.
    """

    score_K: NDArray[np.float64]
    place_N: NDArray[np.int64]

    @classmethod
    def of(cls, truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> Ranked:
        """Sort once; resamples only count again.

        Raises:
            UsageError: truth and score are not of the same cases, or a score is NaN.
        """
        checked(truth_N, score_N)
        score_K, place_N = np.unique(score_N, return_inverse=True)
        return cls(score_K[::-1], 2 * (score_K.size - 1 - place_N.astype(np.int64)) + truth_N)

    def counts(self, times_N: NDArray[np.int64] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(positives, negatives) at each different score, each case counted so many times; whole numbers, held exactly."""
        both = np.bincount(self.place_N, times_N, minlength=2 * self.score_K.size).astype(np.float64)
        return both[1::2], both[0::2]

    def point(self, aim: Aim, positives_K: NDArray[np.float64], negatives_K: NDArray[np.float64]) -> OperatingPoint:
        """The best point for these counts."""
        hits, alarms = np.append(0.0, np.cumsum(positives_K)), np.append(0.0, np.cumsum(negatives_K))
        positives, negatives = float(hits[-1]), float(alarms[-1])
        if not positives or not negatives:
            return OperatingPoint(math.nan, math.nan, math.nan)
        if aim.kind == "sensitivity":
            fewest = alarms[np.searchsorted(hits, aim.target * positives - HAIR)]
            index = int(np.searchsorted(alarms, fewest, side="right")) - 1
        elif aim.kind == "specificity":
            index = int(np.searchsorted(alarms, (1 - aim.target) * negatives + HAIR, side="right")) - 1
            index = int(np.searchsorted(hits, hits[index]))
        else:
            merit = hits * negatives - alarms * positives
            index = int(np.flatnonzero(merit == merit.max())[-1])
        index = int(np.searchsorted(hits + alarms, hits[index] + alarms[index]))  # the highest threshold that calls the same cases
        threshold = float(self.score_K[index - 1]) if index else math.inf
        return OperatingPoint(threshold, float(hits[index]) / positives, (negatives - float(alarms[index])) / negatives)


def roc_curve(
    truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(thresholds, sensitivities, specificities), from nobody called positive (threshold infinite) to everybody.

    NaN sensitivities without positives, NaN specificities without negatives.
    """
    ranked = Ranked.of(truth_N, score_N)
    positives_K, negatives_K = ranked.counts()
    with np.errstate(invalid="ignore"):
        sensitivity = np.append(0, np.cumsum(positives_K)) / positives_K.sum()
        specificity = 1 - np.append(0, np.cumsum(negatives_K)) / negatives_K.sum()
    return np.append(np.inf, ranked.score_K), sensitivity, specificity


def roc_auc(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> float:
    """Probability that a positive scores above a negative, ties counted half; NaN without both kinds."""
    return area_of_counts(*Ranked.of(truth_N, score_N).counts())


def area_of_counts(positives_K: NDArray[np.float64], negatives_K: NDArray[np.float64]) -> float:
    """AUC from the counts of both kinds at each different score, highest first; NaN without both kinds.

    Pairs are counted in halves, so that the only rounding is the last division.
    """
    pairs = float(positives_K.sum()) * float(negatives_K.sum())
    if not pairs:
        return math.nan
    above_K = np.cumsum(positives_K) - positives_K
    return float((negatives_K * (2 * above_K + positives_K)).sum()) / (2 * pairs)


def binned_auc(positives_K: NDArray[np.int64], negatives_K: NDArray[np.int64]) -> float:
    """AUC from two histograms of the score, lowest bin first, those of one bin counted as ties; NaN without both kinds."""
    return area_of_counts(positives_K[::-1].astype(np.float64), negatives_K[::-1].astype(np.float64))


def operating_point(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], aim: Aim) -> OperatingPoint:
    """The point that the aim asks for; NaN without both kinds.

    It always exists: nobody called (an infinite threshold) has specificity 1, everybody called has sensitivity 1.
    """
    ranked = Ranked.of(truth_N, score_N)
    return ranked.point(aim, *ranked.counts())


def sensitivity_at_specificity(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], specificity: float) -> OperatingPoint:
    """The most sensitive point whose specificity is at least this; NaN without both kinds."""
    return operating_point(truth_N, score_N, Aim("specificity", specificity))


def specificity_at_sensitivity(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], sensitivity: float) -> OperatingPoint:
    """The most specific point whose sensitivity is at least this; NaN without both kinds."""
    return operating_point(truth_N, score_N, Aim("sensitivity", sensitivity))


def youden(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> OperatingPoint:
    """The point with the largest sum of sensitivity and specificity; between equals the one that sees more."""
    return operating_point(truth_N, score_N, Aim("youden"))
