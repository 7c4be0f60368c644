"""The masks of a SEG for a viewer: packed bits an image, so that those of a long series stay in memory at a megabyte a hundred slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.dicom.segmentation_masks import read_masks
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 4
MOST_BYTES = 256_000_000
"""Larger than the SEG of 2,000 slices; a file beyond would take the node's memory."""

_one_at_a_time = Lock()


@dataclass(frozen=True, slots=True)
class ShownMask:
    """What is drawn on one image: `bits` are rows one after the other without padding between them, the first pixel in the highest bit."""

    rows: int
    columns: int
    pixels: int
    bits: bytes = field(repr=False)


def shown_masks(path: Path) -> dict[str, ShownMask]:
    """The mask of each image that a SEG is about, by SOP Instance UID; of the last few SEGs they are kept. Not to be changed.

    Raises:
        InputError: not there, not a readable SEG, no pneumothorax segment, or too large.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(Reason.UNREADABLE_HEADER, "the segmentation's file is no longer there") from error
    if found.st_size > MOST_BYTES:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"the segmentation has {found.st_size} bytes: too large to be shown")
    with _one_at_a_time:
        return _packed(path, found.st_mtime_ns)


@lru_cache(maxsize=KEPT)
def _packed(path: Path, _modified_ns: int) -> dict[str, ShownMask]:
    return {
        uid: ShownMask(mask_HW.shape[0], mask_HW.shape[1], int(mask_HW.sum()), np.packbits(mask_HW).tobytes())
        for uid, mask_HW in read_masks(path).items()
    }
