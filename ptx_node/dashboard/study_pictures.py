"""Pictures, masks and result files of a study, for its page and for programs. Only for those who may see patients.

Files are found by numbers of rows that belong to the study; nothing of an address becomes a name of a file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import Number
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.viewing import ViewingOf
from ptx_node.db import audit, study_contents, study_search
from ptx_node.db.session import begin_read, begin_write
from ptx_node.dicom.report_tree import TreeItem, report_tree
from ptx_node.dicom.shown_picture import BRIGHTNESS, shown_picture
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.audit_events import looked
from ptx_node.domain.finding import ResultKind
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlalchemy.orm import Session

    from ptx_node.dashboard.parts import Parts
    from ptx_node.db.tables import Result
    from ptx_node.dicom.shown_mask import ShownMask

    Where = Callable[[Session, str], str]
    """In the store the SEG of a study, found by the study's UID; raises HTTPException where there is none."""
    Masks = tuple[dict[str, ShownMask], dict[str, int]]
    """What is drawn on each image by its UID, and the images' numbers."""

api = APIRouter(prefix="/api/v1", tags=["study"])

Viewer = Annotated[Who, needs(Permission.PATIENTS)]

RAW = "application/octet-stream"
DICOM = "application/dicom"
DESCRIPTION = "X-Ptx-Picture"
GONE = "nothing of this study is here"
BINARY: dict[int | str, dict[str, Any]] = {200: {"content": {RAW: {}}}}
NO_READER: dict[int | str, dict[str, Any]] = {501: {"description": "The machine that runs the dashboard cannot read segmentations."}}
DRAWN = BINARY | NO_READER | {204: {"description": "Nothing is drawn on this image."}}


@dataclass(frozen=True, slots=True)
class Drawn:
    """On how many pixels of each image a SEG draws, by the image's number; images on which it draws nothing are left out."""

    images: dict[int, int]


@api.get("/studies/{study}/images/{image}/pixels", response_class=Response, responses=BINARY)
def pixels(request: Request, parts: PartsOf, viewing: ViewingOf, who: Viewer, study: str, image: Number) -> Response:
    """One image, row by row, in 16-bit words of little endian: brightness as the model saw it (0 to 65535), or Hounsfield units of CT.

    The header `X-Ptx-Picture` says as JSON: `kind` (brightness or hounsfield), `rows`, `columns`, `spacing_mm` (between rows and
    between columns, or null), `columns_to` (L or R, the patient's side to which columns grow; or empty).
    """
    with begin_read(parts.engine) as session:
        uid = study_uid(session, study)
        found = study_contents.image_of(session, uid, image)
    if found is None:
        raise HTTPException(404, "the study has no such image; it may have been removed")
    viewing.note(parts, who, uid)
    path = stored_file(parts, found.path)
    with viewing.room():
        try:
            shown = shown_picture(path)
        except InputError as error:
            raise _cannot_be_shown(error, path) from error
        rows, columns = shown.values_HW.shape
        body = shown.values_HW.astype("<u2" if shown.kind == BRIGHTNESS else "<i2", copy=False).tobytes()
        told = {"kind": shown.kind, "rows": rows, "columns": columns, "spacing_mm": shown.pixel_spacing_mm, "columns_to": shown.columns_to}
        return _raw(request, body, told, compressed=shown.kind != BRIGHTNESS)


@api.get("/studies/{study}/results/{result}/drawn", responses=NO_READER)
def drawn(parts: PartsOf, viewing: ViewingOf, who: Viewer, study: str, result: Number) -> Drawn:
    """On which images a segmentation draws something."""
    return _drawn(*_masks(parts, viewing, who, study, _segmentation(result)))


@api.get("/studies/{study}/results/{result}/masks/{image}", response_class=Response, responses=DRAWN)
def mask(request: Request, parts: PartsOf, viewing: ViewingOf, who: Viewer, *, study: str, result: Number, image: Number) -> Response:
    """What a segmentation draws on one image: one bit a pixel, row by row without padding, the first pixel in the highest bit.

    `X-Ptx-Picture` says `rows` and `columns`. 204 where it draws nothing on this image.
    """
    return _mask(request, *_masks(parts, viewing, who, study, _segmentation(result)), image)


@api.get("/studies/{study}/readings/{reading}/drawn", responses=NO_READER)
def drawn_by_hand(parts: PartsOf, viewing: ViewingOf, who: Viewer, study: str, reading: Number) -> Drawn:
    """On which images a reader drew something."""
    return _drawn(*_masks(parts, viewing, who, study, _reading(reading)))


@api.get("/studies/{study}/readings/{reading}/masks/{image}", response_class=Response, responses=DRAWN)
def mask_by_hand(
    request: Request, parts: PartsOf, viewing: ViewingOf, who: Viewer, *, study: str, reading: Number, image: Number
) -> Response:
    """What a reader drew on one image, as a segmentation's mask is given: 204 where it is nothing."""
    return _mask(request, *_masks(parts, viewing, who, study, _reading(reading)), image)


