"""Whom an export is of: everybody examined in a period, or the counted members of a cohort that was built."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select

from ptx_node.db import case_counts, case_identifiers, cases, cohort_cases, cohorts, model_history
from ptx_node.db.tables import PairRow, RadiologyReport
from ptx_node.domain.cohort import Choice, CohortState
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import UsageError
from ptx_node.validation.cohort import figures_of, flow_of
from ptx_node.validation.exclusions import exclusion_before_truth, exclusion_of_unread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Case, Key, Period
    from ptx_node.db.model_history import Used
    from ptx_node.db.tables import Cohort
    from ptx_node.validation.case_tally import Tally
    from ptx_node.validation.exclusions import Exclusion
    from ptx_node.validation.flow import Flow

COMMITS_WITHIN = timedelta(minutes=1)
"""A row of the trail is written at the end of the transaction whose times it follows."""


class Sample(Protocol):
    """Whom a package is of, in one snapshot."""

    @property
    def truth(self) -> TruthKind:
        """Whose word the answers are held against."""

    @property
    def balanced(self) -> bool:
        """The share of positives was chosen by hand: predictive values are of no practice."""

    @property
    def words(self) -> str:
        """What it is, for people; empty where the period says it all."""

    def keys(self) -> list[Key]:
        """Every finding of it, by its number."""

    def page(self, some: Sequence[Key], *, words: bool = False) -> list[Case]:
        """These findings, in this order; `words`: also those of the report that decided."""

    def excluded(self, case: Case) -> Exclusion | None:
        """Why a finding is no answer that counts, before any truth is looked at."""

    def charts(self, tally: Tally, models: Sequence[str]) -> tuple[Flow, dict[str, Flow]]:
        """The flow chart, and that of each model; `tally` has seen every row."""

    def exclusions(self, tally: Tally) -> Iterator[dict[str, str]]:
        """The rows of exclusions.csv."""

    def reports_of(self, finding_id: int) -> Sequence[RadiologyReport]:
        """The reports that a finding is held against."""

    def identifiers(self) -> Iterator[tuple[str, str]]:
        """What names patients, images and reports of it: (what it is, value)."""

    def used_models(self) -> list[Used]:
        """Which models answered, at which thresholds."""

    def moments(self) -> tuple[datetime, datetime]:
        """First and last moment of what the audit trail says of it."""


@dataclass(frozen=True, slots=True)
class OfPeriod:
    """Every finding of the period, with truth of one kind."""

    session: Session
    period: Period
    truth: TruthKind = TruthKind.REPORT
    balanced: bool = False
    words: str = ""

    def keys(self) -> list[Key]:
        """See `Sample`."""
        return cases.keys(self.session, self.period)

    def page(self, some: Sequence[Key], *, words: bool = False) -> list[Case]:
        """See `Sample`."""
        return cases.page(self.session, some, self.truth, words=words)

    def excluded(self, case: Case) -> Exclusion | None:
        """See `Sample`."""
        return exclusion_before_truth(case)

    def charts(self, tally: Tally, models: Sequence[str]) -> tuple[Flow, dict[str, Flow]]:
        """Of everything that came, read or not."""
        for one in case_counts.unread(self.session, self.period):
            tally.unread(one.kind, exclusion_of_unread(one), one.code, one.count)
        if self.truth is TruthKind.REPORT:
            tally.reports = case_counts.reports_alone(self.session, self.period)
        return tally.flow(), {model: tally.flow(model) for model in models}

    def exclusions(self, tally: Tally) -> Iterator[dict[str, str]]:
        """See `Sample`."""
        return tally.exclusions()

    def reports_of(self, finding_id: int) -> Sequence[RadiologyReport]:
        """Of its primary pair."""
        pair, report = PairRow, RadiologyReport
        standing = (pair.finding_id == finding_id, pair.superseded_at.is_(None), pair.secondary_reason.is_(None))
        return self.session.scalars(select(report).join(pair, pair.report_id == report.id).where(*standing).order_by(report.id)).all()

    def identifiers(self) -> Iterator[tuple[str, str]]:
        """See `Sample`."""
        return case_identifiers.identifiers(self.session, self.period)

    def used_models(self) -> list[Used]:
        """See `Sample`."""
        return model_history.used_models(self.session, self.period)

    def moments(self) -> tuple[datetime, datetime]:
        """From the first moment of the period to the last word on its images."""
        days, zone = self.period, self.period.zone
        begin, end = (datetime.combine(day, time(), zone) for day in (days.since, days.until + timedelta(days=1)))
        last_word = model_history.last_word(self.session, self.period)
        return begin, max(end, last_word + COMMITS_WITHIN) if last_word else end


@dataclass(frozen=True, slots=True)
class OfCohort:
    """The counted members of a complete cohort, each with the label and the threshold of the moment at which it was begun.

    Raises:
        UsageError: it is still being built.
    """

    session: Session
    cohort: Cohort
    truth: TruthKind = TruthKind.REPORT

    def __post_init__(self) -> None:
        """Figures of half a cohort would be taken for its figures."""
        if self.cohort.state != CohortState.COMPLETE:
            raise UsageError(
                f"the cohort {self.cohort.name} is not complete: go on with `ptx cohort build {self.cohort.name} …`, then export it"
            )

    @property
    def balanced(self) -> bool:
        """See `Sample`."""
        return self.cohort.choice == Choice.BALANCED

    @property
    def words(self) -> str:
        """How it was chosen."""
        how = f"balanced, {self.cohort.wanted} with and as many without, seed {self.cohort.seed}" if self.balanced else "every patient"
        return f"cohort {self.cohort.name} ({how}; one radiograph a patient)"

    def keys(self) -> list[Key]:
        """See `Sample`."""
        return cohort_cases.keys(self.session, self.cohort)

    def page(self, some: Sequence[Key], *, words: bool = False) -> list[Case]:
        """See `Sample`."""
        return cohort_cases.page(self.session, self.cohort, some, words=words)

    def excluded(self, _case: Case) -> Exclusion | None:
        """Nobody: who does not count is no member that is counted, though his image was fetched for it."""
        return None

    def charts(self, tally: Tally, models: Sequence[str]) -> tuple[Flow, dict[str, Flow]]:
        """The cohort's own, from all reports of the period on.

        Raises:
            UsageError: it does not end in the cases that were written.
        """
        table = figures_of(cohorts.members(self.session, self.cohort.id)).table
        flow, written = flow_of(cohorts.counts(self.session, self.cohort.id), table), tally.flow()
        told, counted = (Counter({end.name: end.count for end in one.ends}) for one in (flow, written))
        if told != counted:
            raise UsageError(
                f"the cohort {self.cohort.name} counts {dict(told)}, its cases are {dict(counted)}: build it anew under another name"
            )
        return flow, dict.fromkeys(models, flow)

    def exclusions(self, tally: Tally) -> Iterator[dict[str, str]]:
        """Of the chart: a reason, and the coded reason below it."""
        flow, _ = self.charts(tally, ())
        for step in flow.steps:
            for left in step.left:
                reason, _, detail = left.reason.partition("/")
                cells = {"step": step.name, "kind": "report", "model": "", "reason": reason, "detail": detail}
                yield cells | {"words": left.words, "count": str(left.count)}

    def reports_of(self, finding_id: int) -> Sequence[RadiologyReport]:
        """See `Sample`."""
        return cohort_cases.reports_of(self.session, self.cohort, finding_id)

    def identifiers(self) -> Iterator[tuple[str, str]]:
        """See `Sample`."""
        return cohort_cases.identifiers(self.session, self.cohort)

    def used_models(self) -> list[Used]:
        """See `Sample`."""
        return cohort_cases.used_models(self.session, self.cohort)

    def moments(self) -> tuple[datetime, datetime]:
        """See `Sample`."""
        begin, end = cohort_cases.moments(self.session, self.cohort)
        return begin, end + COMMITS_WITHIN
