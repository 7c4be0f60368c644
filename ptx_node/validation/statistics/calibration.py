"""Whether what is called 30 % happens in 30 of 100 cases. Cases must be of different patients."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ptx_node.validation.statistics.estimate import (
    CONFIDENCE,
    Estimate,
    Method,
    Note,
    checked_probabilities,
    normal_quantile,
    unknown,
)
from ptx_node.validation.statistics.proportions import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLOSEST = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""

SETTLED = 1e-10
"""The largest step after which a regression counts as solved."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The cases whose probability lies from `low` up to `high` (the last bin includes its end)."""

    low: float
    high: float
    mean_probability: float
    positives: Estimate


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """The logistic regression of the truth on the logit of the probability; intercept 0 and slope 1 are perfect.

    Attributes:
        intercept: at a probability of 0.5; over 0 says too little.
        slope: under 1 is over-confidence.
        in_the_large: the intercept with the slope held at 1: over 0, there is more disease than was said, at whatever probability.
    """

    intercept: Estimate
    slope: Estimate
    in_the_large: Estimate


def reliability(
    truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64], bins: int = 10, *, equal: Literal["width", "count"] = "width"
) -> list[Bin]:
    """Bins of equal width, or of about equally many cases where probabilities crowd at one end; those without a case are left out."""
    checked_probabilities(truth_N, probability_N)
    if not truth_N.size:
        return []
    if equal == "width":
        edges = np.arange(bins + 1) / bins
    else:
        ordered = np.sort(probability_N)
        starts = np.unique(ordered[np.arange(1, bins) * ordered.size // bins])
        edges = np.concatenate([ordered[:1], starts[starts > ordered[0]], ordered[-1:]])
    inner = edges[1:-1]
    place_N = np.searchsorted(inner, probability_N, side="right")
    found = []
    for index in range(inner.size + 1):
        chosen = place_N == index
        if chosen.any():
            share = wilson(int(truth_N[chosen].sum()), int(chosen.sum()))
            found.append(Bin(float(edges[index]), float(edges[index + 1]), _mean(probability_N[chosen]), share))
    return found


def expected_calibration_error(
    truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64], bins: int = 10, *, equal: Literal["width", "count"] = "width"
) -> float:
    """Mean distance between what was said and what was so, over bins weighted by their cases (Guo 2017); it depends on the bins."""
    found = reliability(truth_N, probability_N, bins, equal=equal)
    if not truth_N.size:
        return math.nan
    return math.fsum(one.positives.count * abs(one.mean_probability - one.positives.value) for one in found) / truth_N.size


def brier(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64]) -> float:
    """Mean squared distance between probability and truth: 0 is best, 0.25 is what a constant 0.5 gets."""
    checked_probabilities(truth_N, probability_N)
    return _mean((probability_N - truth_N) ** 2) if truth_N.size else math.nan


def scaled_brier(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64]) -> float:
    """1 less the Brier score over that of saying the prevalence each time: 1 is best, 0 tells nothing; NaN with one kind only."""
    share = float(truth_N.mean()) if truth_N.size else 0.0
    return 1 - brier(truth_N, probability_N) / (share * (1 - share)) if 0 < share < 1 else math.nan


def observed_to_expected(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64], confidence: float = CONFIDENCE) -> Estimate:
    """Positives over the sum of the probabilities (Debray 2017, interval of the logarithm): over 1, too little was said.

    Without positives the ratio is 0 and has no interval.
    """
    checked_probabilities(truth_N, probability_N)
    z = normal_quantile(confidence)
    observed, count, expected = int(truth_N.sum()), truth_N.size, math.fsum(probability_N)
    if not count or not expected:
        return unknown(count, Method.LOG, Note.NOT_DETERMINED if count else Note.NO_CASES, hits=observed, confidence=confidence)
    ratio = observed / expected
    if observed in {0, count}:
        return Estimate(ratio, math.nan, math.nan, count, observed, Method.LOG, confidence, note=Note.NO_VARIANCE)
    spread = math.exp(z * math.sqrt((1 - observed / count) / observed))
    return Estimate(ratio, ratio / spread, ratio * spread, count, observed, Method.LOG, confidence)


def calibration_line(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64], confidence: float = CONFIDENCE) -> CalibrationLine:
    """Intercept, slope and intercept-in-the-large by maximum likelihood (Cox 1958; Van Calster 2019).

    NaN where the line is not determined: one kind only, all probabilities equal, or all positives above all negatives.
    """
    checked_probabilities(truth_N, probability_N)
    z = normal_quantile(confidence)
    kept = np.clip(probability_N, CLOSEST, 1 - CLOSEST)
    x_N = np.log(kept / (1 - kept))
    nothing = unknown(truth_N.size, Method.MAXIMUM_LIKELIHOOD, Note.NOT_DETERMINED, confidence=confidence)
    if not truth_N.size:
        nothing = replace(nothing, note=Note.NO_CASES)
    if truth_N.all() or not truth_N.any():
        return CalibrationLine(nothing, nothing, nothing)
    ones_N = np.ones_like(x_N)

    def estimates(design: NDArray[np.float64], offset_N: NDArray[np.float64]) -> list[Estimate]:
        fitted = _logistic_regression(design, offset_N, truth_N)
        if fitted is None:
            return [nothing] * design.shape[1]
        return [
            Estimate(value, value - z * error, value + z * error, truth_N.size, None, Method.MAXIMUM_LIKELIHOOD, confidence)
            for value, error in fitted
        ]

    large = estimates(ones_N[:, None], x_N)[0]
    flat = np.ptp(x_N) == 0 or x_N[truth_N].min() >= x_N[~truth_N].max() or x_N[truth_N].max() <= x_N[~truth_N].min()
    line = [nothing, nothing] if flat else estimates(np.stack([ones_N, x_N], axis=1), np.zeros_like(x_N))
    return CalibrationLine(line[0], line[1], large)


def _logistic_regression(
    design: NDArray[np.float64], offset_N: NDArray[np.float64], truth_N: NDArray[np.bool_]
) -> list[tuple[float, float]] | None:
    """(coefficient, standard error) of each column, by Newton's steps; None if they do not settle."""
    line = np.zeros(design.shape[1])
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-np.clip(design @ line + offset_N, -500, 500)))
        curvature = design.T @ (design * (fitted * (1 - fitted))[:, None])
        try:
            step = np.linalg.solve(curvature, design.T @ (truth_N - fitted))
            covariance = np.linalg.inv(curvature)
        except np.linalg.LinAlgError:
            return None
        line = line + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < SETTLED:
            return [(float(one), math.sqrt(float(variance))) for one, variance in zip(line, np.diag(covariance), strict=True)]
    return None


def _mean(values: NDArray[np.float64]) -> float:
    return math.fsum(values) / values.size
