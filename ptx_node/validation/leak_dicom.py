"""Looks at a finished DICOM object as a stranger: which elements stand in it that a de-identified image need not have.

An allow-list of its own, by attribute for text and by group for numbers; it shares nothing with what de-identifies. Also takes the
identifiers out of an original, to look for them.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pydicom
from pydicom import config
from pydicom.uid import UID

from ptx_node.validation.leak_needles import Identifier, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

NUMBERS = ("PatientID", "OtherPatientIDs", "MedicalRecordLocator", "AdmissionID", "ServiceEpisodeID")
ACCESSIONS = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "StudyID",
    "PerformedProcedureStepID",
    "ScheduledProcedureStepID",
)
INSTITUTIONS = ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "RequestingService", "ResponsibleOrganization")
DEVICES = ("StationName", "DeviceSerialNumber", "PerformedStationName", "GantryID", "DetectorID", "PlateID", "CassetteID")
CONTACTS = ("PatientAddress", "PatientTelephoneNumbers", "ReferringPhysicianTelephoneNumbers", "ReferringPhysicianAddress")
KINDS = {
    **dict.fromkeys(NUMBERS, Kind.NUMBER),
    **dict.fromkeys(ACCESSIONS, Kind.ACCESSION),
    **dict.fromkeys(INSTITUTIONS, Kind.INSTITUTION),
    **dict.fromkeys(DEVICES, Kind.DEVICE),
    **dict.fromkeys(CONTACTS, Kind.CONTACT),
    "PatientBirthDate": Kind.BIRTH_DATE,
}

PLAIN_TEXT = r"[^^=\x00-\x1f\x7f]{0,64}"
TEXTS = {
    "PatientName": r"P[A-Z2-7]{16}",
    "PatientID": r"P[A-Z2-7]{16}",
    "AccessionNumber": r"A[A-Z2-7]{15}",
    "StudyID": r"",
    "ReferringPhysicianName": r"",
    "ContentCreatorName": r"",
    "ConsultingPhysicianName": r"",
    "ManufacturerDeviceIdentifier": r"",
    **dict.fromkeys(("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel"), PLAIN_TEXT),
    **dict.fromkeys(("AlgorithmName", "AlgorithmVersion", "SegmentAlgorithmName"), PLAIN_TEXT),
    **dict.fromkeys(("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), PLAIN_TEXT),
    "DeidentificationMethod": PLAIN_TEXT,
    **dict.fromkeys(
        (
            *(
                "StudyDescription",
                "SeriesDescription",
                "ProtocolName",
                "ContrastBolusAgent",
                "RescaleType",
                "ModalityLUTType",
                "FilterType",
            ),
            *("SegmentLabel", "SegmentDescription", "ContentDescription", "DimensionDescriptionLabel", "PositionReferenceIndicator"),
            *("AcquisitionDeviceProcessingDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription"),
            *("WindowCenterWidthExplanation", "AcquisitionProtocolDescription", "StackID"),
        ),
        r"(?!.*\d{4})" + PLAIN_TEXT,  # a word or two, no number that names anything
    ),
}
TEXT_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
PLAIN_VRS = frozenset({"AT", "CS", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "TM", "UL", "US", "UV", "SQ", "AS"})
PLAIN_GROUPS = frozenset({0x0008, 0x0018, 0x0020, 0x0028, 0x0040, 0x0054, 0x0062, 0x0066, 0x0070, 0x2050, 0x5200})
OF_PATIENT = frozenset({"PatientSex", "PatientAge", "PatientSize", "PatientWeight", "SmokingStatus", "PatientBirthDate"})
OF_TRIAL = frozenset({"PatientIdentityRemoved", "DeidentificationMethodCodeSequence"})
PIXELS = frozenset({"PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "LUTData"})
PALETTES = frozenset({f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")})
META = frozenset(
    {
        *("FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"),
        *("TransferSyntaxUID", "ImplementationClassUID", "ImplementationVersionName"),
    }
)
_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")
_AGE = re.compile(r"(0[0-8]\d|090)Y|\d{3}[DWM]|")
_TIME = re.compile(r"(\d\d){0,3}(\.\d{1,6})?")


@contextmanager
def quietly() -> Iterator[None]:
    """The library's warnings and log lines quote values."""
    log = logging.getLogger("pydicom")
    before, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before


