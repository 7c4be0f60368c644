"""Intervals of AUC by DeLong's variance, from ranks (Sun and Xu 2014). Cases must be of different patients.

Sums are exactly rounded (`math.fsum`), so that their order, and how wide the processor adds, does not change the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.statistics.estimate import (
    CONFIDENCE,
    Estimate,
    Method,
    Note,
    checked,
    logistic,
    normal_quantile,
    unknown,
)
from ptx_node.validation.statistics.roc import roc_auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOTHING = 1e-30
"""A variance below this is what rounding leaves of 0: one pair out of order among a million times a million gives more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two scores of the same cases held against each other.

    Attributes:
        difference: AUC of the first less that of the second.
        z: the difference in its standard errors; NaN where that is 0.
        p: two-sided probability of so large a difference if there is none.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    z: float
    p: float


def auc_interval(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], confidence: float = CONFIDENCE) -> Estimate:
    """AUC with DeLong's variance, the interval taken on the logit scale, so that it stays inside 0..1.

    Where all pairs are in order DeLong's variance is 0 and says nothing. Then the limit is exact and cautious: of m disjoint pairs,
    which are independent, all are in order with probability AUC^m, m the number of the rarer kind.
    """
    z = normal_quantile(confidence)
    positives, negatives = int(truth_N.sum()), int((~truth_N).sum())
    area = roc_auc(truth_N, score_N)
    if math.isnan(area):
        return unknown(truth_N.size, Method.DELONG, Note.ONE_KIND if truth_N.size else Note.NO_CASES, confidence=confidence)
    if area in {0.0, 1.0}:
        return in_order(area, min(positives, negatives), truth_N.size, confidence)
    note = None
    low = high = math.nan
    if min(positives, negatives) == 1:
        note = Note.ONE_OF_A_KIND
    else:
        variance = _covariance(*_placements(truth_N, score_N), *_placements(truth_N, score_N))
        note = None if variance > NOTHING else Note.NO_VARIANCE
        if variance > NOTHING:
            half = z * math.sqrt(variance) / (area * (1 - area))
            centre = math.log(area / (1 - area))
            low, high = logistic(centre - half), logistic(centre + half)
    return Estimate(area, low, high, truth_N.size, None, Method.DELONG, confidence, note=note)


def in_order(area: float, rarer: int, count: int, confidence: float, *, method: Method = Method.DISJOINT_PAIRS) -> Estimate:
    """An area of 0 or 1 with the exact bound for so many independent pairs."""
    bound = ((1 - confidence) / 2) ** (1 / rarer)
    low, high = (bound, 1.0) if area else (0.0, 1 - bound)
    return Estimate(area, low, high, count, None, method, confidence, note=Note.ALL_IN_ORDER)


def compare_auc(
    truth_N: NDArray[np.bool_], first_N: NDArray[np.float64], second_N: NDArray[np.float64], confidence: float = CONFIDENCE
) -> Difference:
    """DeLong's test of two correlated areas: two models, or two versions, on the same cases."""
    z = normal_quantile(confidence)
    checked(truth_N, first_N, second_N)
    first, second = (auc_interval(truth_N, one, confidence) for one in (first_N, second_N))
    method, count = Method.DELONG_PAIRED, truth_N.size
    if math.isnan(first.value):
        return Difference(first, second, unknown(count, method, first.note or Note.ONE_KIND, confidence=confidence), math.nan, math.nan)
    gap = first.value - second.value
    if min(int(truth_N.sum()), int((~truth_N).sum())) == 1:
        alone = Estimate(gap, math.nan, math.nan, count, None, method, confidence, note=Note.ONE_OF_A_KIND)
        return Difference(first, second, alone, math.nan, math.nan)
    a, b = _placements(truth_N, first_N), _placements(truth_N, second_N)
    variance = _covariance(a[0] - b[0], a[1] - b[1], a[0] - b[0], a[1] - b[1])
    if variance <= NOTHING:
        same = Estimate(gap, math.nan, math.nan, count, None, method, confidence, note=Note.NO_VARIANCE)
        return Difference(first, second, same, math.nan, math.nan)
    error = math.sqrt(variance)
    difference = Estimate(gap, max(-1.0, gap - z * error), min(1.0, gap + z * error), count, None, method, confidence)
    return Difference(first, second, difference, gap / error, math.erfc(abs(gap / error) / math.sqrt(2)))


def midranks(score_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal scores sharing the mean of theirs."""
    _, place, counts = np.unique(score_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], dtype=np.float64)


def _placements(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(share of negatives below each positive, share of positives above each negative), ties half."""
    ranks_N = midranks(score_N)
    below_P = (ranks_N[truth_N] - midranks(score_N[truth_N])) / int((~truth_N).sum())
    above_M = 1 - (ranks_N[~truth_N] - midranks(score_N[~truth_N])) / int(truth_N.sum())
    return below_P, above_M


def _covariance(a_P: NDArray[np.float64], a_M: NDArray[np.float64], b_P: NDArray[np.float64], b_M: NDArray[np.float64]) -> float:
    """Of two areas by their placements: covariance among positives over their number, and the same among negatives."""
    total = 0.0
    for one, other in ((a_P, b_P), (a_M, b_M)):
        count = one.size
        products = (one - math.fsum(one) / count) * (other - math.fsum(other) / count)
        total += math.fsum(products) / (count - 1) / count
    return total
