"""A share of cases with its interval, and the bootstrap by patient for everything that is no plain share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure between its confidence limits; NaN where there is nothing to estimate it from.

    Attributes:
        count: cases that it was estimated from.
        hits: of a share, the cases that count; None for other figures.
    """

    value: float
    low: float
    high: float
    count: int
    hits: int | None = None


def wilson(hits: int, count: int, confidence: float = CONFIDENCE) -> Estimate:
    """Wilson's score interval: good on average, short, never outside 0..1."""
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == count else middle + half
    return Estimate(share, low, high, count, hits)


def clopper_pearson(hits: int, count: int, confidence: float = CONFIDENCE) -> Estimate:
    """The exact interval: covers at least as often as it says, whatever the share."""
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _share_where_at_least(hits, count, tail)
    high = 1.0 if hits == count else 1 - _share_where_at_least(count - hits, count, tail)
    return Estimate(hits / count, low, high, count, hits)


def _share_where_at_least(hits: int, count: int, tail: float) -> float:
    """The share at which so many hits or more have the probability `tail`; found by halving, since the probability only grows."""
    numbers = np.arange(hits, count + 1)
    factorials = np.array([math.lgamma(n + 1) for n in range(count + 1)])
    chosen = factorials[count] - factorials[numbers] - factorials[count - numbers]
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        logs = chosen + numbers * math.log(middle) + (count - numbers) * math.log1p(-middle)
        low, high = (low, middle) if np.exp(logs).sum() > tail else (middle, high)
    return (low + high) / 2


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    patients: NDArray[np.str_],
    *,
    seed: int,
    repeats: int = 1000,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Percentile interval of any figure when whole patients are drawn again with replacement.

    Args:
        statistic: the figure of the cases with these indices (a case may come more than once); NaN where it has none.
        patients: the patient of each case; all cases of a drawn patient come together, since they are alike.
        seed: the same seed gives the same interval.
        repeats: how often all patients are drawn.
        confidence: share of intervals that hold the truth.
    """
    names, place = np.unique(patients, return_inverse=True)
    members = [np.flatnonzero(place == index) for index in range(names.size)]
    rng = np.random.default_rng(seed)
    value = statistic(np.arange(patients.size)) if patients.size else math.nan
    if not names.size or math.isnan(value):
        return Estimate(math.nan, math.nan, math.nan, int(patients.size))
    drawn = [statistic(np.concatenate([members[one] for one in rng.integers(0, names.size, names.size)])) for _ in range(repeats)]
    known = np.array([one for one in drawn if not math.isnan(one)])
    if not known.size:
        return Estimate(value, math.nan, math.nan, int(patients.size))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(value), float(low), float(high), int(patients.size))
