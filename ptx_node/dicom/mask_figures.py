"""A reader's mask in figures: its area on the radiograph's grid, and Dice with what the model drew on the same image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.dicom.decode import malformed_refused, read_dataset
from ptx_node.dicom.pixels import radiograph_spacing
from ptx_node.dicom.segmentation_masks import mask_of, masks_of
from ptx_node.domain.finding import Outcome
from ptx_node.domain.reading import Level
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

BOTH_EMPTY = "both_empty"
NO_SPACING = "no_spacing"
OF_A_SERIES = "of_a_series"
OTHER_SIZE = "other_size"
UNREADABLE = "unreadable"
NO_OWN_MASK = "no_own_mask"
"""The model said positive, and no SEG of it is kept."""


def radiograph_figures(mask_path: Path, own_path: Path | None, image_path: Path, *, sop_instance_uid: str, outcome: str) -> dict[str, Any]:
    """Area in mm2 and Dice of a mask on one radiograph. Of a figure that there is not, the reason.

    Args:
        mask_path: the reader's SEG.
        own_path: the node's SEG of the finding; None where there is none.
        image_path: the radiograph, whose header tells its size and spacing (`radiograph_spacing`).
        sop_instance_uid: of the radiograph.
        outcome: of the finding: where it is negative the model's mask is empty.
    """
    try:
        image = read_dataset(image_path, header_only=True)
        with malformed_refused(image_path.name):
            shape = (int(image.Rows), int(image.Columns))
    except InputError:
        return _none(UNREADABLE, UNREADABLE)
    mask_HW = _mask(mask_path, sop_instance_uid, shape)
    if isinstance(mask_HW, str):
        return _none(mask_HW, mask_HW)
    spacing_mm, _ = radiograph_spacing(image)
    area_mm2 = None if spacing_mm is None else float(np.count_nonzero(mask_HW)) * spacing_mm[0] * spacing_mm[1]
    area = {"area_mm2": area_mm2, "area_reason": NO_SPACING if spacing_mm is None else None}
    if own_path is None:
        if outcome == Outcome.POSITIVE:
            return area | {"dice": None, "dice_reason": NO_OWN_MASK}
        return area | _dice({"": mask_HW}, {})
    own_HW = _mask(own_path, sop_instance_uid, shape)
    return area | ({"dice": None, "dice_reason": own_HW} if isinstance(own_HW, str) else _dice({"": mask_HW}, {"": own_HW}))


def series_figures(mask_path: Path, own_path: Path | None, *, outcome: str) -> dict[str, Any]:
    """Dice over all slices of a CT series; a mask of a series has no area."""
    if own_path is None and outcome == Outcome.POSITIVE:
        return _none(OF_A_SERIES, NO_OWN_MASK)
    try:
        drawn = masks_of(mask_path)
        own = masks_of(own_path) if own_path is not None else {}
    except InputError:
        return _none(OF_A_SERIES, UNREADABLE)
    if any(drawn[uid].shape != own[uid].shape for uid in drawn.keys() & own.keys()):
        return _none(OF_A_SERIES, OTHER_SIZE)
    return {"area_mm2": None, "area_reason": OF_A_SERIES} | _dice(drawn, own)


def figures(
    level: Level, mask_path: Path, own_path: Path | None, image_path: Path, *, sop_instance_uid: str, outcome: str
) -> dict[str, Any]:
    """The figures of a mask of one image, or of a series."""
    if level is Level.SERIES:
        return series_figures(mask_path, own_path, outcome=outcome)
    return radiograph_figures(mask_path, own_path, image_path, sop_instance_uid=sop_instance_uid, outcome=outcome)


def _mask(path: Path, sop_instance_uid: str, shape: tuple[int, int]) -> NDArray[np.bool_] | str:
    """The mask, or why there is none."""
    try:
        masks_of(path)
    except InputError:
        return UNREADABLE
    try:
        return mask_of(path, sop_instance_uid, shape)
    except InputError:
        return OTHER_SIZE


def _dice(one: Mapping[str, NDArray[np.bool_]], other: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """2 |A and B| / (|A| + |B|) over all images; of two empty masks there is none."""
    sizes = sum(int(np.count_nonzero(mask)) for masks in (one, other) for mask in masks.values())
    if not sizes:
        return {"dice": None, "dice_reason": BOTH_EMPTY}
    both = sum(int(np.count_nonzero(one[uid] & other[uid])) for uid in one.keys() & other.keys())
    return {"dice": 2 * both / sizes, "dice_reason": None}


def _none(area_reason: str, dice_reason: str) -> dict[str, Any]:
    return {"area_mm2": None, "area_reason": area_reason, "dice": None, "dice_reason": dice_reason}
