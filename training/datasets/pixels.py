"""One image's pixels under a `Handling`: DICOM radiographs as the node reads them, PNG and JPEG by the same rules, CT slices in HU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom import Dataset

from ptx_node.dicom.decode import malformed_refused, read_dataset, stored_values
from ptx_node.dicom.grey_scale import display_table, inverted, padding_words, stored_table
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import hounsfield
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError
from training.datasets.handling import NODE, Handling, Standardise, Values
from training.datasets.landmarks import standardised
from training.datasets.lung_fields import lung_window

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ptx_node.dicom.decode import Words

PICTURES = frozenset({".png", ".jpg", ".jpeg"})
COLOUR = 2.0
"""Mean difference of the colour channels (0..255) above which a picture is no radiograph in grey."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A radiograph as it was handled.

    Attributes:
        image_HW: brightness 0..1.
        window: the rows and columns of the source that it is; all of them unless `lung_crop`.
        source: shape of the whole source.
    """

    image_HW: NDArray[np.float32]
    window: tuple[slice, slice]
    source: tuple[int, int]


def read_picture(path: Path, handling: Handling = NODE) -> Picture:
    """One radiograph.

    Raises:
        InputError: the file cannot be read, with a coded reason.
    """
    image_HW = _shown(path, handling)
    source = image_HW.shape[0], image_HW.shape[1]
    window = slice(0, source[0]), slice(0, source[1])
    if handling.standardise is Standardise.LANDMARKS:
        image_HW = standardised(image_HW, handling.reference)
    if handling.lung_crop:
        window = lung_window(image_HW)
        image_HW = np.ascontiguousarray(image_HW[window])
    return Picture(image_HW, window, source)


def read_hu(path: Path) -> NDArray[np.int16]:
    """Hounsfield units of one CT slice, as `ptx_node.dicom.volume` has them.

    Raises:
        InputError: the file cannot be read.
    """
    with malformed_refused(path.name):
        ds = read_dataset(path)
        return hounsfield(ds, stored_values(ds))


def _shown(path: Path, handling: Handling) -> NDArray[np.float32]:
    if path.suffix.lower() in PICTURES:
        ds, words_HW = _picture_words(path)
        return _valued(ds, words_HW, handling)
    if handling.values is Values.WINDOW and handling.invert_monochrome1:
        return read_radiograph(path).image_HW
    with malformed_refused(path.name):
        ds = read_dataset(path)
        return _valued(ds, stored_values(ds), handling)


def _valued(ds: Dataset, words_HW: Words, handling: Handling) -> NDArray[np.float32]:
    """Brightness 0..1 of stored words; padding is black."""
    turned = inverted(ds) and handling.invert_monochrome1
    if handling.values is Values.WINDOW:
        if not turned:
            ds.PhotometricInterpretation = "MONOCHROME2"
            ds.PresentationLUTShape = "IDENTITY"
        return display_table(ds, words_HW)[words_HW]
    stored = stored_table(ds)
    if handling.values is Values.DIVIDE_255:
        table = np.clip(stored / 255, 0, 1)
    else:
        bits = int(ds.get("BitsStored") or ds.BitsAllocated)
        low = -(1 << (bits - 1)) if int(ds.get("PixelRepresentation") or 0) == 1 else 0
        table = np.clip((stored - low) / ((1 << bits) - 1), 0, 1)
    if turned:
        table = 1 - table
    table[padding_words(ds, stored)] = 0
    return np.asarray(table, dtype=np.float32)[words_HW]


def _picture_words(path: Path) -> tuple[Dataset, Words]:
    """Grey values of a PNG or JPEG, with a description by which the node's grey scale takes them as stored values without a window."""
    try:
        with Image.open(path) as picture:
            picture.load()
            words_HW = _grey(picture, path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(Reason.PIXEL_DATA_CORRUPT, f"{path.name} cannot be read as a picture: {str(error)[:300]}") from error
    bits = 8 * words_HW.dtype.itemsize
    ds = Dataset()
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    return ds, words_HW


def _grey(picture: Image.Image, path: Path) -> Words:
    """8 or 16 bits; of grey pictures saved in colour (RGBA, RGB, palette, as some of ChestX-ray14 are) the mean of the colours."""
    if picture.mode.startswith("I"):  # 16-bit PNG, which some versions of the library widen to 32 bits
        wide = np.asarray(picture)
        return np.asarray(np.clip(wide, 0, 65535), dtype=np.uint16)
    if picture.mode in {"L", "1", "LA"}:
        return np.asarray(picture.convert("L"), dtype=np.uint8)
    colours_HWC = np.asarray(picture.convert("RGB"), dtype=np.int16)
    spread = float(np.ptp(colours_HWC, axis=2).mean())
    if spread > COLOUR:
        raise InputError(Reason.UNSUPPORTED_PHOTOMETRIC, f"{path.name} is a picture in colour, not a radiograph in grey")
    return np.asarray(np.round(colours_HWC.mean(axis=2)), dtype=np.uint8)
