"""Queries of the enqueue stage: claim unrouted instances, fill collections, queue jobs once, supersede older ones.

Each function takes a Session inside a write transaction. Rows that two processes may make at the same moment are
inserted with ON CONFLICT DO NOTHING; a collection is locked before it is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.tables import Collection, CollectionInstance, ExaminationRow, FindingRow, Instance, Job, JobInput, Result
from ptx_node.domain.job import JobState
from ptx_node.domain.study import Via

if TYPE_CHECKING:
    from collections.abc import Collection as Values
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

SUPERSEDABLE = (JobState.QUEUED, JobState.RUNNING, JobState.QUARANTINED, JobState.NOT_ELIGIBLE)


@dataclass(frozen=True, slots=True)
class Member:
    """An instance on its way into a collection; `reason` is None when it is eligible."""

    instance_id: int
    received_at: datetime
    reason: str | None
    detail: str | None
    expected_count: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Where members belong: one rule's series or study."""

    rule: str
    level: str
    level_uid: str
    study_instance_uid: str


def unrouted(session: Session, *, limit: int) -> Sequence[Instance]:
    """The oldest instances that nobody has routed. They are not locked: see `lock_unrouted`."""
    return session.scalars(select(Instance).where(Instance.routed_at.is_(None)).order_by(Instance.id).limit(limit)).all()


def lock_unrouted(session: Session, instance_ids: Values[int]) -> set[int]:
    """Those of the instances that are still unrouted and that no other process is routing at this moment; locked."""
    wanted = select(Instance.id).where(Instance.id.in_(instance_ids), Instance.routed_at.is_(None)).order_by(Instance.id)
    return set(session.scalars(wanted.with_for_update(skip_locked=True)))


def lock_unrouted_retrieved(session: Session, study_instance_uids: Values[str]) -> list[int]:
    """Unrouted instances of these studies that were fetched from an archive, and that no other process is routing; locked."""
    table = Instance
    mine = and_(table.study_instance_uid.in_(study_instance_uids), table.via == Via.RETRIEVE, table.routed_at.is_(None))
    return list(session.scalars(select(table.id).where(mine).order_by(table.id).with_for_update(skip_locked=True)))


def own_results(session: Session, sop_instance_uids: Values[str]) -> set[str]:
    """Those SOP Instance UIDs that are results which this node wrote."""
    return set(session.scalars(select(Result.sop_instance_uid).where(Result.sop_instance_uid.in_(sop_instance_uids))))


