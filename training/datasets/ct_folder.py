"""CT series in folders of any depth, with DICOM SEG or NIfTI masks; one record a slice, from the feet upwards.

A NIfTI mask belongs to the series beside which it lies, where that is the only one there, or to the one whose Series Instance UID its
name begins with, or whose folder has its name.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.dicom import segmentation_masks as seg
from ptx_node.dicom.decode import MALFORMED
from ptx_node.dicom.volume import is_localizer, normal_of
from ptx_node.errors import InputError
from training.datasets import nifti
from training.datasets.headers import read_headers, record_of, text
from training.datasets.known import with_truth
from training.datasets.masks import draw
from training.records import DataSet, Problem, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset

Files = list[tuple["Path", "Dataset"]]
NIFTI = (".nii", ".nii.gz")


def open_folder(folder: Path, *, unlabelled: str = "ignore", least_slices: int = 3) -> DataSet:
    """Read all headers, and look at every mask once to know which slices are positive.

    Args:
        folder: searched to any depth.
        unlabelled: `ignore` (label None, no mask) or `negative`: series without any mask.
        least_slices: shorter series (scouts, previews) are left out and named.
    """
    found, problems = read_headers(folder)
    series, segs = _sorted_files(found)
    volumes = [path for path in sorted(folder.rglob("*")) if path.name.lower().endswith(NIFTI)]
    beside: dict[Path, set[str]] = defaultdict(set)
    for uid, files in series.items():
        for path, _ in files:
            beside[path.parent].add(uid)
    used: set[Path] = set()
    records: list[Record] = []
    for uid in sorted(series):
        slices, wrong = _sorted_slices(series[uid])
        problems += wrong
        if len(slices) < least_slices:
            problems.append(Problem(series[uid][0][0], None, f"series {uid} has {len(slices)} slices: left out"))
            continue
        about = {record.extra["sop_instance_uid"] for record in slices}
        masks = [(f"seg:{path}", path) for path, uids in segs if uids & about]
        masks += [(f"nifti:{path}", path) for path in volumes if beside[path.parent] == {uid} or _named_after(path, uid, slices[0].path)]
        used.update(path for _, path in masks)
        drawn, wrong = _labelled(slices, masks, unlabelled)
        records += drawn
        problems += wrong
    unused = [path for path in (*volumes, *(path for path, _ in segs)) if path not in used]
    reason = "a mask that belongs to no series here: name it after the series, or lay it in its folder"
    problems += [Problem(path, None, reason) for path in unused]
    return DataSet("ct_folder", tuple(with_truth(records, folder)), tuple(problems))


def _sorted_files(found: Files) -> tuple[dict[str, Files], list[tuple[Path, frozenset[str]]]]:
    """Slices by series, and segmentations with the images that they are about."""
    series: dict[str, Files] = defaultdict(list)
    segs: list[tuple[Path, frozenset[str]]] = []
    for path, ds in found:
        if text(ds, "SOPClassUID") in seg.CLASSES:
            segs.append((path, seg.referenced(ds)))
        elif text(ds, "Modality") == "CT" and not _localizer(ds):
            series[text(ds, "SeriesInstanceUID")].append((path, ds))
    return series, segs


def _localizer(ds: Dataset) -> bool:
    try:
        return is_localizer(ds)
    except MALFORMED:
        return False  # its pixels or its place will tell what is wrong


def _named_after(mask: Path, series_uid: str, first: Path) -> bool:
    """Whether the name is the series' UID, with or without more, or the name of the series' folder."""
    name = mask.name.lower()
    folders = {f"{first.parent.name}{end}".lower() for end in NIFTI}
    return name.startswith((f"{series_uid}.".lower(), f"{series_uid}_".lower())) or name in folders


def _sorted_slices(files: Files) -> tuple[list[Record], list[Problem]]:
    """Slices with their place, upwards along the normal that points to the head; those without a place are problems."""
    placed, problems = [], []
    for path, ds in files:
        try:
            plane = _plane(ds)
            normal = normal_of(plane.orientation)
        except (InputError, ValueError) as error:
            problems.append(Problem(path, None, f"{error}: left out"))
            continue
        upwards = normal if normal[2] >= 0 else -normal
        placed.append((float(upwards @ np.array(plane.position_mm)), path, ds, plane))
    records = []
    for index, (_, path, ds, plane) in enumerate(sorted(placed, key=lambda one: (one[0], str(one[1])))):
        uid = text(ds, "SOPInstanceUID")
        record = record_of(path, ds, uid)
        extra: dict[str, Any] = record.extra | {"sop_instance_uid": uid, "position_mm": list(plane.position_mm)}
        extra |= {"orientation": list(plane.orientation), "pixel_spacing_mm": list(plane.pixel_spacing_mm)}
        extra["slice_thickness_mm"] = _number(text(ds, "SliceThickness"))
        records.append(replace(record, slice_index=index, extra=extra))
    return records, problems


def _number(words: str) -> float:
    try:
        return float(words)
    except ValueError:
        return 0.0


def _plane(ds: Dataset) -> nifti.Plane:
    numbers = []
    for keyword, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        try:
            values = tuple(float(value) for value in ds[keyword].value)
        except MALFORMED as error:
            raise ValueError(f"{keyword} is missing or invalid") from error
        if len(values) != count or not np.all(np.isfinite(values)):
            raise ValueError(f"{keyword} has {len(values)} values")
        numbers.append(values)
    position, orientation, spacing = numbers
    return nifti.Plane(position, orientation, spacing)


def _labelled(records: list[Record], masks: list[tuple[str, Path]], unlabelled: str) -> tuple[list[Record], list[Problem]]:
    """Slices with their masks; those on which a mask draws nothing are negative. A mask that cannot be read leaves the series out."""
    if not masks:
        negative = unlabelled == "negative"
        return [replace(record, label=0 if negative else None, masked=negative) for record in records], []
    words = tuple(text for text, _ in masks)
    labelled = []
    try:
        for problem in _outside(records, masks):
            return [], [problem]
        for record in records:
            drawn = tuple(text for text in words if _draws(record, text))
            labelled.append(replace(record, label=int(bool(drawn)), masks=drawn, masked=True))
    except InputError as error:
        return [], [Problem(masks[0][1], None, f"{error.detail}: its series of {len(records)} slices is left out")]
    return labelled, []


def _outside(records: list[Record], masks: list[tuple[str, Path]]) -> Iterator[Problem]:
    """NIfTI masks that do not reach the middle slice: of another series, or with a wrong affine."""
    middle = records[len(records) // 2]
    for text_, path in masks:
        shape = middle.extra["rows"], middle.extra["columns"]
        if text_.startswith("nifti:") and not nifti.covers(path, nifti.plane_of(middle.extra), shape):
            yield Problem(path, None, f"lies beside series {middle.series_id}: its series of {len(records)} slices is left out")


def _draws(record: Record, words: str) -> bool:
    """Whether a mask has a pixel on this slice."""
    mask_HW = draw(replace(record, masks=(words,), masked=True), (record.extra["rows"], record.extra["columns"]))
    return mask_HW is not None and bool(mask_HW.any())
