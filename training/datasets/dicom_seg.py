"""A folder of radiographs as DICOM, with DICOM SEG objects as masks, joined by the SOP Instance UID that a SEG refers to.

The format in which a site's own readers leave their masks. What is negative is told by a table (`labels.csv`: `SOPInstanceUID,label`),
or by `unlabelled="negative"`: an image without a SEG then has no pneumothorax.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ptx_node.dicom import segmentation_masks as seg
from ptx_node.errors import UsageError
from training.datasets.headers import read_headers, record_of, text
from training.datasets.known import with_patients, with_truth
from training.datasets.table import read_rows
from training.records import DataSet, Problem, Record

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

LABELS = "labels.csv"
MODALITIES = frozenset({"CR", "DX", "DR", "RG", "XC"})
OTHER = frozenset({"SR", "PR", "KO", "DOC", "OT"})
"""What may lie beside images without being a mistake."""
Masks = dict[str, list["Path"]]


def open_folder(folder: Path, *, labels: Path | None = None, unlabelled: str = "negative", patients: Path | None = None) -> DataSet:
    """Read all headers; pixels stay where they are.

    Args:
        folder: searched to any depth.
        labels: table `SOPInstanceUID,label` (1, 0, blank for uncertain); `labels.csv` in the folder otherwise, where there is one.
        unlabelled: `negative`, `ignore` (label None) or `leave_out`: images without SEG and row.
        patients: table image -> patient, for copies whose files hide the patient.

    Raises:
        UsageError: a table that is wrong as a whole, or no such choice.
    """
    if unlabelled not in {"negative", "ignore", "leave_out"}:
        raise UsageError(f"unlabelled is '{unlabelled}', but can be negative, ignore or leave_out")
    stated, problems = _labels(folder, labels)
    found, wrong = read_headers(folder)
    images, masks, others = sort_files(found)
    problems += wrong + others
    records: list[Record] = []
    for uid, (path, ds) in images.items():
        record = replace(record_of(path, ds, uid), masked=True)
        drawn = tuple(f"seg:{seg_path}" for seg_path in masks.get(uid, ()))
        label = 1 if drawn else stated.get(uid, 0 if unlabelled == "negative" else None)
        if drawn and stated.get(uid, 1) == 0:
            problems.append(Problem(path, None, f"has the mask {masks[uid][0].name}, but its label is 0: left out"))
        elif drawn or uid in stated or unlabelled != "leave_out":
            extra = record.extra | {"sop_instance_uid": uid}
            records.append(replace(record, label=label, masks=drawn, masked=bool(drawn) or label == 0, extra=extra))
    known = set(images)
    problems += [Problem(paths[0], None, f"refers to an image that is not here: {uid}") for uid, paths in masks.items() if uid not in known]
    if patients is not None:
        records, wrong = with_patients(records, patients)
        problems += wrong
    return DataSet("dicom_seg", tuple(with_truth(records, folder)), tuple(problems))


def sort_files(found: list[tuple[Path, Dataset]]) -> tuple[dict[str, tuple[Path, Dataset]], Masks, list[Problem]]:
    """Images by SOP Instance UID, SEG files by the image that they are about, and what is neither."""
    images: dict[str, tuple[Path, Dataset]] = {}
    masks: Masks = {}
    problems = []
    for path, ds in found:
        uid, modality = text(ds, "SOPInstanceUID"), text(ds, "Modality")
        if text(ds, "SOPClassUID") in seg.CLASSES:
            about = seg.referenced(ds)
            if not about or not seg.segment_numbers(ds):
                problems.append(Problem(path, None, "a segmentation that refers to no image, or has no segment of a pneumothorax"))
            for one in about:
                masks.setdefault(one, []).append(path)
        elif modality in OTHER:
            continue
        elif not uid or (modality and modality not in MODALITIES):
            problems.append(Problem(path, None, f"modality {modality or 'not given'}, SOP Instance UID '{uid}': no radiograph; left out"))
        elif uid in images:
            problems.append(Problem(path, None, f"the same SOP Instance UID as {images[uid][0]}: left out"))
        else:
            images[uid] = path, ds
    return images, masks, problems


def _labels(folder: Path, table: Path | None) -> tuple[dict[str, int | None], list[Problem]]:
    if table is None:
        table = folder / LABELS
        if not table.is_file():
            return {}, []
    found: dict[str, int | None] = {}
    problems = []
    for row in read_rows(table, ("SOPInstanceUID", "label")):
        if row["label"] not in {"0", "1", ""}:
            problems.append(Problem(table, row.line, f"label is '{row['label']}', not 1, 0 or blank: ignored"))
            continue
        found[row["SOPInstanceUID"]] = int(row["label"]) if row["label"] else None
    return found, problems
