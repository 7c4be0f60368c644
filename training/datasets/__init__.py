"""Data sets of the field, one module a format: `open_data_set` gives records, `read` gives the pixels and the mask of one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.errors import UsageError
from training.datasets.handling import NODE, Handling
from training.datasets.masks import draw
from training.datasets.pixels import Picture, read_hu, read_picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.records import DataSet, Record

__all__ = ["KINDS", "NODE", "Handling", "Picture", "open_data_set", "read", "read_picture"]

KINDS = {
    "siim": "training.datasets.siim",
    "nih": "training.datasets.nih",
    "chexpert": "training.datasets.chexpert",
    "padchest": "training.datasets.padchest",
    "dicom_seg": "training.datasets.dicom_seg",
    "ct_folder": "training.datasets.ct_folder",
}
"""Each module has `open_folder(folder, **options) -> DataSet`."""


def open_data_set(kind: str, folder: Path, **options: Any) -> DataSet:
    """Read what a data set says about its images, without their pixels. Wrong files are in `problems`, never in the way.

    Args:
        kind: one of `KINDS`.
        folder: the set's root.
        options: of the format's `open_folder`, such as `table`, `patients` or `uncertain`.

    Raises:
        UsageError: no such kind, folder or table.
    """
    if kind not in KINDS:
        raise UsageError(f"no data set format '{kind}': there are {', '.join(KINDS)}")
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    data_set: DataSet = importlib.import_module(KINDS[kind]).open_folder(folder, **options)
    return data_set


def read(record: Record, handling: Handling = NODE) -> tuple[NDArray[np.float32] | NDArray[np.int16], NDArray[np.bool_] | None]:
    """Pixels of a record and its mask on the same grid.

    Returns:
        A radiograph as float32 0..1 (cropped if `handling.lung_crop`), or a CT slice as int16 Hounsfield units; and the mask, None
        where the set draws none.

    Raises:
        InputError: image or mask cannot be read, with a coded reason.
    """
    if record.slice_index is not None:
        hu_HW = read_hu(record.path)
        return hu_HW, draw(record, (hu_HW.shape[0], hu_HW.shape[1]))
    picture = read_picture(record.path, handling)
    mask_HW = draw(record, picture.source)
    return picture.image_HW, None if mask_HW is None else np.ascontiguousarray(mask_HW[picture.window])
