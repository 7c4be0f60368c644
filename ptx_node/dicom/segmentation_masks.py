"""DICOM Segmentation objects as masks: which frames belong to which image (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import highdicom
import numpy as np
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

from ptx_node.dicom.decode import CODEC_FAILED, MALFORMED, UNREADABLE
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
CLASSES = frozenset({str(SegmentationStorage), LABEL_MAP})
PNEUMOTHORAX = "36118008"  # SCT
FRACTION = 0.5


def referenced(ds: Dataset) -> frozenset[str]:
    """SOP Instance UIDs of the images that a SEG is about, out of its header: frames' derivation, else the series it refers to."""
    found: set[str] = set()
    try:
        for frame in ds.get("PerFrameFunctionalGroupsSequence") or ():
            for derivation in frame.get("DerivationImageSequence") or ():
                found.update(str(source.ReferencedSOPInstanceUID) for source in derivation.get("SourceImageSequence") or ())
        for series in ds.get("ReferencedSeriesSequence") or ():
            found.update(str(instance.ReferencedSOPInstanceUID) for instance in series.get("ReferencedInstanceSequence") or ())
    except MALFORMED:
        return frozenset()  # a segmentation about nothing, which the loaders name
    return frozenset(found)


def segment_numbers(ds: Dataset) -> list[int]:
    """Segments that are pneumothorax: by their code or label, or the only one there is. Empty where none is."""
    try:
        segments = list(ds.get("SegmentSequence") or ())
        named = [int(one.SegmentNumber) for one in segments if _is_pneumothorax(one)]
        return named or ([int(segments[0].SegmentNumber)] if len(segments) == 1 else [])
    except MALFORMED:
        return []


def _is_pneumothorax(segment: Dataset) -> bool:
    words = f"{segment.get('SegmentLabel', '')} {segment.get('SegmentDescription', '')}".lower()
    types = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    return "pneumothorax" in words or any(str(code.get("CodeValue", "")) == PNEUMOTHORAX for code in types)


def _readable(ds: Dataset) -> Dataset:
    """Without pixel measures that are not whole, as some writers leave them on a radiograph: the library stumbles, and masks need none."""
    for shared in ds.get("SharedFunctionalGroupsSequence") or ():
        measures = shared.get("PixelMeasuresSequence") or ()
        if any("SliceThickness" not in one or "PixelSpacing" not in one for one in measures):
            del shared.PixelMeasuresSequence
    return ds


@lru_cache(maxsize=2)
def _masks(path: Path, _modified_ns: int) -> dict[str, NDArray[np.bool_]]:
    return read_masks(path)


def read_masks(path: Path) -> dict[str, NDArray[np.bool_]]:
    """As `masks_of`, and nothing of it is kept for the next call.

    Raises:
        InputError: not a readable SEG, or no pneumothorax segment.
    """
    try:
        opened: Any = highdicom.seg.Segmentation.from_dataset(_readable(dcmread(path)), copy=False)
        segments = segment_numbers(opened)
        if not segments:
            raise InputError(Reason.UNSUPPORTED_PIXELS, f"{path.name} has several segments, none of them pneumothorax")
        uids = sorted({str(uid) for _, _, uid in opened.get_source_image_uids()})
        masks_NHWS = opened.get_pixels_by_source_instance(
            source_sop_instance_uids=uids,
            segment_numbers=segments,
            combine_segments=False,
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
    except (*UNREADABLE, *CODEC_FAILED) as error:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"{path.name} cannot be read as a segmentation: {str(error)[:300]}") from error
    drawn = (masks_NHWS > FRACTION).any(axis=-1) if masks_NHWS.dtype.kind == "f" else masks_NHWS.astype(bool).any(axis=-1)
    return dict(zip(uids, drawn, strict=True))


def masks_of(path: Path) -> dict[str, NDArray[np.bool_]]:
    """What the SEG draws on each image that it is about, by SOP Instance UID; each of shape (rows, columns), and not to be changed.

    Raises:
        InputError: not a readable SEG, or no pneumothorax segment.
    """
    return _masks(path, path.stat().st_mtime_ns if path.exists() else 0)


def mask_of(path: Path, sop_instance_uid: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """What the SEG draws on one image; all False where no frame is about it.

    Raises:
        InputError: not a readable SEG, no pneumothorax segment, or another size than the image.
    """
    mask_HW = masks_of(path).get(sop_instance_uid)
    if mask_HW is None:
        return np.zeros(shape, dtype=np.bool_)
    if mask_HW.shape != shape:
        raise InputError(Reason.INCONSISTENT_SIZES, f"{path.name} is {mask_HW.shape}, the image {shape}")
    return mask_HW
