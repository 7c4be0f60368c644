"""Rows of single cases, so coarse that nobody stands out: each combination of what a neighbour could know has k patients, or is withheld.

For rows; which subgroup figures may be shown is decided in `statistics/subgroups.py`. The plan is made from counts, so the rows may stream.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.domain.pseudonym import OLDEST_AGE_TOLD
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SMALLEST_CELL = 10
"""Patients of one combination."""

MOST_WITHHELD = 0.02
"""Of the patients. Withholding so few costs less than making every row coarser."""

WITHHELD = "withheld"
NOT_STATED = "not stated"

Cell = tuple[str, ...]
"""One value of each quasi-identifier, in their order."""


@dataclass(frozen=True, slots=True)
class QuasiIdentifier:
    """A column that somebody who knows the patient may know.

    Attributes:
        column: its name.
        levels: how it is made coarser, step by step; each takes the value as it first was. After the last one the column is withheld.
    """

    column: str
    levels: tuple[Callable[[str], str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with the rows, decided once for all of them.

    Attributes:
        smallest: patients that each combination has at least, as asked for.
        columns: of the quasi-identifiers.
        level_of: steps taken by each column; 0 is as it was.
        withheld: combinations, after these steps, whose values are all replaced by `withheld`.
        patients: of the table.
        patients_withheld: of the withheld combinations; with other rows they may still be seen.
        steps: what was done, in order, in words for the report.
    """

    smallest: int
    columns: tuple[str, ...]
    level_of: tuple[int, ...]
    withheld: frozenset[Cell]
    patients: int
    patients_withheld: int
    steps: tuple[str, ...]
    _identifiers: tuple[QuasiIdentifier, ...]

    def apply(self, row: Mapping[str, str]) -> dict[str, str]:
        """The row with its quasi-identifiers as the plan says; other columns as they are."""
        cell = _coarse(tuple(_stated(row.get(column, "")) for column in self.columns), self._identifiers, self.level_of)
        values = (WITHHELD,) * len(cell) if cell in self.withheld else cell
        return {**row, **dict(zip(self.columns, values, strict=True))}


def plan(
    rows: Iterable[Mapping[str, str]], identifiers: Sequence[QuasiIdentifier], patient_column: str, smallest: int = SMALLEST_CELL
) -> Plan:
    """Decide how rows become coarse enough.

    While the combinations of fewer than `smallest` patients hold more than 2 % of the patients, one column is made one step coarser:
    the one after which they hold the fewest; of equals one that stays readable, then the one named first. What is then small is
    withheld, and if that alone is small, the smallest other combinations with it until it is not. Where all patients are too few,
    everything is withheld.

    Args:
        rows: read once; only counts are kept.
        identifiers: with their steps, the least needed column first.
        patient_column: whose row it is: cells count patients, since ten images of one are one.
        smallest: patients of a combination; 1 changes nothing.

    Raises:
        UsageError: `smallest` is below 1, or a column is missing in a row.
    """
    if smallest < 1:
        raise UsageError(f"the smallest cell is {smallest}; give the number of patients that share a combination at least, 1 or more")
    chosen = tuple(identifiers)
    columns = tuple(one.column for one in chosen)
    original = _cells(rows, columns, patient_column)
    everybody: set[str] = set().union(*original.values())
    levels = [0] * len(chosen)
    steps: list[str] = []
    cells = original
    while len(_in_small(cells, smallest)) > MOST_WITHHELD * len(everybody):
        choices = [place for place, one in enumerate(chosen) if levels[place] <= len(one.levels)]
        if not choices:
            break
        tried = {place: _merged(original, chosen, _stepped(levels, place)) for place in choices}
        best = min(choices, key=lambda place: (len(_in_small(tried[place], smallest)), levels[place] == len(chosen[place].levels), place))
        levels, cells = list(_stepped(levels, best)), tried[best]
        how = "withheld" if levels[best] > len(chosen[best].levels) else f"made coarser, step {levels[best]} of {len(chosen[best].levels)}"
        steps.append(f"{columns[best]}: {how}")
    withheld = _withheld(cells, smallest)
    hidden: set[str] = set().union(*(cells[cell] for cell in withheld))
    if withheld:
        steps.append(f"{len(withheld)} combinations of {len(hidden)} patients: withheld")
    return Plan(smallest, columns, tuple(levels), frozenset(withheld), len(everybody), len(hidden), tuple(steps), chosen)


def age_in_years(width: int) -> Callable[[str], str]:
    """A step for ages in whole years: bands such as `60-69`, the last one up to 89. `90+` stays; what is no age is `not stated`."""

    def band(value: str) -> str:
        if value.endswith("+"):
            return value
        if not value.isdecimal():
            return NOT_STATED
        first = int(value) // width * width
        return f"{first}-{max(first, min(first + width - 1, OLDEST_AGE_TOLD))}"

    return band


def _cells(rows: Iterable[Mapping[str, str]], columns: tuple[str, ...], patient_column: str) -> dict[Cell, set[str]]:
    """The patients of each combination, as the rows have it."""
    cells: defaultdict[Cell, set[str]] = defaultdict(set)
    for number, row in enumerate(rows, 1):
        missing = [column for column in (*columns, patient_column) if column not in row]
        if missing:
            raise UsageError(f"row {number} has no column {missing[0]!r}; give the table's own names")
        cells[tuple(_stated(row[column]) for column in columns)].add(row[patient_column])
    return dict(cells)


def _stated(value: str) -> str:
    return value or NOT_STATED


def _stepped(levels: Sequence[int], place: int) -> tuple[int, ...]:
    return tuple(level + (index == place) for index, level in enumerate(levels))


def _coarse(cell: Cell, identifiers: Sequence[QuasiIdentifier], levels: Sequence[int]) -> Cell:
    values = []
    for value, identifier, level in zip(cell, identifiers, levels, strict=True):
        if level > len(identifier.levels):
            values.append(WITHHELD)
        else:
            values.append(identifier.levels[level - 1](value) if level else value)
    return tuple(values)


def _merged(original: Mapping[Cell, set[str]], identifiers: Sequence[QuasiIdentifier], levels: Sequence[int]) -> dict[Cell, set[str]]:
    cells: defaultdict[Cell, set[str]] = defaultdict(set)
    for cell, patients in original.items():
        cells[_coarse(cell, identifiers, levels)] |= patients
    return dict(cells)


def _in_small(cells: Mapping[Cell, set[str]], smallest: int) -> set[str]:
    """Patients of combinations that have too few."""
    return set().union(*(patients for patients in cells.values() if len(patients) < smallest))


def _withheld(cells: Mapping[Cell, set[str]], smallest: int) -> list[Cell]:
    """The small combinations; alone they must not be a small one again."""
    order = sorted(cells, key=lambda cell: (len(cells[cell]), cell))
    chosen = [cell for cell in order if len(cells[cell]) < smallest]
    hidden: set[str] = set().union(*(cells[cell] for cell in chosen))
    for cell in order[len(chosen) :]:
        if not chosen or len(hidden) >= smallest:
            break
        chosen.append(cell)
        hidden |= cells[cell]
    return chosen
