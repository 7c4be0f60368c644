"""A CT series out of DICOM files: sorted along the slice normal, in Hounsfield units, with honest spacing.

Headers are read first, pixels afterwards in threads into one int16 array: memory and time grow linearly with the slices.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.dicom.decode import MALFORMED, frame_count, malformed_refused, read_dataset, stored_frames, stored_values
from ptx_node.dicom.grey_scale import modality_table, padding_words, stored_table
from ptx_node.domain.eligibility import Reason
from ptx_node.domain.image import SpacingReason, Volume
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

SAME_PLACE_MM = 0.01
SPACING_TOLERANCE = 0.05
"""Part of the median distance by which single distances may differ: positions are often rounded to 0.1 mm."""
ORIENTATION_TOLERANCE = 1e-2
DUPLICATES_ALLOWED = 0.1
"""Part of the slices that may be at the place of another: more of them are several phases in one series."""
LOWEST_HU = -1024


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one slice lies: of a file, or of one frame of an enhanced file."""

    path: Path
    frame: int
    sop_instance_uid: str
    series_instance_uid: str
    instance_number: int
    shape: tuple[int, int]
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]
    pixel_spacing_mm: tuple[float, float] | None
    rescale: tuple[float, float] | None = None


def read_volume(paths: Sequence[Path], *, threads: int = 2) -> Volume:
    """Decode one CT series, given as files in any order: single slices, or one enhanced multi-frame instance.

    Localizers in the series are left out; of a few slices at the same place the one with the lowest instance number is
    kept. Distances are measured along the slice normal, which is also right for a tilted gantry. The frames of an enhanced
    instance stay in the order of the file, so that a mask's frames are the file's.

    Raises:
        InputError: with a coded reason; a retry does not help.
    """
    with malformed_refused("the series"):
        return _read_volume(paths, threads)


def _read_volume(paths: Sequence[Path], threads: int) -> Volume:
    headers = [read_dataset(Path(path), header_only=True) for path in paths]
    axial = [(Path(path), ds) for path, ds in zip(paths, headers, strict=True) if not is_localizer(ds)]
    if not axial:
        raise InputError(Reason.LOCALIZER if headers else Reason.TOO_FEW_SLICES, "the series has no slice besides localizers")
    if len({str(ds.get("SeriesInstanceUID", "")) for _, ds in axial}) > 1:
        raise InputError(Reason.MIXED_SERIES, "the files belong to several series")
    if any(frame_count(ds) > 1 or "PerFrameFunctionalGroupsSequence" in ds for _, ds in axial):
        if len(axial) > 1:
            raise InputError(Reason.MIXED_SERIES, "several enhanced instances in one series are not read together")
        return _enhanced(*axial[0])
    planes = _sorted_planes([_plane(path, ds) for path, ds in axial])
    first = planes[0]
    hu_ZHW = np.empty((len(planes), *first.shape), dtype=np.int16)

    def fill(place: int) -> None:
        hu_ZHW[place] = _slice_hu(planes[place].path, first.shape)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for _ in pool.map(fill, range(len(planes))):
            pass
    return _volume(planes, tuple(plane.sop_instance_uid for plane in planes), hu_ZHW)


def is_localizer(ds: Dataset) -> bool:
    """Whether Image Type says localizer (scout, topogram)."""
    values = ds.get("ImageType") or ()
    return "LOCALIZER" in ((values,) if isinstance(values, str) else tuple(values))


def hounsfield(ds: Dataset, words_HW: Any, rescale: tuple[float, float] | None = None) -> NDArray[np.int16]:
    """Hounsfield units of a slice, rounded; padding and everything below become air (`LOWEST_HU`)."""
    stored = stored_table(ds)
    values = modality_table(ds, stored) if rescale is None else stored * rescale[0] + rescale[1]
    values[padding_words(ds, stored)] = LOWEST_HU
    table = np.clip(np.round(values), LOWEST_HU, 32767).astype(np.int16)
    return np.asarray(table[words_HW], dtype=np.int16)


