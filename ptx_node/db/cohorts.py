"""Cohorts in rows: begin one, bring its members forward, count them. Each function takes a Session inside the caller's transaction.

A member is moved only from the state in which it was seen: who comes second changes nothing. It goes forward, unless its patient
turns out to be another member's (`ptx_node.pipeline.cohort_merges`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, select, update

from ptx_node.db.tables import (
    Cohort,
    CohortMember,
    ExaminationRow,
    FindingRow,
    Instance,
    Job,
    ParkedPatient,
    PatientIdentifier,
    RadiologyReport,
    ReportLabelRow,
    Retrieval,
)
from ptx_node.domain.cohort import Choice, CohortState, Exclusion, MemberState, Standing, Terms
from ptx_node.domain.finding import Outcome
from ptx_node.domain.radiology_report import PatientIdentity
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date, datetime

    from sqlalchemy.orm import Session

BATCH = 500
"""Rows of one statement."""
TERMS = ("name", "since", "until", "wanted", "seed", "archive", "model", "weights_sha256", "interval_s", "after_too")


def find(session: Session, name: str) -> Cohort | None:
    """The cohort of this name."""
    return session.scalar(select(Cohort).where(Cohort.name == name))


def cohort_named(session: Session, name: str) -> Cohort:
    """The cohort of this name.

    Raises:
        UsageError: there is none.
    """
    cohort = find(session, name)
    if cohort is None:
        raise UsageError(f"there is no cohort {name!r}. See: ptx cohort list")
    return cohort


def terms_of(cohort: Cohort) -> Terms:
    """What was asked for when it was begun."""
    return Terms(choice=Choice(cohort.choice), **{name: getattr(cohort, name) for name in TERMS})


def every(session: Session) -> list[tuple[Cohort, dict[str, int]]]:
    """All cohorts, the newest first, with how many members are in each state."""
    counted = select(CohortMember.cohort_id, CohortMember.state, func.count()).group_by(CohortMember.cohort_id, CohortMember.state)
    numbers: dict[int, dict[str, int]] = {}
    for cohort_id, state, count in session.execute(counted):
        numbers.setdefault(cohort_id, {})[state] = count
    return [(one, numbers.get(one.id, {})) for one in session.scalars(select(Cohort).order_by(Cohort.id.desc()))]


def begin(session: Session, cohort: Cohort, members: Sequence[dict[str, Any]]) -> int:
    """Write a new cohort with all its members; its number."""
    session.add(cohort)
    session.flush()
    for first in range(0, len(members), BATCH):
        session.execute(insert(CohortMember), [{**row, "cohort_id": cohort.id} for row in members[first : first + BATCH]])
    return cohort.id


def people_of_parked(session: Session, since: date, until: date) -> dict[int, set[int]]:
    """Whose the numbers of the period's parked reports are: report -> people, of whom no image need be here."""
    rows = session.execute(
        select(ParkedPatient.report_id, PatientIdentifier.person_id)
        .join(PatientIdentifier, PatientIdentifier.id == ParkedPatient.identifier_id)
        .join(RadiologyReport, RadiologyReport.id == ParkedPatient.report_id)
        .where(RadiologyReport.examined_on.between(since, until))
    )
    found: dict[int, set[int]] = {}
    for report_id, person_id in rows:
        found.setdefault(report_id, set()).add(person_id)
    return found


def report_names(session: Session, since: date, until: date) -> dict[int, tuple[str, str]]:
    """Source and number of the period's reports."""
    wanted = select(RadiologyReport.id, RadiologyReport.source, RadiologyReport.external_id)
    return {
        number: (source, name) for number, source, name in session.execute(wanted.where(RadiologyReport.examined_on.between(since, until)))
    }


def numbers_of(session: Session, person_ids: Collection[int]) -> dict[int, list[PatientIdentity]]:
    """Every number of these people, in one order."""
    table = PatientIdentifier
    found: dict[int, list[PatientIdentity]] = {}
    people = sorted(person_ids)
    for first in range(0, len(people), BATCH):
        wanted = select(table).where(table.person_id.in_(people[first : first + BATCH])).order_by(table.value, table.authority, table.type)
        for row in session.scalars(wanted):
            found.setdefault(row.person_id, []).append(PatientIdentity(row.authority, row.type, row.value))
    return found


