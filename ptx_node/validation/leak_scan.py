"""The independent scan: looks in finished files for what the originals said, and for what a de-identified file need not hold.

It shares no code with what de-identifies, so that one mistake does not make both. It says where something stands and what kind it is,
never the value: its findings may be logged and shown.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from ptx_node.validation.leak_dicom import identifiers_in, odd_elements, pixel_bytes, quietly
from ptx_node.validation.leak_needles import Kind, Needles
from ptx_node.validation.leak_views import NotOpenedError, is_dicom, views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from ptx_node.validation.leak_needles import Hit, Identifier

MOST_OF_A_KIND = 20
"""Findings of one kind in one file; more of the same would tell nothing new."""

# What pydicom is seen to raise on broken objects; it has no class of its own for them.
UNREADABLE = (
    *(InvalidDicomError, BytesLengthException, ValueError, LookupError, TypeError, AttributeError, NotImplementedError),
    *(EOFError, OSError, RecursionError, OverflowError, AssertionError, struct.error, zlib.error),
)


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that should not be there, or that could not be looked into.

    Attributes:
        file: path within the folder; where the path itself names somebody, its place in the list, such as `file 17`.
        place: byte, line, member or element.
        what: kind of identifier and how it is written, or what is odd about the element.
        certain: False for one word of a name, which may be an ordinary word.
    """

    file: str
    place: str
    what: str
    certain: bool = True


def identifiers_of(originals: Iterable[Path]) -> set[Identifier]:
    """What these original DICOM files hold that names their patient; files that cannot be read add nothing."""
    found: set[Identifier] = set()
    for path in originals:
        with quietly():
            try:
                found |= identifiers_in(pydicom.dcmread(path, stop_before_pixels=True))
            except UNREADABLE:
                continue
    return found


def scan_folder(folder: Path, needles: Needles, *, days: tuple[date, date] | None = None) -> Iterator[Leak]:
    """Scan every file below a folder, names included, in order of their paths.

    Leave dates out of `needles` where the folder holds several patients: a date of one is, moved, the date of another.
    Birth dates may stay.

    Args:
        folder: finished; links are not followed.
        needles: what the originals said.
        days: first and last day that a date in a DICOM object may have.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(paths):
        name = path.relative_to(folder).as_posix()
        in_name = list(needles.find(name.encode("utf-8", "surrogateescape")))
        shown = f"file {number}" if in_name else name
        yield from (_leak(shown, "its own name", hit) for hit in in_name)
        yield from scan_bytes(shown, path.read_bytes(), needles, days=days)


def scan_bytes(name: str, data: bytes, needles: Needles, *, days: tuple[date, date] | None = None) -> Iterator[Leak]:
    """Scan one file's content, in every form that it can be opened in."""
    counts: dict[str, int] = {}
    for leak in _all(name, data, needles, days):
        counts[leak.what] = counts.get(leak.what, 0) + 1
        if counts[leak.what] <= MOST_OF_A_KIND:
            yield leak


def _all(name: str, data: bytes, needles: Needles, days: tuple[date, date] | None) -> Iterator[Leak]:
    yield from _content(name, "", data, needles, days)
    try:
        for how, content in views(name, data):
            yield from _content(name, f"{how}, ", content, needles, days)
    except NotOpenedError as error:
        yield Leak(name, "content", f"not looked into: {error}")


def _content(name: str, where: str, data: bytes, needles: Needles, days: tuple[date, date] | None) -> Iterator[Leak]:
    if not is_dicom(data):
        text = b"\0" not in data
        yield from (_leak(name, f"{where}{_place(data, hit.offset, text=text)}", hit) for hit in needles.find(data))
        return
    try:
        for place, what in odd_elements(data, days):
            yield Leak(name, where + place, what)
        pixels = pixel_bytes(data)
    except UNREADABLE as error:
        yield Leak(name, f"{where}object", f"cannot be read as DICOM ({type(error).__name__})")
        pixels = b""
    start = data.find(pixels) if pixels else -1
    parts = [(0, data, False)] if start < 0 else [(0, data[:start], False), (start, pixels, True)]
    if start >= 0:
        parts.append((start + len(pixels), data[start + len(pixels) :], False))
    for offset, part, in_pixels in parts:
        for hit in needles.find(part, pixels=in_pixels):
            yield _leak(name, f"{where}byte {offset + hit.offset}{' in the pixels' if in_pixels else ''}", hit)


def _place(data: bytes, offset: int, *, text: bool) -> str:
    lines_before = data.count(b"\n", 0, offset)
    return f"line {lines_before + 1}" if text else f"byte {offset}"


def _leak(name: str, place: str, hit: Hit) -> Leak:
    return Leak(name, place, f"{hit.kind.value} ({hit.written})", certain=hit.kind is not Kind.NAME_PART)