def _slice_hu(path: Path, shape: tuple[int, int]) -> NDArray[np.int16]:
    ds = read_dataset(path)
    words_HW = stored_values(ds)
    if words_HW.shape != shape:
        raise InputError(Reason.INCONSISTENT_SIZES, f"{ds.SOPInstanceUID} is {words_HW.shape}, the series {shape}")
    return hounsfield(ds, words_HW)


def _plane(path: Path, ds: Dataset) -> Plane:
    return Plane(
        path=path,
        frame=0,
        sop_instance_uid=str(ds.get("SOPInstanceUID", "")),
        series_instance_uid=str(ds.get("SeriesInstanceUID", "")),
        instance_number=_integer(ds.get("InstanceNumber")),
        shape=_shape(ds),
        orientation=_numbers(ds, "ImageOrientationPatient", 6),
        position_mm=_numbers(ds, "ImagePositionPatient", 3),
        pixel_spacing_mm=_pixel_spacing(ds),
    )


def _shape(ds: Dataset) -> tuple[int, int]:
    try:
        return int(ds.Rows), int(ds.Columns)
    except MALFORMED as error:
        raise InputError(Reason.NO_PIXEL_DATA, f"{ds.get('SOPInstanceUID')} has no rows or columns") from error


def _integer(value: Any) -> int:
    try:
        return int(value)
    except MALFORMED:
        return 0


def _numbers(ds: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in ds[keyword].value)
    except MALFORMED as error:
        raise InputError(Reason.MISSING_GEOMETRY, f"{keyword} is missing or invalid") from error
    if len(values) != count or not np.all(np.isfinite(values)):
        raise InputError(Reason.MISSING_GEOMETRY, f"{keyword} has {len(values)} values")
    return values


def _pixel_spacing(ds: Dataset) -> tuple[float, float] | None:
    try:
        rows, columns = (float(value) for value in ds.PixelSpacing)
    except MALFORMED:
        return None
    return (rows, columns) if rows > 0 and columns > 0 else None


def normal_of(orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """Unit vector through the slice, away from the viewer: rows direction x columns direction (PS3.3 C.7.6.2.1.1)."""
    vector = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(vector))
    if length < 0.5:  # noqa: PLR2004 - the two directions are unit vectors at right angles
        raise InputError(Reason.MISSING_GEOMETRY, f"Image Orientation (Patient) {orientation} spans no plane")
    return np.asarray(vector / length, dtype=np.float64)


def _places(planes: Sequence[Plane]) -> NDArray[np.float64]:
    return np.array([plane.position_mm for plane in planes]) @ normal_of(planes[0].orientation)


