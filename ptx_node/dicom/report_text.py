"""A radiologist's report that is a DICOM structured report: its text, and what its header says of it (PS3.3 C.17, TID 2000).

Basic Text, Enhanced and Comprehensive SR. A document that a device wrote, or that holds no text, is no report of a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from ptx_node.dicom.attributes import UNREADABLE
from ptx_node.dicom.examination import examined
from ptx_node.domain.radiology_report import Examination, PatientIdentity, ReportFlag, ReportStatus, ReportVersion, storable
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from ptx_node.domain.examination import Examined

SOP_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
        "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    }
)
DEVICE, PERSON, OBSERVER_TYPE = "121007", "121006", "121005"
TOLD = frozenset({"CONTAINS", "HAS PROPERTIES", "INFERRED FROM"})
"""Relationships whose items belong to what the report says; the others are its context."""
DEEPEST = 30
_BROKEN = (*UNREADABLE, InvalidDicomError)


@dataclass(frozen=True, slots=True)
class Said:
    """What the node holds of the study beside the document.

    Attributes:
        source: the site's name of who sent the document.
        modality: of the study's images; the document's own is SR.
    """

    source: str
    modality: str = ""


def read_report(path: Path, said: Said, zone: ZoneInfo) -> ReportVersion:
    """The report version that a stored document is.

    Raises:
        InputError: it is not DICOM that can be read (`unreadable`), no report of a served class (`sop_class`), written by a
            device (`device`), or without text (`no_text`).
    """
    try:
        ds = dcmread(path, force=True)
        if str(ds.get("SOPClassUID", "")) not in SOP_CLASSES:
            raise InputError("sop_class", "it is neither Basic Text nor Enhanced nor Comprehensive SR")
        return _version(ds, said, zone)
    except RecursionError:
        raise InputError("unreadable", f"its content is more than {DEEPEST} levels deep") from None
    except _BROKEN as error:
        raise InputError("unreadable", f"the document cannot be read: {type(error).__name__}") from error


def _version(ds: Dataset, said: Said, zone: ZoneInfo) -> ReportVersion:
    if _observer(ds) == DEVICE:
        raise InputError("device", "a device is its only observer")
    title = _code(ds, "ConceptNameCodeSequence")
    text = storable("\n".join(_lines(ds, root=True))).strip("\n")
    if not text:
        raise InputError("no_text", "its content tree holds no text")
    request = next(iter(ds.get("ReferencedRequestSequence") or []), Dataset())
    accession = _text(request, "AccessionNumber") or _text(ds, "AccessionNumber")
    study_instance_uid = _text(ds, "StudyInstanceUID")
    when = _moment(ds, "Study", zone)
    return ReportVersion(
        source=said.source,
        external_id=f"{accession or study_instance_uid} {title}".strip(),
        status=_status(ds),
        patients=(PatientIdentity(_text(ds, "IssuerOfPatientID"), "", _text(ds, "PatientID")),),
        examination=Examination(
            accession_number=accession,
            study_instance_uid=study_instance_uid,
            modality=said.modality,
            procedure_code=_code(request, "RequestedProcedureCodeSequence") or _code(ds, "ProcedureCodeSequence"),
            procedure_text=_text(request, "RequestedProcedureDescription") or _text(ds, "StudyDescription"),
        ),
        examined=when,
        issued_at=_moment(ds, "Content", zone).at,
        text=text,
        flags=frozenset({ReportFlag.TIME_AMBIGUOUS} if when.ambiguous else set()),
    )


def _status(ds: Dataset) -> ReportStatus:
    """Preliminary as the document says it, or while nobody has verified it; with a predecessor it is a correction."""
    flag = _text(ds, "PreliminaryFlag")
    preliminary = flag == "PRELIMINARY" or (flag != "FINAL" and _text(ds, "VerificationFlag") != "VERIFIED")
    if preliminary or _text(ds, "CompletionFlag") == "PARTIAL":
        return ReportStatus.PRELIMINARY
    return ReportStatus.CORRECTED if ds.get("PredecessorDocumentsSequence") else ReportStatus.FINAL


def _observer(ds: Dataset) -> str:
    """Observer type of TID 1001: a device only if no person is one; where nothing is said, a person."""
    types = [_code(item, "ConceptCodeSequence") for item in ds.get("ContentSequence") or [] if _name(item) == OBSERVER_TYPE]
    return DEVICE if DEVICE in types and PERSON not in types else PERSON


def _lines(item: Dataset, *, root: bool = False, depth: int = 0) -> Iterator[str]:
    """The text below an item in reading order: containers give headings, texts stand as they are, the rest as "name: value"."""
    if depth > DEEPEST:
        raise RecursionError
    for child in item.get("ContentSequence") or []:
        kind, name = _text(child, "ValueType"), _code(child, "ConceptNameCodeSequence", meaning=True)
        if _text(child, "RelationshipType") not in TOLD:
            continue
        below = list(_lines(child, depth=depth + 1))
        if kind == "CONTAINER":
            yield from ["", f"{name.upper()}:", *below] if name and below else below
            continue
        value = _value(child, kind)
        if value and kind == "TEXT" and root and name:
            yield from ("", f"{name.upper()}:")
        if value:
            yield value if kind == "TEXT" or not name else f"{name}: {value}"
        yield from below


def _value(item: Dataset, kind: str) -> str:
    if kind == "TEXT":
        return _text(item, "TextValue")
    if kind == "CODE":
        return _code(item, "ConceptCodeSequence", meaning=True)
    measured = next(iter(item.get("MeasuredValueSequence") or []), None) if kind == "NUM" else None
    if measured is None:
        return ""
    return f"{_text(measured, 'NumericValue')} {_code(measured, 'MeasurementUnitsCodeSequence')}".strip()


def _name(item: Dataset) -> str:
    return _code(item, "ConceptNameCodeSequence")


def _code(item: Dataset, keyword: str, *, meaning: bool = False) -> str:
    code = next(iter(item.get(keyword) or []), None)
    if code is None:
        return ""
    return _text(code, "CodeMeaning") if meaning else _text(code, "CodeValue") or _text(code, "LongCodeValue")


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else storable(str(value)).strip()


def _moment(ds: Dataset, of: str, zone: ZoneInfo) -> Examined:
    """One of the document's moments: that of the study is the examination's, that of the content the document's own."""
    only = Dataset()
    for name in ("Date", "Time"):
        setattr(only, f"Content{name}", ds.get(f"{of}{name}") or "")
    only.TimezoneOffsetFromUTC = ds.get("TimezoneOffsetFromUTC") or ""
    return examined(only, zone)
