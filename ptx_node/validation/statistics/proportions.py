"""A share of cases with its interval. Cases must be of different patients; where patients repeat see `clustered`."""

from __future__ import annotations

import math

from scipy.special import betaincinv

from ptx_node.errors import UsageError
from ptx_node.validation.statistics.estimate import CONFIDENCE, Estimate, Method, Note, normal_quantile, unknown


def wilson(hits: int, count: int, confidence: float = CONFIDENCE) -> Estimate:
    """Wilson's score interval: good on average, short, never outside 0..1."""
    z = normal_quantile(confidence)
    if _nobody(hits, count):
        return unknown(0, Method.WILSON, Note.NO_CASES, hits=0, confidence=confidence)
    share = hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == count else middle + half
    return Estimate(share, low, high, count, hits, Method.WILSON, confidence)


def clopper_pearson(hits: int, count: int, confidence: float = CONFIDENCE) -> Estimate:
    """The exact interval: covers at least as often as it says, whatever the share."""
    normal_quantile(confidence)
    if _nobody(hits, count):
        return unknown(0, Method.CLOPPER_PEARSON, Note.NO_CASES, hits=0, confidence=confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, count - hits + 1, tail))
    high = 1.0 if hits == count else float(betaincinv(hits + 1, count - hits, 1 - tail))
    return Estimate(hits / count, low, high, count, hits, Method.CLOPPER_PEARSON, confidence)


def _nobody(hits: int, count: int) -> bool:
    if not 0 <= hits <= count:
        raise UsageError(f"{hits} of {count} is no share of cases")
    return count == 0
