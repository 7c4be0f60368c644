"""How well two readers agree beyond chance: the label of a report against a person's, one reader against another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.errors import UsageError
from ptx_node.validation.statistics.estimate import CONFIDENCE, Estimate, Method, Note, normal_quantile, unknown

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

NOTHING = 1e-12
"""Half an interval below this is what rounding leaves of 0."""


def kappa(first_N: NDArray[Any], second_N: NDArray[Any], confidence: float = CONFIDENCE) -> Estimate:
    """Cohen's kappa of two readers of the same cases, for any categories (variance of Fleiss, Cohen and Everitt 1969).

    1 is full agreement, 0 what chance gives. NaN if both readers always said the same one thing: chance explains that too.

    Raises:
        UsageError: the readers have not read the same number of cases.
    """
    z = normal_quantile(confidence)
    if first_N.shape != second_N.shape or first_N.ndim != 1:
        raise UsageError(f"agreement needs two readings of the same cases, got {first_N.size} and {second_N.size}")
    if not first_N.size:
        return unknown(0, Method.KAPPA, Note.NO_CASES, confidence=confidence)
    names, place = np.unique(np.concatenate([first_N, second_N]), return_inverse=True)
    size, count = names.size, first_N.size
    table = np.bincount(place[:count] * size + place[count:], minlength=size * size).reshape(size, size) / count
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreed, expected = math.fsum(np.diag(table)), math.fsum(rows * columns)
    hits = int(np.count_nonzero(first_N == second_N))
    if size == 1:
        return unknown(count, Method.KAPPA, Note.NO_VARIANCE, hits=hits, confidence=confidence)
    value = (agreed - expected) / (1 - expected)
    both = rows[None, :] + columns[:, None]  # for the cell (i, j): how often the first says j and the second i
    diagonal = math.fsum(np.diag(table) * (1 - np.diag(both) * (1 - value)) ** 2)
    beside = (1 - value) ** 2 * math.fsum(((table - np.diag(np.diag(table))) * both**2).ravel())
    variance = (diagonal + beside - (value - expected * (1 - value)) ** 2) / ((1 - expected) ** 2 * count)
    half = z * math.sqrt(max(0.0, variance))
    note = None if half > NOTHING else Note.NO_VARIANCE
    low, high = (math.nan, math.nan) if note else (max(-1.0, value - half), min(1.0, value + half))
    return Estimate(value, low, high, count, hits, Method.KAPPA, confidence, note=note)
