"""What the viewer of a study is told, on the study's page and beside a report: series in order, masks, what the model said."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ptx_node.dashboard.study_pictures import stored_file
from ptx_node.dashboard.study_view import view
from ptx_node.db import study_contents, study_search
from ptx_node.db.session import begin_read
from ptx_node.dicom.slice_order import slice_order
from ptx_node.domain.access import Permission

if TYPE_CHECKING:
    from ptx_node.dashboard.parts import Parts
    from ptx_node.dashboard.study_view import View
    from ptx_node.db.study_contents import Contents, Series
    from ptx_node.domain.access import Who


def contents_of(parts: Parts, who: Who, name: str) -> Contents | None:
    """What a study consists of, CT slices in the order of the body; None where nothing of it is here."""
    patients = who.may(Permission.PATIENTS)
    with begin_read(parts.engine) as session:
        uid = study_search.study_of(session, name, patients=patients)
        if uid is None:
            return None
        found = study_contents.contents(session, uid)
    for one in found.series:
        if one.modality == study_contents.CT and not one.ordered and patients:
            _order(parts, one)
    return found


def told(found: View, number: int) -> dict[str, Any] | None:
    """What the viewer's script is given of a study; None where there is no picture, or nobody may see one."""
    return asdict(found) | {"study": number} if found.pictures else None


def viewer_of(parts: Parts, who: Who, number: int | None) -> dict[str, Any] | None:
    """The same by the study's number, for a page beside which the picture stands; the caller notes the look."""
    found = contents_of(parts, who, str(number)) if number is not None else None
    return told(view(found, who), number) if found is not None and number is not None else None


def _order(parts: Parts, series: Series) -> None:
    """Slices that no model has read in the order of the body, as far as their headers tell."""
    order = slice_order(tuple(stored_file(parts, one.path) for one in series.images)) if len(series.images) > 1 else None
    if order is not None:
        series.images = [series.images[place] for place in order]
        series.ordered = True
