"""Whether acting on the node's calls does more good than treating everybody or nobody (Vickers and Elkin 2006).

Who acts at a probability of t says that a missed case is (1 - t) / t times as bad as a false alarm. Net benefit counts in found cases per
case seen, false alarms taken off at that rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.errors import UsageError
from ptx_node.validation.statistics.bootstrap import drawn, patients_of, percentiles
from ptx_node.validation.statistics.estimate import CONFIDENCE, Chance, Estimate, checked_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Benefit:
    """Net benefit at one threshold probability; that of treating nobody is 0."""

    threshold: float
    model: Estimate
    treat_all: float


def decision_curve(
    truth_N: NDArray[np.bool_],
    probability_N: NDArray[np.float64],
    patient_N: NDArray[Any],
    thresholds: Sequence[float],
    chance: Chance,
    confidence: float = CONFIDENCE,
) -> list[Benefit]:
    """Net benefit at each threshold, with percentiles by patient.

    It means something only where the cases come as they do in practice: in a cohort balanced by hand it does not.

    Raises:
        UsageError: a threshold is not from 0 up to, and without, 1.
    """
    checked_probabilities(truth_N, probability_N)
    wrong = [one for one in thresholds if not 0 <= one < 1]
    if wrong:
        raise UsageError(f"a decision curve has no threshold probability {wrong[0]}; give numbers from 0 to below 1")
    order_T = np.sort(np.unique(thresholds))
    bin_N = np.searchsorted(order_T, probability_N, side="right") * 2 + truth_N
    odds_T = order_T / (1 - order_T)
    patients, place_N = patients_of(patient_N)

    def benefits(times_N: NDArray[np.int64] | None) -> NDArray[np.float64]:
        counts = np.bincount(bin_N, times_N, minlength=2 * (order_T.size + 1)).astype(np.float64)
        total = counts.sum()
        if not total:
            return np.full(order_T.size, math.nan)
        at_or_above = [np.cumsum(one[::-1])[::-1][1:] for one in (counts[1::2], counts[0::2])]
        return np.asarray((at_or_above[0] - at_or_above[1] * odds_T) / total, dtype=np.float64)

    values_T = benefits(None)
    rows_RT = drawn(benefits, place_N, patients, chance).reshape(-1, order_T.size)
    share = float(truth_N.mean()) if truth_N.size else math.nan
    return [
        Benefit(
            float(threshold),
            percentiles(float(value), rows_R, count=truth_N.size, clusters=patients, chance=chance, confidence=confidence),
            share - (1 - share) * float(odds),
        )
        for threshold, value, rows_R, odds in zip(order_T, values_T, rows_RT.T, odds_T, strict=True)
    ]
