"""Studies found by what people have in hand: an accession number, a patient ID, a UID, an AE title; or by state, outcome, day. Read only.

Every look-up uses an index and every list has an end, so that it is as fast with a million jobs as with ten. Where little fits, a search
takes no longer than it may, and says where it goes on.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from ptx_node.db.journey import Journey, journeys
from ptx_node.db.senders import pairs
from ptx_node.db.tables import FindingRow, Instance, Job, PatientIdentifier, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import BindParameter, ColumnElement, Select
    from sqlalchemy.orm import InstrumentedAttribute, Session

CHUNK = 60
"""Studies summed up at once: a page, and one more."""
SIFTED = 500
"""Studies of which it is asked at once whether they fit."""
RARE = 5000
"""So few studies of a state or an outcome are found by it; more of them by their times, backwards, until enough fit."""
FIRST_SCANNED, SCANNED = 200, 5000
"""Rows read at once while distinct studies are looked for, at first and at most; a CT study is hundreds of them."""
MOST_SCANS = 40
MOST_OF_A_TERM = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. An empty term means any study.

    Attributes:
        patients: whether numbers of patients and UIDs may be looked for; else the term can be an AE title only.
        before: only studies whose last image came before, to go on with a list.
    """

    term: str = ""
    state: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None
    patients: bool = True


@dataclass(slots=True)
class StudyFound:
    """One study in the list. `number` is its first image's row: a name without anything of the patient."""

    number: int
    study_instance_uid: str
    accession_number: str
    patient_id: str
    received_at: datetime
    modalities: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    instances: int = 0
    states: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    probability: float | None = None
    reason: str = ""
    deliveries: int = 0
    open_deliveries: int = 0
    failed_deliveries: int = 0


@dataclass(slots=True)
class Effort:
    """How long a search may look, and where it ended.

    Attributes:
        until_s: on the monotonic clock.
        last: the study that was looked at last, whether or not it fits; "" before the first one.
        over: the time was over before the end.
    """

    until_s: float = float("inf")
    last: str = ""
    over: bool = False


def search(session: Session, wanted: Wanted, limit: int, effort: Effort | None = None) -> list[StudyFound]:
    """The newest studies that fit, at most `limit`; fewer where the time was over."""
    return list(islice(found(session, wanted, effort or Effort()), limit))


def found(session: Session, wanted: Wanted, effort: Effort) -> Iterator[StudyFound]:
    """Every study that fits, the newest first, read as it is asked for."""
    seen: set[str] = set()
    for chunk in _batched(_candidates(session, wanted), SIFTED if wanted.state or wanted.outcome else CHUNK):
        # without these filters every study fits, and the list has its length
        if effort.last and (wanted.state or wanted.outcome) and time.monotonic() > effort.until_s:
            effort.over = True
            return
        fresh = [uid for uid in dict.fromkeys(chunk) if uid not in seen]
        seen.update(fresh)
        for some in _batched(_sifted(session, fresh, wanted), CHUNK):
            rows = sorted(summaries(session, some), key=lambda one: (one.received_at, one.number), reverse=True)
            yield from (one for one in rows if _fits(one, wanted))
        effort.last = chunk[-1]


def _sifted(session: Session, uids: list[str], wanted: Wanted) -> list[str]:
    """Those with a job in this state and a finding of this outcome, in their order."""
    for column, uid, value in (
        (Job.state, Job.study_instance_uid, wanted.state),
        (FindingRow.outcome, FindingRow.study_instance_uid, wanted.outcome),
    ):
        if value and uids:
            fit = set(session.scalars(select(uid).where(uid.in_(uids), column == value)))
            uids = [one for one in uids if one in fit]
    return uids


