"""Exports: packages for auditors, asked for here, built in the background one at a time, fetched as a zip file, verified.

`ptx export` makes the same package; who may not see patients asks for, and gets, de-identified ones only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, StreamingResponse

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import Day, Number
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.dashboard.zip_stream import zipped
from ptx_node.db import audit, cohorts, exports
from ptx_node.db.export_tables import ExportRow
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.audit_events import decision
from ptx_node.domain.cohort import CohortState
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import UsageError
from ptx_node.validation.package import Request as Wanted
from ptx_node.validation.package import check_request

if TYPE_CHECKING:
    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["exports"])

PAGE = Page("Exports", "/exports", Permission.EXPORT, (router, api))

Exporter = Annotated[Who, needs(Permission.EXPORT)]
Watching = Annotated[Who, needs(Permission.EXPORT, background=True)]

LISTED = 50
LONGEST_COHORT = 63
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
IDENTIFIED = "a package with patients' own numbers is for those who may see patients"


class Wish(BaseModel):
    """Which package: of local days of examination, both within, or of a complete cohort; the name keeps pseudonyms of two receivers apart.

    `prevalence`: predictive values are told for this share of patients with a pneumothorax too.
    """

    since: Day | None = None
    until: Day | None = None
    cohort: str = Field(default="", max_length=LONGEST_COHORT)
    prevalence: float | None = Field(default=None, gt=0, lt=1)
    name: str = Field(default="auditors", pattern=NAME)
    truth: TruthKind = TruthKind.REPORT
    identified: bool = False
    with_images: bool = False
    with_report_text: bool = False


@dataclass(frozen=True, slots=True)
class ExportShown:
    """A package: what was asked for, how far it is, what it holds. `problems` is null until it was verified."""

    number: int
    request: dict[str, Any]
    task: str
    state: str
    step: str
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None
    package_sha256: str | None
    counts: dict[str, Any]
    error: str
    verified_at: datetime | None
    problems: list[str] | None
    removed_at: datetime | None
    there: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """The number of what was asked for."""

    number: int


@router.get("/exports")
def show(request: Request, parts: PartsOf, who: Exporter) -> Response:
    """The page."""
    return _page(request, parts, who)


@router.get("/exports/live")
def live(request: Request, parts: PartsOf, _who: Watching) -> Response:
    """The list, asked again by the page itself."""
    return page(request, "exports_live.jinja", rows=_rows(parts))


@router.post("/exports")
def ask(request: Request, parts: PartsOf, who: Exporter, wish: Annotated[Wish, Form()]) -> Response:
    """Ask for a package."""
    try:
        _ask(parts, who, wish)
    except UsageError as error:
        return _page(request, parts, who, 400, problem=str(error))
    return RedirectResponse("/exports", 303)


@router.post("/exports/{number}/verify")
def verify(parts: PartsOf, _who: Exporter, number: Number) -> Response:
    """Hold every byte against its manifests, in the background."""
    _verify(parts, number)
    return RedirectResponse("/exports", 303)


@router.get("/exports/{number}/package.zip")
def download(parts: PartsOf, who: Exporter, number: Number) -> Response:
    """The package as a zip file."""
    return _zip(parts, who, number)


@api.get("/exports")
def list_exports(parts: PartsOf, _who: Exporter) -> list[ExportShown]:
    """The newest packages that were asked for on the dashboard."""
    return _rows(parts)


@api.post("/exports", status_code=202)
def ask_for_export(parts: PartsOf, who: Exporter, wanted: Wish) -> Asked:
    """Ask for a package: it is built in the background, one at a time."""
    return Asked(_ask(parts, who, wanted))


@api.post("/exports/{number}/verify", status_code=202)
def verify_export(parts: PartsOf, _who: Exporter, number: Number) -> Asked:
    """Have every byte held against its manifests, and its audit rows against this node's trail, in the background."""
    _verify(parts, number)
    return Asked(number)


