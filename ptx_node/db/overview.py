"""What people ask of the tables: the queries behind `ptx status`, `ptx jobs`, `ptx deliveries`. Read only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select

from ptx_node.db import report_overview
from ptx_node.db.tables import (
    CommitmentRequest,
    Conflict,
    Delivery,
    FindingRow,
    Heartbeat,
    Instance,
    Job,
    JobInput,
    Refusal,
    Result,
)
from ptx_node.domain.job import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None means any."""

    state: str | None = None
    rule: str | None = None
    study_instance_uid: str | None = None
    limit: int = 50


def status(session: Session, *, now: datetime) -> Row:
    """The node at a glance: counts by state, the oldest that waits, what went wrong, who lives."""
    return {
        "instances": {
            "received": _count(session, select(func.count()).select_from(Instance)),
            "not_routed_yet": _count(session, select(func.count()).select_from(Instance).where(Instance.routed_at.is_(None))),
            "invalid_uid": _count(session, select(func.count()).select_from(Instance).where(Instance.uid_problem.is_not(None))),
            "by_outcome": _by(
                session,
                select(Instance.route_outcome, func.count()).where(Instance.routed_at.is_not(None)).group_by(Instance.route_outcome),
            ),
            "last_received_at": session.scalar(select(func.max(Instance.received_at))),
        },
        "conflicts": _count(session, select(func.count()).select_from(Conflict)),
        "refusals": _by(session, select(Refusal.reason, func.count()).group_by(Refusal.reason)),
        "radiology_reports": report_overview.by_place(session),
        "report_messages": report_overview.by_verdict(session),
        "jobs": _by(session, select(Job.state, func.count()).group_by(Job.state)),
        "oldest_queued_at": session.scalar(select(func.min(Job.queued_at)).where(Job.state == JobState.QUEUED)),
        "quarantined_by_cause": _by(session, select(Job.cause, func.count()).where(Job.state == JobState.QUARANTINED).group_by(Job.cause)),
        "not_eligible_by_reason": _by(
            session, select(JobInput.reason, func.count()).where(JobInput.eligible.is_(False)).group_by(JobInput.reason)
        ),
        "findings": _by(session, select(FindingRow.outcome, func.count()).group_by(FindingRow.outcome)),
        "results": _by(session, select(Result.kind, func.count()).group_by(Result.kind)),
        "deliveries": _deliveries_by_destination(session),
        "commitment_requests_open": _count(
            session, select(func.count()).select_from(CommitmentRequest).where(CommitmentRequest.reported_at.is_(None))
        ),
        "processes": [
            {
                "process": beat.process,
                "role": beat.role,
                "host": beat.host,
                "pid": beat.pid,
                "silent_s": round((now - beat.beat_at).total_seconds(), 1),
            }
            for beat in session.scalars(select(Heartbeat).order_by(Heartbeat.role, Heartbeat.process))
        ],
    }


def _count(session: Session, query: Select[int]) -> int:
    return session.scalar(query) or 0


def _by(session: Session, query: Select[*tuple[Any, ...]]) -> dict[str, int]:
    return {str(key): int(count) for key, count in session.execute(query).all() if key is not None}


def _deliveries_by_destination(session: Session) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for destination, state, count in session.execute(
        select(Delivery.destination, Delivery.state, func.count()).group_by(Delivery.destination, Delivery.state)
    ):
        table.setdefault(destination, {})[state] = count
    return table


def jobs(session: Session, wanted: JobFilter) -> list[Row]:
    """Jobs with their inputs' reasons and findings, the newest first."""
    query = select(Job).order_by(Job.id.desc()).limit(wanted.limit)
    if wanted.state:
        query = query.where(Job.state == wanted.state)
    if wanted.rule:
        query = query.where(Job.rule == wanted.rule)
    if wanted.study_instance_uid:
        query = query.where(Job.study_instance_uid == wanted.study_instance_uid)
    found = session.scalars(query).all()
    ids = [job.id for job in found]
    reasons = _reasons(session, ids)
    findings = _findings(session, ids)
    rows: list[Row] = []
    for job in found:
        row: Row = {column.key: getattr(job, column.key) for column in Job.__table__.columns}
        row["reasons"] = reasons.get(job.id, [])
        row["findings"] = findings.get(job.id, [])
        row["reason"] = job.cause or (row["reasons"][0]["reason"] if row["reasons"] else None)
        row["finding"] = ", ".join(_finding_text(one) for one in row["findings"])
        rows.append(row)
    return rows


def _reasons(session: Session, job_ids: list[int]) -> dict[int, list[Row]]:
    table: dict[int, list[Row]] = {}
    for job_id, uid, reason, detail in session.execute(
        select(JobInput.job_id, Instance.sop_instance_uid, JobInput.reason, JobInput.detail)
        .join(Instance, Instance.id == JobInput.instance_id)
        .where(JobInput.job_id.in_(job_ids), JobInput.eligible.is_(False))
        .order_by(JobInput.instance_id)
    ):
        table.setdefault(job_id, []).append({"sop_instance_uid": uid, "reason": reason, "detail": detail})
    return table


def _findings(session: Session, job_ids: list[int]) -> dict[int, list[Row]]:
    table: dict[int, list[Row]] = {}
    for one in session.scalars(select(FindingRow).where(FindingRow.job_id.in_(job_ids)).order_by(FindingRow.id)):
        table.setdefault(one.job_id, []).append(
            {
                "outcome": one.outcome,
                "probability": one.probability,
                "threshold": one.threshold,
                "laterality": one.laterality,
                "area_mm2": one.area_mm2,
                "volume_ml": one.volume_ml,
                "spacing_reason": one.spacing_reason,
                "reason": one.reason,
                "model": f"{one.model_name} {one.model_version}",
                "sop_instance_uids": one.sop_instance_uids,
            }
        )
    return table


def _finding_text(finding: Row) -> str:
    probability = "" if finding["probability"] is None else f" {finding['probability']:.3f}"
    return f"{finding['outcome']}{probability}" + (f" {finding['laterality']}" if finding["laterality"] else "")


def deliveries(session: Session, *, destination: str | None, state: str | None, limit: int) -> list[Row]:
    """Deliveries with the result they carry, the newest first."""
    query = (
        select(Delivery, Result.kind, Result.sop_instance_uid, Result.study_instance_uid)
        .join(Result, Result.id == Delivery.result_id)
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if destination:
        query = query.where(Delivery.destination == destination)
    if state:
        query = query.where(Delivery.state == state)
    return [
        {column.key: getattr(row, column.key) for column in Delivery.__table__.columns}
        | {"kind": kind, "sop_instance_uid": sop_instance_uid, "study_instance_uid": study_instance_uid}
        for row, kind, sop_instance_uid, study_instance_uid in session.execute(query)
    ]
