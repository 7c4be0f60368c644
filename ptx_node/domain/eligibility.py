"""Whether a model may read an instance, from its header alone; each refusal is a coded reason.

Apart from the rules: a rule says what a site wants read, eligibility says what a model can read. Headers are often
empty or wrong, so a view, a body part or an age refuses only on positive evidence; what is missing never refuses.
Reasons that show only when pixels are decoded are in the same closed list and raised as `InputError` by the readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ptx_node.domain.anatomy import View, body_part_refusal, view_of
from ptx_node.domain.reasons import SENTENCES, Reason
from ptx_node.domain.values import age_years, date_of, number_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

__all__ = ["KEYWORDS", "SENTENCES", "TRANSFER_SYNTAXES", "Attributes", "Reason", "Refusal", "Requirements", "eligibility", "first"]

Attributes = Mapping[str, tuple[str, ...]]
"""Header values by PS3.6 keyword, as sent; nested ones by dotted path (`ViewCodeSequence.CodeValue`). An attribute
that is there without a value has an empty tuple; one that is absent has no entry."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a model does not read an instance; `detail` is what was seen, for a person, without the patient's identity."""

    reason: Reason
    detail: str

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return SENTENCES[self.reason]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a model can read. Bundles state it in their metadata.

    Attributes:
        reads: single radiographs, or CT series.
        min_age_years: patients known to be younger are refused; unknown ages are not.
        min_rows, min_columns: smallest image, in pixels.
        sop_classes: SOP Class UIDs that are read; empty means those usual for `reads`.
        modalities: values of Modality that are read; empty means those usual for `reads`.
    """

    reads: Literal["radiograph", "ct"]
    min_age_years: float = 0.0
    min_rows: int = 1
    min_columns: int = 1
    sop_classes: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()


CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
DX_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

SOP_CLASSES = {
    "radiograph": frozenset({CR, DX, DX_FOR_PROCESSING, SECONDARY_CAPTURE}),
    "ct": frozenset({CT, ENHANCED_CT, LEGACY_ENHANCED_CT}),
}
MODALITIES = {"radiograph": frozenset({"CR", "DX", "DR", "RG", "XR"}), "ct": frozenset({"CT"})}

# Families under 1.2.840.10008.5.1.4.1.1: waveforms, presentation states, raw data and everything spatial or segmented,
# structured reports, encapsulated documents, radiotherapy objects other than RT Image (PS3.4 table B.5-1).
NOT_IMAGES = (".9.", ".11.", ".66", ".67", ".88.", ".104.", ".481.3", ".481.5", ".481.8")
IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1"

TRANSFER_SYNTAXES = frozenset(
    "1.2.840.10008.1.2" + suffix
    for suffix in (
        *("", ".1", ".1.98", ".1.99", ".2", ".5"),
        *(".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91", ".4.201", ".4.202", ".4.203"),
    )
)
VIDEO_SYNTAX = "1.2.840.10008.1.2.4.10"  # .100 to .108: MPEG-2, MPEG-4 AVC/H.264, HEVC/H.265

DERIVED_WORDS = frozenset({"MIP", "MINIP", "MAXIP", "MAX_IP", "MIN_IP", "MPR", "VRT", "PROJECTION IMAGE", "REFORMATTED", "AVERAGE"})
BITS_ALLOCATED = frozenset({8, 16})
AXIAL_COSINE = 0.8  # |z| of the slice normal: gantry tilt goes up to 30 degrees (cosine 0.87)

KEYWORDS = frozenset(
    {
        *("SOPClassUID", "TransferSyntaxUID", "Modality", "ImageType", "PresentationIntentType", "NumberOfFrames", "Rows", "Columns"),
        *("PhotometricInterpretation", "SamplesPerPixel", "BitsAllocated", "ViewPosition", "PatientOrientation", "BodyPartExamined"),
        *("ViewCodeSequence.CodeValue", "ViewCodeSequence.CodeMeaning", "AnatomicRegionSequence.CodeMeaning", "StudyDescription"),
        *("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription", "PatientAge", "PatientBirthDate", "StudyDate"),
        *("AcquisitionDate", "ContentDate", "ImageOrientationPatient"),
        "SharedFunctionalGroupsSequence.PlaneOrientationSequence.ImageOrientationPatient",
    }
)
"""Everything that `eligibility` looks at, so that a caller may read no more of a header than that."""


def eligibility(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    """Why the model that states `requirements` does not read this instance; None when it does. The first reason counts."""
    for check in CHECKS:
        refusal = check(attributes, requirements)
        if refusal is not None:
            return refusal
    return None


def first(attributes: Attributes, keyword: str) -> str:
    """The first value of an attribute, without surrounding spaces; empty text when there is none."""
    values = attributes.get(keyword, ())
    return values[0].strip() if values else ""


def _sop_class(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    sop_class_uid = first(attributes, "SOPClassUID")
    family = sop_class_uid.removeprefix(IMAGE_STORAGE)
    if family != sop_class_uid and family.startswith(NOT_IMAGES):
        return Refusal(Reason.NOT_AN_IMAGE, f"SOP Class UID {sop_class_uid}")
    if sop_class_uid in (requirements.sop_classes or SOP_CLASSES[requirements.reads]):
        return None
    if requirements.reads == "ct" and sop_class_uid == SECONDARY_CAPTURE:
        return Refusal(Reason.SECONDARY_CAPTURE, "a CT series is read from CT objects only")
    if sop_class_uid in SOP_CLASSES["radiograph"] | SOP_CLASSES["ct"]:
        return Refusal(Reason.WRONG_MODALITY, f"SOP Class UID {sop_class_uid}")
    return Refusal(Reason.UNSUPPORTED_SOP_CLASS, f"SOP Class UID {sop_class_uid or 'is missing'}")


def _transfer_syntax(attributes: Attributes, _requirements: Requirements) -> Refusal | None:
    transfer_syntax_uid = first(attributes, "TransferSyntaxUID")
    if transfer_syntax_uid.startswith(VIDEO_SYNTAX):
        return Refusal(Reason.VIDEO, f"Transfer Syntax UID {transfer_syntax_uid}")
    if transfer_syntax_uid and transfer_syntax_uid not in TRANSFER_SYNTAXES:
        return Refusal(Reason.UNSUPPORTED_TRANSFER_SYNTAX, f"Transfer Syntax UID {transfer_syntax_uid}")
    return None


def _modality(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    """A secondary capture is read only when it says what it is, as films that were digitised or exported do."""
    modality = first(attributes, "Modality").upper()
    accepted = requirements.modalities or MODALITIES[requirements.reads]
    if first(attributes, "SOPClassUID") == SECONDARY_CAPTURE and modality not in accepted:
        return Refusal(Reason.SECONDARY_CAPTURE, f"Modality is {modality or 'empty'}")
    if modality and modality not in accepted:
        return Refusal(Reason.WRONG_MODALITY, f"Modality is {modality}")
    return None


def _for_processing(attributes: Attributes, _requirements: Requirements) -> Refusal | None:
    if first(attributes, "SOPClassUID") == DX_FOR_PROCESSING:
        return Refusal(Reason.FOR_PROCESSING, "SOP class is Digital X-Ray Image Storage - For Processing")
    if first(attributes, "PresentationIntentType").upper() == "FOR PROCESSING":
        return Refusal(Reason.FOR_PROCESSING, "Presentation Intent Type is FOR PROCESSING")
    return None


def _image_type(attributes: Attributes, _requirements: Requirements) -> Refusal | None:
    """DERIVED alone does not refuse: lossy compression and post-processing for presentation set it too (PS3.3 C.7.6.1.1.2)."""
    values = tuple(value.strip().upper() for value in attributes.get("ImageType", ()))
    shown = "Image Type is " + "\\".join(values)
    description = first(attributes, "SeriesDescription").upper()
    if "LOCALIZER" in values:
        return Refusal(Reason.LOCALIZER, shown)
    if any(word in description for word in ("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM")):
        return Refusal(Reason.LOCALIZER, f"Series Description is {description!r}")
    if values[:2] == ("DERIVED", "SECONDARY") and first(attributes, "SOPClassUID") != SECONDARY_CAPTURE:
        return Refusal(Reason.DERIVED, shown)
    if DERIVED_WORDS & set(values):
        return Refusal(Reason.DERIVED, shown)
    if any(word in description for word in ("BONE SUPP", "RIB SUPP", "SOFT TISSUE ONLY", "BONE ONLY")):
        return Refusal(Reason.DERIVED, f"Series Description is {description!r}")
    return None


def _frames(attributes: Attributes, _requirements: Requirements) -> Refusal | None:
    frames = number_of(first(attributes, "NumberOfFrames"))
    enhanced = first(attributes, "SOPClassUID") in {ENHANCED_CT, LEGACY_ENHANCED_CT}
    if frames is not None and frames > 1 and not enhanced:
        return Refusal(Reason.MULTI_FRAME, f"Number of Frames is {frames:g}")
    return None


def _pixels(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    rows, columns = number_of(first(attributes, "Rows")), number_of(first(attributes, "Columns"))
    if not rows or not columns:
        return Refusal(Reason.NO_PIXEL_DATA, "Rows or Columns is missing or zero")
    photometric = first(attributes, "PhotometricInterpretation").upper()
    samples = number_of(first(attributes, "SamplesPerPixel"))
    if photometric not in {"MONOCHROME1", "MONOCHROME2", ""} or samples not in {1, None}:
        return Refusal(Reason.UNSUPPORTED_PHOTOMETRIC, f"Photometric Interpretation is {photometric or 'empty'}")
    bits = number_of(first(attributes, "BitsAllocated"))
    if bits is not None and bits not in BITS_ALLOCATED:
        return Refusal(Reason.UNSUPPORTED_PIXELS, f"Bits Allocated is {bits:g}")
    if rows < requirements.min_rows or columns < requirements.min_columns:
        needed = f"{requirements.min_rows} x {requirements.min_columns}"
        return Refusal(Reason.TOO_SMALL, f"{rows:g} rows x {columns:g} columns, the model needs {needed}")
    return None


def _view(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    if requirements.reads == "ct":
        return _axial(attributes)
    view, seen = view_of(attributes)
    if view is View.LATERAL:
        return Refusal(Reason.LATERAL_VIEW, seen)
    if view is View.OTHER:
        return Refusal(Reason.UNSUPPORTED_VIEW, seen)
    return None


def _axial(attributes: Attributes) -> Refusal | None:
    nested = "SharedFunctionalGroupsSequence.PlaneOrientationSequence.ImageOrientationPatient"
    values = attributes.get("ImageOrientationPatient") or attributes.get(nested, ())
    cosines = [number for number in map(number_of, values[:6]) if number is not None]
    if len(cosines) != 6:  # noqa: PLR2004 - two vectors of three
        return None
    normal_z = cosines[0] * cosines[4] - cosines[1] * cosines[3]
    if abs(normal_z) < AXIAL_COSINE:
        return Refusal(Reason.NOT_AXIAL, f"Image Orientation (Patient) is {'/'.join(values)}")
    return None


def _body_part(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    seen = body_part_refusal(attributes, whole_study=requirements.reads == "ct")
    return Refusal(Reason.NOT_CHEST, seen) if seen else None


def _age(attributes: Attributes, requirements: Requirements) -> Refusal | None:
    years = age_years(first(attributes, "PatientAge"))
    if years is None:
        years = _age_from_dates(attributes)
    if years is None or years >= requirements.min_age_years:
        return None
    return Refusal(Reason.BELOW_MINIMUM_AGE, f"{years:.3g} years old, the model needs {requirements.min_age_years:g}")


def _age_from_dates(attributes: Attributes) -> float | None:
    """Completed years between Patient's Birth Date and the study's date; None when either is missing or impossible."""
    born = date_of(first(attributes, "PatientBirthDate"))
    dates = (date_of(first(attributes, keyword)) for keyword in ("StudyDate", "AcquisitionDate", "ContentDate"))
    taken: date | None = next((day for day in dates if day is not None), None)
    if born is None or taken is None or taken < born:
        return None
    return float(taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day)))


CHECKS: tuple[Callable[[Attributes, Requirements], Refusal | None], ...] = (
    *(_sop_class, _transfer_syntax, _modality, _for_processing, _image_type, _frames),
    *(_pixels, _view, _body_part, _age),
)
