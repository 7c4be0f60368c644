"""The closed list of reasons for which an input is not read, from the header or found while decoding, each with its sentence."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Why an input is not read: the closed list. `SENTENCES` says each to a person."""

    # The header
    OWN_RESULT = "own_result"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_SOP_CLASS = "unsupported_sop_class"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    VIDEO = "video"
    WRONG_MODALITY = "wrong_modality"
    SECONDARY_CAPTURE = "secondary_capture"
    FOR_PROCESSING = "for_processing"
    LOCALIZER = "localizer"
    DERIVED = "derived"
    MULTI_FRAME = "multi_frame"
    NO_PIXEL_DATA = "no_pixel_data"
    UNSUPPORTED_PHOTOMETRIC = "unsupported_photometric"
    UNSUPPORTED_PIXELS = "unsupported_pixels"
    TOO_SMALL = "too_small"
    LATERAL_VIEW = "lateral_view"
    UNSUPPORTED_VIEW = "unsupported_view"
    NOT_AXIAL = "not_axial"
    NOT_CHEST = "not_chest"
    BELOW_MINIMUM_AGE = "below_minimum_age"
    UNREADABLE_HEADER = "unreadable_header"
    # The pixels
    PIXEL_DATA_TRUNCATED = "pixel_data_truncated"
    PIXEL_DATA_CORRUPT = "pixel_data_corrupt"
    # The series
    MIXED_SERIES = "mixed_series"
    INCONSISTENT_SIZES = "inconsistent_sizes"
    INCONSISTENT_ORIENTATION = "inconsistent_orientation"
    INCONSISTENT_SPACING = "inconsistent_spacing"
    MISSING_SLICES = "missing_slices"
    MISSING_GEOMETRY = "missing_geometry"
    DUPLICATE_SLICES = "duplicate_slices"
    TOO_FEW_SLICES = "too_few_slices"


SENTENCES: Mapping[Reason, str] = {
    Reason.OWN_RESULT: "This is a result that this node's model wrote; it is not read again.",
    Reason.NOT_AN_IMAGE: "This instance is not an image (a report, segmentation, presentation state or similar).",
    Reason.UNSUPPORTED_SOP_CLASS: "The model does not read this SOP class.",
    Reason.UNSUPPORTED_TRANSFER_SYNTAX: "The pixel data is in a transfer syntax that cannot be decoded, such as a retired JPEG process.",
    Reason.VIDEO: "The pixel data is a video.",
    Reason.WRONG_MODALITY: "The model reads another modality.",
    Reason.SECONDARY_CAPTURE: "This is a secondary capture, such as a screenshot, that does not say it is an image of the modality.",
    Reason.FOR_PROCESSING: "This is the image for processing; the model reads the one for presentation.",
    Reason.LOCALIZER: "This is a localizer (scout, topogram), not a diagnostic image.",
    Reason.DERIVED: "This image was derived from others (reformatted, projected or otherwise processed).",
    Reason.MULTI_FRAME: "The instance has several frames where one is expected.",
    Reason.NO_PIXEL_DATA: "The instance has no pixel data.",
    Reason.UNSUPPORTED_PHOTOMETRIC: "The image is not grey-scale (MONOCHROME1 or MONOCHROME2).",
    Reason.UNSUPPORTED_PIXELS: "The pixels are stored in a way that the model does not read.",
    Reason.TOO_SMALL: "The image has fewer rows or columns than the model needs.",
    Reason.LATERAL_VIEW: "This is a lateral view; the model reads frontal views.",
    Reason.UNSUPPORTED_VIEW: "This is an oblique or decubitus view; the model reads upright or supine frontal views.",
    Reason.NOT_AXIAL: "The slices are not axial.",
    Reason.NOT_CHEST: "The image shows another part of the body than the chest.",
    Reason.BELOW_MINIMUM_AGE: "The patient is younger than the model was made for.",
    Reason.UNREADABLE_HEADER: "The header cannot be read as DICOM.",
    Reason.PIXEL_DATA_TRUNCATED: "The pixel data is shorter than the header says.",
    Reason.PIXEL_DATA_CORRUPT: "The pixel data cannot be decoded.",
    Reason.MIXED_SERIES: "The instances do not belong to one series.",
    Reason.INCONSISTENT_SIZES: "The slices of the series differ in rows or columns.",
    Reason.INCONSISTENT_ORIENTATION: "The slices of the series differ in orientation.",
    Reason.INCONSISTENT_SPACING: "The distance between slices varies through the series.",
    Reason.MISSING_SLICES: "Slices are missing from the series.",
    Reason.MISSING_GEOMETRY: "The slices do not say where they are in the patient.",
    Reason.DUPLICATE_SLICES: "Several slices of the series are at the same position.",
    Reason.TOO_FEW_SLICES: "The series has fewer slices than the model needs.",
}
