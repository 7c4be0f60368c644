"""Reconciliation in rows: what has to be looked at, what there is of a patient's day, and what was found before.

Every function takes a Session inside the caller's transaction. Days are (person, local date).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import BigInteger, Date, false, func, select, text, update

from ptx_node.db import bulk
from ptx_node.db.tables import (
    ExaminationRow,
    FindingRow,
    Instance,
    Job,
    PairRow,
    PatientIdentifier,
    RadiologyReport,
    ReportLabelRow,
    UnmatchedRow,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from sqlalchemy import FromClause, Select
    from sqlalchemy.orm import InstrumentedAttribute, Session

LOCK_KEY = 0x70747872
UNTRACKED: dict[str, Any] = {"execution_options": {"synchronize_session": False}}
"""No object of these rows is held in the session."""

Day = tuple[int, "date"]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Read:
    """One finding with its examination; `superseded` where a newer job answers instead, `person_id` None without a Patient ID."""

    finding_id: int
    outcome: str
    device_uid: str
    modality: str
    examined_at: datetime | None
    examined_on: date | None
    study_instance_uid: str
    accession_number: str
    person_id: int | None
    superseded: bool

    @property
    def day(self) -> Day | None:
        """Whose and which; None where one of the two is not known."""
        return None if self.person_id is None or self.examined_on is None else (self.person_id, self.examined_on)


@dataclass(frozen=True, slots=True)
class Told:
    """One report chain as it stands; `label` and `label_id` are None without a label, `parked` says why it has no patient."""

    report_id: int
    status: str
    readable: bool
    modality: str
    procedure_text: str
    examined_at: datetime | None
    examined_on: date | None
    study_instance_uid: str
    accession_number: str
    parked: str | None
    person_id: int | None
    label_id: int | None
    label: str | None

    @property
    def day(self) -> Day | None:
        """Whose and which; None where one of the two is not known."""
        return None if self.person_id is None or self.examined_on is None else (self.person_id, self.examined_on)


@dataclass(frozen=True, slots=True)
class Standing:
    """A pair that holds, as the table has it."""

    id: int
    finding_id: int
    report_id: int
    label_id: int
    agreement: str
    interval_s: float | None
    secondary_reason: str | None


@dataclass(frozen=True, slots=True)
class Alone:
    """What stands without a partner, as the table has it: one of the numbers is None."""

    id: int
    finding_id: int | None
    report_id: int | None
    reason: str


def only_one(session: Session) -> None:
    """Wait until no other transaction reconciles; SQLite has one writer as it is."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))
        # A plan that is kept for any number of values would be one for a few; and some thousand rows of a table that grows for years are
        # looked up by number: to read it whole instead, portion after portion, would cost the square of its rows.
        session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
        session.execute(text("SET LOCAL random_page_cost = 1.1"))


def mark_everything(session: Session) -> None:
    """Have every examination and every report looked at again."""
    for table in (ExaminationRow, RadiologyReport):
        session.execute(update(table).where(table.reconcile_needed.is_(False)).values(reconcile_needed=True))


