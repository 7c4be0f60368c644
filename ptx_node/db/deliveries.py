"""Queries on deliveries: claim under a lease, find again to settle, stamp the job. Rules about retries live in `pipeline.deliver`.

Claims of one destination follow one another (its row in `destination_states` is locked for that moment), so that what
belongs to one finding is claimed together; claims of different destinations never wait for each other.
Rows are locked in one order everywhere: destination, jobs, deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, exists, func, or_, select, update

from ptx_node.db import audit
from ptx_node.db.destinations import lock_destination
from ptx_node.db.history import keep_sendings
from ptx_node.db.tables import Delivery, Job, Result
from ptx_node.domain.audit import NODE
from ptx_node.domain.audit_events import delivery as delivery_event
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.job import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

ARRIVED = (DeliveryState.ACCEPTED, DeliveryState.COMMITTED)
SENDING_ORDER = case({ResultKind.SEG: 0, ResultKind.SC: 1}, value=Result.kind, else_=2)
"""SEG first: the SR refers to it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who claims, from when, for how long. `owner` is used for one claim only, so that a lost lease is noticed."""

    owner: str
    moment: datetime
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery under our lease, with what is needed to send its result, and no open transaction."""

    delivery_id: int
    path: str
    size_bytes: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    commitment_transaction_uid: str | None


def anything_due(session: Session, destination: str, moment: datetime) -> bool:
    """Whether a claim to send would find something; takes no lock."""
    return bool(session.scalar(select(exists().where(_due_to_send(destination, moment)))))


def anything_to_prove(session: Session, destination: str, moment: datetime) -> bool:
    """Whether a claim to prove would find something; takes no lock."""
    return bool(session.scalar(select(exists().where(_due_to_prove(destination, moment)))))


def claim_to_send(session: Session, destination: str, lease: Lease, *, findings: int) -> list[Claimed]:
    """Take the due deliveries of the oldest `findings` findings, in sending order; none while suspended or held back.

    A delivery whose lease ran out (its sender was lost) is due again, until its deadline.
    """
    state = lock_destination(session, destination)
    if state.suspended or (state.retry_at is not None and state.retry_at > lease.moment):
        return []
    _fail_lost_and_late(session, destination, lease.moment)
    due = _due_to_send(destination, lease.moment)
    oldest = (
        select(Result.finding_id)
        .join(Delivery, Delivery.result_id == Result.id)
        .where(due)
        .group_by(Result.finding_id)
        .order_by(func.min(Delivery.id))
        .limit(findings)
    )
    chosen = session.scalars(oldest).all()
    rows = session.execute(
        select(Delivery, Result)
        .join(Result, Delivery.result_id == Result.id)
        .where(due, Result.finding_id.in_(chosen))
        .order_by(Result.finding_id, SENDING_ORDER, Delivery.id)
        .with_for_update(of=Delivery, skip_locked=True)
    ).all()
    for delivery, _ in rows:
        delivery.state = DeliveryState.SENDING
        delivery.attempts += 1
        _take(delivery, lease)
    return [_claimed(delivery, result) for delivery, result in rows]


def claim_to_prove(session: Session, destination: str, lease: Lease, *, limit: int, transaction_uid: str) -> list[Claimed]:
    """Take accepted deliveries whose arrival is to be proven.

    Those never asked about get `transaction_uid` now, before the request leaves: the report may come first. Those that
    carry a transaction already had their time to be reported. The returned items show the state before.
    """
    state = lock_destination(session, destination)
    if state.suspended:
        return []
    rows = session.execute(
        select(Delivery, Result)
        .join(Result, Delivery.result_id == Result.id)
        .where(_due_to_prove(destination, lease.moment))
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(limit)
        .with_for_update(of=Delivery, skip_locked=True)
    ).all()
    claimed = [_claimed(delivery, result) for delivery, result in rows]
    for delivery, _ in rows:
        delivery.commitment_transaction_uid = delivery.commitment_transaction_uid or transaction_uid
        _take(delivery, lease)
    return claimed


def renew(session: Session, owner: str, expires_at: datetime) -> None:
    """Prolong the lease of everything that `owner` still holds."""
    session.execute(update(Delivery).where(Delivery.lease_owner == owner).values(lease_expires_at=expires_at))


def lock_held(session: Session, owner: str) -> dict[int, Delivery]:
    """The deliveries that `owner` still holds, locked for change; their jobs are locked first, in order, against races."""
    jobs = session.scalars(select(Delivery.job_id).where(Delivery.lease_owner == owner).distinct()).all()
    lock_jobs(session, jobs)
    rows = session.scalars(select(Delivery).where(Delivery.lease_owner == owner).order_by(Delivery.id).with_for_update())
    return {row.id: row for row in rows}


def lock_transaction(session: Session, transaction_uid: str) -> list[tuple[Delivery, str]]:
    """Accepted deliveries of one Storage Commitment transaction with their SOP Instance UIDs, locked for change."""
    mine = and_(Delivery.commitment_transaction_uid == transaction_uid, Delivery.state == DeliveryState.ACCEPTED)
    lock_jobs(session, session.scalars(select(Delivery.job_id).where(mine).distinct()).all())
    rows = session.execute(
        select(Delivery, Result.sop_instance_uid)
        .join(Result, Delivery.result_id == Result.id)
        .where(mine)
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)
    )
    return [(delivery, uid) for delivery, uid in rows]