def _fits(one: StudyFound, wanted: Wanted) -> bool:
    at = one.received_at
    return (
        (wanted.before is None or at < wanted.before)
        and (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
        and (not wanted.state or wanted.state in one.states)
        and (not wanted.outcome or wanted.outcome in one.outcomes)
    )


def _candidates(session: Session, wanted: Wanted) -> Iterator[str]:
    """Study Instance UIDs, about in order, the newest first; some of them may not fit."""
    term = wanted.term.strip()
    if term:
        if wanted.patients:
            of_patient = by_identity(session, term)
            if of_patient:
                yield from of_patient
                return
        mine = [pair for pair in pairs(session) if pair[0].casefold() == term.casefold()]
        ways = [_scan(session, wanted, Instance.calling_ae == ae_title, Instance.source == source) for ae_title, source in mine]
        yield from (uid for _, uid in heapq.merge(*ways, key=itemgetter(0), reverse=True))
        return
    rare = _rare(session, Job.study_instance_uid, Job.state, wanted.state) if wanted.state else None
    if rare is None and wanted.outcome:
        rare = _rare(session, FindingRow.study_instance_uid, FindingRow.outcome, wanted.outcome)
    if rare is None:
        yield from (uid for _, uid in _scan(session, wanted))
        return
    edges = [moment for moment in (wanted.before, wanted.until) if moment is not None]
    since, until = wanted.since or datetime.min.replace(tzinfo=UTC), min(edges, default=datetime.max.replace(tzinfo=UTC))
    at = {uid: moment for uid, moment in _times(session, rare).items() if since <= moment < until}
    yield from sorted(at, key=lambda uid: at[uid], reverse=True)


def _rare(session: Session, uid: InstrumentedAttribute[str], column: InstrumentedAttribute[str], value: str) -> set[str] | None:
    """The studies that have this state or outcome; None where they are not few.

    The value stands in the statement: a plan that is kept for any value would read the whole table for a rare one.
    """
    literal: BindParameter[str] = bindparam("value", value, literal_execute=True)
    uids = session.scalars(select(uid).where(column == literal).limit(RARE + 1)).all()
    return set(uids) if len(uids) <= RARE else None


def by_identity(session: Session, term: str) -> list[str]:
    """Studies with this UID (of study, series, instance or result), accession number, or number of the patient, the newest first."""
    uid = Instance.study_instance_uid
    identities = select(PatientIdentifier.person_id).where(PatientIdentifier.value == term)
    of_person = select(PatientIdentifier.id).where(PatientIdentifier.person_id.in_(identities))
    ways: tuple[Select[str], ...] = (
        select(uid).where(Instance.study_instance_uid == term).limit(1),
        select(uid).where(Instance.series_instance_uid == term).limit(1),
        select(uid).where(Instance.sop_instance_uid == term),
        select(Result.study_instance_uid).where(Result.sop_instance_uid == term),
        select(uid).where(Instance.accession_number == term).distinct().limit(MOST_OF_A_TERM),
        select(uid).where(Instance.patient_identifier_id.in_(of_person)).distinct().limit(MOST_OF_A_TERM),
        select(uid).where(Instance.registered_at.is_(None), Instance.patient_id == term).distinct().limit(MOST_OF_A_TERM),
    )
    uids = {one for way in ways for one in session.scalars(way)}
    at = _times(session, uids)
    return sorted(at, key=lambda uid: at[uid], reverse=True)


def _batched(uids: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(uids)
    while chunk := list(islice(left, size)):
        yield chunk


def _times(session: Session, uids: set[str]) -> dict[str, datetime]:
    at: dict[str, datetime] = {}
    last = func.max(Instance.received_at, type_=Instance.received_at.type)
    for chunk in _batched(sorted(uids), SIFTED):
        query = select(Instance.study_instance_uid, last).where(Instance.study_instance_uid.in_(chunk))
        at.update((uid, moment) for uid, moment in session.execute(query.group_by(Instance.study_instance_uid)))
    return at


def number_of(session: Session, study_instance_uid: str) -> int | None:
    """The number of a study as `StudyFound` has it."""
    return session.scalar(select(func.min(Instance.id)).where(Instance.study_instance_uid == study_instance_uid))


def _scan(session: Session, wanted: Wanted, *where: ColumnElement[bool]) -> Iterator[tuple[datetime, str]]:
    """Studies along the time of receipt, backwards, each once for many of its images."""
    edge = min((moment for moment in (wanted.before, wanted.until) if moment is not None), default=None)
    query = select(Instance.received_at, Instance.study_instance_uid).where(*where).order_by(Instance.received_at.desc())
    if wanted.since is not None:
        query = query.where(Instance.received_at >= wanted.since)
    for number in range(MOST_SCANS):
        most = min(SCANNED, FIRST_SCANNED * 5**number)
        rows = session.execute((query if edge is None else query.where(Instance.received_at < edge)).limit(most)).all()
        newest = {uid: at for at, uid in reversed(rows)}
        yield from ((at, uid) for uid, at in reversed(newest.items()))
        if len(rows) < most:
            return
        edge = rows[-1][0]


def summaries(session: Session, uids: Sequence[str]) -> list[StudyFound]:
    """One line for each of these studies of which an image is here."""
    told: dict[str, StudyFound] = {}
    keys = (Instance.study_instance_uid, Instance.accession_number, Instance.patient_id, Instance.modality, Instance.calling_ae)
    last = func.max(Instance.received_at, type_=Instance.received_at.type)
    query = select(*keys, func.min(Instance.id), func.count(), last).where(Instance.study_instance_uid.in_(uids)).group_by(*keys)
    for uid, accession, patient, modality, ae_title, number, count, at in session.execute(query):
        one = told.setdefault(uid, StudyFound(number, uid, accession, patient, at))
        one.number = min(one.number, number)
        one.accession_number, one.patient_id = one.accession_number or accession, one.patient_id or patient
        one.modalities = sorted({*one.modalities, modality})
        one.senders = sorted({*one.senders, ae_title or "STOW-RS"})
        one.instances += count
        one.received_at = max(one.received_at, at)
    for uid, journey in journeys(session, list(told)).items():
        _answered(told[uid], journey)
    for uid, state in session.execute(select(Job.study_instance_uid, Job.state).where(Job.study_instance_uid.in_(told)).order_by(Job.id)):
        told[uid].states = sorted({*told[uid].states, state})
    return list(told.values())


def _answered(one: StudyFound, journey: Journey) -> None:
    one.outcomes = sorted(set(journey.outcomes))
    one.probability = max(journey.probabilities, default=None)
    one.reason = ", ".join(sorted(set(journey.reasons)))
    one.deliveries, one.open_deliveries, one.failed_deliveries = journey.deliveries, journey.open_deliveries, journey.failed_deliveries


def study_of(session: Session, name: str, *, patients: bool) -> str | None:
    """The Study Instance UID that an address names: by the number of `StudyFound`, or, where patients may be seen, by itself."""
    if "\0" in name:  # PostgreSQL cannot even be asked for it
        return None
    if name.isdecimal() and len(name) < 19:  # noqa: PLR2004 - what the database's numbers hold
        return session.scalar(select(Instance.study_instance_uid).where(Instance.id == int(name)))
    by_uid = select(Instance.study_instance_uid).where(Instance.study_instance_uid == name).limit(1)
    return session.scalar(by_uid) if patients else None


def last_received(session: Session, number: int) -> datetime | None:
    """When the last image came of the study that has this number; None when there is none."""
    study = select(Instance.study_instance_uid).where(Instance.id == number).scalar_subquery()
    last = func.max(Instance.received_at, type_=Instance.received_at.type)
    return session.scalar(select(last).where(Instance.study_instance_uid == study))