def identifiers_in(original: Dataset) -> set[Identifier]:
    """What an original holds that names its patient, its study, its place or its day, on every level."""
    found: set[Identifier] = set()
    with quietly():
        for element in original.iterall():
            kind = KINDS.get(element.keyword) or {"PN": Kind.NAME, "DA": Kind.DATE, "DT": Kind.DATE, "UI": Kind.UID}.get(element.VR)
            if kind is None or element.VR == "SQ":
                continue
            for text in _texts(element):
                if text and not (kind is Kind.UID and UID(text).type):
                    found.add(Identifier(kind, text))
    return found


def odd_elements(data: bytes, days: tuple[date, date] | None) -> Iterator[tuple[str, str]]:
    """(place, what) of everything that a de-identified image need not have.

    Args:
        data: a Part 10 file.
        days: first and last day that a date may have; None leaves dates alone.

    Raises:
        InvalidDicomError: it is no Part 10 file.
    """
    with quietly():
        ds = pydicom.dcmread(io.BytesIO(data))
        if (ds.preamble or b"").strip(b"\0"):
            yield "preamble", "bytes that are not zero"
        for element in ds.file_meta:
            if element.keyword not in META:
                yield str(element.tag), "file meta information that need not be there"
        for keyword, value in (("PatientIdentityRemoved", "YES"), ("LongitudinalTemporalInformationModified", "MODIFIED")):
            if ds.get(keyword) != value:
                yield keyword, f"is not {value}"
        if ds.get("BurnedInAnnotation") == "YES":
            yield "BurnedInAnnotation", "text is burned into the pixels"
        yield from _walk(ds, "", days)


def pixel_bytes(data: bytes) -> bytes:
    """The value of Pixel Data as it stands in a Part 10 file; empty where there is none."""
    with quietly():
        value = pydicom.dcmread(io.BytesIO(data)).get("PixelData")
    return value if isinstance(value, bytes) else b""


def _walk(ds: Dataset, prefix: str, days: tuple[date, date] | None) -> Iterator[tuple[str, str]]:
    for element in ds:
        place = f"{prefix}{element.tag}"
        what = _odd(element, days)
        if what:
            yield place, what
        if element.VR == "SQ":
            for number, item in enumerate(element.value or []):
                yield from _walk(item, f"{place}[{number}].", days)


def _odd(element: DataElement, days: tuple[date, date] | None) -> str:
    """What is wrong with an element; empty where nothing is."""
    group = element.tag.group
    if element.tag.is_private:
        return "private element"
    if 0x5000 <= group < 0x5100 or 0x6000 <= group < 0x6100:  # noqa: PLR2004 - the repeating groups
        return "overlay or curve"
    if not element.keyword:
        return "unknown element"
    texts = _texts(element)
    if element.VR in TEXT_VRS:
        return _odd_text(element, texts)
    if element.VR in {"DA", "DT"}:
        return _odd_day(element, texts, days)
    return "" if element.keyword in PIXELS | PALETTES else _odd_value(element, texts)


def _odd_text(element: DataElement, texts: list[str]) -> str:
    allowed = TEXTS.get(element.keyword, r"REMOVED")
    fits = not any(texts) or all(re.fullmatch(allowed, text) for text in texts)
    return "" if fits else f"text of VR {element.VR} outside the allow-list"


def _odd_value(element: DataElement, texts: list[str]) -> str:
    """Of UIDs, numbers, code strings, ages, times and sequences: whether they belong here, and are what they say."""
    if element.VR == "UI":
        return "" if all(not text or text.startswith("2.25.") or UID(text).type for text in texts) else "UID that is not a pseudonym"
    known = element.tag.group in PLAIN_GROUPS or element.keyword in OF_PATIENT | OF_TRIAL or element.keyword == "SpecificCharacterSet"
    if element.VR not in PLAIN_VRS or not known:
        return f"element of VR {element.VR} outside the allow-list"
    pattern = {"CS": _CODE_STRING, "AS": _AGE, "TM": _TIME}.get(element.VR)
    return "" if pattern is None or all(map(pattern.fullmatch, texts)) else f"value that {element.VR} does not allow, or an age above 89"


def _odd_day(element: DataElement, texts: list[str], days: tuple[date, date] | None) -> str:
    if element.keyword == "PatientBirthDate" and any(texts):
        return "birth date"
    if days is None:
        return ""
    first, last = (f"{day.year:04d}{day.month:02d}{day.day:02d}" for day in days)
    return "" if all(not text or first <= text[:8] <= last for text in texts) else "date outside the export's days"


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if value is None or element.VR == "SQ":
        return [""]
    many = value if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]
    return [str(one).strip(" \0") for one in many] or [""]