def standings(session: Session, cohort_id: int) -> list[Standing]:
    """Every member that has a turn and is not out."""
    table = CohortMember
    columns: tuple[Any, ...] = (table.id, table.person_id, table.positive, table.turn, table.state)
    mine = and_(table.cohort_id == cohort_id, table.turn.is_not(None), table.state != MemberState.EXCLUDED)
    rows = session.execute(select(*columns).where(mine))
    return [Standing(number, person, positive, turn, MemberState(state)) for number, person, positive, turn, state in rows]


def members_in(session: Session, cohort_id: int, state: MemberState) -> list[CohortMember]:
    """Members in this state, in the order of their turns."""
    wanted = and_(CohortMember.cohort_id == cohort_id, CohortMember.state == state)
    return list(session.scalars(select(CohortMember).where(wanted).order_by(CohortMember.turn)))


def members_by_id(session: Session, member_ids: Sequence[int]) -> list[CohortMember]:
    """These members, in the order of their turns."""
    return list(session.scalars(select(CohortMember).where(CohortMember.id.in_(member_ids)).order_by(CohortMember.turn)))


def advance(session: Session, member: CohortMember, to: MemberState, *, now: datetime, **values: Any) -> bool:
    """Bring a member from the state in which it was read to another; False when somebody else has done so meanwhile."""
    seen = and_(CohortMember.id == member.id, CohortMember.state == member.state)
    changed = session.execute(update(CohortMember).where(seen).values(state=to, changed_at=now, **values).returning(CohortMember.id))
    return changed.first() is not None


def give_job(session: Session, member: CohortMember, job_id: int) -> None:
    """The job that reads a member's radiograph."""
    session.execute(update(CohortMember).where(CohortMember.id == member.id).values(job_id=job_id))


def exclude(
    session: Session, member: CohortMember, why: Exclusion, *, now: datetime, code: str | None = None, detail: str | None = None
) -> bool:
    """A member leaves, and why; as `advance`."""
    return advance(session, member, MemberState.EXCLUDED, now=now, exclusion=why, code=code, detail=detail)


def wait_again(session: Session, member: CohortMember, *, now: datetime) -> bool:
    """A member's turn is still to come, as if nothing had been begun; as `advance`."""
    begun = dict.fromkeys(("instance_id", "interval_s", "job_id", "finding_id"))
    return advance(session, member, MemberState.WAITING, now=now, study_instance_uids=[], **begun)


def close(session: Session, cohort_id: int, *, now: datetime) -> None:
    """Nobody is missing any more: who still waits was not needed, and the cohort is complete."""
    table = CohortMember
    waiting = and_(table.cohort_id == cohort_id, table.state == MemberState.WAITING)
    counted = select(table.person_id).where(table.cohort_id == cohort_id, table.state == MemberState.COUNTED)
    out = {"state": MemberState.EXCLUDED, "changed_at": now}
    in_already = and_(waiting, table.person_id.in_(counted))
    for those, why in ((in_already, Exclusion.OTHER_CT), (waiting, Exclusion.NOT_DRAWN)):
        session.execute(update(table).where(those).values(exclusion=why, **out), execution_options={"synchronize_session": False})
    values = {"state": CohortState.COMPLETE, "finished_at": now}
    session.execute(update(Cohort).where(Cohort.id == cohort_id, Cohort.state == CohortState.BUILDING).values(**values))


def retrievals_of(session: Session, cohort: Cohort, studies: Iterable[str]) -> dict[str, Retrieval]:
    """What became of these studies, as far as this cohort wanted them."""
    uids = sorted(set(studies))
    found: dict[str, Retrieval] = {}
    for first in range(0, len(uids), BATCH):
        mine = and_(Retrieval.archive == cohort.archive, Retrieval.why == cohort.name)
        batch = Retrieval.study_instance_uid.in_(uids[first : first + BATCH])
        found |= {row.study_instance_uid: row for row in session.scalars(select(Retrieval).where(mine, batch))}
    return found


