"""What is known of each image beside its own format: a table image -> patient, and `patients.csv` of a simulated data set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError
from training.datasets.table import read_rows
from training.records import Problem, Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TRUTH = "patients.csv"
COLUMNS = (
    *("image_id", "patient_id", "site", "label", "side", "size", "depth_mm", "posture", "sex", "age_years", "tube"),
    *("confounders", "mask_share", "seed"),
)
"""Of `patients.csv`, as `training.simulate` writes it."""
IMAGE_NAMES = ("image_id", "ImageId", "image", "Image Index", "ImageID", "SOPInstanceUID", "img_id")
PATIENT_NAMES = ("patient_id", "PatientId", "patient", "Patient ID", "PatientID", "pid")


def with_truth(records: Iterable[Record], folder: Path) -> list[Record]:
    """Records with the simulator's truth, where the folder has it; others as they are."""
    table = folder / TRUTH
    if not table.is_file():
        return list(records)
    rows = {row["image_id"]: row for row in read_rows(table, ("image_id", "label", "site", "size", "tube"))}
    told = []
    for record in records:
        row = rows.get(record.image_id) or rows.get(record.series_id)
        if row is None:
            told.append(record)
            continue
        extra = record.extra | {name: row[name] for name in ("posture", "side", "depth_mm", "confounders", "seed") if row[name]}
        if record.label is None and row["label"] == "0":  # a CT series without any mask: there is nothing to draw
            record = replace(record, label=0, masked=True)  # noqa: PLW2901 - the same record, told more
        told.append(replace(record, site=row["site"], size=row["size"], tube=row["tube"] == "1", simulated=True, extra=extra))
    return told


def with_patients(records: Iterable[Record], table: Path) -> tuple[list[Record], list[Problem]]:
    """Records under the patients of a mapping table image -> patient. An image that it lacks is named and left out.

    Raises:
        UsageError: the table has no such columns, or names one image under two patients.
    """
    patient_of = _mapping(table)
    kept, problems = [], []
    for record in records:
        patient = patient_of.get(record.image_id) or patient_of.get(record.path.name) or patient_of.get(record.path.stem)
        if patient is None:
            problems.append(Problem(record.path, None, f"{table.name} names no patient for {record.image_id}: left out"))
        else:
            extra = {name: value for name, value in record.extra.items() if name != "patient_unknown"}
            kept.append(replace(record, patient_id=patient, extra=extra))
    return kept, problems


def _mapping(table: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    names: tuple[str, str] | None = None
    for row in read_rows(table, ()):
        if names is None:
            names = _column(row.cells, IMAGE_NAMES, table), _column(row.cells, PATIENT_NAMES, table)
        image, patient = row[names[0]], row[names[1]]
        if not image or not patient:
            raise UsageError(f"{table}:{row.line}: image or patient is empty")
        if found.setdefault(image, patient) != patient:
            raise UsageError(f"{table}:{row.line}: {image} belongs to {found[image]} and to {patient}")
    return found


def _column(cells: dict[str, str], names: tuple[str, ...], table: Path) -> str:
    for name in names:
        if name in cells:
            return name
    raise UsageError(f"{table}:1: none of the columns {', '.join(names)}")
