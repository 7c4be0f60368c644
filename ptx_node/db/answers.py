"""Everything the node holds about a study: what came, who read it, what was said, which results went where. Read only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node.db.tables import Delivery, FindingRow, Instance, Job, Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Said:
    """One finding of one job; a refusal before any model looked is one too, with its reason."""

    model: str
    version: str
    device_uid: str
    outcome: str
    reason: str | None
    probability: float | None
    laterality: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """One result on its way to one destination. `proof` is how its arrival is known."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    destination: str
    state: str
    proof: str | None
    error: str | None
    committed_at: datetime | None


@dataclass(slots=True)
class Answers:
    """One study's rows.

    Attributes:
        instances: SOP Instance UID -> what routing decided ("no_rule", "queued" …).
        asked: (destination, kinds) that the jobs agreed on.
    """

    instances: dict[str, str | None] = field(default_factory=dict)
    calling_aes: set[str] = field(default_factory=set)
    said: list[Said] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    asked: set[tuple[str, frozenset[str]]] = field(default_factory=set)


def answers(session: Session, study_instance_uids: Sequence[str]) -> dict[str, Answers]:
    """What there is of these studies, keyed by Study Instance UID; every one is there."""
    table = {uid: Answers() for uid in study_instance_uids}
    for instance in session.scalars(select(Instance).where(Instance.study_instance_uid.in_(table))):
        table[instance.study_instance_uid].instances[instance.sop_instance_uid] = instance.route_outcome
        table[instance.study_instance_uid].calling_aes.add(instance.calling_ae)
    jobs = {job.id: job for job in session.scalars(select(Job).where(Job.study_instance_uid.in_(table)).order_by(Job.id))}
    spoken = set()
    for row in session.scalars(select(FindingRow).where(FindingRow.job_id.in_(jobs)).order_by(FindingRow.id)):
        said = Said(row.model_name, row.model_version, row.device_uid, row.outcome, row.reason, row.probability, row.laterality)
        table[jobs[row.job_id].study_instance_uid].said.append(said)
        spoken.add(row.job_id)
    for job in jobs.values():
        table[job.study_instance_uid].asked |= {(str(one["name"]), frozenset(map(str, one["kinds"]))) for one in job.destinations}
        if job.id not in spoken and job.superseded_by_id is None:  # refused before any model looked, or given up
            table[job.study_instance_uid].said.append(Said(job.model, "", "", job.state, job.cause, None, None))
    query = select(Result, Delivery).join(Delivery, Delivery.result_id == Result.id).where(Result.study_instance_uid.in_(table))
    for result, delivery in session.execute(query.order_by(Delivery.id)):
        table[result.study_instance_uid].sent.append(_sent(result, delivery))
    return table


def _sent(result: Result, delivery: Delivery) -> Sent:
    return Sent(
        result.kind,
        result.sop_class_uid,
        result.sop_instance_uid,
        result.series_instance_uid,
        result.study_instance_uid,
        delivery.destination,
        delivery.state,
        delivery.proof,
        delivery.error,
        delivery.committed_at,
    )
