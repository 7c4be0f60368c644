"""Patients as groups of numbers: registered as they come, joined and parted by messages. No name is ever kept.

A merge moves nothing that cannot be moved back: every number keeps the person it came with, and the person it has now is
computed again from the merges that hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.tables import PatientIdentifier, PatientMerge, Person
from ptx_node.domain.radiology_report import same_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.domain.radiology_report import PatientIdentity

LOCK_KEY = 0x70747870
"""PostgreSQL's advisory lock on adding numbers of patients."""


def register(session: Session, identities: Sequence[PatientIdentity], *, now: datetime) -> list[PatientIdentifier]:
    """The rows of one patient's numbers, in the order given, made where they are missing.

    A new number joins the person of the same number in another wording (without its type or its authority), else that of
    another number of the same call, else it is a new person. People who are known apart stay apart.

    On PostgreSQL new numbers are added by one transaction at a time: call it before any lock on a report is taken.
    """
    found = {one: _find(session, one) for one in sorted(set(identities))}
    if None in found.values() and session.get_bind().dialect.name == "postgresql":
        # Two doors that meet a patient for the first time at once must see each other's numbers, else the patient is two.
        session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
        found = {one: row or _find(session, one) for one, row in found.items()}
    home = next((row for one in identities if (row := found[one]) is not None), None)
    for one in sorted(found):
        if found[one] is None:
            home = found[one] = _add(session, one, _kin(session, one) or home, now)
    return [row for one in identities if (row := found[one]) is not None]


def _find(session: Session, identity: PatientIdentity) -> PatientIdentifier | None:
    table = PatientIdentifier
    wanted = and_(table.value == identity.value, table.authority == identity.authority, table.type == identity.type)
    return session.scalar(select(table).where(wanted))


def _kin(session: Session, identity: PatientIdentity) -> PatientIdentifier | None:
    """A row that is the same number: of the same authority, or the only one where one side names no authority."""
    rows = session.scalars(select(PatientIdentifier).where(PatientIdentifier.value == identity.value)).all()
    alike = [row for row in rows if same_kind(row.type, identity.type)]
    same = [row for row in alike if row.authority == identity.authority]
    if same:
        return same[0]
    if not identity.authority:
        return alike[0] if len({row.person_id for row in alike}) == 1 else None
    unsaid = [row for row in alike if not row.authority]
    taken = {row.person_id for row in alike if row.authority}
    return unsaid[0] if unsaid and unsaid[0].person_id not in taken else None


def _add(session: Session, identity: PatientIdentity, home: PatientIdentifier | None, now: datetime) -> PatientIdentifier:
    if home is None:
        person_id = session.execute(insert(Person).values(created_at=now).returning(Person.id)).scalar_one()
        origin_person_id = person_id
    else:
        person_id, origin_person_id = home.person_id, home.origin_person_id
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    values = {
        "authority": identity.authority,
        "type": identity.type,
        "value": identity.value,
        "origin_person_id": origin_person_id,
        "person_id": person_id,
        "created_at": now,
    }
    statement: Any = dialect.insert(PatientIdentifier.__table__)
    session.execute(statement.values(values).on_conflict_do_nothing())
    row = _find(session, identity)
    assert row is not None
    return row


def hold(session: Session, person_ids: Collection[int]) -> None:
    """Let nobody say until the end of this transaction that a first image of these people came, unless it is said already.

    Whoever is just saying it is waited for: so a report is either placed at once, or seen by those who look for what waits.
    """
    table = PatientIdentifier
    session.execute(select(table.id).where(table.person_id.in_(person_ids)).order_by(table.id).with_for_update(read=True))


def mark_imaged(session: Session, identifier_ids: Collection[int], *, now: datetime) -> set[int]:
    """Say that images with these numbers are here; returns the people of whom it was not known."""
    table = PatientIdentifier
    wanted = select(table).where(table.id.in_(identifier_ids), table.imaged_at.is_(None)).order_by(table.id)
    rows = session.scalars(wanted.with_for_update(key_share=True).execution_options(populate_existing=True)).all()
    for row in rows:
        row.imaged_at = now
    session.flush()
    return {row.person_id for row in rows}


def imaged_people(session: Session, person_ids: Collection[int]) -> set[int]:
    """Those people of whom an instance is here."""
    table = PatientIdentifier
    wanted = select(table.person_id).where(table.person_id.in_(person_ids), table.imaged_at.is_not(None)).distinct()
    return set(session.scalars(wanted))


def merge(session: Session, prior: PatientIdentifier, surviving: PatientIdentifier, *, message_id: int, now: datetime) -> set[int]:
    """Make two patients one; returns the people whose numbers may now be another's. Said twice it holds once."""
    ends = (prior.origin_person_id, surviving.origin_person_id)
    if ends[0] == ends[1] or _holding(session, ends[:1], ends[1:]):
        return set()
    session.add(PatientMerge(prior_person_id=ends[0], surviving_person_id=ends[1], message_id=message_id, merged_at=now))
    session.flush()
    return _recompute(session, ends)


def unmerge(session: Session, one: PatientIdentifier, other: PatientIdentifier, *, message_id: int, now: datetime) -> set[int]:
    """Take back every merge of two patients, whichever was the prior one; empty if there is none that holds."""
    ends = (one.origin_person_id, other.origin_person_id)
    held = _holding(session, ends, ends)
    if not held:
        return set()
    values = {"undone_at": now, "undone_by_message_id": message_id}
    session.execute(update(PatientMerge).where(PatientMerge.id.in_([row.id for row in held])).values(values))
    session.flush()
    return _recompute(session, ends)


def _holding(session: Session, prior: Sequence[int], surviving: Sequence[int]) -> Sequence[PatientMerge]:
    table = PatientMerge
    wanted = and_(table.undone_at.is_(None), table.prior_person_id.in_(prior), table.surviving_person_id.in_(surviving))
    return session.scalars(select(table).where(wanted)).all()


def _recompute(session: Session, ends: Collection[int]) -> set[int]:
    """Give each number of the people around `ends` the person that the merges leave it; returns these people."""
    people, merges = _neighbourhood(session, ends)
    session.scalars(select(Person.id).where(Person.id.in_(people)).order_by(Person.id).with_for_update()).all()
    parents = {person: person for person in people}
    for one in merges:
        if one.undone_at is None:
            prior, surviving = _root(parents, one.prior_person_id), _root(parents, one.surviving_person_id)
            if prior != surviving:
                parents[prior] = surviving
    for person in sorted(people):
        root = _root(parents, person)
        table = PatientIdentifier
        moved = update(table).where(table.origin_person_id == person, table.person_id != root).values(person_id=root)
        session.execute(moved.execution_options(synchronize_session="fetch"))
    return people


def _root(parents: dict[int, int], person: int) -> int:
    while parents[person] != person:
        person = parents[person]
    return person


def _neighbourhood(session: Session, ends: Collection[int]) -> tuple[set[int], list[PatientMerge]]:
    """Everybody who was ever merged with `ends`, over any number of steps, and these merges in their order."""
    people, merges = set(ends), dict[int, PatientMerge]()
    table = PatientMerge
    while True:
        touching = or_(table.prior_person_id.in_(people), table.surviving_person_id.in_(people))
        rows = session.scalars(select(table).where(touching).execution_options(populate_existing=True)).all()
        merges |= {row.id: row for row in rows}
        wider = people | {row.prior_person_id for row in rows} | {row.surviving_person_id for row in rows}
        if wider == people:
            return people, [merges[number] for number in sorted(merges)]
        people = wider
