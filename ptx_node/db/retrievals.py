"""Queries on wanted studies: note them once, claim one under a lease, settle it, count what is here. Rules live in `pipeline.retrieve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.tables import Instance, Retrieval
from ptx_node.domain.retrieval import MAX_ATTEMPTS, TERMINAL, RetrievalState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

BATCH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A wanted study that this process holds until its lease expires. `owner` is of one claim only, so that a lost lease is noticed."""

    retrieval_id: int
    owner: str
    study_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    modalities: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Studies that are wanted from an archive for one reason; `patient_id` and its issuer where they were asked for by patient."""

    archive: str
    studies: Collection[str]
    why: str
    modalities: Sequence[str] = ()
    patient_id: str = ""
    issuer_of_patient_id: str = ""


def want(session: Session, wanted: Wanted, *, now: datetime, again: bool = False) -> list[int]:
    """Note studies that are wanted; ids of their rows, in the order of the studies.

    What is noted already stays as it is; with `again`, what has ended for good is wanted anew.
    """
    insert_new = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    uids = list(dict.fromkeys(wanted.studies))
    ids: dict[str, int] = {}
    for first in range(0, len(uids), BATCH):
        batch = uids[first : first + BATCH]
        values = {
            "modalities": list(wanted.modalities),
            "patient_id": wanted.patient_id,
            "issuer_of_patient_id": wanted.issuer_of_patient_id,
            "state": RetrievalState.WAITING,
            "attempts": 0,
            "received_count": 0,
            "wanted_at": now,
        }
        statement = insert_new(Retrieval).on_conflict_do_nothing(index_elements=["archive", "study_instance_uid", "why"])
        session.execute(statement, [{"archive": wanted.archive, "study_instance_uid": uid, "why": wanted.why, **values} for uid in batch])
        mine = and_(Retrieval.archive == wanted.archive, Retrieval.why == wanted.why, Retrieval.study_instance_uid.in_(batch))
        if again:
            anew = {**values, "not_before_at": None, "finished_at": None, "error": None, "expected_count": None}
            session.execute(update(Retrieval).where(mine, Retrieval.state.in_(TERMINAL)).values(**anew))
        ids.update(
            (row.study_instance_uid, row.id) for row in session.execute(select(Retrieval.study_instance_uid, Retrieval.id).where(mine))
        )
    return [ids[uid] for uid in uids]


def claim(session: Session, archive: str, *, owner: str, lease: timedelta, now: datetime, only: Collection[int] | None) -> Claim | None:
    """Take the oldest study that may be fetched now; its attempts count one more. `only`: of these rows.

    One at which a process died each time, as often as it may be tried, is given up here.
    """
    open_ = _open(archive, only)
    given_up = {"state": RetrievalState.FAILED, "lease_owner": None, "lease_expires_at": None, "finished_at": now}
    session.execute(
        update(Retrieval)
        .where(open_, _lost(now), Retrieval.attempts >= MAX_ATTEMPTS)
        .values(**given_up, error="the process that fetched it died during each attempt")
    )
    due = and_(open_, _due(now))
    row = session.scalar(select(Retrieval).where(due).order_by(Retrieval.id).limit(1).with_for_update(skip_locked=True))
    if row is None:
        return None
    row.state = RetrievalState.FETCHING
    row.attempts += 1
    row.lease_owner, row.lease_expires_at = owner, now + lease
    row.started_at = now
    return Claim(row.id, owner, row.study_instance_uid, row.patient_id, row.issuer_of_patient_id, tuple(row.modalities), row.attempts)


def next_due(session: Session, archive: str, *, now: datetime, only: Collection[int] | None) -> datetime | None:
    """When the next study may be fetched: `now` or later; None when none is left."""
    free = func.coalesce(Retrieval.lease_expires_at, Retrieval.not_before_at)
    rows = select(func.count().filter(_due(now)), func.count(), func.min(free)).where(_open(archive, only))
    due, left, first = session.execute(rows).one()
    if not left:
        return None
    return now if due or first is None else max(now, first)


def starts(session: Session, archive: str, *, since: datetime) -> list[datetime]:
    """When studies of an archive were last begun, by anybody."""
    begun = select(Retrieval.started_at).where(Retrieval.archive == archive, Retrieval.started_at > since)
    return [moment for moment in session.scalars(begun) if moment is not None]


def renew(session: Session, one: Claim, expires_at: datetime) -> None:
    """Hold a study longer."""
    session.execute(_held(one).values(lease_expires_at=expires_at))


def settle(session: Session, one: Claim, state: RetrievalState, **values: Any) -> bool:
    """Bring a held study to another state. False when the lease was lost meanwhile: the other holder's word counts."""
    changed = session.execute(_held(one).values(state=state, lease_owner=None, lease_expires_at=None, **values).returning(Retrieval.id))
    return changed.first() is not None


def instances_here(session: Session, study_instance_uid: str) -> dict[str, int]:
    """How many instances of a study the node has, by series."""
    of_study = Instance.study_instance_uid == study_instance_uid
    rows = session.execute(select(Instance.series_instance_uid, func.count()).where(of_study).group_by(Instance.series_instance_uid))
    return {uid: count for uid, count in rows}  # noqa: C416 - rows are not pairs to mypy


def rows(session: Session, ids: Collection[int]) -> list[Retrieval]:
    """These rows, in their order."""
    found: list[Retrieval] = []
    wanted = sorted(ids)
    for first in range(0, len(wanted), BATCH):
        found += session.scalars(select(Retrieval).where(Retrieval.id.in_(wanted[first : first + BATCH])).order_by(Retrieval.id))
    return found


def _open(archive: str, only: Collection[int] | None) -> ColumnElement[bool]:
    open_ = and_(Retrieval.archive == archive, Retrieval.state.in_((RetrievalState.WAITING, RetrievalState.FETCHING)))
    return open_ if only is None else and_(open_, Retrieval.id.in_(only))


def _due(now: datetime) -> ColumnElement[bool]:
    waiting = and_(Retrieval.state == RetrievalState.WAITING, or_(Retrieval.not_before_at.is_(None), Retrieval.not_before_at <= now))
    return or_(waiting, _lost(now))


def _lost(now: datetime) -> ColumnElement[bool]:
    """Whoever fetched it has been silent for too long."""
    return and_(Retrieval.state == RetrievalState.FETCHING, Retrieval.lease_expires_at <= now)


def _held(one: Claim) -> Any:
    return update(Retrieval).where(
        Retrieval.id == one.retrieval_id, Retrieval.lease_owner == one.owner, Retrieval.state == RetrievalState.FETCHING
    )
