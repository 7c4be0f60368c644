"""Draws a record's mask out of the words that its loader left: `rle:RUNS`, `seg:FILE`, `nifti:FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.dicom import segmentation_masks as seg
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError
from training.datasets import nifti, run_lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.records import Record


def draw(record: Record, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """The mask on the source's grid; None where the set draws none, all False where it says that there is none.

    Raises:
        InputError: a mask file cannot be read, or does not fit the image.
    """
    if not record.masked:
        return None
    mask_HW = np.zeros(shape, dtype=np.bool_)
    for words in record.masks:
        scheme, _, rest = words.partition(":")
        if scheme == "rle":
            try:
                mask_HW |= run_lengths.decode(rest, shape)
            except ValueError as error:
                raise InputError(Reason.UNSUPPORTED_PIXELS, f"{record.image_id}: {error}") from error
        elif scheme == "seg":
            mask_HW |= seg.mask_of(Path(rest), record.extra["sop_instance_uid"], shape)
        elif scheme == "nifti":
            mask_HW |= nifti.mask_on_slice(Path(rest), nifti.plane_of(record.extra), shape)
        else:
            raise InputError(Reason.UNSUPPORTED_PIXELS, f"{record.image_id}: no reader for masks written as '{scheme}:'")
    return mask_HW
