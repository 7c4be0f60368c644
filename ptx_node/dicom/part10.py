"""Takes a Part 10 file apart (PS3.10 section 7) without decoding its data set; also bare data sets, which STOW-RS clients send."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ptx_node.dicom.header_scan import LONG_VRS, SHORT_VRS
from ptx_node.errors import InputError

PREAMBLE_BYTES = 128
TRANSFER_SYNTAX = 0x0010
LONGEST_META_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Part10:
    """What the File Meta Information announces (empty text where it does not), and the data set's bytes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: memoryview


def split_part10(data: memoryview) -> Part10:
    """Find the data set in a file with or without preamble and File Meta Information.

    Raises:
        InputError: the File Meta Information is broken, or names no transfer syntax.
    """
    start = PREAMBLE_BYTES + 4 if bytes(data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4]) == b"DICM" else 0
    meta, end = _file_meta(data, start)
    if end == start and start:
        raise InputError("cannot_understand", "a preamble without File Meta Information")
    if end == start:
        vr = bytes(data[4:6])
        guessed = ExplicitVRLittleEndian if vr in SHORT_VRS | LONG_VRS else ImplicitVRLittleEndian
        return Part10("", "", str(guessed), data)
    if TRANSFER_SYNTAX not in meta:
        raise InputError("cannot_understand", "the File Meta Information names no Transfer Syntax UID (0002,0010)")
    return Part10(meta.get(0x0002, ""), meta.get(0x0003, ""), meta[TRANSFER_SYNTAX], data[end:])


def _file_meta(data: memoryview, start: int) -> tuple[dict[int, str], int]:
    """Group 0002, always explicit VR little endian: element -> text, and where it ends."""
    found: dict[int, str] = {}
    position = start
    while len(data) - position >= 8:  # noqa: PLR2004 - the shortest element header
        group, element, vr, length = struct.unpack_from("<HH2sH", data, position)
        if group != 0x0002:  # noqa: PLR2004
            break
        size = 8
        if vr in LONG_VRS and len(data) - position >= 12:  # noqa: PLR2004
            size = 12
            (length,) = struct.unpack_from("<I", data, position + 8)
        position += size + length
        if position > len(data) or position - start > LONGEST_META_BYTES or vr not in SHORT_VRS | LONG_VRS:
            raise InputError("cannot_understand", "the File Meta Information is broken or cut short")
        if vr == b"UI":
            found[element] = bytes(data[position - length : position]).decode("ascii", "replace").strip("\0 ")
    return found, position