def _check_alike(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for plane in planes:
        if plane.shape != first.shape:
            raise InputError(
                Reason.INCONSISTENT_SIZES, f"{plane.sop_instance_uid} is {plane.shape}, {first.sop_instance_uid} is {first.shape}"
            )
        if not np.allclose(plane.orientation, first.orientation, atol=ORIENTATION_TOLERANCE):
            raise InputError(
                Reason.INCONSISTENT_ORIENTATION, f"{plane.sop_instance_uid} is oriented otherwise than {first.sop_instance_uid}"
            )


def _sorted_planes(planes: Sequence[Plane]) -> list[Plane]:
    """By place along the normal; of several at one place the first by instance number. The order given does not matter."""
    _check_alike(planes)
    places = _places(planes)
    order = sorted(
        range(len(planes)), key=lambda i: (round(float(places[i]) / SAME_PLACE_MM), planes[i].instance_number, planes[i].sop_instance_uid)
    )
    kept: list[int] = []
    for index in order:
        if not kept or places[index] - places[kept[-1]] > SAME_PLACE_MM:
            kept.append(index)
    dropped = len(planes) - len(kept)
    if dropped > DUPLICATES_ALLOWED * len(planes):
        raise InputError(Reason.DUPLICATE_SLICES, f"{dropped} of {len(planes)} slices are at the place of another one")
    return [planes[index] for index in kept]


def slice_spacing(planes: Sequence[Plane]) -> tuple[float | None, SpacingReason | None]:
    """Distance between neighbouring slices in mm, or why there is none; the planes are in order, either way."""
    if len(planes) < 2:  # noqa: PLR2004
        return None, SpacingReason.TOO_FEW_SLICES
    distances = np.abs(np.diff(_places(planes)))
    typical = float(np.median(distances))
    off = np.abs(distances - typical) > max(SPACING_TOLERANCE * typical, SAME_PLACE_MM)
    if not off.any():
        return float(distances.mean()), None
    multiples = distances[off] / typical
    if np.all((multiples > 1.5) & (np.abs(multiples - np.round(multiples)) < 2 * SPACING_TOLERANCE)):  # noqa: PLR2004
        return None, SpacingReason.MISSING_SLICES
    return None, SpacingReason.INCONSISTENT


def _volume(planes: Sequence[Plane], sop_instance_uids: tuple[str, ...], hu_ZHW: NDArray[np.int16]) -> Volume:
    first = planes[0]
    spacing, reason = slice_spacing(planes)
    in_plane = first.pixel_spacing_mm
    if in_plane is None:
        reason = reason or SpacingReason.UNKNOWN
    elif any(plane.pixel_spacing_mm != in_plane for plane in planes):
        in_plane, reason = None, reason or SpacingReason.INCONSISTENT
    return Volume(
        series_instance_uid=first.series_instance_uid,
        sop_instance_uids=sop_instance_uids,
        hu_ZHW=hu_ZHW,
        pixel_spacing_mm=in_plane,
        slice_spacing_mm=spacing,
        spacing_reason=reason,
        columns_to_left=first.orientation[0] > 0,
    )


def _enhanced(path: Path, header: Dataset) -> Volume:
    """One multi-frame instance (PS3.3 C.7.6.16): geometry and rescale from the functional groups, shared or of each frame."""
    planes = [_frame_plane(path, header, index) for index in range(frame_count(header))]
    _check_alike(planes)
    steps = np.diff(_places(planes))
    if not (np.all(steps > SAME_PLACE_MM) or np.all(steps < -SAME_PLACE_MM)):
        raise InputError(
            Reason.INCONSISTENT_SPACING, f"the frames of {planes[0].sop_instance_uid} do not follow each other along the slice normal"
        )
    ds = read_dataset(path)
    hu_ZHW = np.empty((len(planes), *planes[0].shape), dtype=np.int16)
    for index, words_HW in enumerate(stored_frames(ds)):
        hu_ZHW[index] = hounsfield(ds, words_HW, planes[index].rescale)
    return _volume(planes, (planes[0].sop_instance_uid,), hu_ZHW)


def _frame_plane(path: Path, ds: Dataset, index: int) -> Plane:
    measures, transform = _group(ds, index, "PixelMeasuresSequence"), _group(ds, index, "PixelValueTransformationSequence")
    place, turn = _group(ds, index, "PlanePositionSequence"), _group(ds, index, "PlaneOrientationSequence")
    if place is None or turn is None:
        raise InputError(Reason.MISSING_GEOMETRY, f"frame {index + 1} of {ds.get('SOPInstanceUID')} does not say where it is")
    rescale = None
    if transform is not None:
        try:
            rescale = float(transform.RescaleSlope) or 1.0, float(transform.RescaleIntercept)
        except MALFORMED:
            rescale = None
    return Plane(
        path=path,
        frame=index,
        sop_instance_uid=str(ds.get("SOPInstanceUID", "")),
        series_instance_uid=str(ds.get("SeriesInstanceUID", "")),
        instance_number=index + 1,
        shape=_shape(ds),
        orientation=_numbers(turn, "ImageOrientationPatient", 6),
        position_mm=_numbers(place, "ImagePositionPatient", 3),
        pixel_spacing_mm=_pixel_spacing(measures) if measures is not None else None,
        rescale=rescale,
    )


def _group(ds: Dataset, index: int, keyword: str) -> Dataset | None:
    """The functional group of this frame, else the shared one, else None."""
    for holder in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        try:
            found: Dataset = ds[holder].value[index if holder.startswith("Per") else 0][keyword].value[0]
        except MALFORMED:
            continue
        return found
    return None
