"""Whether what comes, or what is answered, has changed against a reference: pure functions of two samples.

A change counts where three things hold together: enough cases on both sides, a p-value below the limit, and a difference large enough to
matter, since among thousands of cases anything is significant. Whether it lasts is decided by whoever asks again (`lasting`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST_EXPECTED = 5.0
"""Of a cell of a chi-square table (Cochran 1954); rarer values are taken together."""
MOST_VALUES = 12
OTHER = "other values"
BINS = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """From which on a difference counts.

    Attributes:
        minimum: cases of the reference and of the window, each.
        p_value: below which one window is unlike the reference.
        effect: smallest difference that matters: of the largest distance of two distributions (Kolmogorov-Smirnov), and of Cramer's V.
    """

    minimum: int = 100
    p_value: float = 0.001
    effect: float = 0.1


@dataclass(frozen=True, slots=True)
class Compared:
    """A window against the reference.

    Attributes:
        method: `ks`, `chi_square`, or of embeddings `direction` or `far`; empty where there were too few cases.
        statistic: largest distance of the two distributions, 0 to 1; or chi-square.
        effect: that distance; or Cramer's V, 0 to 1.
        reference, window: shares by bin or value, for a picture; the same places in both.
        places: the lower ends of the bins and the last upper one, or the values.
        crossed: all three conditions hold.
        drawn: what a picture needs beside the shares.
    """

    method: str
    reference_count: int
    window_count: int
    statistic: float
    p_value: float
    effect: float
    crossed: bool
    places: tuple[float | str, ...]
    reference: tuple[float, ...]
    window: tuple[float, ...]
    drawn: Mapping[str, Any] = field(default_factory=dict)


def compare_numbers(reference: Sequence[float], window: Sequence[float], limits: Limits) -> Compared:
    """Two-sample Kolmogorov-Smirnov of finite numbers; its p-value is asymptotic, and with ties on the safe side."""
    one, other = (np.asarray(some, dtype=np.float64) for some in (reference, window))
    places, shares = _bins(one, other)
    if min(one.size, other.size) < max(1, limits.minimum):
        return Compared(
            "", one.size, other.size, math.nan, math.nan, math.nan, crossed=False, places=places, reference=shares[0], window=shares[1]
        )
    found = stats.ks_2samp(one, other, method="asymp")
    distance, p_value = float(found.statistic), float(found.pvalue)
    return _compared("ks", (one.size, other.size), (distance, p_value, distance), limits, places, shares)


def compare_values(reference: Mapping[str, int], window: Mapping[str, int], limits: Limits) -> Compared:
    """Chi-square of homogeneity of how often each value comes, rare values taken together.

    A value that only one side knows counts too: a new machine is a change.
    """
    counts = np.array([[reference.get(name, 0), window.get(name, 0)] for name in sorted({*reference, *window})], dtype=np.float64).reshape(
        -1, 2
    )
    names = sorted({*reference, *window})
    totals = counts.sum(axis=0)
    sizes = (int(totals[0]), int(totals[1]))
    names, counts = _together(names, counts)
    shares = (tuple(map(float, counts[:, 0] / max(1.0, totals[0]))), tuple(map(float, counts[:, 1] / max(1.0, totals[1]))))
    if min(sizes) < max(1, limits.minimum):
        return Compared("", *sizes, math.nan, math.nan, math.nan, crossed=False, places=tuple(names), reference=shares[0], window=shares[1])
    if len(names) == 1:
        return _compared("chi_square", sizes, (0.0, 1.0, 0.0), limits, tuple(names), shares)
    found = stats.chi2_contingency(counts, correction=False)
    strength = math.sqrt(float(found.statistic) / float(totals.sum()))  # two columns: Cramer's V divides by 1
    return _compared("chi_square", sizes, (float(found.statistic), float(found.pvalue), strength), limits, tuple(names), shares)


def lasting(windows: Sequence[Compared], persistence: int) -> bool:
    """Whether each of the last windows, which share no case, is unlike the reference."""
    return len(windows) >= persistence and all(one.crossed for one in windows[-persistence:])


def _compared(
    method: str,
    sizes: tuple[int, int],
    figures: tuple[float, float, float],
    limits: Limits,
    places: tuple[float | str, ...],
    shares: tuple[tuple[float, ...], tuple[float, ...]],
) -> Compared:
    statistic, p_value, effect = figures
    crossed = p_value < limits.p_value and effect >= limits.effect
    return Compared(method, *sizes, statistic, p_value, effect, crossed=crossed, places=places, reference=shares[0], window=shares[1])


def _bins(one: np.ndarray, other: np.ndarray) -> tuple[tuple[float, ...], tuple[tuple[float, ...], tuple[float, ...]]]:
    """Shares in equal bins from the least to the 99th percentile of both; what is above stands in the last bin."""
    both = np.concatenate([one, other])
    if not both.size:
        return (), ((), ())
    low, high = float(both.min()), float(np.quantile(both, 0.99))
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    counts = [np.histogram(np.minimum(some, edges[-1]), edges)[0] / max(1, some.size) for some in (one, other)]
    return tuple(map(float, edges)), (tuple(map(float, counts[0])), tuple(map(float, counts[1])))


def _together(names: list[str], counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The values by size, those that are too rare for a test, or beyond a page, as one."""
    order = sorted(range(len(names)), key=lambda place: (-float(counts[place].sum()), names[place]))
    share = counts.sum(axis=0) / max(1.0, float(counts.sum()))
    kept = [place for place in order if float(counts[place].sum()) * float(share.min()) >= FEWEST_EXPECTED][:MOST_VALUES]
    rest = [place for place in order if place not in kept]
    if len(rest) == 1 and not kept:
        kept, rest = rest, []
    if not rest:
        return [names[place] for place in kept], counts[kept]
    return [*(names[place] for place in kept), OTHER], np.vstack([counts[kept], counts[rest].sum(axis=0)])
