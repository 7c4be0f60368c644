"""Study: the picture with what the model drew, what it said, the results and where they went, and the study's whole way."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Request, Response

from ptx_node.dashboard import study_actions, study_pictures
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.find_page import whole
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.dashboard.study_pictures import stored_file
from ptx_node.dashboard.study_view import View, view
from ptx_node.db import study_contents, study_search
from ptx_node.db.session import begin_read
from ptx_node.dicom.report_tree import TreeItem, report_tree
from ptx_node.dicom.slice_order import slice_order
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from ptx_node.dashboard.find_page import Whole
    from ptx_node.dashboard.parts import Parts
    from ptx_node.dashboard.study_view import FindingShown

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["study"])

PAGE = Page("Study", "/studies", Permission.FIND, (router, api, study_pictures.api, study_actions.router, study_actions.api), menu=False)

Finder = Annotated[Who, needs(Permission.FIND)]

TREES_ON_A_PAGE = 5


@router.get("/studies/{study}")
def study(request: Request, parts: PartsOf, who: Finder, study: str) -> Response:
    """The page."""
    seen, found, contents = _look(parts, who, study)
    identified = who.may(Permission.PATIENTS)
    return page(
        request,
        "study.jinja",
        seen=seen,
        found=found,
        chosen=_chosen(found.findings),
        viewer=asdict(found) | {"study": seen.study.study} if identified and found.pictures else None,
        trees=_trees(parts, contents) if identified else {},
        identified=identified,
        operates=who.may(Permission.OPERATE),
    )


@api.get("/studies/{study}/contents")
def contents_as_json(parts: PartsOf, who: Finder, study: str) -> View:
    """Findings, results, deliveries, truth, jobs and the numbers of the pictures of a study."""
    _, found, _ = _look(parts, who, study)
    return found


def _look(parts: Parts, who: Who, name: str) -> tuple[Whole, View, study_contents.Contents]:
    seen = whole(parts, who, name)  # noted there as a look
    with begin_read(parts.engine) as session:
        uid = study_search.study_of(session, name, patients=who.may(Permission.PATIENTS))
        if uid is None:
            raise HTTPException(404, study_pictures.GONE)
        found = study_contents.contents(session, uid)
    for one in found.series:
        if one.modality == study_contents.CT and not one.ordered and who.may(Permission.PATIENTS):
            _order(parts, one)
    return seen, view(found, who), found


def _order(parts: Parts, series: study_contents.Series) -> None:
    """Slices that no model has read in the order of the body, as far as their headers tell."""
    order = slice_order(tuple(stored_file(parts, one.path) for one in series.images)) if len(series.images) > 1 else None
    if order is not None:
        series.images = [series.images[place] for place in order]
        series.ordered = True


def _chosen(findings: list[FindingShown]) -> FindingShown | None:
    """The finding that stands first on the page: of those that count, a positive one, then the newest."""
    order = sorted(findings, key=lambda one: (one.superseded, one.outcome != Outcome.POSITIVE, one.probability is None, -one.finding))
    return order[0] if order else None


def _trees(parts: Parts, found: study_contents.Contents) -> dict[int, TreeItem | str]:
    """The newest reports as trees by the result's number, or why one cannot be read."""
    told: dict[int, TreeItem | str] = {}
    for row in [one for one in reversed(found.results) if one.kind == ResultKind.SR][:TREES_ON_A_PAGE]:
        try:
            told[row.id] = report_tree(stored_file(parts, row.path))
        except InputError as error:
            told[row.id] = f"The report's file cannot be read ({error.reason.replace('_', ' ')})."
    return told
