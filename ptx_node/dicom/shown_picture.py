"""One stored image as 16-bit numbers for a viewer: a radiograph's brightness as the model saw it, a CT slice's Hounsfield units.

Both go through the same tables as the model's own reading (`grey_scale`), so that a person sees what the model saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from ptx_node.dicom.decode import MALFORMED, frame_count, malformed_refused, read_dataset, stored_values
from ptx_node.dicom.grey_scale import display_table
from ptx_node.dicom.pixels import radiograph_spacing
from ptx_node.dicom.volume import hounsfield
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

BRIGHTNESS, HOUNSFIELD = "brightness", "hounsfield"
WHITE = 65535
MOST_PIXELS = 40_000_000
"""Twice the largest detector; what is larger would take a browser's memory, and the node's."""


OBLIQUE = 0.5
"""A row whose direction has less of left and right than this (a cosine) has no side to be named."""


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture for a viewer.

    Attributes:
        kind: `brightness`, 0 (black) to 65535 (white) after VOI LUT or window and inversion; or `hounsfield`.
        values_HW: uint16 of a brightness, int16 of Hounsfield units.
        pixel_spacing_mm: (between rows, between columns); None where it is not known.
        columns_to: side of the patient to which a growing column index moves, `L` or `R`; empty where the header does not say.
    """

    kind: str
    values_HW: NDArray[np.uint16] | NDArray[np.int16] = field(repr=False, compare=False)
    pixel_spacing_mm: tuple[float, float] | None
    columns_to: str


def shown_picture(path: Path) -> ShownPicture:
    """Decode one single-frame image.

    Raises:
        InputError: with a coded reason and words for a person; several frames, too large, no codec here, or broken.
    """
    with malformed_refused("the image"):
        header = read_dataset(path, header_only=True)
        _check(header)
        ds = read_dataset(path)
        words_HW = stored_values(ds)
        spacing, _ = radiograph_spacing(ds)
        if str(ds.get("Modality", "")) == "CT":
            return ShownPicture(HOUNSFIELD, hounsfield(ds, words_HW), spacing, columns_to(ds))
        try:
            table = display_table(ds, words_HW)
        except MALFORMED as error:
            raise InputError(Reason.UNSUPPORTED_PIXELS, f"its grey scale cannot be understood: {error}") from error
        return ShownPicture(BRIGHTNESS, np.round(table * WHITE).astype(np.uint16)[words_HW], spacing, columns_to(ds))


def columns_to(ds: Dataset) -> str:
    """`L` or `R` by Image Orientation (Patient), else Patient Orientation (PS3.3 C.7.6.2.1.1, C.7.6.1.1.1); empty where neither says."""
    try:
        across = float(ds.ImageOrientationPatient[0])
    except MALFORMED:
        words = ds.get("PatientOrientation") or ""
        first = str(words if isinstance(words, str) else words[0])[:1]
        return first if first in {"L", "R"} else ""
    return "L" if across > OBLIQUE else "R" if across < -OBLIQUE else ""


def _check(header: Dataset) -> None:
    """Refuse in a person's words, before the pixels are read, what would not come out as a picture."""
    frames = frame_count(header)
    if frames > 1:
        raise InputError(Reason.MULTI_FRAME, f"this image has {frames} frames; only images of one frame are shown here")
    if int(header.get("Rows") or 0) * int(header.get("Columns") or 0) > MOST_PIXELS:
        raise InputError(
            Reason.UNSUPPORTED_PIXELS, f"this image has {header.Rows} rows and {header.Columns} columns: too large to be shown"
        )
    syntax = UID(str(header.file_meta.get("TransferSyntaxUID", "")))
    if syntax.is_transfer_syntax and syntax.is_compressed and syntax.is_encapsulated:
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError:
            available = True  # `stored_values` says what is wrong with it
        if not available:
            raise InputError(
                Reason.UNSUPPORTED_TRANSFER_SYNTAX,
                f"this image is compressed ({syntax.name}), and the machine that runs the dashboard has no codec for it. "
                "Install there what the worker has: ptx-node[worker]",
            )
