"""A figure with its interval and everything that is needed to compute it again: n, method, seed.

Nothing here rounds. A figure that these cases cannot give is NaN and has a note that says why; it is never 0 or 1 instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

CONFIDENCE = 0.95


class Method(StrEnum):
    """How an interval was made."""

    WILSON = "Wilson score"
    CLOPPER_PEARSON = "Clopper-Pearson"
    DELONG = "DeLong variance, logit interval"
    DELONG_PAIRED = "DeLong covariance, normal interval"
    DISJOINT_PAIRS = "exact bound of disjoint pairs"
    LOG = "normal interval of the logarithm"
    LOGIT = "normal interval of the logit"
    MAXIMUM_LIKELIHOOD = "maximum likelihood, Wald interval"
    KAPPA = "Fleiss-Cohen-Everitt variance, normal interval"
    BOOTSTRAP = "bootstrap by patient, percentiles"
    OUT_OF_BAG = "bootstrap by patient, percentiles of the patients not drawn"
    NONE = "no interval"


class Note(StrEnum):
    """Why a figure or its interval is not the ordinary one."""

    NO_CASES = "no cases"
    ONE_KIND = "positives or negatives only"
    ONE_OF_A_KIND = "a single positive or a single negative: no variance"
    NO_VARIANCE = "the variance is 0: nothing to make an interval of"
    ALL_IN_ORDER = "every positive above every negative, or the reverse: the exact bound is given"
    ZERO_CELL = "a cell of the table is 0: 1/2 was added to each cell for value and interval"
    NOT_DETERMINED = "the model has no finite solution here"
    NO_RESAMPLES = "no resamples were asked for"
    NO_RESAMPLE_HAS_IT = "no resample has this figure"
    ALL_RESAMPLES_EQUAL = "all resamples are equal: the exact bound for so many patients is given"
    UNVERIFIED_STRATUM = "a stratum has cases but none that is verified: merge strata"
    TOO_FEW = "fewer cases than the stated minimum"


@dataclass(frozen=True, slots=True)
class Chance:
    """How intervals without a formula are made: the same seed and repeats give the same interval. 0 repeats give none."""

    seed: int = 1
    repeats: int = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure between its confidence limits; NaN where there is nothing to estimate it from.

    Attributes:
        count: n, the cases that it was estimated from.
        hits: of a share, the cases that count; None for other figures.
        clusters: of a bootstrap, the patients that were drawn.
        seed: of a bootstrap; with `repeats` it gives the same limits again.
        undefined: resamples that do not have the figure (no positive among them, say); they are left out of the percentiles.
        note: why value or limits are not the ordinary ones.
    """

    value: float
    low: float
    high: float
    count: int
    hits: int | None = None
    method: Method = Method.NONE
    confidence: float = CONFIDENCE
    clusters: int | None = None
    seed: int | None = None
    repeats: int | None = None
    undefined: int = 0
    note: Note | None = None


def unknown(count: int, method: Method, note: Note, *, hits: int | None = None, confidence: float = CONFIDENCE) -> Estimate:
    """A figure that these cases do not give."""
    return Estimate(math.nan, math.nan, math.nan, count, hits, method, confidence, note=note)


def normal_quantile(confidence: float) -> float:
    """Half the width of a two-sided normal interval, in standard errors.

    Raises:
        UsageError: the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"the confidence of an interval is {confidence}; it must lie between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def checked(truth_N: NDArray[np.bool_], *others_N: NDArray[Any]) -> None:
    """Arrays of cases belong together: one length, truth as yes or no, every score a number.

    Raises:
        UsageError: they do not; what is missing must be excluded, and named as excluded, before anything is computed.
    """
    if truth_N.dtype != np.bool_ or truth_N.ndim != 1:
        raise UsageError(f"truth must be one true or false a case, got {truth_N.dtype} of shape {truth_N.shape}")
    for other_N in others_N:
        if other_N.shape != truth_N.shape:
            raise UsageError(f"{truth_N.size} cases have a truth and {other_N.size} a value beside it; both must be of the same cases")
        if other_N.dtype.kind == "f" and np.isnan(other_N).any():
            raise UsageError(f"{int(np.isnan(other_N).sum())} of {other_N.size} cases have no score: exclude them and say so")


def checked_probabilities(truth_N: NDArray[np.bool_], probability_N: NDArray[np.float64]) -> None:
    """As `checked`, and every score lies from 0 to 1.

    Raises:
        UsageError: they do not.
    """
    checked(truth_N, probability_N)
    if probability_N.size and not (probability_N.min() >= 0 and probability_N.max() <= 1):
        raise UsageError(f"probabilities lie from 0 to 1, these from {probability_N.min()} to {probability_N.max()}; pass probabilities")
