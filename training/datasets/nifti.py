"""NIfTI masks on DICOM slices: every pixel's centre is sent through the mask's affine, so flips, swaps and obliqueness come out right.

NIfTI's world is RAS+ mm (x to the right, y to the front), DICOM's is LPS+ (x to the left, y to the back; PS3.3 C.7.6.2.1.1): the first
two coordinates change sign. Voxels are numbered by their centres in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

from ptx_node.dicom.decode import UNREADABLE
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

LPS_OF_RAS = np.array([-1.0, -1.0, 1.0])
NOT_NIFTI: tuple[type[Exception], ...] = (
    *UNREADABLE,
    MemoryError,
    nibabel.spatialimages.HeaderDataError,
    nibabel.filebasedimages.ImageFileError,
)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a slice's pixels are: centre of the first one (LPS, mm), directions along a row and down a column, (row, column) spacing."""

    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]

    def voxels(self, to_voxel: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Voxel number of the first pixel's centre, and what one column and one row add to it."""
        turn = to_voxel[:3, :3]
        first = turn @ np.array(self.position_mm) + to_voxel[:3, 3]
        column = turn @ np.array(self.orientation[:3]) * self.pixel_spacing_mm[1]
        row = turn @ np.array(self.orientation[3:]) * self.pixel_spacing_mm[0]
        return first, column, row


def plane_of(extra: Mapping[str, Any]) -> Plane:
    """The plane that the CT loader left in a record."""
    return Plane(tuple(extra["position_mm"]), tuple(extra["orientation"]), tuple(extra["pixel_spacing_mm"]))


@dataclass(frozen=True, slots=True, eq=False)
class NiftiMask:
    """A mask volume and the way from LPS mm to its voxel numbers."""

    voxels_IJK: NDArray[np.bool_]
    to_voxel: NDArray[np.float64]


@lru_cache(maxsize=2)
def _opened(path: Path, _modified_ns: int) -> NiftiMask:
    try:
        image: Any = nibabel.load(path)
        if len(image.shape) != 3 and not (len(image.shape) == 4 and image.shape[3] == 1):
            raise InputError(Reason.UNSUPPORTED_PIXELS, f"{path.name} has the shape {image.shape}; a mask has three dimensions")
        if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
            raise InputError(Reason.MISSING_GEOMETRY, f"{path.name} says nowhere where it lies in space (sform and qform codes are 0)")
        voxels = np.asarray(image.dataobj).reshape(image.shape[:3]) > 0
        affine = np.diag([*LPS_OF_RAS, 1.0]) @ image.affine
        return NiftiMask(voxels, np.linalg.inv(affine))
    except NOT_NIFTI as error:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"{path.name} cannot be read as NIfTI: {str(error)[:300]}") from error


def open_mask(path: Path) -> NiftiMask:
    """The volume of a file; the last few stay in memory, since slices follow each other.

    Raises:
        InputError: not readable as NIfTI, not three-dimensional, or without a place in space.
    """
    return _opened(path, path.stat().st_mtime_ns if path.exists() else 0)


def mask_on_slice(path: Path, plane: Plane, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask's voxel that each pixel's centre lies in; False outside of the volume.

    Raises:
        InputError: as `open_mask`.
    """
    mask = open_mask(path)
    first, column, row = plane.voxels(mask.to_voxel)
    inside = np.ones(shape, dtype=np.bool_)
    numbers = []
    for axis, length in enumerate(mask.voxels_IJK.shape):
        along_HW = first[axis] + row[axis] * np.arange(shape[0])[:, None] + column[axis] * np.arange(shape[1])
        nearest_HW = np.floor(along_HW + 0.5).astype(np.int32)  # rint would send halves to even voxels
        inside &= (nearest_HW >= 0) & (nearest_HW < length)
        numbers.append(nearest_HW)
    found = np.zeros(shape, dtype=np.bool_)
    i, j, k = (nearest_HW[inside] for nearest_HW in numbers)
    found[inside] = mask.voxels_IJK[i, j, k]
    return found


def covers(path: Path, plane: Plane, shape: tuple[int, int]) -> bool:
    """Whether a slice's middle lies inside the mask's volume: a mask of another series does not.

    Raises:
        InputError: as `open_mask`.
    """
    mask = open_mask(path)
    first, column, row = plane.voxels(mask.to_voxel)
    index = first + column * (shape[1] // 2) + row * (shape[0] // 2)
    return bool(np.all((index > -1) & (index < mask.voxels_IJK.shape)))