def add_jobs(session: Session, jobs: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Insert jobs that are not there yet; ids of the new ones by idempotency key."""
    if not jobs:
        return {}
    statement = _insert_new(session, Job).returning(Job.__table__.c.id, Job.__table__.c.idempotency_key)
    return {row.idempotency_key: row.id for row in session.execute(statement, list(jobs))}


def add_inputs(session: Session, inputs: Sequence[dict[str, Any]]) -> None:
    """Insert job inputs."""
    if inputs:
        session.execute(insert(JobInput), list(inputs))


def latest(session: Session, group: Group) -> Collection | None:
    """The newest generation of a collection, locked until the transaction ends; None when there is none."""
    wanted = select(Collection).where(Collection.rule == group.rule, Collection.level_uid == group.level_uid)
    newest = wanted.order_by(Collection.generation.desc()).limit(1).with_for_update()
    return session.scalar(newest.execution_options(populate_existing=True))


def open_collection(session: Session, group: Group, *, after: Collection | None, now: datetime) -> Collection:
    """Open the next generation, holding what the one before held, or lock the one that another process just opened."""
    values = {
        "rule": group.rule,
        "level": group.level,
        "level_uid": group.level_uid,
        "generation": after.generation + 1 if after else 1,
        "study_instance_uid": group.study_instance_uid,
        "instance_count": after.instance_count if after else 0,
        "expected_count": after.expected_count if after else None,
        "first_instance_at": after.first_instance_at if after else now,
        "last_instance_at": after.last_instance_at if after else now,
        "due_at": now,
    }
    made = session.execute(_insert_new(session, Collection).returning(Collection.__table__.c.id), [values]).first()
    if made is not None and after is not None:
        held = select(
            literal(made.id),
            CollectionInstance.instance_id,
            CollectionInstance.eligible,
            CollectionInstance.reason,
            CollectionInstance.detail,
        ).where(CollectionInstance.collection_id == after.id)
        columns = ["collection_id", "instance_id", "eligible", "reason", "detail"]
        session.execute(insert(CollectionInstance).from_select(columns, held))
    collection = latest(session, group)
    assert collection is not None
    return collection


def join(session: Session, collection: Collection, members: Sequence[Member], *, quiet_s: float) -> None:
    """Put instances into an open, locked collection and move its due time.

    Due `quiet_s` after the last instance; at once when the expected count is reached by these members. More than
    expected makes it wait for quiet again, for then the count was wrong.
    """
    rows = [
        {
            "collection_id": collection.id,
            "instance_id": member.instance_id,
            "eligible": member.reason is None,
            "reason": member.reason,
            "detail": member.detail,
        }
        for member in members
    ]
    statement = _insert_new(session, CollectionInstance).returning(CollectionInstance.__table__.c.instance_id)
    new_ids = {row.instance_id for row in session.execute(statement, rows)}
    times = [member.received_at for member in members]
    empty = collection.instance_count == 0
    before, after = collection.instance_count, collection.instance_count + len(new_ids)
    collection.instance_count = after
    collection.first_instance_at = min(times) if empty else min(collection.first_instance_at, *times)
    collection.last_instance_at = max(times) if empty else max(collection.last_instance_at, *times)
    counts = [count for count in (collection.expected_count, *(member.expected_count for member in members)) if count is not None]
    collection.expected_count = max(counts, default=None)
    reached = collection.expected_count is not None and before < collection.expected_count <= after
    collection.due_at = collection.last_instance_at + timedelta(seconds=0 if reached else quiet_s)
    session.flush()


def due(session: Session, rules: Values[str], *, now: datetime, limit: int) -> Sequence[Collection]:
    """Open collections whose time has come and of whose study nothing waits to be routed; locked."""
    coming = exists().where(Instance.study_instance_uid == Collection.study_instance_uid, Instance.routed_at.is_(None))
    ripe = and_(Collection.closed_at.is_(None), Collection.due_at <= now, Collection.rule.in_(rules), ~coming)
    wanted = select(Collection).where(ripe).order_by(Collection.due_at, Collection.id).limit(limit)
    return session.scalars(wanted.with_for_update(skip_locked=True, of=Collection)).all()


def refusals(session: Session, collection_ids: Values[int]) -> dict[int, list[Any]]:
    """For each collection: members by `eligible` and `reason`, counted, with one `detail` of each; most frequent first."""
    count = func.count().label("count")
    table = CollectionInstance
    rows = session.execute(
        select(table.collection_id, table.eligible, table.reason, count, func.min(table.detail).label("detail"))
        .where(table.collection_id.in_(collection_ids))
        .group_by(table.collection_id, table.eligible, table.reason)
        .order_by(count.desc(), table.reason)
    )
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.collection_id, []).append(row)
    return found


def copy_inputs(session: Session, collection_id: int, job_id: int) -> None:
    """Make a collection's instances the inputs of its job."""
    table = CollectionInstance
    held = select(literal(job_id), table.instance_id, table.eligible, table.reason, table.detail).where(
        table.collection_id == collection_id
    )
    session.execute(insert(JobInput).from_select(["job_id", "instance_id", "eligible", "reason", "detail"], held))


def supersede(session: Session, collection: Collection, job_id: int) -> None:
    """Point every older job of a collection to the new one; those that have not finished end here.

    A worker that is running one of them finds its claim gone and records nothing. A finished job stays done: what it
    wrote was true of what was there, and is delivered.
    """
    older = and_(
        Job.study_instance_uid == collection.study_instance_uid,
        Job.rule == collection.rule,
        Job.level_uid == collection.level_uid,
        Job.id != job_id,
        Job.superseded_by_id.is_(None),
    )
    session.execute(
        update(Job)
        .where(older, Job.state.in_(SUPERSEDABLE))
        .values(
            state=JobState.SUPERSEDED,
            detail=f"more instances came: see job {job_id}",
            superseded_by_id=job_id,
            lease_owner=None,
            lease_expires_at=None,
        )
    )
    session.execute(update(Job).where(older).values(superseded_by_id=job_id))
    # What the older ones said is held against no report from now on, also where the new one ends without an answer.
    outdated = select(FindingRow.id).join(Job, Job.id == FindingRow.job_id).where(Job.superseded_by_id == job_id)
    session.execute(update(ExaminationRow).where(ExaminationRow.finding_id.in_(outdated)).values(reconcile_needed=True))


def mark_routed(session: Session, rows: Iterable[dict[str, Any]]) -> None:
    """Write `routed_at`, `route_outcome` and `route_detail` of many instances, by `id`."""
    session.execute(update(Instance), list(rows))


def _insert_new(session: Session, table: Any) -> Any:
    """An INSERT that passes over rows which are there already, on either database."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table.__table__).on_conflict_do_nothing()