def waiting(session: Session, limit: int) -> tuple[list[int], list[int]]:
    """Findings whose patients are registered, and reports, that no reconciliation has looked at since they changed; locked.

    At most `limit` of each, by day of examination, and both up to the same day: so that a day is looked at once, by whichever side it
    came. What another transaction is changing is left to the next run.
    """
    finding, report = ExaminationRow, RadiologyReport
    registered = Instance.registered_at.is_not(None)
    of_findings = (
        select(finding.finding_id, finding.examined_on)
        .join(Instance, Instance.id == finding.instance_id)
        .where(finding.reconcile_needed.is_(True), registered)
        .order_by(finding.examined_on, finding.finding_id)
        .limit(limit)
        .with_for_update(of=finding, skip_locked=True, key_share=True)
    )
    of_reports = (
        select(report.id, report.examined_on)
        .where(report.reconcile_needed.is_(True))
        .order_by(report.examined_on, report.id)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    sides = [[(number, day) for number, day in session.execute(one)] for one in (of_findings, of_reports)]
    last = min((day for found in sides if len(found) == limit and (day := found[-1][1]) is not None), default=None)
    findings, reports = ([number for number, day in found if last is None or day is None or day <= last] for found in sides)
    return findings, reports


def looked_at(session: Session, finding_ids: Collection[int], report_ids: Collection[int]) -> None:
    """What was locked by `waiting` waits no more."""
    for table, column, numbers in (
        (ExaminationRow, ExaminationRow.finding_id, finding_ids),
        (RadiologyReport, RadiologyReport.id, report_ids),
    ):
        if numbers:
            wanted = _numbers(session, numbers)
            session.execute(update(table).where(column.in_(select(wanted.c.number))).values(reconcile_needed=False), **UNTRACKED)


def findings(session: Session, finding_ids: Collection[int]) -> list[Read]:
    """These findings."""
    wanted = _numbers(session, finding_ids)
    return [Read(*row) for row in session.execute(_reads().join(wanted, wanted.c.number == ExaminationRow.finding_id))]


def reports(session: Session, report_ids: Collection[int]) -> list[Told]:
    """These reports."""
    wanted = _numbers(session, report_ids)
    return [Told(*row) for row in session.execute(_tells().join(wanted, wanted.c.number == RadiologyReport.id))]


def findings_of_days(session: Session, days: Collection[Day], *, known: Collection[int]) -> list[Read]:
    """Every finding of these days but the known ones."""
    return [Read(*row) for row in session.execute(_of_days(session, _reads(), days, (ExaminationRow.finding_id, known)))]


def reports_of_days(session: Session, days: Collection[Day], *, known: Collection[int]) -> list[Told]:
    """Every report of these days but the known ones."""
    return [Told(*row) for row in session.execute(_of_days(session, _tells(), days, (RadiologyReport.id, known)))]


def reports_of_period(session: Session, since: date, until: date, *, person_id: int | None = None) -> list[Told]:
    """Every report of an examination on these days, both included; of one patient, where he is given."""
    wanted = _tells().where(RadiologyReport.examined_on.between(since, until))
    return [Told(*row) for row in session.execute(wanted if person_id is None else wanted.where(PatientIdentifier.person_id == person_id))]


def standing_pairs(session: Session, finding_ids: Collection[int], report_ids: Collection[int]) -> list[Standing]:
    """Pairs that hold and touch one of these."""
    return _standing(session, PairRow, Standing, finding_ids, report_ids)


def standing_unmatched(session: Session, finding_ids: Collection[int], report_ids: Collection[int]) -> list[Alone]:
    """What stands alone among these."""
    return _standing(session, UnmatchedRow, Alone, finding_ids, report_ids)


def supersede(session: Session, pair_ids: Collection[int], unmatched_ids: Collection[int], *, now: datetime) -> None:
    """These hold no more; they stay to be read."""
    for table, numbers in ((PairRow, pair_ids), (UnmatchedRow, unmatched_ids)):
        if numbers:
            wanted = _numbers(session, numbers)
            session.execute(update(table).where(table.id.in_(select(wanted.c.number))).values(superseded_at=now), **UNTRACKED)


def add(session: Session, pairs: Sequence[dict[str, Any]], unmatched: Sequence[dict[str, Any]], *, now: datetime) -> None:
    """Write what holds from now on."""
    bulk.add(session, PairRow.__table__, pairs, reconciled_at=now)
    bulk.add(session, UnmatchedRow.__table__, unmatched, reconciled_at=now)


def _reads() -> Select[*tuple[Any, ...]]:
    table = ExaminationRow
    return (
        select(
            table.finding_id,
            FindingRow.outcome,
            FindingRow.device_uid,
            table.modality,
            table.examined_at,
            table.examined_on,
            Instance.study_instance_uid,
            Instance.accession_number,
            PatientIdentifier.person_id,
            Job.superseded_by_id.is_not(None),
        )
        .join(FindingRow, FindingRow.id == table.finding_id)
        .join(Job, Job.id == FindingRow.job_id)
        .join(Instance, Instance.id == table.instance_id)
        .outerjoin(PatientIdentifier, PatientIdentifier.id == Instance.patient_identifier_id)
    )


def _tells() -> Select[*tuple[Any, ...]]:
    table = RadiologyReport
    return (
        select(
            table.id,
            table.status,
            table.readable,
            table.modality,
            table.procedure_text,
            table.examined_at,
            table.examined_on,
            table.study_instance_uid,
            table.accession_number,
            table.parked,
            PatientIdentifier.person_id,
            table.label_id,
            ReportLabelRow.value,
        )
        .outerjoin(PatientIdentifier, PatientIdentifier.id == table.identifier_id)
        .outerjoin(ReportLabelRow, ReportLabelRow.id == table.label_id)
    )


def _standing(session: Session, table: Any, made: type[Row], finding_ids: Collection[int], report_ids: Collection[int]) -> list[Row]:
    found: dict[int, Row] = {}
    columns = [getattr(table, one.name) for one in fields(made)]  # type: ignore[arg-type]
    for column, numbers in ((table.finding_id, finding_ids), (table.report_id, report_ids)):
        if numbers:
            wanted = _numbers(session, numbers)
            rows = session.execute(select(*columns).join(wanted, wanted.c.number == column).where(table.superseded_at.is_(None)))
            found |= {row[0]: made(*row) for row in rows}
    return list(found.values())


def _of_days(
    session: Session, wanted: Select[*tuple[Any, ...]], days: Collection[Day], but: tuple[InstrumentedAttribute[int], Collection[int]]
) -> Select[*tuple[Any, ...]]:
    number, known = but
    examined_on = number.class_.examined_on
    if not days:
        return wanted.where(false())
    of_days = bulk.given(session, {"person_id": BigInteger(), "day": Date()}, list(days), name="days")
    first, last = min(day for _, day in days), max(day for _, day in days)
    return (
        wanted.join(of_days, (of_days.c.person_id == PatientIdentifier.person_id) & (of_days.c.day == examined_on))
        .where(examined_on.between(first, last))  # says nothing new to the reader, and to the planner that an index of days will do
        .where(number.not_in(select(_numbers(session, known, "known").c.number)))
    )


def _numbers(session: Session, numbers: Collection[int], name: str = "wanted") -> FromClause:
    return bulk.given(session, {"number": BigInteger()}, [(number,) for number in numbers], name=name)
