"""Which cases a figure is made of. One model's rows of the case table, parted into those that count and those that do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ANSWERS = ("positive", "negative")
UNCERTAIN = "label_undecided"
UNVERIFIED = ("no_report_that_day", "patient_unknown", "no_examination_date", "not_reconciled", UNCERTAIN)
"""Exclusions of answers that count but for their truth. Secondary images of a day with a CT are neither verified nor unverified, and
what is no routine image, or was read again, is nobody's case at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Cases with an answer and a truth.

    Attributes:
        truth_N: pneumothorax or not.
        called_N: what the node answered; with its rule beside the threshold this is not always `score_N` at a threshold.
        score_N: the probability, 0 to 1.
        patient_N: number of the patient in the order of the pseudonyms.
    """

    truth_N: NDArray[np.bool_]
    called_N: NDArray[np.bool_]
    score_N: NDArray[np.float64]
    patient_N: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_] | NDArray[np.int64], truth_N: NDArray[np.bool_] | None = None) -> Judged:
        """Some of the cases, by mask or index, with another truth if one is given (already in their order)."""
        truth = self.truth_N[chosen] if truth_N is None else truth_N
        return Judged(truth, self.called_N[chosen], self.score_N[chosen], self.patient_N[chosen])

    @property
    def count(self) -> int:
        """Cases."""
        return int(self.truth_N.size)

    @property
    def patients(self) -> int:
        """Different patients."""
        return int(np.unique(self.patient_N).size)

    @property
    def repeating(self) -> bool:
        """Whether some patient has several cases."""
        return self.patients < self.count


@dataclass(frozen=True, slots=True, eq=False)
class OfModel:
    """The rows of one model.

    Attributes:
        columns: of these rows.
        judged: all of them; truth has no meaning outside `counted_N`.
        answered_N: the node said positive or negative.
        counted_N: answered, with a truth, not excluded: what every figure is made of unless it says otherwise.
        uncertain_N: answered, and the CT report leaves it open.
        unverified_N: answered, without a truth; the uncertain among them.
    """

    name: str
    columns: Mapping[str, NDArray[Any]]
    judged: Judged
    answered_N: NDArray[np.bool_]
    counted_N: NDArray[np.bool_]
    uncertain_N: NDArray[np.bool_]
    unverified_N: NDArray[np.bool_]

    @property
    def counted(self) -> Judged:
        """The cases that count."""
        return self.judged.of(self.counted_N)

    def of_counted(self, column: str) -> NDArray[Any]:
        """A column of the cases that count."""
        values: NDArray[Any] = self.columns[column][self.counted_N]
        return values


def models_in(columns: Mapping[str, NDArray[Any]]) -> list[OfModel]:
    """The models of a case table, in the order of their names.

    Args:
        columns: as `ptx_node.validation.case_table` reads them: text as text, numbers and yes-or-no as float64, NaN where empty.
    """
    names, model_N = np.unique(columns["model"], return_inverse=True)
    patient_N = np.unique(columns["patient"], return_inverse=True)[1].astype(np.int64)
    return [
        _of_model(str(name), {key: values[model_N == place] for key, values in columns.items()}, patient_N[model_N == place])
        for place, name in enumerate(names)
    ]


def _of_model(name: str, columns: Mapping[str, NDArray[Any]], patient_N: NDArray[np.int64]) -> OfModel:
    truth_N, score_N = columns["truth"], columns["probability"]
    known_N = ~np.isnan(truth_N)
    answered_N = np.isin(columns["outcome"], ANSWERS) & ~np.isnan(score_N)
    uncertain_N = answered_N & ~known_N & (columns["label"] == LabelValue.UNCERTAIN.value) & (columns["exclusion"] == UNCERTAIN)
    unverified_N = answered_N & ~known_N & np.isin(columns["exclusion"], UNVERIFIED)
    judged = Judged(truth_N == 1, columns["outcome"] == "positive", score_N, patient_N)
    counted_N = answered_N & known_N & (columns["exclusion"] == "")
    return OfModel(name, columns, judged, answered_N, counted_N, uncertain_N, unverified_N)