@api.get("/studies/{study}/results/{result}/tree")
def tree(parts: PartsOf, viewing: ViewingOf, who: Viewer, study: str, result: Number) -> TreeItem:
    """A structured report as a tree of names and values; a run of values of one name is one item."""
    with begin_read(parts.engine) as session:
        uid = study_uid(session, study)
        row = _result(session, uid, result)
    viewing.note(parts, who, uid)
    path = stored_file(parts, row.path)
    try:
        return report_tree(path)
    except InputError as error:
        raise _cannot_be_shown(error, path) from error


@api.get("/studies/{study}/results/{result}/file", response_class=Response, responses={200: {"content": {DICOM: {}}}})
def file(parts: PartsOf, who: Viewer, study: str, result: Number) -> Response:
    """A result as a DICOM Part 10 file, byte for byte as it was written."""
    with begin_read(parts.engine) as session:
        uid = study_uid(session, study)
        row = _result(session, uid, result)
    try:
        data = stored_file(parts, row.path).read_bytes()
    except OSError:
        raise HTTPException(404, "the result's file is no longer in the store") from None
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise HTTPException(409, "the file in the store is not what the node wrote: its digest differs. It is not given out")
    with begin_write(parts.engine) as session:
        audit.note(session, looked(who.actor, "download", [uid], sop_instance_uid=row.sop_instance_uid))
    headers = {"Content-Disposition": f'attachment; filename="{row.kind}-{row.id}.dcm"'}
    return Response(data, media_type=DICOM, headers=headers)


def study_uid(session: Session, name: str) -> str:
    """The study that an address names, by its number or its UID, for whoever may see patients.

    Raises:
        HTTPException: 404.
    """
    uid = study_search.study_of(session, name, patients=True)
    if uid is None:
        raise HTTPException(404, GONE)
    return uid


def stored_file(parts: Parts, relative: str) -> Path:
    """Where a file of the store lies.

    Raises:
        HTTPException: 404, its row names no place inside the store.
    """
    folder = parts.node.store_folder.resolve()
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise HTTPException(404, "the row names a file outside the store")
    return path


def _result(session: Session, uid: str, number: int) -> Result:
    row = study_contents.result_of(session, uid, number)
    if row is None:
        raise HTTPException(404, "the study has no such result")
    return row


def _segmentation(number: int) -> Where:
    def path(session: Session, uid: str) -> str:
        row = _result(session, uid, number)
        if row.kind != ResultKind.SEG:
            raise HTTPException(404, "this result is no segmentation")
        return row.path

    return path


def _reading(number: int) -> Where:
    def path(session: Session, uid: str) -> str:
        found = study_contents.reader_mask_of(session, uid, number)
        if found is None:
            raise HTTPException(404, "no reader has drawn this on an image of the study")
        return found.path

    return path


def _masks(parts: Parts, viewing: ViewingOf, who: Who, study: str, where: Where) -> Masks:
    try:
        from ptx_node.dicom.shown_mask import shown_masks  # noqa: PLC0415 - what reads masks comes with ptx-node[worker]
    except ImportError:
        raise HTTPException(
            501, "the machine that runs the dashboard cannot read segmentations. Install there what the worker has: ptx-node[worker]"
        ) from None
    with begin_read(parts.engine) as session:
        uid = study_uid(session, study)
        relative = where(session, uid)
        numbers = study_contents.numbers_of(session, uid)
    viewing.note(parts, who, uid)
    path = stored_file(parts, relative)
    with viewing.room():
        try:
            return shown_masks(path), numbers
        except InputError as error:
            raise _cannot_be_shown(error, path) from error


def _drawn(masks: Mapping[str, ShownMask], numbers: Mapping[str, int]) -> Drawn:
    return Drawn({numbers[uid]: one.pixels for uid, one in masks.items() if uid in numbers and one.pixels})


def _mask(request: Request, masks: Mapping[str, ShownMask], numbers: Mapping[str, int], image: int) -> Response:
    found = next((masks[uid] for uid, number in numbers.items() if number == image and uid in masks), None)
    if found is None or not found.pixels:
        return Response(status_code=204)
    return _raw(request, found.bits, {"kind": "mask", "rows": found.rows, "columns": found.columns}, compressed=True)


def _cannot_be_shown(error: InputError, path: Path) -> HTTPException:
    """What is wrong with a file, in words, without its name on disk."""
    if not path.exists():
        return HTTPException(404, "the file is no longer in the store: the study was removed, or moved away")
    words = error.detail.replace(path.name, "the file")
    return HTTPException(422, f"this cannot be shown: {words} ({error.reason.replace('_', ' ')})")


def _raw(request: Request, body: bytes, told: dict[str, Any], *, compressed: bool) -> Response:
    """Numbers as they are, or smaller: a slice loses half, a radiograph's noise a fifth for a second of work."""
    headers = {DESCRIPTION: json.dumps(told), "Vary": "Accept-Encoding"}
    if compressed and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=RAW, headers=headers)
