"""What a DICOM header says, and what in it cannot be true. Reads headers only; never gives a name, an address or a birth date away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

from ptx_node.dicom.decode import MALFORMED
from ptx_node.dicom.pixels import radiograph_spacing
from ptx_node.domain.image import SpacingReason
from training.datasets.headers import age_years, text
from training.stats.facts import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset
    from pydicom.dataelem import DataElement

MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.1": {"CR"},
    "1.2.840.10008.5.1.4.1.1.1.1": {"DX"},
    "1.2.840.10008.5.1.4.1.1.1.1.1": {"DX"},
    "1.2.840.10008.5.1.4.1.1.2": {"CT"},
    "1.2.840.10008.5.1.4.1.1.2.1": {"CT"},
}
"""SOP classes that have one modality (PS3.3 A.2, A.26, A.3, A.38). Secondary Capture may carry any."""
FRONTAL = {"PA", "AP"}
LATERAL = {"LL", "RL", "LATERAL", "LAT", "LLD", "RLD", "L", "R"}
FIELD_MM = (80.0, 700.0)
"""Picture edges outside this range are not of a chest on a detector."""
SQUARE = 0.01
YEARS_APART = 1.5
OPEN_PATIENT = {"PatientSex", "PatientAge", "PatientSize", "PatientWeight", "PatientOrientation", "PatientPosition"}
PERSONAL_VR = {"PN", "DA", "DT", "TM"}
PERSONAL = re.compile(r"Address|Telephone|Institution|Station|Operator|Physician|Accession|Requesting|Comments|Insurance|Serial")
LONGEST = 60


def attributes(ds: Dataset) -> dict[str, str]:
    """What is counted of a DICOM header, empty where it is not stated."""
    allocated, stored = text(ds, "BitsAllocated"), text(ds, "BitsStored")
    syntax = str(getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", ""))
    sop_class = text(ds, "SOPClassUID")
    return {
        "sop_class": UID(sop_class).name if sop_class else "",
        "transfer_syntax": UID(syntax).name if syntax else "",
        "photometric": text(ds, "PhotometricInterpretation"),
        "bits": f"{stored} of {allocated}" if stored and allocated else "",
        "model": text(ds, "ManufacturerModelName"),
        "orientation": "\\".join(orientation(ds)),
        "body_part": text(ds, "BodyPartExamined").upper(),
        "window": "window" if text(ds, "WindowWidth") else "LUT" if "VOILUTSequence" in ds else "",
        "spacing_source": next(
            (word for word in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing") if text(ds, word)), ""
        ),
        "patient_id": "stated" if text(ds, "PatientID") else "",
        "birth_date": "stated" if text(ds, "PatientBirthDate") else "",
        "study_date": "stated" if text(ds, "StudyDate") else "",
        "burned_in": "stated" if text(ds, "BurnedInAnnotation") else "",
    }


def orientation(ds: Dataset) -> tuple[str, ...]:
    """Patient Orientation, row direction first (PS3.3 C.7.6.1.1.1); empty where it is absent."""
    value = ds.get("PatientOrientation") or ()
    return (str(value).strip(),) if isinstance(value, str) else tuple(str(part).strip() for part in value)


def spacing_mm(ds: Dataset) -> tuple[float, float] | None:
    """(between rows, between columns), where the header has a sane one."""
    try:
        return radiograph_spacing(ds)[0]
    except MALFORMED:
        return None


def example(path: Path, ds: Dataset) -> list[tuple[str, str, str]]:
    """(tag, keyword, value) of a file's elements without what could name a person: the value of those is `(not shown)`."""
    rows = [("file", "name", path.name), ("file", "bytes", f"{path.stat().st_size:,}")]
    for part in (getattr(ds, "file_meta", None), ds):
        for element in part or ():
            keyword = keyword_for_tag(element.tag) or "private"
            rows.append((f"({element.tag.group:04X},{element.tag.element:04X})", keyword, _shown(element, keyword)))
    return rows


def _shown(element: DataElement, keyword: str) -> str:
    if element.VR == "SQ":
        return f"{len(element.value)} item(s)"
    if element.value in (None, "", []):
        return "(empty)"
    patient = element.tag.group == 0x0010 and keyword not in OPEN_PATIENT
    simulated = "SIMULATED" in str(element.value).upper()
    if element.VR == "PN" or ((patient or element.VR in PERSONAL_VR or keyword == "private" or PERSONAL.search(keyword)) and not simulated):
        return "(not shown)"
    if isinstance(element.value, bytes):
        return f"{len(element.value)} bytes"
    value = UID(element.value).name if element.VR == "UI" and UID(str(element.value)).name != element.value else ""
    words = f"{element.value} ({value})" if value else str(element.value)
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def complaints(ds: Dataset) -> Iterator[Complaint]:
    """Everything in one header that contradicts itself or the standard."""
    for check in (_uids, _ages, _directions, _modality, _bits, _spacing):
        try:
            yield from check(ds)
        except MALFORMED as error:
            yield Complaint("unreadable", f"an element of the header is malformed: {str(error)[:120]}")


