"""Whether two result instances say the same, apart from when they were written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pydicom
from pydicom.errors import InvalidDicomError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

MOMENTS = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime")


def same_content(stored: Path, ds: Dataset) -> bool:
    """Compare a stored result with a new one by their encoded bytes; False where the file is gone or damaged."""
    try:
        old = pydicom.dcmread(stored)
    except (OSError, InvalidDicomError):
        return False
    new = pydicom.dcmread(io.BytesIO(_encoded(ds)))
    return _without_moments(old) == _without_moments(new)


def _encoded(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _without_moments(ds: Dataset) -> bytes:
    for keyword in MOMENTS:
        if keyword in ds:
            del ds[keyword]
    for item in ds.get("ContributingEquipmentSequence") or []:
        if "ContributionDateTime" in item:
            del item["ContributionDateTime"]
    return _encoded(ds)
