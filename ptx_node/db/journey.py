"""How far the studies of interest have come: one line a study, for `ptx demo` and whoever asks where a study is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.tables import Collection, Delivery, FindingRow, Instance, Job, Result
from ptx_node.domain.job import DeliveryState, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

SETTLED = {JobState.DONE, JobState.NOT_ELIGIBLE, JobState.QUARANTINED, JobState.SUPERSEDED}


@dataclass(slots=True)
class Journey:
    """One study's way through the node; a time is None until it came so far."""

    study_instance_uid: str
    instances: int = 0
    unrouted: int = 0
    open_collections: int = 0
    received_at: datetime | None = None
    queued_at: datetime | None = None
    inferred_at: datetime | None = None
    accepted_at: datetime | None = None
    committed_at: datetime | None = None
    jobs: int = 0
    open_jobs: int = 0
    deliveries: int = 0
    open_deliveries: int = 0
    failed_deliveries: int = 0
    outcomes: list[str] = field(default_factory=list)
    lateralities: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Everything that arrived is answered, and every answer is committed, given up, or cannot be proven there."""
        on_its_way = self.unrouted or self.open_collections or self.open_jobs or self.open_deliveries
        return self.instances > 0 and not on_its_way


def journeys(session: Session, study_instance_uids: Sequence[str]) -> dict[str, Journey]:
    """The journeys of these studies, keyed by Study Instance UID; every one is there, however far it came."""
    table = {uid: Journey(uid) for uid in study_instance_uids}
    _received(session, table)
    _collections(session, table)
    _jobs(session, table)
    _findings(session, table)
    _deliveries(session, table)
    return table


def _received(session: Session, table: dict[str, Journey]) -> None:
    query = (
        select(
            Instance.study_instance_uid,
            func.count(),
            func.count(Instance.routed_at),
            func.max(Instance.received_at, type_=Instance.received_at.type),
        )
        .where(Instance.study_instance_uid.in_(table))
        .group_by(Instance.study_instance_uid)
    )
    for uid, count, routed, last in session.execute(query):
        table[uid].instances, table[uid].unrouted, table[uid].received_at = count, count - routed, last


def _collections(session: Session, table: dict[str, Journey]) -> None:
    query = (
        select(Collection.study_instance_uid, func.count())
        .where(Collection.study_instance_uid.in_(table), Collection.closed_at.is_(None))
        .group_by(Collection.study_instance_uid)
    )
    for uid, count in session.execute(query):
        table[uid].open_collections = count


def _jobs(session: Session, table: dict[str, Journey]) -> None:
    for job in session.scalars(select(Job).where(Job.study_instance_uid.in_(table)).order_by(Job.id)):
        journey = table[job.study_instance_uid]
        journey.jobs += 1
        journey.open_jobs += job.state not in SETTLED
        journey.queued_at, journey.inferred_at = job.queued_at, job.inferred_at
        journey.accepted_at, journey.committed_at = job.accepted_at, job.committed_at
        if job.cause and job.state in SETTLED:
            journey.reasons.append(job.cause)


def _findings(session: Session, table: dict[str, Journey]) -> None:
    for one in session.scalars(select(FindingRow).where(FindingRow.study_instance_uid.in_(table)).order_by(FindingRow.id)):
        journey = table[one.study_instance_uid]
        journey.outcomes.append(one.outcome)
        if one.laterality:
            journey.lateralities.append(one.laterality)
        if one.probability is not None:
            journey.probabilities.append(one.probability)


def _deliveries(session: Session, table: dict[str, Journey]) -> None:
    query = (
        select(Job.study_instance_uid, Result.sop_instance_uid, Result.kind, Delivery.state, Delivery.proof)
        .join(Delivery, Delivery.job_id == Job.id)
        .join(Result, Result.id == Delivery.result_id)
        .where(Job.study_instance_uid.in_(table))
    )
    for uid, sop_instance_uid, kind, state, proof in session.execute(query):
        journey = table[uid]
        journey.results[sop_instance_uid] = kind
        journey.deliveries += 1
        journey.open_deliveries += state not in {DeliveryState.COMMITTED, DeliveryState.FAILED} and proof is None
        journey.failed_deliveries += state == DeliveryState.FAILED