def images_of(session: Session, studies: Collection[str], modalities: Collection[str]) -> list[tuple[Instance, int | None]]:
    """The instances of these studies and modalities, each with its patient, in an order that does not depend on when they came."""
    wanted = (
        select(Instance, PatientIdentifier.person_id)
        .outerjoin(PatientIdentifier, PatientIdentifier.id == Instance.patient_identifier_id)
        .where(Instance.study_instance_uid.in_(sorted(studies)), Instance.modality.in_(sorted(modalities)))
        .order_by(Instance.sop_instance_uid)
    )
    return [(instance, person) for instance, person in session.execute(wanted)]


def finding_by(session: Session, cohort: Cohort, input_digest: str) -> int | None:
    """An answer that this very model gave about these very images before."""
    table = FindingRow
    mine = and_(table.input_digest == input_digest, table.device_uid == cohort.device_uid)
    stands = select(func.min(table.id)).join(Job, Job.id == table.job_id).join(ExaminationRow, ExaminationRow.finding_id == table.id)
    answered = table.outcome.in_((Outcome.POSITIVE, Outcome.NEGATIVE))
    return session.scalar(stands.where(mine, answered, Job.superseded_by_id.is_(None)))


def job_with_finding(session: Session, job_id: int) -> tuple[Job, FindingRow | None]:
    """A job and what it said, of one image."""
    job = session.get_one(Job, job_id)
    return job, session.scalar(select(FindingRow).where(FindingRow.job_id == job_id).order_by(FindingRow.id).limit(1))


def job_of(session: Session, idempotency_key: str) -> int:
    """The job that is here already."""
    return session.scalars(select(Job.id).where(Job.idempotency_key == idempotency_key)).one()


def counts(session: Session, cohort_id: int) -> dict[tuple[str, str | None, str | None], int]:
    """(state, exclusion, code) -> members."""
    table = CohortMember
    by = (table.state, table.exclusion, table.code)
    rows = session.execute(select(*by, func.count()).where(table.cohort_id == cohort_id).group_by(*by))
    return {(state, exclusion, code): count for state, exclusion, code, count in rows}


@dataclass(frozen=True, slots=True)
class Counted:
    """A member that is counted: one radiograph of one patient, the CT report it is held against, and what the model said.

    Attributes:
        label: of the report when the cohort was begun; `positive` is what it was taken for.
        threshold: that was in force when the cohort was begun. A probability at or above it is `called_positive`, whatever holds since.
        interval_s: from the radiograph to the CT; None where a time is missing.
    """

    report_id: int
    person_id: int
    label_id: int
    label: str
    positive: bool
    finding_id: int
    called_positive: bool
    probability: float
    threshold: float
    interval_s: float | None


def members(session: Session, cohort_id: int) -> list[Counted]:
    """Who is counted, in the order of the turns: what an export is restricted to by `finding_id` and `report_id`."""
    member, finding = CohortMember, FindingRow
    columns: tuple[Any, ...] = (
        *(member.report_id, member.person_id, member.label_id, member.label, member.positive, finding.id),
        *(finding.probability >= Cohort.threshold, finding.probability, Cohort.threshold, member.interval_s),
    )
    counted = and_(member.cohort_id == cohort_id, member.state == MemberState.COUNTED)
    wanted = select(*columns).join(finding, finding.id == member.finding_id).join(Cohort, Cohort.id == member.cohort_id)
    rows = session.execute(wanted.where(counted).order_by(member.turn))
    return [Counted(*row) for row in rows]


def labels_changed(session: Session, cohort_id: int) -> int:
    """Members that are counted and whose report says something else since, or no longer counts."""
    table = CohortMember
    now_said = (
        select(func.count())
        .select_from(table)
        .join(RadiologyReport, RadiologyReport.id == table.report_id)
        .outerjoin(ReportLabelRow, ReportLabelRow.id == RadiologyReport.label_id)
        .where(table.cohort_id == cohort_id, table.state == MemberState.COUNTED)
        .where(ReportLabelRow.value.is_distinct_from(table.label))
    )
    return session.scalar(now_said) or 0
