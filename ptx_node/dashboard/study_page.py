"""Study: the picture with what the model drew, what it said, the results and where they went, and the study's whole way."""

from __future__ import annotations

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
from ptx_node.dashboard.study_viewer import contents_of, told
from ptx_node.dicom.report_tree import TreeItem, report_tree
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from ptx_node.dashboard.find_page import Whole
    from ptx_node.dashboard.parts import Parts
    from ptx_node.dashboard.study_view import FindingShown
    from ptx_node.db.study_contents import Contents

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
        viewer=told(found, seen.study.study),
        trees=_trees(parts, contents) if identified else {},
        identified=identified,
        operates=who.may(Permission.OPERATE),
    )


@api.get("/studies/{study}/contents")
def contents_as_json(parts: PartsOf, who: Finder, study: str) -> View:
    """Findings, results, deliveries, truth, jobs and the numbers of the pictures of a study."""
    _, found, _ = _look(parts, who, study)
    return found


def _look(parts: Parts, who: Who, name: str) -> tuple[Whole, View, Contents]:
    seen = whole(parts, who, name)  # noted there as a look
    contents = contents_of(parts, who, name)
    if contents is None:
        raise HTTPException(404, study_pictures.GONE)
    return seen, view(contents, who), contents


def _chosen(findings: list[FindingShown]) -> FindingShown | None:
    """The finding that stands first on the page: of those that count, a positive one, then the newest."""
    order = sorted(findings, key=lambda one: (one.superseded, one.outcome != Outcome.POSITIVE, one.probability is None, -one.finding))
    return order[0] if order else None


def _trees(parts: Parts, found: Contents) -> dict[int, TreeItem | str]:
    """The newest reports as trees by the result's number, or why one cannot be read."""
    trees: dict[int, TreeItem | str] = {}
    for row in [one for one in reversed(found.results) if one.kind == ResultKind.SR][:TREES_ON_A_PAGE]:
        try:
            trees[row.id] = report_tree(stored_file(parts, row.path))
        except InputError as error:
            trees[row.id] = f"The report's file cannot be read ({error.reason.replace('_', ' ')})."
    return trees
