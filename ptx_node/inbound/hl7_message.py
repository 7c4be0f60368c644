"""HL7 version 2 encoding (chapter 2) read from bytes: segments, fields, repetitions, components, escapes.

Own and tolerant: delimiters as MSH gives them, any line end, text that was broken over lines. Whatever the bytes are,
either a `Message` comes out or a `HeaderError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.domain.radiology_report import storable
from ptx_node.errors import PermanentError
from ptx_node.inbound.hl7_charset import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_LINE_END = re.compile(r"\r\n|\r|\n")
_HEADER_END = re.compile(rb"[\r\n]")
_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_USUAL = "^~\\&"
_CHARSET_FIELD = 18
_HEADER_NAME = b"MSH"
_LEAST_HEADER = 5
_NEW_LINES = frozenset({".br", ".ce"})
_DROPPED = re.compile(r"[HN]|\.(?:fi|nf|in[+-]?\d*|ti[+-]?\d*|sk[+-]?\d*)")
_SPACES = re.compile(r"\.sp\+?(\d{0,2})")


class HeaderError(PermanentError):
    """The message has no header that can be read: nobody can be answered by its own words."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """What MSH-1 and MSH-2 say."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `fields[n]` is field n of the standard, still escaped; MSH-1 and MSH-2 are the delimiters."""

    name: str
    fields: tuple[str, ...]

    def raw(self, number: int) -> str:
        """A field as it stands; empty if it is not there."""
        return self.fields[number] if number < len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in characters. `codec` is what its bytes were read with; `doubtful` says that this may be wrong."""

    delimiters: Delimiters
    segments: tuple[Segment, ...]
    codec: str
    doubtful: bool

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        """The first segment of a name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def repetitions(self, segment: Segment, number: int) -> list[str]:
        """The repetitions of a field, still escaped; none for an empty field."""
        raw = segment.raw(number)
        return raw.split(self.delimiters.repetition) if raw else []

    def components(self, repetition: str) -> list[str]:
        """The components of one repetition, still escaped."""
        return repetition.split(self.delimiters.component)

    def text(self, raw: str) -> str:
        """A value without its escapes (2.7); HL7's explicit null `""` is empty."""
        return "" if raw == '""' else _unescape(raw, self.delimiters, self.codec)

    def value(self, segment: Segment | None, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """A value of the first repetition of a field, without escapes and surrounding blanks; empty if it is not there."""
        if segment is None:
            return ""
        repetitions = self.repetitions(segment, number)
        return self.part(repetitions[0], component, subcomponent) if repetitions else ""

    def part(self, repetition: str, component: int = 1, subcomponent: int = 1) -> str:
        """A component or sub-component of one repetition, without escapes and surrounding blanks."""
        components = self.components(repetition)
        parts = components[component - 1].split(self.delimiters.subcomponent) if component <= len(components) else []
        return self.text(parts[subcomponent - 1]).strip() if subcomponent <= len(parts) else ""


def parse(data: bytes, *, charset: str = "") -> Message:
    """Read a message.

    Args:
        data: without the MLLP frame.
        charset: the site's setting for the sender, for a message whose MSH-18 names none that fits.

    Raises:
        HeaderError: there is no MSH segment with delimiters that can be used.
    """
    data = data.lstrip(b" \t\r\n\x00\xef\xbb\xbf")
    delimiters = _delimiters(data)
    head = _HEADER_END.split(data, maxsplit=1)[0].decode("latin-1")
    declared = _fields(head, delimiters, count=_CHARSET_FIELD)
    names = declared[_CHARSET_FIELD].split(delimiters.repetition) if len(declared) > _CHARSET_FIELD else []
    decoded = decode(data, [name.strip() for name in names], charset)
    segments = tuple(_segments(decoded.text, delimiters))
    return Message(delimiters, segments, decoded.codec, decoded.doubtful)


def _delimiters(data: bytes) -> Delimiters:
    if not data.startswith(_HEADER_NAME) or len(data) < _LEAST_HEADER:
        raise HeaderError("the message does not begin with an MSH segment")
    field = chr(data[3])
    head = _HEADER_END.split(data[4:], maxsplit=1)[0].decode("latin-1")
    encoding = head.split(field, maxsplit=1)[0]
    # MSH-2 may be shorter than four characters, and has a fifth (truncation) since 2.7
    characters = (encoding + _USUAL[len(encoding) :])[:4]
    every = field + characters
    if not encoding or len(set(every)) != len(every) or not all(_may_delimit(one) for one in every):
        raise HeaderError("MSH-1 and MSH-2 hold no usable delimiters")
    return Delimiters(field, *characters)


def _may_delimit(character: str) -> bool:
    return "!" <= character <= "~" and not character.isalnum()


def _segments(text: str, delimiters: Delimiters) -> Iterator[Segment]:
    """Lines as segments; a line that begins none belongs to the text before it, where somebody broke it."""
    name = ""
    lines: list[str] = []
    for line in _LINE_END.split(text):
        head = line[:3]
        if _SEGMENT_NAME.fullmatch(head) and line[3:4] in ("", delimiters.field):
            if name:
                yield Segment(name, tuple(_fields("\n".join(lines), delimiters)))
            name, lines = head, [line]
        elif name:
            lines.append(line)
    if name:
        yield Segment(name, tuple(_fields("\n".join(lines).rstrip("\n"), delimiters)))


def _fields(segment: str, delimiters: Delimiters, count: int = -1) -> list[str]:
    parts = segment.rstrip("\n").split(delimiters.field, count)
    if parts[0] == _HEADER_NAME.decode():
        parts.insert(1, delimiters.field)
    return parts


def _unescape(raw: str, delimiters: Delimiters, codec: str) -> str:
    """Replace escape sequences; one that is unknown, or a lone escape character, stays as it is."""
    escape = delimiters.escape
    if escape not in raw:
        return storable(raw)
    meanings = {"F": delimiters.field, "S": delimiters.component, "T": delimiters.subcomponent, "R": delimiters.repetition, "E": escape}
    out, at = [], 0
    while True:
        start = raw.find(escape, at)
        end = raw.find(escape, start + 1) if start >= 0 else -1
        if end < 0:
            out.append(raw[at:])
            return storable("".join(out))
        meaning = meanings.get(raw[start + 1 : end])
        meaning = _command(raw[start + 1 : end], codec) if meaning is None else meaning
        out.append(raw[at:start])
        if meaning is None:
            out.append(raw[start:end])
            at = end  # what ended this may begin the next
        else:
            out.append(meaning)
            at = end + 1


def _command(sequence: str, codec: str) -> str | None:
    """What an escape sequence other than a delimiter stands for; None for one that is not known."""
    if sequence in _NEW_LINES:
        return "\n"
    if spaces := _SPACES.fullmatch(sequence):
        return "\n" * int(spaces[1] or 1)
    if _DROPPED.fullmatch(sequence):
        return ""
    if sequence.startswith("X") and _HEXADECIMAL.fullmatch(sequence[1:]):
        data = bytes.fromhex(sequence[1:])
        try:
            return data.decode(codec)
        except (UnicodeDecodeError, LookupError):
            return decode(data, ()).text
    return None
