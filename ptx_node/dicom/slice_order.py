"""The order of CT slices that no model has read, for people who scroll through them; headers only."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread

from ptx_node.dicom.decode import MALFORMED, UNREADABLE
from ptx_node.dicom.volume import normal_of
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

MOST_SLICES = 1000
GEOMETRY = ["ImageOrientationPatient", "ImagePositionPatient", "InstanceNumber"]
KEPT = 8
NO_PLACE: tuple[type[Exception], ...] = (*UNREADABLE, InputError)
_Place = tuple[bool, float, int, int]


@lru_cache(maxsize=KEPT)
def slice_order(paths: tuple[Path, ...]) -> tuple[int, ...] | None:
    """Indices of the files along the first one's slice normal, as `read_volume` sorts them; files without a place come last.

    None where there are more than 1,000, or fewer than two have a place. The answer for the last few series is kept: files of
    the store do not change.
    """
    if len(paths) > MOST_SLICES:
        return None
    normal: tuple[float, ...] | None = None
    places: list[_Place] = []
    for index, path in enumerate(paths):
        try:
            ds = dcmread(path, stop_before_pixels=True, specific_tags=GEOMETRY)
            normal = normal or tuple(normal_of(tuple(float(one) for one in ds.ImageOrientationPatient)))
            place = float(np.dot(normal, [float(one) for one in ds.ImagePositionPatient]))
        except NO_PLACE:
            places.append((True, 0.0, 0, index))
            continue
        places.append((False, place, _number(ds), index))
    if sum(not lost for lost, *_ in places) < 2:  # noqa: PLR2004 - one slice has no order
        return None
    return tuple(index for *_, index in sorted(places))


def _number(ds: Dataset) -> int:
    try:
        return int(ds.get("InstanceNumber") or 0)
    except MALFORMED:
        return 0
