"""What an operator may do with a study: queue a failed job again, read a job's images once more, send results again; each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from starlette.responses import RedirectResponse

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import Number
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.study_pictures import GONE
from ptx_node.db import audit, history, study_search
from ptx_node.db import jobs as job_rows
from ptx_node.db.jobs_again import read_again
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Delivery, FindingRow, Job, Result
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.audit_events import RETRY_JOBS, SUPERSEDE_JOB, decision
from ptx_node.pipeline.send_again import send_again

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["study"])

Operator = Annotated[Who, needs(Permission.OPERATE)]
LONGEST = 500
Reason = Annotated[str, Form(max_length=LONGEST)]


class Why(BaseModel):
    """Why something is done, for those who come later; it stands in the audit trail."""

    reason: str = Field(min_length=1, max_length=LONGEST)


class Done(BaseModel):
    """What was done: numbers of jobs or of deliveries."""

    jobs: list[int] = []
    deliveries: list[int] = []


@router.post("/studies/{study}/jobs/{job}/retry")
def retry_on_page(request: Request, parts: PartsOf, who: Operator, study: str, job: Number, reason: Reason) -> Response:
    """Queue a quarantined job again."""
    _retry(parts, who, study, job, reason)
    return _back(request, study)


@router.post("/studies/{study}/jobs/{job}/supersede")
def supersede_on_page(request: Request, parts: PartsOf, who: Operator, study: str, job: Number, reason: Reason) -> Response:
    """Read a job's images once more."""
    _supersede(parts, who, study, job, reason)
    return _back(request, study)


@router.post("/studies/{study}/deliveries/send-again")
def send_on_page(
    request: Request, parts: PartsOf, who: Operator, study: str, reason: Reason, delivery: Annotated[list[int], Form()]
) -> Response:
    """Send chosen results again."""
    _send(parts, who, study, delivery, reason)
    return _back(request, study)


@api.post("/studies/{study}/jobs/{job}/retry")
def retry(parts: PartsOf, who: Operator, study: str, job: Number, why: Why) -> Done:
    """Queue a quarantined job again, with fresh attempts."""
    return _retry(parts, who, study, job, why.reason)


@api.post("/studies/{study}/jobs/{job}/supersede")
def supersede(parts: PartsOf, who: Operator, study: str, job: Number, why: Why) -> Done:
    """Read the images of a job that has ended once more: a new job supersedes it; the answer is the new one's number."""
    return _supersede(parts, who, study, job, why.reason)


@api.post("/studies/{study}/deliveries/{delivery}/send-again")
def send(parts: PartsOf, who: Operator, study: str, delivery: Number, why: Why) -> Done:
    """Send a result again to one destination, also where it had arrived."""
    return _send(parts, who, study, [delivery], why.reason)


def _retry(parts: Parts, who: Who, study: str, job: int, reason: str) -> Done:
    with begin_write(parts.engine) as session:
        _demand_job(session, who, study, job)
        queued = job_rows.retry(session, [job], now=(moment := now()))
        if not queued:
            raise HTTPException(409, f"job {job} is no longer in quarantine: only what failed can be retried")
        audit.note(session, decision(who.actor, RETRY_JOBS, job_ids=queued, reason=_words(reason)))
        history.jobs_again(session, queued, by=who.actor, what=RETRY_JOBS, at=moment, reason=_words(reason))
    return Done(jobs=queued)


def _supersede(parts: Parts, who: Who, study: str, job: int, reason: str) -> Done:
    with begin_write(parts.engine) as session:
        _demand_job(session, who, study, job)
        new = read_again(session, job, now=(moment := now()))
        if new is None:
            raise HTTPException(409, f"job {job} has not ended, was not eligible, or is superseded already: nothing was done")
        audit.note(session, decision(who.actor, SUPERSEDE_JOB, job_id=job, new_job_id=new, reason=_words(reason)))
        history.jobs_again(session, [job], by=who.actor, what=SUPERSEDE_JOB, at=moment, reason=_words(reason))
    return Done(jobs=[new])


def _send(parts: Parts, who: Who, study: str, wanted: list[int], reason: str) -> Done:
    with begin_read(parts.engine) as session:
        uid = _demand_study(session, who, study)
        of_study = select(Delivery.id).join(Result, Result.id == Delivery.result_id).join(FindingRow, FindingRow.id == Result.finding_id)
        known = set(session.scalars(of_study.where(FindingRow.study_instance_uid == uid)))
    if not wanted or not known.issuperset(wanted):
        raise HTTPException(404, "the study has no such delivery")
    queued = send_again(parts.engine, sorted(set(wanted)), deadlines_s=parts.node.deadlines_s, by=who.actor, reason=_words(reason))
    if not queued:
        raise HTTPException(409, "this is being sent at this moment: nothing was done")
    return Done(deliveries=queued)


def _demand_study(session: Session, who: Who, name: str) -> str:
    uid = study_search.study_of(session, name, patients=who.may(Permission.PATIENTS))
    if uid is None:
        raise HTTPException(404, GONE)
    return uid


def _demand_job(session: Session, who: Who, study: str, job: int) -> None:
    row = session.get(Job, job)
    if row is None or row.study_instance_uid != _demand_study(session, who, study):
        raise HTTPException(404, "the study has no such job")


def _words(reason: str) -> str:
    """The reason without what a trail cannot hold.

    Raises:
        HTTPException: 422, nothing was said.
    """
    words = "".join(one for one in reason if one.isprintable()).strip()
    if not words:
        raise HTTPException(422, "say why, for those who come later")
    return words


def _back(request: Request, study: str) -> Response:
    return RedirectResponse(request.url_for("study", study=study).path, 303)