def lock_jobs(session: Session, job_ids: Collection[int]) -> None:
    """Lock jobs in order: two destinations that finish at the same time must see each other's rows."""
    session.execute(select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update())


def stamp_jobs(session: Session, job_ids: Collection[int]) -> None:
    """Set `accepted_at` / `committed_at` of those jobs whose deliveries have all got so far, to the last one's time.

    The jobs must be locked. Idempotent.
    """
    session.flush()
    stamps = ((Job.accepted_at, Delivery.accepted_at, ARRIVED), (Job.committed_at, Delivery.committed_at, (DeliveryState.COMMITTED,)))
    for column, source, states in stamps:
        open_delivery = exists().where(Delivery.job_id == Job.id, Delivery.state.not_in(states))
        arrived = exists().where(Delivery.job_id == Job.id, Delivery.state.in_(states))
        last = select(func.max(source)).where(Delivery.job_id == Job.id).scalar_subquery()
        session.execute(
            update(Job)
            .where(Job.id.in_(job_ids), arrived, ~open_delivery)
            .values({column: last})
            .execution_options(synchronize_session=False)
        )


def fail_late(session: Session, destination: str, moment: datetime, error: str) -> None:
    """Fail what waits for a destination past its deadline; called when the destination was just found unavailable."""
    late = (
        update(Delivery)
        .where(Delivery.destination == destination, Delivery.state == DeliveryState.WAITING, Delivery.deadline_at <= moment)
        .values(state=DeliveryState.FAILED, error=error)
    )
    note_given_up(session, session.scalars(late.returning(Delivery.id)).all(), "deadline")


def note_step(session: Session, step: str, told: Mapping[int, Mapping[str, Any]], *, actor: str = NODE) -> None:
    """Note in the audit trail what happened to deliveries: by id, what `step` says of each."""
    session.flush()
    rows = session.execute(
        select(
            Delivery.id, Delivery.job_id, Delivery.destination, Delivery.state, Delivery.attempts, Result.sop_instance_uid, Result.sha256
        )
        .join(Result, Delivery.result_id == Result.id)
        .where(Delivery.id.in_(told))
        .order_by(Delivery.id)
    ).mappings()
    for row in rows:
        rest = {name: value for name, value in row.items() if name != "id"}
        audit.note(session, delivery_event(step, actor, delivery_id=row["id"], **rest, **told[row["id"]]))


def note_given_up(session: Session, ids: Collection[int], reason: str) -> None:
    """Note in the audit trail that these deliveries will not be tried again, unless somebody asks for it."""
    if ids:
        note_step(session, "given_up", {one: {"reason": reason} for one in ids})


def destinations_of(session: Session, ids: Sequence[int]) -> list[str]:
    """The destinations that some deliveries are for, in order of name."""
    return sorted(session.scalars(select(Delivery.destination).where(Delivery.id.in_(ids)).distinct()))


def retry(session: Session, moment: datetime, deadline_at: datetime, *, ids: Sequence[int] = (), destination: str = "") -> list[int]:
    """Make deliveries due now with a new deadline: failed ones and waiting ones, by id or all of a destination; which."""
    chosen = and_(
        Delivery.id.in_(ids) if ids else Delivery.destination == destination,
        Delivery.state.in_((DeliveryState.FAILED, DeliveryState.WAITING)),
    )
    keep_sendings(session, chosen)
    changed = session.scalars(
        update(Delivery)
        .where(chosen)
        .values(state=DeliveryState.WAITING, next_attempt_at=moment, deadline_at=deadline_at, attempts=0, resends=0)
        .returning(Delivery.id)
    )
    return sorted(changed)


def _due_to_send(destination: str, moment: datetime) -> ColumnElement[bool]:
    waiting = and_(Delivery.state == DeliveryState.WAITING, Delivery.next_attempt_at <= moment)
    lost = and_(Delivery.state == DeliveryState.SENDING, Delivery.lease_expires_at <= moment)
    return and_(Delivery.destination == destination, or_(waiting, lost))


def _due_to_prove(destination: str, moment: datetime) -> ColumnElement[bool]:
    free = or_(Delivery.lease_owner.is_(None), Delivery.lease_expires_at <= moment)
    return and_(
        Delivery.destination == destination,
        Delivery.state == DeliveryState.ACCEPTED,
        Delivery.proof.is_(None),
        Delivery.next_attempt_at <= moment,
        free,
    )


def _fail_lost_and_late(session: Session, destination: str, moment: datetime) -> None:
    lost = (
        update(Delivery)
        .where(
            Delivery.destination == destination,
            Delivery.state == DeliveryState.SENDING,
            Delivery.lease_expires_at <= moment,
            Delivery.deadline_at <= moment,
        )
        .values(state=DeliveryState.FAILED, lease_owner=None, lease_expires_at=None, error="deadline passed; its last sender was lost")
    )
    note_given_up(session, session.scalars(lost.returning(Delivery.id)).all(), "sender_lost_and_deadline")


def _take(delivery: Delivery, lease: Lease) -> None:
    delivery.lease_owner = lease.owner
    delivery.lease_expires_at = lease.moment + lease.duration


def _claimed(delivery: Delivery, result: Result) -> Claimed:
    return Claimed(
        delivery_id=delivery.id,
        path=result.path,
        size_bytes=result.size_bytes,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        series_instance_uid=result.series_instance_uid,
        study_instance_uid=result.study_instance_uid,
        commitment_transaction_uid=delivery.commitment_transaction_uid,
    )