@api.get("/exports/{number}/package.zip", response_class=StreamingResponse)
def download_export(parts: PartsOf, who: Exporter, number: Number) -> Response:
    """The package as a zip file, made while it is sent."""
    return _zip(parts, who, number)


def _ask(parts: Parts, who: Who, wish: Wish) -> int:
    if parts.desk.exports is None:
        raise UsageError("this dashboard builds no packages: use ptx export")
    if wish.identified and not who.may(Permission.PATIENTS):
        raise HTTPException(403, IDENTIFIED)
    since, until = _days(parts, wish)
    flags = (wish.identified, wish.with_images, wish.with_report_text)
    wanted = Wanted(since, until, wish.name, parts.node.zone.key, wish.truth, *flags, wish.cohort, wish.prevalence)
    check_request(wanted)
    with begin_write(parts.engine) as session:
        return exports.ask(session, wanted.to_json(), by=who.actor, now=now())


def _days(parts: Parts, wish: Wish) -> tuple[date, date]:
    """Those of the wish, or of its cohort."""
    if wish.cohort:
        if wish.since or wish.until:
            raise UsageError("give a cohort, or the two days of a period: a cohort has its own")
        with begin_read(parts.engine) as session:
            cohort = cohorts.cohort_named(session, wish.cohort)
        if cohort.state != CohortState.COMPLETE:
            raise UsageError(f"the cohort {cohort.name} is not complete: go on with ptx cohort build")
        return cohort.since, cohort.until
    if wish.since is None or wish.until is None:
        raise UsageError("give the two days of a period, or a cohort")
    if wish.until < wish.since:
        raise UsageError(f"a period does not end ({wish.until}) before it begins ({wish.since})")
    return wish.since, wish.until


def _verify(parts: Parts, number: int) -> None:
    with begin_write(parts.engine) as session:
        exports.ask_verification(session, number)


def _zip(parts: Parts, who: Who, number: int) -> Response:
    with begin_read(parts.engine) as session:
        row = session.get(ExportRow, number)
    folder = parts.desk.exports / str(number) if parts.desk.exports else None
    if row is not None and row.removed_at is not None:
        raise HTTPException(410, f"package {number} was removed on {row.removed_at:%Y-%m-%d}, as packages of that age are: build it again")
    if row is None or row.package_sha256 is None or folder is None or not folder.is_dir():
        raise HTTPException(404, f"there is no package {number} to fetch")
    if row.request["identified"] and not who.may(Permission.PATIENTS):
        raise HTTPException(403, IDENTIFIED)
    with begin_write(parts.engine) as session:
        audit.note(session, decision(who.actor, "fetch export", export=number, package_sha256=row.package_sha256))
    name = f"ptx-export-{number}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(zipped(folder, name), media_type="application/zip", headers=headers)


def _rows(parts: Parts) -> list[ExportShown]:
    with begin_read(parts.engine) as session:
        found = exports.listed(session, LISTED)
    return [
        ExportShown(
            row.id,
            row.request,
            row.task,
            row.state,
            row.step,
            row.asked_by,
            row.asked_at,
            row.finished_at,
            row.package_sha256,
            row.counts or {},
            row.error or "",
            row.verified_at,
            row.problems,
            row.removed_at,
            _is_there(parts, row),
        )
        for row in found
    ]


def _is_there(parts: Parts, row: ExportRow) -> bool:
    if parts.desk.exports is None or row.package_sha256 is None or row.removed_at is not None:
        return False
    return (parts.desk.exports / str(row.id)).is_dir()


def _page(request: Request, parts: Parts, who: Who, status: int = 200, *, problem: str = "") -> Response:
    with begin_read(parts.engine) as session:
        complete = [one.name for one, _ in cohorts.every(session) if one.state == CohortState.COMPLETE]
    return page(
        request,
        "exports.jinja",
        status,
        rows=_rows(parts),
        cohorts=complete,
        problem=problem,
        truths=list(TruthKind),
        patients=who.may(Permission.PATIENTS),
    )
