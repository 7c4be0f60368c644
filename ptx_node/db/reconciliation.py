"""Reconciliation in rows: what has to be looked at, what there is of a patient's day, and what was found before.

Every function takes a Session inside the caller's transaction. Days are (person, local date).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from ptx_node.db.report_review import text_of
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
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date, datetime

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

LOCK_KEY = 0x70747872
MOST_VALUES = 10_000
"""Of one IN list: well below what either database takes."""

Day = tuple[int, "date"]


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


def only_one(session: Session) -> None:
    """Wait until no other transaction reconciles; SQLite has one writer as it is."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))


def mark_everything(session: Session) -> None:
    """Have every examination and every report looked at again."""
    session.execute(update(ExaminationRow).values(reconcile_needed=True))
    session.execute(update(RadiologyReport).values(reconcile_needed=True))


def waiting_findings(session: Session, limit: int) -> list[int]:
    """Findings that no reconciliation has looked at and whose patients are registered; the oldest first, locked."""
    table = ExaminationRow
    wanted = (
        select(table.finding_id)
        .join(Instance, Instance.id == table.instance_id)
        .where(table.reconcile_needed.is_(True), Instance.registered_at.is_not(None))
    )
    return list(session.scalars(wanted.order_by(table.finding_id).limit(limit).with_for_update(of=table)))


def waiting_reports(session: Session, limit: int) -> list[int]:
    """Reports that changed since the last reconciliation; the oldest first, locked."""
    table = RadiologyReport
    return list(session.scalars(select(table.id).where(table.reconcile_needed.is_(True)).order_by(table.id).limit(limit).with_for_update()))


def looked_at(session: Session, finding_ids: Collection[int], report_ids: Collection[int]) -> None:
    """What was locked by `waiting_…` waits no more."""
    for some in _portions(finding_ids):
        session.execute(update(ExaminationRow).where(ExaminationRow.finding_id.in_(some)).values(reconcile_needed=False))
    for some in _portions(report_ids):
        session.execute(update(RadiologyReport).where(RadiologyReport.id.in_(some)).values(reconcile_needed=False))


def findings(session: Session, finding_ids: Collection[int]) -> list[Read]:
    """These findings."""
    return [Read(*row) for some in _portions(finding_ids) for row in session.execute(_reads().where(ExaminationRow.finding_id.in_(some)))]


def reports(session: Session, report_ids: Collection[int]) -> list[Told]:
    """These reports."""
    return [Told(*row) for some in _portions(report_ids) for row in session.execute(_tells().where(RadiologyReport.id.in_(some)))]


def findings_of_days(session: Session, days: Collection[Day]) -> list[Read]:
    """Every finding of these days."""
    people = {person for person, _ in days}
    rows = (Read(*row) for some in _portions(people) for row in session.execute(_reads().where(PatientIdentifier.person_id.in_(some))))
    return [one for one in rows if one.day in days]


def reports_of_days(session: Session, days: Collection[Day]) -> list[Told]:
    """Every report of these days."""
    people = {person for person, _ in days}
    rows = (Told(*row) for some in _portions(people) for row in session.execute(_tells().where(PatientIdentifier.person_id.in_(some))))
    return [one for one in rows if one.day in days]


def reports_of_period(session: Session, since: date, until: date, *, person_id: int | None = None) -> list[Told]:
    """Every report of an examination on these days, both included; of one patient, where he is given."""
    wanted = _tells().where(RadiologyReport.examined_on.between(since, until))
    return [Told(*row) for row in session.execute(wanted if person_id is None else wanted.where(PatientIdentifier.person_id == person_id))]


def standing_pairs(session: Session, finding_ids: Collection[int], report_ids: Collection[int]) -> list[PairRow]:
    """Pairs that hold and touch one of these."""
    found: dict[int, PairRow] = {}
    for column, numbers in ((PairRow.finding_id, finding_ids), (PairRow.report_id, report_ids)):
        for some in _portions(numbers):
            rows = session.scalars(select(PairRow).where(column.in_(some), PairRow.superseded_at.is_(None)))
            found |= {row.id: row for row in rows}
    return list(found.values())


