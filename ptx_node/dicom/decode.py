"""Stored pixel values out of DICOM files, or an `InputError` with a coded reason. What the values mean is told elsewhere.

Stored values leave here as unsigned words of their allocated size, signs and unused bits untouched: `grey_scale` reads them.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from ptx_node.domain.eligibility import TRANSFER_SYNTAXES, Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Words = NDArray[np.uint8] | NDArray[np.uint16]

# What pydicom and its codecs raise on malformed input, seen on damaged files.
MALFORMED: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, AttributeError, LookupError, NotImplementedError, OverflowError, EOFError, RecursionError, AssertionError),
    *(struct.error, zlib.error, BytesLengthException),
)
UNREADABLE: tuple[type[Exception], ...] = (InvalidDicomError, OSError, *MALFORMED)
CODEC_FAILED: tuple[type[Exception], ...] = (*MALFORMED, RuntimeError, MemoryError)
RUST_PANIC = "PanicException"
"""The RLE codec panics on damaged input; pyo3 makes that an exception that is no `Exception`, and would end the worker."""
END_OF_IMAGE = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
ENDS_WITH_MARKER = frozenset(JPEGTransferSyntaxes + JPEGLSTransferSyntaxes + JPEG2000TransferSyntaxes)
MAX_PIXELS = 100_000_000
"""A damaged or hostile header must not make the worker reserve gigabytes."""
PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"


@contextmanager
def malformed_refused(what: str) -> Iterator[None]:
    """Refuse what pydicom finds malformed only when an element is looked at, which may be anywhere.

    Raises:
        InputError: with the reason that the header cannot be read.
    """
    try:
        yield
    except MALFORMED as error:
        raise InputError(Reason.UNREADABLE_HEADER, f"{what} has an element that cannot be read: {str(error)[:300]}") from error


def read_dataset(path: Path, *, header_only: bool = False) -> Dataset:
    """The data set of a Part 10 file.

    Raises:
        InputError: not there, or not readable as DICOM.
    """
    try:
        return dcmread(path, stop_before_pixels=header_only)
    except UNREADABLE as error:
        raise InputError(Reason.UNREADABLE_HEADER, f"{path.name} cannot be read as DICOM: {str(error)[:300]}") from error


def stored_frames(ds: Dataset) -> Iterator[Words]:
    """The frames of an image one after the other, each of shape (rows, columns), decoded when asked for.

    Raises:
        InputError: no, short, damaged or unsupported pixel data.
    """
    check_pixels(ds)
    count = 0
    frames = iter_pixels(ds, raw=True)
    while True:
        try:
            frame = next(frames)
        except StopIteration:
            break
        except BaseException as error:
            if not isinstance(error, CODEC_FAILED) and type(error).__name__ != RUST_PANIC:
                raise
            raise InputError(Reason.PIXEL_DATA_CORRUPT, f"frame {count + 1} of {ds.SOPInstanceUID}: {str(error)[:300]}") from error
        if frame.shape != (ds.Rows, ds.Columns):
            raise InputError(
                Reason.PIXEL_DATA_CORRUPT, f"{ds.SOPInstanceUID} decodes to {frame.shape}, its header says {ds.Rows} x {ds.Columns}"
            )
        count += 1
        yield words(frame)
    if count < frame_count(ds):
        raise InputError(Reason.PIXEL_DATA_TRUNCATED, f"{ds.SOPInstanceUID} holds {count} of {frame_count(ds)} frames")


def stored_values(ds: Dataset) -> Words:
    """The one frame of a single-frame image, of shape (rows, columns).

    Raises:
        InputError: several frames, or as `stored_frames`.
    """
    if frame_count(ds) > 1:
        raise InputError(Reason.MULTI_FRAME, f"{ds.get('SOPInstanceUID')} has {frame_count(ds)} frames, one is expected")
    return next(stored_frames(ds))


def words(frame: NDArray[Any]) -> Words:
    """The same bits as unsigned words in this machine's byte order, without a copy where they are in that order."""
    native = frame.astype(frame.dtype.newbyteorder("="), copy=False)
    if native.dtype.itemsize == 1:
        return native.view(np.uint8)
    return native.view(np.uint16)


def frame_count(ds: Dataset) -> int:
    """Number of Frames; absent, empty or not a number is one."""
    try:
        return max(1, int(ds.get("NumberOfFrames") or 1))
    except MALFORMED:
        return 1


def check_pixels(ds: Dataset) -> None:
    """Refuse, before a codec sees it, what cannot be a grey-scale image of the size that its header says.

    Raises:
        InputError: with the reason.
    """
    uid = str(ds.get("SOPInstanceUID", ""))
    syntax = UID(str(getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", "")))
    if syntax not in TRANSFER_SYNTAXES:
        raise InputError(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX, f"{uid} is stored in {syntax.name or 'no transfer syntax'}, which is not decoded here"
        )
    if "PixelData" not in ds:
        raise _without_pixels(ds, uid)
    try:
        rows, columns, samples = int(ds.Rows), int(ds.Columns), int(ds.get("SamplesPerPixel", 1))
        allocated, stored = int(ds.BitsAllocated), int(ds.get("BitsStored") or ds.BitsAllocated)
    except MALFORMED as error:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"{uid} lacks a valid image pixel description: {error}") from error
    photometric = str(ds.get("PhotometricInterpretation", ""))
    if samples != 1 or photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise InputError(
            Reason.UNSUPPORTED_PHOTOMETRIC, f"{uid} is {photometric or 'of no photometric interpretation'}, {samples} samples a pixel"
        )
    if allocated not in {8, 16} or not 1 <= stored <= allocated:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"{uid} has {stored} bits stored in {allocated}")
    if rows < 1 or columns < 1:
        raise InputError(Reason.NO_PIXEL_DATA, f"{uid} has {rows} rows and {columns} columns")
    if rows * columns > MAX_PIXELS:
        raise InputError(Reason.UNSUPPORTED_PIXELS, f"{uid} has {rows} rows and {columns} columns: more than any detector")
    if syntax.is_encapsulated:
        _check_encapsulated(ds, uid, syntax)
    elif len(ds.PixelData) < (needed := rows * columns * (allocated // 8) * frame_count(ds)):
        raise InputError(Reason.PIXEL_DATA_TRUNCATED, f"{uid} has {len(ds.PixelData)} bytes of pixel data, its header says {needed}")


def _check_encapsulated(ds: Dataset, uid: str, syntax: UID) -> None:
    """A codec may fill a cut image with grey in silence: the last fragment has to end as its format says."""
    tail = ds.PixelData[-32:]
    if len(ds.PixelData) <= 16:  # noqa: PLR2004 - an empty offset table and a delimiter
        raise InputError(Reason.NO_PIXEL_DATA, f"{uid} has no fragment of pixel data")
    if syntax in ENDS_WITH_MARKER and END_OF_IMAGE not in tail:
        raise InputError(Reason.PIXEL_DATA_TRUNCATED, f"{uid}: the compressed image has no end marker")


def _without_pixels(ds: Dataset, uid: str) -> InputError:
    """Cut inside compressed pixel data, pydicom gives a data set without that element or without any: look at the file."""
    source = getattr(ds, "filename", None)
    if source:
        try:
            with open(source, "rb") as file:  # noqa: PTH123 - pydicom gives a path-like or text
                if PIXEL_DATA_TAG in file.read():
                    return InputError(Reason.PIXEL_DATA_TRUNCATED, f"{uid or source} ends inside its pixel data")
        except OSError:
            pass
    return InputError(Reason.NO_PIXEL_DATA, f"{uid or source} has no pixel data")
