"""The 2x2 table of what was called against what is so, and everything that is a ratio of its cells.

Cases must be of different patients; where patients repeat see `clustered`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ptx_node.errors import UsageError
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
from ptx_node.validation.statistics.proportions import clopper_pearson, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Table:
    """Cases by what they are and what they were called."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, truth_N: NDArray[np.bool_], called_N: NDArray[np.bool_]) -> Table:
        """Count cases.

        Raises:
            UsageError: the arrays are not of the same cases.
        """
        checked(truth_N, called_N)
        both, called, true = (int(np.count_nonzero(one)) for one in (truth_N & called_N, called_N, truth_N))
        return cls(both, called - both, true - both, truth_N.size - called - true + both)

    @property
    def positives(self) -> int:
        """Cases that are positive."""
        return self.true_positive + self.false_negative

    @property
    def negatives(self) -> int:
        """Cases that are not."""
        return self.true_negative + self.false_positive

    @property
    def count(self) -> int:
        """All cases."""
        return self.positives + self.negatives

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """{name of a share: (cases that count, cases)}."""
        return shares_of(self.true_negative, self.false_positive, self.false_negative, self.true_positive)


Cells = TypeVar("Cells", int, "NDArray[np.int64]")


def shares_of(quiet: Cells, alarm: Cells, miss: Cells, hit: Cells) -> dict[str, tuple[Cells, Cells]]:
    """{name of a share: (cases that count, cases)} of one table, or of many at once."""
    return {
        "sensitivity": (hit, hit + miss),
        "specificity": (quiet, quiet + alarm),
        "positive_predictive_value": (hit, hit + alarm),
        "negative_predictive_value": (quiet, quiet + miss),
        "accuracy": (hit + quiet, hit + miss + quiet + alarm),
        "prevalence": (hit + miss, hit + miss + quiet + alarm),
    }


@dataclass(frozen=True, slots=True)
class Share:
    """One share under both intervals: Wilson's, which is short, and the exact one, which never promises too much."""

    wilson: Estimate
    clopper_pearson: Estimate


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a 2x2 table is worth. Predictive values and accuracy hold for the prevalence of these very cases only."""

    sensitivity: Share
    specificity: Share
    positive_predictive_value: Share
    negative_predictive_value: Share
    accuracy: Share
    prevalence: Share
    positive_likelihood_ratio: Estimate
    negative_likelihood_ratio: Estimate


def accuracy(table: Table, confidence: float = CONFIDENCE) -> Accuracy:
    """Every figure of a 2x2 table with its intervals."""
    shares = {name: Share(wilson(*of, confidence), clopper_pearson(*of, confidence)) for name, of in table.shares.items()}
    positive, negative = likelihood_ratios(table, confidence)
    return Accuracy(**shares, positive_likelihood_ratio=positive, negative_likelihood_ratio=negative)


def likelihood_ratios(table: Table, confidence: float = CONFIDENCE) -> tuple[Estimate, Estimate]:
    """(LR+, LR-): how much likelier a call, or its absence, is in positives than in negatives (Simel 1991).

    LR+ is sensitivity / (1 - specificity), LR- is (1 - sensitivity) / specificity. Where one of the two cells that a ratio
    is made of is 0, both ratios would be 0, infinite or without an interval: 1/2 is added to all four cells and the note says so.
    """
    z = normal_quantile(confidence)
    if not table.positives or not table.negatives:
        nothing = unknown(table.count, Method.LOG, Note.ONE_KIND if table.count else Note.NO_CASES, confidence=confidence)
        return nothing, nothing
    found = []
    for hit, alarm in ((table.true_positive, table.false_positive), (table.false_negative, table.true_negative)):
        more = 0.0 if hit and alarm else 0.5
        a, b = hit + more, alarm + more
        positives, negatives = table.positives + 2 * more, table.negatives + 2 * more
        value = (a / positives) / (b / negatives)
        spread = math.exp(z * math.sqrt(max(0.0, 1 / a - 1 / positives + 1 / b - 1 / negatives)))
        note = Note.ZERO_CELL if more else Note.NO_VARIANCE if spread == 1 else None
        low, high = (math.nan, math.nan) if spread == 1 else (value / spread, value * spread)
        found.append(Estimate(value, low, high, table.count, None, Method.LOG, confidence, note=note))
    return found[0], found[1]


def predictive_values_at(table: Table, prevalence: float, confidence: float = CONFIDENCE) -> tuple[Estimate, Estimate]:
    """(PPV, NPV) where so large a share is positive: for cohorts that were balanced by hand (Mercaldo 2007, logit intervals).

    Where a cell of the table is 0, 1/2 is added to all four and the note says so.

    Raises:
        UsageError: the prevalence is not between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise UsageError(f"the prevalence {prevalence} is not between 0 and 1")
    z = normal_quantile(confidence)
    if not table.positives or not table.negatives:
        nothing = unknown(table.count, Method.LOGIT, Note.ONE_KIND if table.count else Note.NO_CASES, confidence=confidence)
        return nothing, nothing
    cells = (table.true_positive, table.false_negative, table.false_positive, table.true_negative)
    more = 0.0 if all(cells) else 0.5
    hit, miss, alarm, quiet = (cell + more for cell in cells)
    odds = prevalence / (1 - prevalence)
    sensitivity, specificity = hit / (hit + miss), quiet / (alarm + quiet)
    found = []
    for logit, variance in (
        (math.log(sensitivity * odds / (1 - specificity)), 1 / hit - 1 / (hit + miss) + 1 / alarm - 1 / (alarm + quiet)),
        (math.log(specificity / odds / (1 - sensitivity)), 1 / miss - 1 / (hit + miss) + 1 / quiet - 1 / (alarm + quiet)),
    ):
        low, value, high = (logistic(logit + step * math.sqrt(variance)) for step in (-z, 0, z))
        found.append(Estimate(value, low, high, table.count, None, Method.LOGIT, confidence, note=Note.ZERO_CELL if more else None))
    return found[0], found[1]
