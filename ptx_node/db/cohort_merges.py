"""Members of a cohort whose patient is another now than when it was begun: merged with somebody (ADT^A40), or parted again.

Each function takes a Session inside the caller's transaction. Only reports that say yes or no have a patient in a cohort.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, union_all, update

from ptx_node.db.tables import Cohort, CohortMember, ParkedPatient, PatientIdentifier, RadiologyReport
from ptx_node.domain.cohort import Candidate, CohortState, MemberState, Sibling

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Subquery
    from sqlalchemy.orm import Session

BATCH = 500
"""Numbers in one statement."""


def hold_open(session: Session, cohort_id: int) -> bool:
    """Whether a cohort is still being built; if so, nobody completes it or looks at its merges until this transaction ends."""
    building = select(Cohort.id).where(Cohort.id == cohort_id, Cohort.state == CohortState.BUILDING)
    return session.scalar(building.with_for_update()) is not None


def moved(session: Session, cohort_id: int) -> dict[int, int]:
    """Members whose report is another patient's now: member -> that patient. Whose numbers are of several now is left as it was."""
    now, member = _people_now(CohortMember.cohort_id == cohort_id), CohortMember
    changed = sorted(set(session.scalars(select(now.c.id).join(member, member.id == now.c.id).where(now.c.person_id != member.person_id))))
    people: dict[int, set[int]] = {}
    for first in range(0, len(changed), BATCH):
        for number, person in session.execute(select(now).where(now.c.id.in_(changed[first : first + BATCH]))):
            people.setdefault(number, set()).add(person)
    return {number: person for number, several in people.items() if len(several) == 1 for person in several}


def person_now(session: Session, member: CohortMember) -> int:
    """Whose the member's report is now; where that is not clear, whose it was."""
    people = set(session.scalars(select(_people_now(CohortMember.id == member.id).c.person_id)))
    return people.pop() if len(people) == 1 else member.person_id or 0


def siblings(session: Session, cohort_id: int, person_ids: Collection[int]) -> dict[int, list[tuple[CohortMember, Sibling]]]:
    """Every member of these patients as they are now, locked so that nobody brings one forward meanwhile."""
    now, member, report = _people_now(CohortMember.cohort_id == cohort_id), CohortMember, RadiologyReport
    people = sorted(person_ids)
    found: dict[int, list[tuple[CohortMember, Sibling]]] = {}
    for first in range(0, len(people), BATCH):
        theirs = select(now.c.id, now.c.person_id).where(now.c.person_id.in_(people[first : first + BATCH])).distinct().subquery()
        wanted = (
            select(member, theirs.c.person_id, report)
            .join(theirs, theirs.c.id == member.id)
            .join(report, report.id == member.report_id)
            .order_by(member.id)
            .with_for_update(of=member)
        )
        for row, person_id, told in session.execute(wanted.execution_options(populate_existing=True)):
            names = (told.source, told.external_id)
            candidate = Candidate(row.report_id, person_id, bool(row.positive), row.examined_on, told.examined_at, names)
            found.setdefault(person_id, []).append((row, Sibling(row.id, candidate, row.turn, MemberState(row.state))))
    return found


def give(session: Session, people: Mapping[int, int]) -> None:
    """Say whose these members are: member -> patient."""
    member, numbers = CohortMember, sorted(people)
    for first in range(0, len(numbers), BATCH):  # none may bear a patient whom another is just leaving
        session.execute(update(member).where(member.id.in_(numbers[first : first + BATCH])).values(person_id=None))
    for number in numbers:
        session.execute(update(member).where(member.id == number).values(person_id=people[number]))


def counted_twice(session: Session, cohort_id: int) -> int:
    """Counted members beyond the first of their patient: merged after the cohort was complete."""
    now, member = _people_now(CohortMember.cohort_id == cohort_id), CohortMember
    counted = select(now.c.person_id, now.c.id).join(member, member.id == now.c.id).where(member.state == MemberState.COUNTED).distinct()
    each = select(func.count().label("members")).select_from(counted.subquery()).group_by("person_id").subquery()
    return session.scalar(select(func.coalesce(func.sum(each.c.members - 1), 0))) or 0


def _people_now(which: ColumnElement[bool]) -> Subquery:
    """(member, patient) of such members: by the report's number, or while it waits for images by every number that it waits for."""
    member, number = CohortMember, PatientIdentifier
    placed = (
        select(member.id, number.person_id)
        .join(RadiologyReport, RadiologyReport.id == member.report_id)
        .join(number, number.id == RadiologyReport.identifier_id)
    )
    parked = (
        select(member.id, number.person_id)
        .join(ParkedPatient, ParkedPatient.report_id == member.report_id)
        .join(number, number.id == ParkedPatient.identifier_id)
    )
    mine = (which, member.positive.is_not(None))
    return union_all(placed.where(*mine), parked.where(*mine)).subquery()
