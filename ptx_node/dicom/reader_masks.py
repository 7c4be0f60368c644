"""A reader's DICOM SEG as readings: each radiograph it is about, or the whole CT series, drawn on (positive) or left empty (negative)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from ptx_node.dicom.decode import MALFORMED, read_dataset
from ptx_node.dicom.examination import content_time
from ptx_node.dicom.segmentation_masks import CLASSES, masks_of
from ptx_node.domain.eligibility import Reason
from ptx_node.domain.reading import Level, Reading, Subject, TruthKind
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

VOLUMES = frozenset(map(str, (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)))


def readings_of(path: Path, sha256: str, *, kind: TruthKind, reader: str, zone: ZoneInfo) -> list[Reading]:
    """What a SEG says, image by image; of CT slices one reading of their series.

    Args:
        path: of the SEG.
        sha256: of its bytes.
        kind: `mask`, or `reader` to take the label alone.
        reader: who drew; empty: the SEG's Content Creator's Name.
        zone: of the site, for a content time without an offset.

    Raises:
        InputError: no SEG that can be read, none of a pneumothorax, about no image, or nobody is named who drew it.
    """
    ds = read_dataset(path, header_only=True)
    if str(ds.get("SOPClassUID", "")) not in CLASSES:
        raise InputError(Reason.UNSUPPORTED_SOP_CLASS, f"{path.name} is no segmentation: masks come as DICOM SEG")
    who = reader or str(ds.get("ContentCreatorName") or "").replace("^", " ").strip()
    if not who:
        raise InputError(Reason.UNREADABLE_HEADER, f"{path.name} does not say who drew it: give --reader NAME")
    masks = masks_of(path)
    if not masks:
        raise InputError(Reason.UNREADABLE_HEADER, f"{path.name} is about no image")
    read_at = content_time(ds, zone).at
    digest = sha256 if kind is TruthKind.MASK else None

    def reading(subject: Subject, drawn: list[NDArray[np.bool_]]) -> Reading:
        label = LabelValue.POSITIVE if any(mask.any() for mask in drawn) else LabelValue.NEGATIVE
        return Reading(kind, who, subject, label, read_at=read_at, mask_sha256=digest)

    if _of_slices(ds):
        return [reading(Subject(Level.SERIES, _series(ds, path)), list(masks.values()))]
    return [reading(Subject(Level.IMAGE, uid), [mask]) for uid, mask in sorted(masks.items())]


def _of_slices(ds: Dataset) -> bool:
    """Whether a SEG is about CT images."""
    try:
        referenced = [one for series in ds.get("ReferencedSeriesSequence") or () for one in series.get("ReferencedInstanceSequence") or ()]
        return any(str(one.ReferencedSOPClassUID) in VOLUMES for one in referenced)
    except MALFORMED:
        return False


def _series(ds: Dataset, path: Path) -> str:
    series = {str(one.get("SeriesInstanceUID", "")) for one in ds.ReferencedSeriesSequence}
    if len(series) != 1 or "" in series:
        raise InputError(Reason.UNREADABLE_HEADER, f"{path.name} is about {len(series)} CT series: one file a series is taken")
    return series.pop()
