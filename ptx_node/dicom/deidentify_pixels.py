"""Which objects may not leave because their pixels, or what they are, could tell who the patient is. Nothing here changes a pixel.

Text in pixels is not looked for: what an object says about itself and what kind of object it is decide.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydicom import uid

from ptx_node.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IMAGES = frozenset(
    {
        uid.ComputedRadiographyImageStorage,
        uid.DigitalXRayImageStorageForPresentation,
        uid.DigitalXRayImageStorageForProcessing,
        uid.CTImageStorage,
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.SegmentationStorage,
    }
)
CAPTURES = frozenset(
    {
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
ULTRASOUND = frozenset({uid.UltrasoundImageStorage, uid.UltrasoundMultiFrameImageStorage})
OVERLAY_GROUPS = range(0x6000, 0x6020, 2)


class Unexportable(StrEnum):
    """Why an object is not de-identified but left out."""

    UNSUPPORTED = "unsupported"
    TEXT_IN_PIXELS = "text_in_pixels"
    PIXELS_NOT_REVIEWED = "pixels_not_reviewed"
    OVERLAY_IN_PIXELS = "overlay_in_pixels"
    FACE = "recognizable_face"
    BROKEN = "broken"


class PixelText(StrEnum):
    """What is known about text in the pixels of an object that leaves."""

    STATED_CLEAN = "stated_clean"
    REVIEWED = "reviewed"
    NOT_STATED = "not_stated"
    NOT_AN_IMAGE = "not_an_image"


def text_in_pixels(ds: Dataset, *, reviewed: bool) -> PixelText:
    """What is known about text in the pixels.

    Args:
        ds: the original.
        reviewed: a person has looked at the pixels, and nothing in them names anybody.

    Raises:
        InputError: the object may not leave; the reason is one of `Unexportable`.
    """
    sop_class = str(ds.get("SOPClassUID", "")).strip(" \0")
    if sop_class not in IMAGES | CAPTURES | ULTRASOUND:
        raise InputError(
            Unexportable.UNSUPPORTED, "only radiographs, CT, captures and segmentations are de-identified; export it without images"
        )
    if _embedded_overlay(ds):
        raise InputError(
            Unexportable.OVERLAY_IN_PIXELS, "an overlay lies in unused bits of the pixels, and pixels are not changed; leave it out"
        )
    stated = str(ds.get("BurnedInAnnotation", "")).strip().upper()
    if reviewed:
        return PixelText.REVIEWED
    if stated == "YES":
        raise InputError(
            Unexportable.TEXT_IN_PIXELS, "it says that text is burned into its pixels; look at it, and leave it out or say that it is clean"
        )
    if str(ds.get("RecognizableVisualFeatures", "")).strip().upper() == "YES":
        raise InputError(
            Unexportable.FACE, "it says that a face can be recognised in it; look at it, and leave it out or say that it is clean"
        )
    if sop_class == uid.SegmentationStorage:
        return PixelText.NOT_AN_IMAGE
    if stated == "NO" and sop_class not in ULTRASOUND:
        return PixelText.STATED_CLEAN
    if sop_class in IMAGES and not _is_capture(ds):
        return PixelText.NOT_STATED
    raise InputError(
        Unexportable.PIXELS_NOT_REVIEWED,
        "captures and ultrasound often carry the patient's name in their pixels; look at it, and leave it out or say that it is clean",
    )


def _is_capture(ds: Dataset) -> bool:
    """A screen or film that was stored as if it were an image of the modality, and dose sheets of CT."""
    image_type = ds.get("ImageType") or []
    values = {str(value).strip().upper() for value in ([image_type] if isinstance(image_type, str) else image_type)}
    return not values.isdisjoint({"SCREEN SAVE", "SCREENSAVE", "SECONDARY CAPTURE", "DOSE_INFO"})


def _embedded_overlay(ds: Dataset) -> bool:
    """Overlay planes (PS3.3 C.9.2) without data of their own are drawn in bits of the pixels that the image does not use."""
    return any((group, 0x0010) in ds and (group, 0x3000) not in ds for group in OVERLAY_GROUPS)
