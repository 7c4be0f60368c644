"""Headers as plain text by keyword, for rules and eligibility; and the dictionary of keywords that rules may name.

Reads no pixel data. The values carry the patient's identity: they go to matching and to the person at the terminal,
never to logs.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from ptx_node.dicom.part10 import split_part10
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydicom.dataelem import DataElement

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW", "US or SS or OW"})
MAX_DEPTH = 3
MAX_ITEMS = 32
MAX_VALUES = 64
PER_FRAME = "PerFrameFunctionalGroupsSequence"  # one item a frame: thousands, and nothing that a rule needs
START_BYTES = 16_384
LONGEST_HEADER_BYTES = 32 * 1024 * 1024
META = ("TransferSyntaxUID", "SourceApplicationEntityTitle", "ImplementationVersionName")

# What pydicom is seen to raise on broken headers; it has no class of its own for them.
UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError, OverflowError),
    *(struct.error, zlib.error, RecursionError, AssertionError, BytesLengthException),
)


@cache
def known_keywords() -> frozenset[str]:
    """Every keyword of PS3.6 that a rule may name."""
    return frozenset(entry[4] for entry in DicomDictionary.values() if entry[4]) | frozenset(META)


def attributes_of(ds: Dataset) -> dict[str, tuple[str, ...]]:
    """Values by keyword as text, as sent; nested ones under a dotted path, the values of all items together.

    Left out: pixel data and other binary values, private elements, and the per-frame groups of enhanced images.
    A sequence's own value is its number of items. An element that cannot be decoded is there without a value.
    """
    found: dict[str, tuple[str, ...]] = {}
    meta = getattr(ds, "file_meta", None)
    if meta is not None:
        for keyword in META:
            if keyword in meta:
                found[keyword] = _texts(_element(meta, keyword))
    _collect(ds, "", found, MAX_DEPTH)
    return found


def read_attributes(path: Path, keywords: Iterable[str] | None = None) -> dict[str, tuple[str, ...]]:
    """The header of a file, all of it or only what `keywords` (dotted paths allowed) need. Pixel data is not read.

    Raises:
        InputError: `unreadable_header`, the file is not DICOM or its header is broken; no retry helps.
        OSError: the file cannot be opened; the store's problem, not the instance's.
    """
    wanted = None if keywords is None else _tags({"SOPClassUID", "SOPInstanceUID", *keywords})
    with path.open("rb") as file:
        try:
            found = attributes_of(_read(file, wanted))
        except UNREADABLE as error:
            raise InputError(Reason.UNREADABLE_HEADER, f"{type(error).__name__} while reading the header") from error
    if "SOPClassUID" not in found and "SOPInstanceUID" not in found:
        raise InputError(Reason.UNREADABLE_HEADER, "no SOP Class UID and no SOP Instance UID")
    return found


def _read(file: BinaryIO, wanted: list[int] | None) -> Dataset:
    """A deflated data set is inflated here, no further than a header can be long: pydicom would inflate all of it."""
    start = file.read(START_BYTES)
    if DeflatedExplicitVRLittleEndian.encode() not in start:
        file.seek(0)
        return dcmread(file, stop_before_pixels=True, force=True, specific_tags=wanted)
    part10 = split_part10(memoryview(start))
    file.seek(len(start) - len(part10.data_set))
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(LONGEST_HEADER_BYTES), LONGEST_HEADER_BYTES)
    ds = dcmread(io.BytesIO(plain), stop_before_pixels=True, force=True, specific_tags=wanted)
    ds.file_meta.TransferSyntaxUID = UID(part10.transfer_syntax_uid)
    return ds


def _tags(keywords: Iterable[str]) -> list[int]:
    return sorted({tag for name in keywords if (tag := tag_for_keyword(name.partition(".")[0]))})


def _collect(ds: Dataset, prefix: str, found: dict[str, tuple[str, ...]], depth: int) -> None:
    for tag in ds.keys():  # noqa: SIM118 - iterating a Dataset decodes every element at once
        if tag.is_private:
            continue
        keyword = _keyword(tag)
        if not keyword or keyword == PER_FRAME:
            continue
        path = prefix + keyword
        element = _element(ds, keyword)
        found[path] = (found.get(path, ()) + _texts(element))[:MAX_VALUES]
        if depth > 0 and element is not None and element.VR == "SQ":
            for item in element.value[:MAX_ITEMS]:
                _collect(item, f"{path}.", found, depth - 1)


@cache
def _keyword(tag: Any) -> str:
    entry = DicomDictionary.get(tag)
    return entry[4] if entry else ""


def _element(ds: Dataset, keyword: str) -> DataElement | None:
    """An element decoded; None when it cannot be."""
    try:
        return ds[keyword]
    except UNREADABLE:
        return None


def _texts(element: DataElement | None) -> tuple[str, ...]:
    if element is None or element.VR in BINARY or (not element.value and element.value != 0):
        return ()
    if element.VR == "SQ":
        return (f"{len(element.value)} items",)
    value = element.value
    many = list(value)[:MAX_VALUES] if isinstance(value, MultiValue | list | tuple) else [value]
    return tuple(text for one in many if (text := str(one)))
