"""The codes that results are written in, each with its context group in PS3.16. Numbers stand here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from ptx_node.domain.finding import Laterality

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE_SCHEME = "99PTX"
"""Our own coded reasons; "99" marks a private scheme (PS3.16 8.2)."""

MAX_CODE_VALUE = 16
"""Code Value is SH; longer values go into Long Code Value (PS3.3 8.1)."""

# What was looked for, and where
PNEUMOTHORAX = Code("36118008", "SCT", "Pneumothorax")
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
PLEURA = Code("3120008", "SCT", "Pleura")
LATERALITIES: Mapping[Laterality, Code] = {
    Laterality.LEFT: Code("7771000", "SCT", "Left"),
    Laterality.RIGHT: Code("24028007", "SCT", "Right"),
    Laterality.BILATERAL: Code("51440002", "SCT", "Bilateral"),
}

# Answers
PRESENT = Code("52101004", "SCT", "Present")  # CID 240
ABSENT = Code("272519000", "SCT", "Absent")  # CID 240
WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")  # CID 6047
WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")  # CID 6047
NOT_SUCCEEDED = Code("111245", "DCM", "No algorithms succeeded; without findings")  # CID 6047
NOT_ELIGIBLE = Code("NOT_ELIGIBLE", PRIVATE_SCHEME, "Input not eligible for the algorithm")
FAILED = Code("FAILED", PRIVATE_SCHEME, "Analysis failed")

# Concept names
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")  # CID 7021
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en-US", "RFC5646", "English (United States)")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
DEVICE = Code("121007", "DCM", "Device")
DEVICE_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_OBSERVER_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL_NAME = Code("121015", "DCM", "Device Observer Model Name")
DEVICE_OBSERVER_SERIAL_NUMBER = Code("121016", "DCM", "Device Observer Serial Number")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure Reported")
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
MODALITY = Code("121139", "DCM", "Modality")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
PROCESSING_AND_FINDINGS_SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
OUTCOME = Code("OUTCOME", PRIVATE_SCHEME, "Outcome of the analysis")
REASON = Code("REASON", PRIVATE_SCHEME, "Reason of the outcome")
COMMENT = Code("121106", "DCM", "Comment")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
PRESENCE = Code("121052", "DCM", "Presence of property")
PROBABILITY = Code("122157", "DCM", "Probability")
AREA = Code("42798000", "SCT", "Area")
VOLUME = Code("118565006", "SCT", "Volume")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
ALGORITHM_FAMILY = Code("111000", "DCM", "Algorithm Family")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")
REFERENCED_SEGMENT = Code("121191", "DCM", "Referenced Segment")
REFERENCED_SEGMENTATION_FRAME = Code("121214", "DCM", "Referenced Segmentation Frame")
SOURCE_IMAGE_FOR_SEGMENTATION = Code("121233", "DCM", "Source image for segmentation")

# Units
PERCENT = Code("%", "UCUM", "Percent")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "Square millimeter")
MILLILITRE = Code("ml", "UCUM", "Milliliter")

# Purposes of reference
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")  # CID 7005
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")  # CID 7005
SOURCE_IMAGE_FOR_PROCESSING = Code("121322", "DCM", "Source image for image processing operation")  # CID 7202

# Procedures analysed: CID 100 knows no plain chest radiograph, so the general procedure stands for it
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")

MODALITIES: Mapping[str, Code] = {
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
    "CT": Code("CT", "DCM", "Computed Tomography"),
}  # CID 29
OTHER_MODALITY = Code("OT", "DCM", "Other")


def code_item(code: Code) -> Dataset:
    """The item of a code sequence (PS3.3 Table 8.8-1)."""
    item = Dataset()
    if len(code.value) <= MAX_CODE_VALUE:
        item.CodeValue = code.value
    else:
        item.LongCodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning[:64]
    return item


def reason_code(reason: str) -> Code:
    """One of our coded reasons: its value as it stands in the database, its meaning in words."""
    return Code(reason, PRIVATE_SCHEME, reason.replace("_", " ").capitalize())
