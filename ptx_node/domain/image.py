"""Decoded pixels as the model sees them, apart from any file format."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SpacingReason(StrEnum):
    """Why an area or a volume cannot be given."""

    UNKNOWN = "pixel_spacing_unknown"
    INVALID = "pixel_spacing_invalid"
    INCONSISTENT = "inconsistent_spacing"
    MISSING_SLICES = "missing_slices"
    DUPLICATE_SLICES = "duplicate_slices"
    TOO_FEW_SLICES = "too_few_slices"


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One projection image, after modality LUT, VOI LUT or window, and MONOCHROME1 inversion (in that order).

    Attributes:
        image_HW: float32, 0 (black, air) to 1 (white, bone), on the source pixel grid.
        pixel_spacing_mm: (between rows, between columns) at the detector or calibrated; None with a `spacing_reason`.
        patient_orientation: direction of rows and columns, (0020,0020), such as ("L", "F"); empty when absent.
    """

    sop_instance_uid: str
    image_HW: NDArray[np.float32] = field(repr=False, compare=False)
    pixel_spacing_mm: tuple[float, float] | None
    spacing_reason: str | None
    patient_orientation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """One CT series as a stack of slices, sorted along the slice normal.

    Attributes:
        sop_instance_uids: one a slice, in the order of the first axis (Enhanced CT: one UID for all frames).
        hu_ZHW: int16 Hounsfield units, on the source pixel grid.
        slice_spacing_mm: distance between slice centres; None with a `spacing_reason` (inconsistent, missing slices).
        columns_to_left: whether a growing column index moves to the patient's left.
    """

    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    hu_ZHW: NDArray[np.int16] = field(repr=False, compare=False)
    pixel_spacing_mm: tuple[float, float] | None
    slice_spacing_mm: float | None
    spacing_reason: str | None
    columns_to_left: bool = True
