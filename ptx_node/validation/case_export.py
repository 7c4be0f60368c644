"""Writes the case table of a period or a cohort from the database: cases, exclusions, their course over time, counts of the flow chart.

Two passes over the findings, a page at a time: the first decides what must be made coarser and finds the order of the pseudonyms, the
second writes. All of it is of one snapshot, which the caller's session has to be (`ptx_node.db.session.begin_snapshot`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ptx_node.domain.finding import Outcome
from ptx_node.domain.reading import TruthKind
from ptx_node.domain.study import SIMULATED_ISSUER
from ptx_node.validation.case_columns import COLUMNS, EXCLUSIONS, OVER_TIME
from ptx_node.validation.case_course import LAST, Counted, course
from ptx_node.validation.case_rows import identifiers, model_of, row_of, told_of_person
from ptx_node.validation.case_table import writing_csv, writing_parquet, yes_told
from ptx_node.validation.case_tally import Tally
from ptx_node.validation.exclusions import Exclusion, exclusion_by_truth
from ptx_node.validation.samples import OfPeriod
from ptx_node.validation.small_cells import SMALLEST_CELL, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Case, Key, Period
    from ptx_node.validation.case_rows import Naming
    from ptx_node.validation.flow import Flow
    from ptx_node.validation.samples import Sample
from ptx_node.validation.small_cells import Plan

CASES_CSV, CASES_PARQUET, EXCLUSIONS_CSV, OVER_TIME_CSV = "cases.csv", "cases.parquet", "exclusions.csv", "over_time.csv"

PAGE = 1000
"""Findings read at once."""


@dataclass(frozen=True, slots=True)
class CaseTable:
    """What was written.

    Attributes:
        rows: findings, those that are excluded among them.
        patients: of all rows.
        counted_patients: of the rows that count.
        simulated: rows of simulated patients: whoever shows a figure has to say so.
        flow: of everything that came; its ends are the 2x2 table of all models together.
        flows: of each model's findings.
        plan: what was made coarser or withheld; None in an identified table.
    """

    rows: int
    patients: int
    counted_patients: int
    simulated: int
    flow: Flow
    flows: Mapping[str, Flow]
    plan: Plan | None

    @property
    def models(self) -> tuple[str, ...]:
        """In the order of their names."""
        return tuple(self.flows)


def write_case_table(
    session: Session,
    folder: Path,
    period: Period,
    naming: Naming,
    *,
    truth: TruthKind = TruthKind.REPORT,
    smallest_cell: int = SMALLEST_CELL,
) -> CaseTable:
    """As `write_sample`, of everybody examined in a period, with truth of one kind."""
    return write_sample(OfPeriod(session, period, truth), folder, naming, smallest_cell=smallest_cell)


def write_sample(sample: Sample, folder: Path, naming: Naming, *, smallest_cell: int = SMALLEST_CELL) -> CaseTable:
    """Write `cases.csv`, `cases.parquet`, `exclusions.csv` and `over_time.csv` into a folder that has none of them.

    The same snapshot gives the same bytes, on either database.

    Args:
        sample: whose cases, of one snapshot.
        folder: is there.
        naming: who is told how; an identified table has nothing made coarser.
        smallest_cell: patients that share what a row tells of them, at least.

    Raises:
        StorageFullError: no space is left; what was begun lies there.
        UsageError: a file is there already or cannot be written; pyarrow is missing; the smallest cell is below 1.
        DatabaseUnavailableError: a retry may help.
    """
    survey = _Survey(sample, naming)
    told = survey.persons(sample.keys())
    coarser = None if naming.identified else plan(told, identifiers(), "patient", smallest_cell)
    for _ in told:  # what no plan has read
        pass
    writing = _Writing(sample, naming, coarser, Tally(sample.truth))
    with writing_csv(folder / CASES_CSV, COLUMNS) as write, writing_parquet(folder / CASES_PARQUET, COLUMNS) as write_too:
        writing.run(survey.decided(), (write, write_too))
    flow, flows = sample.charts(writing.tally, sorted({one.model for one in survey.listed}))
    with writing_csv(folder / EXCLUSIONS_CSV, EXCLUSIONS) as write:
        for row in sample.exclusions(writing.tally):
            write(row)
    with writing_csv(folder / OVER_TIME_CSV, OVER_TIME) as write:
        for row in course(writing.counted, 1 if naming.identified else smallest_cell):
            write(row)
    return CaseTable(
        len(survey.listed),
        len(survey.patients),
        len({one.patient for one in writing.counted}),
        survey.simulated,
        flow,
        flows,
        coarser,
    )


class _Listed(NamedTuple):
    """A finding in the order of the table: of one image and model those first that count before others."""

    case_id: str
    model: str
    excluded: bool
    without_truth: bool
    finding_id: int
    instance_id: int
    exclusion: Exclusion | None


@dataclass(slots=True)
class _Survey:
    """The first pass: what is kept of each finding until the second, about 0.3 kB."""

    sample: Sample
    naming: Naming
    listed: list[_Listed] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    simulated: int = 0
    _known: dict[str, str] = field(default_factory=dict)

    def persons(self, keys: Sequence[Key]) -> Iterator[dict[str, str]]:
        """What each row tells of its person."""
        for key, case in _paged(self.sample, keys):
            before, model = self.sample.excluded(case), model_of(case)
            one_object = self._known.setdefault(model, model)
            excluded, without_truth = before is not None, exclusion_by_truth(case) is not None
            self.listed.append(_Listed(self.naming.uid(case.image_uid), one_object, excluded, without_truth, *key, before))
            self.simulated += case.issuer_of_patient_id == SIMULATED_ISSUER
            person = told_of_person(case, self.naming)
            self.patients.add(person["patient"])
            yield person

    def decided(self) -> list[tuple[Key, Exclusion | None]]:
        """Each finding in the order of the table, with why it counts no answer: a second reading of an image counts for nothing."""
        found: list[tuple[Key, Exclusion | None]] = []
        for _, readings in groupby(sorted(self.listed), key=lambda one: (one.case_id, one.model)):
            for number, one in enumerate(readings):
                again = Exclusion.READ_AGAIN if number and not one.excluded else None
                found.append(((one.finding_id, one.instance_id), one.exclusion or again))
        return found


@dataclass(slots=True)
class _Writing:
    """The second pass."""

    sample: Sample
    naming: Naming
    plan: Plan | None
    tally: Tally
    counted: list[Counted] = field(default_factory=list)

    def run(self, decided: Sequence[tuple[Key, Exclusion | None]], writers: Sequence[Callable[[Mapping[str, str]], None]]) -> None:
        """Write every row in this order."""
        paged = _paged(self.sample, [key for key, _ in decided], words=True)
        for (_, case), (_, exclusion) in zip(paged, decided, strict=True):
            row = row_of(case, self.naming, exclusion or exclusion_by_truth(case))
            if self.plan is not None:
                row = self.plan.apply(row)
            for write in writers:
                write(row)
            self.tally.row(row)
            if not row["exclusion"] and case.examined_on is not None:
                called = yes_told(row["outcome"] == Outcome.POSITIVE)
                moment = (case.examined_on, case.examined_at or LAST)
                self.counted.append(Counted(*moment, row["case_id"], row["model"], called, row["truth"], row["patient"]))


def _paged(sample: Sample, keys: Sequence[Key], *, words: bool = False) -> Iterator[tuple[Key, Case]]:
    for first in range(0, len(keys), PAGE):
        some = keys[first : first + PAGE]
        yield from zip(some, sample.page(some, words=words), strict=True)
