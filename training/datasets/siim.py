"""SIIM-ACR Pneumothorax Segmentation: a tree of DICOM files and one table of run-length masks.

`ImageId, EncodedPixels` (stage 1, with a blank) or `ImageId,EncodedPixels` (stage 2): one row a mask, `-1` for none.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from training.datasets import run_lengths
from training.datasets.headers import read_headers, record_of, text
from training.datasets.known import with_patients, with_truth
from training.datasets.table import Row, find_table, read_rows
from training.records import DataSet, Problem, Record

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("train-rle.csv", "stage_2_train.csv", "train_rle.csv", "*rle*.csv", "*train*.csv")
SCHEME = "rle:"


def open_folder(folder: Path, *, table: Path | None = None, patients: Path | None = None) -> DataSet:
    """Read headers and table; pixels stay where they are.

    An image whose rows cannot all be understood, or contradict each other, is left out and named: half a mask is a wrong mask.

    Args:
        folder: searched to any depth.
        table: of masks; found by its usual names otherwise.
        patients: table image -> patient, for copies whose files hide the patient.

    Raises:
        UsageError: no table, or one without the columns.
    """
    table = find_table(folder, TABLES, table)
    rows: dict[str, list[Row]] = {}
    for row in read_rows(table, ("ImageId", "EncodedPixels")):
        rows.setdefault(row["ImageId"], []).append(row)
    found, problems = read_headers(folder)
    records: list[Record] = []
    seen: dict[str, Path] = {}
    for path, ds in found:
        uid = text(ds, "SOPInstanceUID")
        image_id = path.stem if path.stem in rows else uid
        if image_id in seen:
            problems.append(Problem(path, None, f"{image_id} is also in {seen[image_id]}: left out"))
            continue
        seen[image_id] = path
        if image_id not in rows:
            problems.append(Problem(path, None, f"{table.name} has no row for {image_id or 'a file without a SOP Instance UID'}: left out"))
            continue
        record, wrong = _labelled(record_of(path, ds, image_id), rows[image_id], table)
        problems.extend(wrong)
        records.extend([record] if record else [])
    missing = [row for image_id, image_rows in rows.items() if image_id not in seen for row in image_rows]
    problems.extend(Problem(table, row.line, f"no DICOM file for {row['ImageId'] or 'an empty ImageId'}") for row in missing)
    if patients is not None:
        records, wrong = with_patients(records, patients)
        problems.extend(wrong)
    return DataSet("siim", tuple(with_truth(records, folder)), tuple(problems))


def _labelled(record: Record, rows: list[Row], table: Path) -> tuple[Record | None, list[Problem]]:
    """The record with its label and masks; None where a row cannot be understood."""
    shape = record.extra["rows"], record.extra["columns"]
    masks = [row for row in rows if row["EncodedPixels"] != run_lengths.EMPTY]
    if not masks:
        repeated = [Problem(table, row.line, f"{record.image_id} is said to have no mask more than once") for row in rows[1:]]
        return replace(record, label=0, masked=True), repeated
    if len(masks) < len(rows):
        line = next(row.line for row in rows if row not in masks)
        return None, [Problem(table, line, f"{record.image_id} has a mask in line {masks[0].line} and none (-1) in this one: left out")]
    parsed, problems = [], []
    for row in masks:
        try:
            parsed.append((row, run_lengths.parse(row["EncodedPixels"], shape)))
        except ValueError as error:
            problems.append(Problem(table, row.line, f"{record.image_id}: {error}: left out"))
    if problems:
        return None, problems
    for (first, runs), (second, others) in combinations(parsed, 2):
        if run_lengths.overlap(runs, others):
            problems.append(
                Problem(table, second.line, f"{record.image_id}: overlaps the mask of line {first.line}; both are taken together")
            )
    texts = tuple(SCHEME + row["EncodedPixels"] for row in masks)
    return replace(record, label=1, masks=texts, masked=True), problems
