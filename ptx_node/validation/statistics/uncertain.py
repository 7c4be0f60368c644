"""Cases whose truth is uncertain: every analysis is made three times, so that nobody can wonder which way they were counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ptx_node.errors import UsageError
from ptx_node.validation.statistics.estimate import checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Figures = TypeVar("Figures")


@dataclass(frozen=True, slots=True)
class ThreeWays(Generic[Figures]):
    """One analysis without the uncertain cases, with all of them as positives, with all of them as negatives."""

    uncertain: int
    excluded: Figures
    as_positive: Figures
    as_negative: Figures


def three_ways(
    positive_N: NDArray[np.bool_],
    uncertain_N: NDArray[np.bool_],
    analysis: Callable[[NDArray[np.bool_], NDArray[np.int64]], Figures],
) -> ThreeWays[Figures]:
    """Make an analysis three times.

    Args:
        positive_N: truth that is certain.
        uncertain_N: truth that is not.
        analysis: of (truth, indices of the cases that it is of), both in the order of the cases.

    Raises:
        UsageError: a case is both positive and uncertain.
    """
    checked(positive_N, uncertain_N)
    both = int((positive_N & uncertain_N).sum())
    if both:
        raise UsageError(f"{both} of {positive_N.size} cases are both positive and uncertain; a case has one truth")
    certain, everybody = np.flatnonzero(~uncertain_N), np.arange(positive_N.size)
    return ThreeWays(
        int(uncertain_N.sum()),
        analysis(positive_N[certain], certain),
        analysis(positive_N | uncertain_N, everybody),
        analysis(positive_N.copy(), everybody),
    )
