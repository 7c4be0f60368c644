"""Whether what is called 30 % happens in 30 of 100 cases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.metrics.proportions import Estimate, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLOSEST = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The cases whose probability lies from `low` up to `high` (the last bin includes 1)."""

    low: float
    high: float
    mean_probability: float
    positives: Estimate


def reliability(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64], bins: int = 10) -> list[Bin]:
    """Bins of equal width; those without a case are left out."""
    place_N = np.minimum((probability_N * bins).astype(np.int64), bins - 1)
    found = []
    for index in range(bins):
        chosen = place_N == index
        if chosen.any():
            share = wilson(int(truth_N[chosen].sum()), int(chosen.sum()))
            found.append(Bin(index / bins, (index + 1) / bins, float(probability_N[chosen].mean()), share))
    return found


def expected_calibration_error(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64], bins: int = 10) -> float:
    """Mean distance between what was said and what was so, over bins of equal width weighted by their cases."""
    if not truth_N.size:
        return math.nan
    return sum(
        one.positives.count * abs(one.mean_probability - one.positives.value) for one in reliability(truth_N, probability_N, bins)
    ) / float(truth_N.size)


def brier(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64]) -> float:
    """Mean squared distance between probability and truth: 0 is best, 0.25 is what a constant 0.5 gets."""
    return float(np.mean((probability_N - truth_N) ** 2)) if truth_N.size else math.nan


def calibration_line(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64]) -> tuple[float, float]:
    """(intercept, slope) of the logistic regression of the truth on the logit of the probability; (0, 1) is perfect.

    A slope under 1 is over-confidence; an intercept over 0 says too little. NaN where the line is not determined: one kind
    only, all probabilities equal, or all positives above all negatives.
    """
    kept = np.clip(probability_N, CLOSEST, 1 - CLOSEST)
    x_N = np.log(kept / (1 - kept))
    undetermined = (math.nan, math.nan)
    if truth_N.all() or not truth_N.any() or np.ptp(x_N) == 0:
        return undetermined
    if x_N[truth_N].min() >= x_N[~truth_N].max() or x_N[truth_N].max() <= x_N[~truth_N].min():
        return undetermined
    design = np.stack([np.ones_like(x_N), x_N], axis=1)
    line = np.zeros(2)
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-np.clip(design @ line, -500, 500)))
        curvature = design.T @ (design * (fitted * (1 - fitted))[:, None])
        try:
            step = np.linalg.solve(curvature, design.T @ (truth_N - fitted))
        except np.linalg.LinAlgError:
            return undetermined
        line = line + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-10:
            return float(line[0]), float(line[1])
    return undetermined
