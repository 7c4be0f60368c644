"""Finds DICOM files in a folder of any depth, and tells what their headers say about patient and image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ptx_node.dicom.decode import MALFORMED, read_dataset
from ptx_node.errors import InputError
from training.records import Problem, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset

NOT_DICOM = frozenset(
    {".csv", ".tsv", ".txt", ".json", ".md", ".html", ".pdf", ".png", ".jpg", ".jpeg", ".nii", ".gz", ".zip", ".xml", ".toml", ".npy"}
)
PATHS_NAMED = 5


def dicom_files(folder: Path) -> Iterator[Path]:
    """Every file that may be DICOM, in a fixed order: hidden files, DICOMDIR and what its ending says is something else are left out."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.suffix.lower() in NOT_DICOM or path.name.upper() == "DICOMDIR" or any(part.startswith(".") for part in inside):
            continue
        if path.is_file():
            yield path


def read_headers(folder: Path) -> tuple[list[tuple[Path, Dataset]], list[Problem]]:
    """Headers of all DICOM files below a folder; a file that cannot be read is a problem and nothing more."""
    found, problems = [], []
    for path in dicom_files(folder):
        try:
            found.append((path, read_dataset(path, header_only=True)))
        except InputError as error:
            problems.append(Problem(path, None, error.detail))
    return found, problems


def text(ds: Dataset, keyword: str) -> str:
    """The attribute as text; empty where it is absent, empty or malformed."""
    try:
        value = ds.get(keyword)
    except MALFORMED:
        return ""
    return "" if value is None else str(value).strip()


def age_years(value: str) -> float | None:
    """Age String `062Y`, `018M`, `003W`, `010D` (PS3.5 6.2), or bare years as public data sets have them."""
    match = re.fullmatch(r"(\d{1,3})\s*([YMWD]?)", value.strip().upper())
    if match is None:
        return None
    return round(int(match[1]) / {"": 1, "Y": 1, "M": 12, "W": 52.18, "D": 365.25}[match[2]], 3)


def view_position(ds: Dataset) -> str:
    """View Position; else what Series Description says, as in exports to secondary capture (`view: PA`)."""
    given = text(ds, "ViewPosition").upper()
    if given:
        return given
    match = re.search(r"\b(PA|AP|LL|RL|LATERAL)\b", text(ds, "SeriesDescription").upper())
    return match[1] if match else ""


def is_simulated(ds: Dataset) -> bool:
    """Whether the header says SIMULATED where the simulator writes it."""
    return any("SIMULATED" in text(ds, keyword).upper() for keyword in ("PatientName", "Manufacturer", "InstitutionName", "ImageComments"))


def record_of(path: Path, ds: Dataset, image_id: str) -> Record:
    """What the header says; label and masks are the loader's. Without a Patient ID the image stands for its own patient."""
    patient = text(ds, "PatientID")
    return Record(
        image_id=image_id,
        patient_id=patient or f"image:{image_id}",
        path=path,
        label=None,
        series_id=text(ds, "SeriesInstanceUID"),
        sex=text(ds, "PatientSex").upper(),
        age_years=age_years(text(ds, "PatientAge")),
        view=view_position(ds),
        modality=text(ds, "Modality"),
        manufacturer=text(ds, "Manufacturer"),
        simulated=is_simulated(ds),
        extra=_described(ds) | ({} if patient else {"patient_unknown": True}),
    )


def _described(ds: Dataset) -> dict[str, Any]:
    meta = getattr(ds, "file_meta", None)
    numbers = {}
    for name, keyword in (("rows", "Rows"), ("columns", "Columns"), ("bits_stored", "BitsStored")):
        try:
            numbers[name] = int(ds[keyword].value)
        except MALFORMED:
            numbers[name] = 0
    return numbers | {
        "photometric": text(ds, "PhotometricInterpretation"),
        "transfer_syntax": str(getattr(meta, "TransferSyntaxUID", "")),
        "sop_class": text(ds, "SOPClassUID"),
        "study_instance_uid": text(ds, "StudyInstanceUID"),
        "body_part": text(ds, "BodyPartExamined"),
    }