def _uids(ds: Dataset) -> Iterator[Complaint]:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        value = text(ds, keyword)
        if not UID(value).is_valid:
            yield Complaint("uid", f"{keyword} is {f'{value[:70]!r}' if value else 'empty'}")


def _ages(ds: Dataset) -> Iterator[Complaint]:
    stated = text(ds, "PatientAge")
    age = age_years(stated)
    if stated and age is None:
        yield Complaint("age", f"Patient Age is {stated[:20]!r}, which is no age")
    born, taken = _date(text(ds, "PatientBirthDate")), _date(text(ds, "StudyDate") or text(ds, "AcquisitionDate"))
    if born is None or taken is None:
        return
    told = taken - born
    if told < 0:
        yield Complaint("age", "the birth date is later than the study")
    elif age is not None and abs(told - age) > YEARS_APART:
        yield Complaint("age", f"Patient Age is {age:g} years, but birth and study dates are {told:.0f} years apart")


def _date(value: str) -> float | None:
    """A DICOM date in years, good to some days."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", value)
    return int(match[1]) + (int(match[2]) - 1) / 12 + int(match[3]) / 365.25 if match else None


def _directions(ds: Dataset) -> Iterator[Complaint]:
    view, directions = text(ds, "ViewPosition").upper(), orientation(ds)
    if not directions or not directions[0]:
        return
    row = directions[0][0].upper()
    column = directions[1][:1].upper() if len(directions) > 1 else ""
    told = f"View Position {view}, Patient Orientation {chr(92).join(directions)}"
    if view in FRONTAL and row not in "LR":
        yield Complaint("orientation", f"{told}: rows of a frontal view run to the left or right")
    elif view in FRONTAL and row == "R":
        yield Complaint("orientation", f"{told}: the picture is mirrored, the patient's right is on its right")
    elif view in LATERAL - {"L", "R"} and row not in "AP":
        yield Complaint("orientation", f"{told}: rows of a lateral view run to the front or back")
    if column and view in FRONTAL and column != "F":
        yield Complaint("orientation", f"{told}: the picture is not upright")


def _modality(ds: Dataset) -> Iterator[Complaint]:
    sop_class, modality = text(ds, "SOPClassUID"), text(ds, "Modality")
    allowed = MODALITIES.get(sop_class)
    if not modality:
        yield Complaint("modality", "Modality is empty")
    elif allowed and modality not in allowed:
        yield Complaint("modality", f"Modality {modality} in {UID(sop_class).name}")


def _bits(ds: Dataset) -> Iterator[Complaint]:
    allocated, stored, high = (_number(ds, keyword) for keyword in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated is not None and stored is not None and stored > allocated:
        yield Complaint("bits", f"Bits Stored {stored} is more than Bits Allocated {allocated}")
    elif stored is not None and high is not None and high != stored - 1:
        yield Complaint("bits", f"High Bit {high} with Bits Stored {stored}: it is one less (PS3.5 8.1.1)")


def _number(ds: Dataset, keyword: str) -> int | None:
    value: Any = ds.get(keyword)
    return None if value is None else int(value)


def _spacing(ds: Dataset) -> Iterator[Complaint]:
    spacing, reason = radiograph_spacing(ds)
    if reason is SpacingReason.INVALID:
        given = [
            f"{word} {text(ds, word)}" for word in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing") if text(ds, word)
        ]
        yield Complaint("spacing", f"{', '.join(given)} is no spacing of a radiograph of a person")
    if spacing is None:
        return
    if abs(spacing[0] / spacing[1] - 1) > SQUARE:
        yield Complaint("spacing", f"pixels are not square: {spacing[0]:g} x {spacing[1]:g} mm")
    field = [round((_number(ds, word) or 0) * size) for word, size in zip(("Rows", "Columns"), spacing, strict=True)]
    if any(not FIELD_MM[0] <= size <= FIELD_MM[1] for size in field):
        yield Complaint("spacing", f"at {spacing[0]:g} mm a pixel the picture covers {field[0]} x {field[1]} mm")
