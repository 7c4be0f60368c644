"""What an SR and a SEG say, read from the data sets alone, as any other reader would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.dicom import codes
from ptx_node.domain.finding import Laterality, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset
    from pydicom.sr.coding import Code

PLANE = 2


@dataclass(frozen=True, slots=True)
class ReportSays:
    """What a measurement report says.

    Attributes:
        outcome: None where it says nothing that can be understood.
        reason: our coded reason of a failed or not-eligible outcome.
        tracking_uid: which a segmentation of the same finding shares.
        images: SOP Instance UIDs that it refers to.
    """

    outcome: Outcome | None
    laterality: Laterality | None
    reason: str | None
    tracking_uid: str | None
    images: frozenset[str]


def report_says(ds: Dataset) -> ReportSays:
    """Read a measurement report (TID 1500)."""
    values: dict[str, str] = {}
    images: set[str] = set()
    for item in _items(ds):
        name = _value(item, "ConceptNameCodeSequence")
        if item.ValueType == "CODE":
            values.setdefault(name, _value(item, "ConceptCodeSequence"))
        elif item.ValueType == "UIDREF":
            values.setdefault(name, str(item.UID))
        elif item.ValueType == "IMAGE":
            images |= {str(reference.ReferencedSOPInstanceUID) for reference in item.ReferencedSOPSequence}

    def said(name: Code) -> str | None:
        return values.get(name.value)

    presence = {codes.PRESENT.value: Outcome.POSITIVE, codes.ABSENT.value: Outcome.NEGATIVE}.get(said(codes.PRESENCE) or "")
    ending = {codes.NOT_ELIGIBLE.value: Outcome.NOT_ELIGIBLE, codes.FAILED.value: Outcome.FAILED}.get(said(codes.OUTCOME) or "")
    sides = {code.value: side for side, code in codes.LATERALITIES.items()}
    return ReportSays(
        outcome=presence or ending,
        laterality=sides.get(said(codes.LATERALITY) or ""),
        reason=said(codes.REASON),
        tracking_uid=said(codes.TRACKING_UNIQUE_IDENTIFIER),
        images=frozenset(images),
    )


def _items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from _items(item)


def _value(item: Dataset, sequence: str) -> str:
    """Code Value of the first item of a code sequence."""
    if not item.get(sequence):
        return ""
    code = item[sequence].value[0]
    return str(code.get("CodeValue") or code.get("LongCodeValue") or "")


def tracking_uid(ds: Dataset) -> str | None:
    """Tracking UID of a segmentation's first segment."""
    segments = ds.get("SegmentSequence", ())
    return str(segments[0].get("TrackingUID", "")) or None if segments else None


def segmented(ds: Dataset, sop_instance_uids: Sequence[str]) -> NDArray[np.bool_] | None:
    """The mask of a binary segmentation on the grid of its sources; None where a frame refers to none of them.

    Args:
        ds: the segmentation.
        sop_instance_uids: of the images, in the order of the planes that are returned.

    Returns:
        (planes, rows, columns).
    """
    frames = ds.pixel_array.astype(np.bool_)
    frames = frames[None] if frames.ndim == PLANE else frames
    mask_ZHW = np.zeros((len(sop_instance_uids), *frames.shape[1:]), dtype=np.bool_)
    for frame_HW, group in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        derived = group.get("DerivationImageSequence") or ds.SharedFunctionalGroupsSequence[0].get("DerivationImageSequence") or ()
        sources = [str(one.ReferencedSOPInstanceUID) for item in derived for one in item.SourceImageSequence]
        known = [sop_instance_uids.index(uid) for uid in sources if uid in sop_instance_uids]
        if not known:
            return None
        mask_ZHW[known[0]] |= frame_HW
    return mask_ZHW


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Overlap of two masks on one grid, 0 to 1."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0
