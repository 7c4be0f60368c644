"""Patient and study attributes, carried from a source image into a result exactly as they were sent.

Text is copied as bytes where the source still holds bytes, under the source's own Specific Character Set: nothing is
decoded, so nothing can be lost, also where the declared character set is wrong.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from typing import TYPE_CHECKING

from pydicom.charset import python_encoding
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.valuerep import validate_value

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Required, may be empty: Patient (PS3.3 C.7.1.1) and General Study (C.7.2.1)."""

OPTIONAL = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "SourcePatientGroupIdentificationSequence",
    "GroupOfPatientsIdentificationSequence",
    "ReferencedPatientSequence",
    "PatientBirthTime",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar",
    "EthnicGroup",
    "EthnicGroupCodeSequence",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "QualityControlSubject",
    "StrainDescription",
    "StrainNomenclature",
    "StrainCodeSequence",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "ConsultingPhysicianIdentificationSequence",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence",
    "RequestingServiceCodeSequence",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientBodyMassIndex",
    "MedicalAlerts",
    "Allergies",
    "SmokingStatus",
    "PregnancyStatus",
    "LastMenstrualDate",
    "PatientState",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "IssuerOfServiceEpisodeIDSequence",
    "PatientSexNeutered",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
"""Of the modules Patient, General Study, Patient Study, Clinical Trial Subject and Clinical Trial Study, in this order."""

CHECKED_VRS = frozenset({"AS", "CS", "DA", "DS", "IS", "TM", "UI"})
TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")
CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


def carry_over(source: Dataset, result: Dataset) -> None:
    """Give `result` the character set, patient and study of `source`; type 2 attributes that are missing become empty."""
    copy_element(source, result, "SpecificCharacterSet")
    for keyword in OPTIONAL:
        if valid(source, keyword):
            copy_element(source, result, keyword)
    for keyword in TYPE_2:
        if not copy_element(source, result, keyword):
            setattr(result, keyword, "")
    if not copy_element(source, result, "StudyInstanceUID"):
        result.StudyInstanceUID = ""


def valid(source: Dataset, keyword: str) -> bool:
    """Whether an optional attribute is there with a value that its VR allows (PS3.5 6.2): an age of "62" is left behind."""
    if keyword not in source:
        return False
    tag = Tag(keyword)
    element: object = source.get_item(tag)
    raw = element.value if isinstance(element, RawDataElement) else None
    vr = dictionary_VR(tag)
    if vr not in CHECKED_VRS:
        return True
    text = raw.decode("ascii", "replace") if isinstance(raw, bytes) else str(source[tag].value or "")
    try:
        for value in text.rstrip(" \0").split("\\"):
            validate_value(vr, value, RAISE)
    except ValueError:
        return False
    return True


def copy_element(source: Dataset, result: Dataset, keyword: str) -> bool:
    """Copy one element as it is; text as its bytes, where the source was read from a file. Returns whether it is there."""
    if keyword not in source:
        return False
    tag = Tag(keyword)
    element: object = source.get_item(tag)  # raw while nobody has asked for its value
    if isinstance(element, RawDataElement) and (element.VR or dictionary_VR(tag)) in TEXT_VRS:
        result[tag] = element._replace(VR=element.VR or dictionary_VR(tag))
    else:
        result[tag] = copy.deepcopy(source[tag])
    return True


def writable(text: str, source: Dataset, *, length: int = 64) -> str:
    """Our own text as it can stand beside the source's: without control characters, in its character set, not too long.

    Letters that the character set lacks lose their accents, or are left out.
    """
    clean = CONTROL.sub(" ", text).strip()[:length]
    if clean.isascii():
        return clean
    charset = source.get("SpecificCharacterSet")
    if isinstance(charset, str) and charset in python_encoding:
        try:
            clean.encode(python_encoding[charset])
        except UnicodeEncodeError:
            pass
        else:
            return clean
    return plain_letters(clean)


def plain_letters(text: str) -> str:
    """The text in ASCII: letters without their accents, what has no plain letter left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or "?"


def time_zone_offset(source: Dataset) -> str | None:
    """Time Zone Offset From UTC of the source, such as "+0900"; None where it is absent or malformed."""
    value = str(source.get("TimezoneOffsetFromUTC") or "")
    return value if OFFSET.fullmatch(value) else None
