"""Reads the identifying header of a data set while its bytes pass by, and tells whether the data set is whole.

Walks element headers only: values are skipped, pixels are never decoded, memory stays bounded. Anything unusual makes
the scan `ODD`, and the caller reads the header with pydicom instead.
"""

from __future__ import annotations

import struct
import zlib
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARACTER_SET = 0x00080005
SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
ACCESSION_NUMBER = 0x00080050
MODALITY = 0x00080060
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_INSTANCE = 0x0020000D
SERIES_INSTANCE = 0x0020000E
WANTED = frozenset(
    {
        CHARACTER_SET,
        SOP_CLASS,
        SOP_INSTANCE,
        ACCESSION_NUMBER,
        MODALITY,
        PATIENT_ID,
        ISSUER_OF_PATIENT_ID,
        STUDY_INSTANCE,
        SERIES_INSTANCE,
    }
)
DEFLATED = frozenset({DeflatedExplicitVRLittleEndian, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Whole data sets deflated: the plain one, and the two JPIP ones."""

LONGEST_VALUE = 1024
"""A wanted value longer than this is not what its VR allows; pydicom looks at it."""

UNDEFINED = 0xFFFFFFFF
DELIMITERS = 0xFFFE
SHORT_HEADER_BYTES, LONG_HEADER_BYTES = 8, 12
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
NESTING_VRS = frozenset((b"SQ", b"OB", b"OW"))


class Wholeness(StrEnum):
    """What the walk came to."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    ODD = "odd"


class Scan(Protocol):
    """Takes a data set in chunks of any size; then says whether it was whole and what its header holds."""

    @property
    def values(self) -> Mapping[int, bytes]:
        """Tag -> raw value, of the wanted elements seen at the top level."""

    def feed(self, chunk: memoryview) -> None:
        """Look at the next bytes."""

    def end(self) -> Wholeness:
        """Say what it was; no more bytes come."""


def scan_for(transfer_syntax_uid: str, *, max_bytes: int) -> Scan:
    """The scan for one transfer syntax; `max_bytes` bounds what a deflated data set may inflate to."""
    if transfer_syntax_uid in DEFLATED:
        return DeflatedScan(max_bytes)
    return ElementScan(
        explicit=transfer_syntax_uid != ImplicitVRLittleEndian, byte_order=">" if transfer_syntax_uid == ExplicitVRBigEndian else "<"
    )


class ElementScan:
    """Walks the elements of an uncompressed or encapsulated data set (PS3.5 section 7)."""

    __slots__ = ("_carry", "_depth", "_explicit", "_header", "_last", "_long", "_next", "_odd", "_total", "values")

    def __init__(self, *, explicit: bool, byte_order: str = "<") -> None:
        self.values: dict[int, bytes] = {}
        self._explicit = explicit
        self._header = struct.Struct(byte_order + ("HH2sH" if explicit else "HHI"))
        self._long = struct.Struct(byte_order + "I")
        self._next = 0  # absolute position of the next element header
        self._total = 0  # bytes seen
        self._carry = b""  # bytes from `_next` on that were not enough to go on
        self._depth = 0  # sequences and items of undefined length that are open
        self._last = 0  # last tag at the top level
        self._odd = False

    def feed(self, chunk: memoryview) -> None:
        """Look at the next bytes."""
        self._total += len(chunk)
        if self._odd or self._next >= self._total:
            return
        if self._carry:
            buffer = memoryview(self._carry + chunk)
            self._carry = b""
        else:
            buffer = chunk
        base = self._total - len(buffer)
        position = self._walk(buffer, self._next - base)
        self._next = base + position
        if position < len(buffer) and not self._odd:
            self._carry = bytes(buffer[position:])

    def _walk(self, buffer: memoryview, position: int) -> int:
        """Go from header to header; returns where the next one starts, which may be beyond the buffer."""
        read_header = self._explicit_header if self._explicit else self._implicit_header
        end = len(buffer)
        while end - position >= SHORT_HEADER_BYTES:
            tag, vr, size, length = read_header(buffer, position)
            if not size:
                return position
            if tag >> 16 == DELIMITERS or length == UNDEFINED or self._depth:
                length = self._nest(tag, vr, length)
            elif tag <= self._last:
                self._odd = True
            else:
                self._last = tag
                if tag in WANTED:
                    if end - position - size < length <= LONGEST_VALUE:
                        self._last = tag - 1
                        return position
                    self.values[tag] = bytes(buffer[position + size : position + size + length])
                    self._odd = length > LONGEST_VALUE
            if self._odd:
                return position
            position += size + length
        return position

    def _implicit_header(self, buffer: memoryview, position: int) -> tuple[int, bytes, int, int]:
        """Tag, VR, size of the header, length of the value (PS3.5 7.1.3); any element may turn out to be a sequence."""
        group, element, length = self._header.unpack_from(buffer, position)
        return group << 16 | element, b"SQ", SHORT_HEADER_BYTES, length

    def _explicit_header(self, buffer: memoryview, position: int) -> tuple[int, bytes, int, int]:
        """As above with explicit VR (PS3.5 7.1.2); size 0 when the header goes on beyond the buffer, or is odd."""
        group, element, vr, length = self._header.unpack_from(buffer, position)
        tag = group << 16 | element
        if vr in SHORT_VRS and group != DELIMITERS:
            return tag, vr, SHORT_HEADER_BYTES, length
        if group == DELIMITERS:
            return tag, b"", SHORT_HEADER_BYTES, self._long.unpack_from(buffer, position + 4)[0]
        if vr not in LONG_VRS:
            self._odd = True
        elif len(buffer) - position >= LONG_HEADER_BYTES:
            return tag, vr, LONG_HEADER_BYTES, self._long.unpack_from(buffer, position + 8)[0]
        return tag, vr, 0, 0

    def _nest(self, tag: int, vr: bytes, length: int) -> int:
        """Follow sequences and items of undefined length; returns how many bytes of value to skip."""
        if tag in (ITEM_END, SEQUENCE_END):
            self._depth -= 1
            self._odd = self._depth < 0 or length != 0
            return 0
        if self._depth == 0:
            self._odd = tag <= self._last or tag == ITEM
            self._last = tag
        if length != UNDEFINED:
            return length
        # an undefined length inside UN means implicit VR whatever the transfer syntax (PS3.5 6.2.2): rare, so left to pydicom
        self._odd = self._odd or (tag != ITEM and vr not in NESTING_VRS)
        self._depth += 1
        return 0

    def end(self) -> Wholeness:
        """Whole when the last value ended with the last byte; zero padding after it does no harm."""
        if self._odd:
            return Wholeness.ODD
        if self._next > self._total or self._depth or self._carry.strip(b"\0") or not self._next:
            return Wholeness.TRUNCATED
        return Wholeness.WHOLE


class DeflatedScan:
    """Inflates piece by piece (PS3.5 A.5), keeps nothing, and walks what comes out."""

    PIECE = 65_536

    def __init__(self, max_bytes: int) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._elements = ElementScan(explicit=True)
        self._left = max_bytes
        self._odd = False

    @property
    def values(self) -> Mapping[int, bytes]:
        """Tag -> raw value."""
        return self._elements.values

    def feed(self, chunk: memoryview) -> None:
        """Look at the next bytes."""
        data: bytes | memoryview = chunk
        while data and not self._odd and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, self.PIECE)
            except zlib.error:
                self._odd = True
                return
            self._left -= len(piece)
            self._odd = self._left < 0
            self._elements.feed(memoryview(piece))
            data = self._inflate.unconsumed_tail

    def end(self) -> Wholeness:
        """Whole when the stream ended and its data set too."""
        if self._odd:
            return Wholeness.ODD
        if not self._inflate.eof:
            return Wholeness.TRUNCATED
        return self._elements.end()
