"""Which subgroups may be shown without showing single patients, by count or by subtraction.

A group is shown whole or not at all: its counts, its figures, nothing. Nobody is told which of the withheld groups was the small one.
This protects against subtracting what one release shows; not against two releases of different months, nor against outside knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.errors import UsageError
from ptx_node.validation.statistics.bootstrap import patients_of
from ptx_node.validation.statistics.estimate import checked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

SMALLEST_CELL = 10
"""Patients that a shown count has at least, unless it is 0."""

HAIR = 1e-6
"""A weight, or a squared distance in cases, below this is what rounding leaves of 0."""

Group = tuple[str, str]
"""(attribute, value), such as ("sex", "F")."""


@dataclass(frozen=True, slots=True)
class Release:
    """What may be shown. If not even all cases together are enough, nothing is.

    Attributes:
        minimum: patients that each shown count has at least.
        total: whether the figures of all cases may be shown.
        withheld: the small groups, and those from which they could be computed.
    """

    minimum: int
    total: bool
    shown: tuple[Group, ...]
    withheld: tuple[Group, ...]


def groups_of(attribute: str, value_N: NDArray[Any]) -> dict[Group, NDArray[np.bool_]]:
    """One group a value; an empty value is `not stated`."""
    text_N = np.array(value_N.tolist(), dtype=np.str_)  # text of any width too
    return {(attribute, str(value) or "not stated"): text_N == value for value in np.unique(text_N)}


def groups_up_to(attribute: str, number_N: NDArray[np.float64], limits: Sequence[tuple[str, float]]) -> dict[Group, NDArray[np.bool_]]:
    """Groups of the cases up to each limit, each within the next: `("2 h", 2.0), ("6 h", 6.0)`. NaN is in none."""
    return {(attribute, name): number_N <= limit for name, limit in limits}


def release(
    groups: Mapping[Group, NDArray[np.bool_]], truth_N: NDArray[np.bool_], patient_N: NDArray[Any], minimum: int = SMALLEST_CELL
) -> Release:
    """Decide which groups may be shown beside the figures of all cases.

    A group is small if its cases, or its positives, or its negatives, are of 1 to `minimum` - 1 patients. It is withheld, and then the
    smallest others until no small group, rest of an attribute, or difference of two nested groups can be computed from what is shown.

    Args:
        groups: which cases belong to each; groups may overlap and lie within each other.
        truth_N: what is so.
        patient_N: whose case it is: cells count patients, since ten images of one patient are one patient.
        minimum: see above; 1 shows everything.
    """
    if minimum < 1:
        raise UsageError(f"the smallest cell is {minimum}; give the number of patients that a shown count has at least, 1 or more")
    checked(truth_N, patient_N, *groups.values())
    cells = _Cells(groups, truth_N, patient_N, minimum)
    order = cells.names
    if cells.small_total:
        return Release(minimum, total=False, shown=(), withheld=order)
    shown = set(order) - cells.small
    while found := cells.in_a_rest(shown) | cells.in_a_difference(shown) or cells.in_the_span(shown):
        shown.discard(next(one for one in cells.by_size if one in found))
    shown_in_order, withheld = (tuple(one for one in order if (one in shown) is kind) for kind in (True, False))
    return Release(minimum, total=True, shown=shown_in_order, withheld=withheld)


class _Cells:
    """Sets of cases, the patients in them, and what can be computed from a choice of them."""

    def __init__(
        self, groups: Mapping[Group, NDArray[np.bool_]], truth_N: NDArray[np.bool_], patient_N: NDArray[Any], minimum: int
    ) -> None:
        self.names: tuple[Group, ...] = tuple(sorted(groups))
        self._place = {name: index for index, name in enumerate(self.names)}
        everybody = np.ones(truth_N.size, dtype=np.bool_)
        self._sets = [*(groups[one] for one in self.names), everybody]
        self._kinds = (everybody, truth_N, ~truth_N)
        self._minimum = minimum
        self._patients, self._patient_N = patients_of(patient_N)
        overlaps = []
        for kind_N in self._kinds:
            matrix = np.array([one & kind_N for one in self._sets], dtype=np.float64)
            overlaps.append(matrix @ matrix.T)
        self._overlaps: list[NDArray[np.float64]] = overlaps
        self._few: NDArray[np.bool_] = np.array([[0 < self._count(one & kind_N) < minimum for kind_N in self._kinds] for one in self._sets])
        self.small = {one for index, one in enumerate(self.names) if self._few[index].any()}
        self.small_total = bool(self._few[-1].any())
        self.by_size = sorted(self.names, key=lambda one: (self._count(groups[one]), one))
        self._partitions = self._complete_attributes()
        self._small_differences = self._nested_with_little_between()

    def _count(self, chosen_N: NDArray[np.bool_]) -> int:
        """Patients among these cases."""
        return int(np.count_nonzero(np.bincount(self._patient_N[chosen_N], minlength=self._patients)))

    def _small(self, chosen_N: NDArray[np.bool_]) -> bool:
        """Whether these cases, or their positives, or their negatives, are of few patients but not of none."""
        return any(0 < self._count(chosen_N & kind_N) < self._minimum for kind_N in self._kinds)

    def _complete_attributes(self) -> list[list[Group]]:
        """Attributes whose groups share out all cases: there the rest can be computed."""
        attributes = [[group for group in self.names if group[0] == name] for name in sorted({group[0] for group in self.names})]
        return [members for members in attributes if (np.sum([self._set(one) for one in members], axis=0) == 1).all()]

    def _nested_with_little_between(self) -> list[tuple[int, int]]:
        """(inner, outer) places of sets that lie within each other and leave a small cell between them."""
        overlap = self._overlaps[0]
        return [
            (inner, int(outer))
            for inner in range(len(self.names))
            for outer in np.flatnonzero(overlap[inner] == overlap[inner, inner])
            if overlap[outer, outer] > overlap[inner, inner] and self._small(self._sets[outer] & ~self._sets[inner])
        ]

    def _set(self, name: Group) -> NDArray[np.bool_]:
        return self._sets[self._place[name]]

    def in_a_rest(self, shown: set[Group]) -> set[Group]:
        """Shown groups of attributes where all cases less the shown ones are a small cell."""
        found: set[Group] = set()
        for members in self._partitions:
            visible = [one for one in members if one in shown]
            if visible and self._small(~np.logical_or.reduce([self._set(one) for one in visible])):
                found.update(visible)
        return found

    def in_a_difference(self, shown: set[Group]) -> set[Group]:
        """Shown groups that leave a small cell between them and another shown one, or all cases, within which they lie."""
        visible = {self._place[one] for one in shown} | {len(self.names)}
        return {self.names[inner] for inner, outer in self._small_differences if inner in visible and outer in visible}

    def in_the_span(self, shown: set[Group]) -> set[Group]:
        """Shown groups of which, added and subtracted with others and the total, a small one comes out."""
        published = [*sorted(self._place[one] for one in shown), len(self.names)]
        for overlap, few in zip(self._overlaps, self._few[:-1].T, strict=True):
            for hidden in np.flatnonzero(few):
                with_each = overlap[hidden, published]
                weights = np.linalg.lstsq(overlap[np.ix_(published, published)], with_each, rcond=1e-10)[0]
                distance = float(overlap[hidden, hidden] - weights @ with_each)  # squared, from all that can be computed
                parts = {self.names[place] for place, weight in zip(published[:-1], weights, strict=False) if abs(weight) > HAIR}
                if distance < HAIR and parts:
                    return parts
        return set()