def standing_unmatched(session: Session, finding_ids: Collection[int], report_ids: Collection[int]) -> list[UnmatchedRow]:
    """What stands alone among these."""
    found: dict[int, UnmatchedRow] = {}
    for column, numbers in ((UnmatchedRow.finding_id, finding_ids), (UnmatchedRow.report_id, report_ids)):
        for some in _portions(numbers):
            rows = session.scalars(select(UnmatchedRow).where(column.in_(some), UnmatchedRow.superseded_at.is_(None)))
            found |= {row.id: row for row in rows}
    return list(found.values())


def supersede(session: Session, pair_ids: Collection[int], unmatched_ids: Collection[int], *, now: datetime) -> None:
    """These hold no more; they stay to be read."""
    for some in _portions(pair_ids):
        session.execute(update(PairRow).where(PairRow.id.in_(some)).values(superseded_at=now))
    for some in _portions(unmatched_ids):
        session.execute(update(UnmatchedRow).where(UnmatchedRow.id.in_(some)).values(superseded_at=now))


def add(session: Session, pairs: Sequence[dict[str, Any]], unmatched: Sequence[dict[str, Any]], *, now: datetime) -> None:
    """Write what holds from now on."""
    for table, rows in ((PairRow, pairs), (UnmatchedRow, unmatched)):
        if rows:
            session.execute(insert(table), [{**row, "reconciled_at": now} for row in rows])


def standing_counts(session: Session) -> dict[str, int]:
    """How many primary pairs hold by what they say, and what is without a partner by reason (`unmatched …`)."""
    primary = (PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None))
    counts = {
        name: int(number)
        for name, number in session.execute(select(PairRow.agreement, func.count()).where(*primary).group_by(PairRow.agreement))
    }
    alone = select(UnmatchedRow.reason, func.count()).where(UnmatchedRow.superseded_at.is_(None)).group_by(UnmatchedRow.reason)
    return counts | {f"unmatched {reason}": int(number) for reason, number in session.execute(alone)}


@dataclass(frozen=True, slots=True)
class Held:
    """A primary pair that stands, as people read it. `evidence` is the sentence of the report that decided."""

    person_id: int | None
    study_instance_uid: str
    modality: str
    outcome: str
    probability: float | None
    laterality: str | None
    label: str
    label_laterality: str | None
    evidence: str
    interval_s: float | None
    agreement: str


def primary_pairs(session: Session, study_instance_uids: Collection[str] | None = None) -> list[Held]:
    """The primary pairs that stand, by time of examination; of these studies alone, where they are given."""
    wanted = (
        select(PairRow, FindingRow, ReportLabelRow, RadiologyReport, ExaminationRow.modality, PatientIdentifier.person_id)
        .join(FindingRow, FindingRow.id == PairRow.finding_id)
        .join(ReportLabelRow, ReportLabelRow.id == PairRow.label_id)
        .join(RadiologyReport, RadiologyReport.id == PairRow.report_id)
        .join(ExaminationRow, ExaminationRow.finding_id == PairRow.finding_id)
        .outerjoin(PatientIdentifier, PatientIdentifier.id == RadiologyReport.identifier_id)
        .where(PairRow.superseded_at.is_(None), PairRow.secondary_reason.is_(None))
        .order_by(ExaminationRow.examined_on, ExaminationRow.examined_at, PairRow.id)
    )
    if study_instance_uids is not None:
        wanted = wanted.where(FindingRow.study_instance_uid.in_(study_instance_uids))
    return [
        Held(
            person_id,
            finding.study_instance_uid,
            modality,
            finding.outcome,
            finding.probability,
            finding.laterality,
            label.value,
            label.laterality,
            "" if label.sentence_start is None else text_of(session, report)[label.sentence_start : label.sentence_end],
            pair.interval_s,
            pair.agreement,
        )
        for pair, finding, label, report, modality, person_id in session.execute(wanted)
    ]


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


def _portions(numbers: Iterable[int]) -> Iterable[list[int]]:
    ordered = sorted(numbers)
    return (ordered[first : first + MOST_VALUES] for first in range(0, len(ordered), MOST_VALUES))
