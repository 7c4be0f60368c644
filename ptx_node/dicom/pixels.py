"""One DICOM file to one radiograph as it is to be shown: decoded, windowed, bright bones, with its spacing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.dicom.decode import MALFORMED, malformed_refused, read_dataset, stored_values
from ptx_node.dicom.grey_scale import display_table
from ptx_node.domain.eligibility import Reason
from ptx_node.domain.image import Radiograph, SpacingReason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

SPACING_MM = (0.01, 10.0)
"""Pixel spacings outside this range are not of a radiograph of a person."""


def read_radiograph(path: Path) -> Radiograph:
    """Decode one projection image. Safe to call from several threads.

    Raises:
        InputError: with a coded reason; a retry does not help.
    """
    with malformed_refused(path.name):
        return _radiograph(read_dataset(path))


def _radiograph(ds: Dataset) -> Radiograph:
    words_HW = stored_values(ds)
    try:
        image_HW = display_table(ds, words_HW)[words_HW]
    except MALFORMED as error:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"{ds.get('SOPInstanceUID')}: grey scale cannot be understood: {error}") from error
    spacing, reason = radiograph_spacing(ds)
    orientation = ds.get("PatientOrientation") or ()
    if isinstance(orientation, str):
        orientation = (orientation,)
    return Radiograph(
        sop_instance_uid=str(ds.get("SOPInstanceUID", "")),
        image_HW=image_HW,
        pixel_spacing_mm=spacing,
        spacing_reason=reason,
        patient_orientation=tuple(str(value) for value in orientation),
    )


def radiograph_spacing(ds: Dataset) -> tuple[tuple[float, float] | None, SpacingReason | None]:
    """(between rows, between columns) in mm in the patient as well as it is known, or why it is not (PS3.3 10.7.1.3).

    A calibrated Pixel Spacing counts as it is (calibrated: its type says so, or it differs from the detector's). Else the
    detector's spacing is divided by the magnification where that is given. A Pixel Spacing alone, as in exports to secondary
    capture, and Nominal Scanned Pixel Spacing of digitised film are taken as they are.
    """
    calibrated, detector = _pair(ds.get("PixelSpacing")), _pair(ds.get("ImagerPixelSpacing"))
    if calibrated and (ds.get("PixelSpacingCalibrationType") or not detector or calibrated != detector):
        return _sane(calibrated)
    if detector:
        magnification = _positive(ds.get("EstimatedRadiographicMagnificationFactor")) or 1.0
        return _sane((detector[0] / magnification, detector[1] / magnification))
    scanned = _pair(ds.get("NominalScannedPixelSpacing"))
    if scanned:
        return _sane(scanned)
    given = any(ds.get(keyword) for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"))
    return None, SpacingReason.INVALID if given else SpacingReason.UNKNOWN


def _sane(spacing: tuple[float, float]) -> tuple[tuple[float, float] | None, SpacingReason | None]:
    low, high = SPACING_MM
    if all(low <= value <= high for value in spacing):
        return spacing, None
    return None, SpacingReason.INVALID


def _pair(value: Any) -> tuple[float, float] | None:
    try:
        rows, columns = (float(part) for part in value)
    except MALFORMED:
        return None
    return (rows, columns) if rows > 0 and columns > 0 else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except MALFORMED:
        return None
    return number if number > 0 else None
