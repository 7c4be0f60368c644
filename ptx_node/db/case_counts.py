"""What a period received that no finding stands for, and its reports without a partner: counted, so that an auditor misses nobody.

An image is counted once for each job that should have read it, and once where there is none; a CT series is one image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, literal, or_, select

from ptx_node.db.cases import CT
from ptx_node.db.tables import Conflict, ExaminationRow, FindingRow, Instance, Job, JobInput, PairRow, RadiologyReport, UnmatchedRow
from ptx_node.domain.job import JobState
from ptx_node.domain.study import PHANTOM_PREFIX, Via

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, SQLColumnExpression, Subquery
    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Period

RADIOGRAPHS = ("CR", "DX", "RG")
UNROUTED, RETRIEVED = "unrouted", "retrieved"
CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Unread:
    """Images of one kind that stopped at one place.

    Attributes:
        place: an outcome of routing, `unrouted`, the state of a job, or `conflict`.
        code: the coded reason or cause below it; empty where there is none.
        kind: `radiograph`, `ct`, or `other`: other modalities, reports, results that came back.
        phantom: they are of a commissioning.
    """

    place: str
    code: str
    kind: str
    phantom: bool
    count: int


def unread(session: Session, period: Period) -> list[Unread]:
    """Every image of the period without a finding, by the local day of reception, since no header was read for the node to keep."""
    found = [Unread(*row) for some in (_without_job(period), _unread_by_job(period)) for row in _count(session, some)]
    conflicts = session.scalar(select(func.count()).select_from(Conflict).where(period.covers(Conflict.received_at)))
    return [*found, *([Unread(CONFLICT, "", "other", phantom=False, count=conflicts)] if conflicts else [])]


def reports_alone(session: Session, period: Period) -> dict[str, int]:
    """The period's radiology reports by why they are in no primary pair; `primary` are those that are in one."""
    report, pair, alone = RadiologyReport, PairRow, UnmatchedRow
    primary = select(pair.id).where(pair.report_id == report.id, pair.superseded_at.is_(None), pair.secondary_reason.is_(None)).exists()
    paired = select(pair.id).where(pair.report_id == report.id, pair.superseded_at.is_(None)).exists()
    reason = select(func.min(alone.reason)).where(alone.report_id == report.id, alone.superseded_at.is_(None)).scalar_subquery()
    place = case((primary, "primary"), (paired, "secondary_only"), else_=func.coalesce(reason, "not_reconciled"))
    in_period = or_(
        report.examined_on.between(period.since, period.until), and_(report.examined_on.is_(None), period.covers(report.created_at))
    )
    each = select(place.label("place")).where(in_period).subquery()
    rows = session.execute(select(each.c.place, func.count()).group_by(each.c.place).order_by(each.c.place))
    return {str(name): int(count) for name, count in rows}


def _count(session: Session, images: Subquery) -> list[tuple[str, str, str, bool, int]]:
    by = (images.c.place, images.c.code, images.c.kind, images.c.phantom)
    rows = session.execute(select(*by, func.count()).group_by(*by).order_by(*by))
    return [(place, code, kind, bool(phantom), count) for place, code, kind, phantom, count in rows]


def _columns(place: SQLColumnExpression[Any], code: SQLColumnExpression[Any]) -> tuple[ColumnElement[Any], ...]:
    """Of one image; place and code are of all its instances together, so that it is in one place."""
    kind = case((Instance.modality == CT, "ct"), (Instance.modality.in_(RADIOGRAPHS), "radiograph"), else_="other")
    phantom = case((Instance.patient_id.startswith(PHANTOM_PREFIX), 1), else_=0)
    return (
        place.label("place"),
        func.coalesce(code, "").label("code"),
        func.min(kind).label("kind"),
        func.max(phantom).label("phantom"),
    )


def _image() -> ColumnElement[Any]:
    """A series of a CT, an instance of anything else."""
    return case((Instance.modality == CT, Instance.series_instance_uid), else_=Instance.sop_instance_uid)


def _without_job(period: Period) -> Subquery:
    """Images that no job was to read, and of which no other instance is in one."""
    other = Instance.__table__.alias("other")
    in_job = select(JobInput.job_id).where(JobInput.instance_id == Instance.id).exists()
    examined = select(ExaminationRow.finding_id).where(ExaminationRow.instance_id == Instance.id).exists()
    series_in_job = (
        select(JobInput.job_id)
        .join(other, other.c.id == JobInput.instance_id)
        .where(other.c.series_instance_uid == Instance.series_instance_uid)
        .exists()
    )
    return (
        select(*_columns(func.min(func.coalesce(Instance.route_outcome, UNROUTED)), literal("")))
        .where(period.covers(Instance.received_at), ~in_job, ~examined, or_(Instance.modality != CT, ~series_in_job))
        .group_by(_image())
        .subquery()
    )


def _unread_by_job(period: Period) -> Subquery:
    """Images of jobs that left no finding of them: not to be read, as the header says; waiting; or given up."""
    of_it = or_(
        and_(Instance.modality == CT, FindingRow.series_instance_uid == Instance.series_instance_uid),
        FindingRow.sop_instance_uids[0].as_string() == Instance.sop_instance_uid,
    )
    found = select(FindingRow.id).where(FindingRow.job_id == Job.id, of_it).exists()
    refused = func.max(case((JobInput.eligible.is_(True), 1), else_=0)) == 0
    fetched = func.max(case((Instance.via == Via.RETRIEVE, 1), else_=0)) == 1
    place = case((fetched, RETRIEVED), (refused, str(JobState.NOT_ELIGIBLE)), else_=func.min(Job.state))
    code = case((refused, func.min(JobInput.reason)), else_=func.min(Job.cause))
    return (
        select(*_columns(place, code))
        .join(JobInput, JobInput.instance_id == Instance.id)
        .join(Job, Job.id == JobInput.job_id)
        .where(period.covers(Instance.received_at), Job.superseded_by_id.is_(None), ~found)
        .group_by(_image(), Job.id)
        .subquery()
    )
