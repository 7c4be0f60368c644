"""The overlay picture: a Secondary Capture in RGB, for a PACS that shows neither SEG nor SR.

The image itself stays undisturbed: the contour runs just outside the mask, and all words stand in a strip below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import SecondaryCaptureImageStorage

from ptx_node.dicom import codes
from ptx_node.dicom.carry_over import plain_letters
from ptx_node.dicom.equipment import complete, image_reference
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.domain.image import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.dicom.equipment import Writing
    from ptx_node.domain.finding import Finding
    from ptx_node.domain.image import Radiograph

CONTOUR_RGB = (0, 224, 255)
TITLE_RGB = (255, 214, 0)
TEXT_RGB = (235, 235, 235)
DISCLAIMER = "AI result - research use"
LUNG_WINDOW_HU = (-1350.0, 150.0)
SMALLEST_FONT = 9
LARGEST_FONT = 64


def secondary_capture(writing: Writing, picture: Radiograph | Volume) -> Dataset:
    """The overlay picture of a positive or negative finding; of a CT series, the slice with the largest mask."""
    index = _slice(writing.finding, picture) if isinstance(picture, Volume) else None
    grey_HW = _grey(picture, index)
    mask = writing.finding.mask
    plane = None if mask is None else (mask[index] if index is not None else mask)
    rgb_HW3 = draw(grey_HW, plane, caption(writing.finding))
    source = _shown(writing, picture, index)
    ds = Dataset()
    ds.ImageType, ds.ConversionType, ds.BurnedInAnnotation = ["DERIVED", "SECONDARY"], "WSD", "YES"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns = rgb_HW3.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.add_new("PixelData", "OB", _even(rgb_HW3.tobytes()))
    ds.DerivationDescription = f"Contour and text of an algorithm's finding drawn on the image. {DISCLAIMER}."
    reference = image_reference(source)
    reference.PurposeOfReferenceCodeSequence = [codes.code_item(codes.SOURCE_IMAGE_FOR_PROCESSING)]
    if index is not None and writing.multiframe:
        reference.ReferencedFrameNumber = index + 1
    ds.SourceImageSequence = DicomSequence([reference])
    ds.PatientOrientation = _orientation(source)
    ds.BodyPartExamined = "CHEST"  # also where the source does not say it: a pneumothorax is nowhere else
    return complete(ds, ResultKind.SC, SecondaryCaptureImageStorage, writing)


def caption(finding: Finding) -> tuple[str, ...]:
    """The words of the picture: what the model says, how sure, on which side, how large."""
    parts = ["Pneumothorax: " + ("suspected" if finding.outcome is Outcome.POSITIVE else "not detected")]
    if finding.laterality is not None:
        parts.append(f"side: {finding.laterality.value}")
    if finding.probability is not None:
        parts.append(f"probability {finding.probability:.2f}")
    if finding.threshold is not None:
        parts.append(f"threshold {finding.threshold:.2f}")
    if finding.outcome is Outcome.POSITIVE and finding.area_mm2 is not None:
        parts.append(f"area {finding.area_mm2 / 100:.1f} cm2")
    if finding.outcome is Outcome.POSITIVE and finding.volume_ml is not None:
        parts.append(f"volume {finding.volume_ml:.0f} ml")
    return (*parts, plain_letters(f"{finding.model.name} {finding.model.version}"))


def draw(grey_HW: NDArray[np.uint8], mask: NDArray[np.bool_] | None, words: tuple[str, ...]) -> NDArray[np.uint8]:
    """The picture as (rows + strip, columns, 3) of uint8; every pixel of the image keeps its value but those of the contour."""
    rgb_HW3 = np.repeat(grey_HW[:, :, np.newaxis], 3, axis=2)
    if mask is not None and mask.any():
        rgb_HW3[outline(mask, width=max(1, round(max(mask.shape) / 600)))] = CONTOUR_RGB
    return np.concatenate([rgb_HW3, _strip(grey_HW.shape[1], words)])


def outline(mask: NDArray[np.bool_], *, width: int) -> NDArray[np.bool_]:
    """The pixels within `width` steps outside the mask, on its grid; the mask itself is never covered."""
    ring = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return ring
    box = (
        slice(max(0, rows[0] - width), rows[-1] + width + 1),
        slice(max(0, columns[0] - width), columns[-1] + width + 1),
    )
    inside = mask[box]
    grown = inside.copy()
    for _ in range(width):
        before = grown.copy()
        grown[1:] |= before[:-1]
        grown[:-1] |= before[1:]
        grown[:, 1:] |= before[:, :-1]
        grown[:, :-1] |= before[:, 1:]
    ring[box] = grown & ~inside
    return ring


def _strip(columns: int, words: tuple[str, ...]) -> NDArray[np.uint8]:
    """The black strip below the image: the disclaimer, then the words, wrapped to the width."""
    size = int(np.clip(columns / 42, SMALLEST_FONT, LARGEST_FONT))
    font = ImageFont.load_default(size)
    margin = max(3, size // 2)
    lines = [DISCLAIMER, *_wrapped(words, font, columns - 2 * margin)]
    step = round(size * 1.4)
    canvas = Image.new("RGB", (columns, 2 * margin + step * len(lines)), (0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for index, line in enumerate(lines):
        pen.text((margin, margin + index * step), line, font=font, fill=TITLE_RGB if index == 0 else TEXT_RGB)
    return np.asarray(canvas, dtype=np.uint8)


def _wrapped(words: tuple[str, ...], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]}   {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _slice(finding: Finding, volume: Volume) -> int:
    """The slice with the largest mask; the middle one of a negative series."""
    if finding.mask is None or not finding.mask.any():
        return len(volume.hu_ZHW) // 2
    return int(finding.mask.sum(axis=(1, 2)).argmax())


def _grey(picture: Radiograph | Volume, index: int | None) -> NDArray[np.uint8]:
    """Eight bits for the screen: a radiograph as the model saw it, a CT slice in a lung window."""
    if isinstance(picture, Volume):
        low, high = LUNG_WINDOW_HU
        unit = (picture.hu_ZHW[index or 0].astype(np.float32) - low) / (high - low)
    else:
        unit = picture.image_HW
    return np.asarray(np.clip(unit * 255.0 + 0.5, 0, 255), dtype=np.uint8)


def _shown(writing: Writing, picture: Radiograph | Volume, index: int | None) -> Dataset:
    uid = picture.sop_instance_uids[min(index or 0, len(picture.sop_instance_uids) - 1)] if isinstance(picture, Volume) else ""
    return next((source for source in writing.sources if source.get("SOPInstanceUID") == uid), writing.source)


def _orientation(source: Dataset) -> list[str] | None:
    """Patient Orientation, from the image itself or, for CT, from its main axes; None (empty) when unknown."""
    if source.get("PatientOrientation"):
        return [str(value) for value in source.PatientOrientation]
    cosines = source.get("ImageOrientationPatient")
    if cosines is None or len(cosines) != 6:  # noqa: PLR2004 - two vectors
        return None
    letters = []
    for axis in (np.asarray(cosines[:3], dtype=float), np.asarray(cosines[3:], dtype=float)):
        main = int(np.abs(axis).argmax())
        letters.append((("R", "L"), ("A", "P"), ("F", "H"))[main][int(axis[main] > 0)])
    return letters


def _even(pixels: bytes) -> bytes:
    """A value has an even length (PS3.5 7.1.1)."""
    return pixels + b"\0" if len(pixels) % 2 else pixels
