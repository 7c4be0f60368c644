"""Reads a `multipart/related` body as it comes in (RFC 2046, RFC 2387), in bounded memory, whatever the sizes of its chunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from enum import Enum, auto
from typing import TYPE_CHECKING

from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_HEADERS = 16_384
LONGEST_PADDING = 256
LONGEST_BOUNDARY = 70
"""RFC 2046 section 5.1.1."""


class MultipartError(InputError):
    """The body is not what its Content-Type says."""

    def __init__(self, detail: str) -> None:
        super().__init__("multipart", detail)


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins. `content_type` is in lower case, without parameters; empty when the part has none."""

    content_type: str


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete: its delimiter has been seen."""


Event = PartBegin | PartData | PartEnd


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type header: the media type, and the parameters that multipart/related has."""

    media_type: str
    type: str
    boundary: str


def parse_content_type(header: str) -> ContentType:
    """Take a Content-Type header apart; absent parameters are empty."""
    message = Message()
    message["Content-Type"] = header
    parameters = {str(key).lower(): str(value) for key, value in message.get_params(failobj=[])[1:]}
    media_type = header.split(";", 1)[0].strip().lower()
    return ContentType(media_type, parameters.get("type", "").strip().lower(), parameters.get("boundary", ""))


class _State(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Fed with chunks, gives the events that they complete.

    Raises:
        MultipartError: the boundary is not one (here), or the body is broken (`feed`, `close`).
    """

    def __init__(self, boundary: str) -> None:
        if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii() or boundary != boundary.rstrip():
            raise MultipartError("the Content-Type has no valid boundary")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # The first delimiter may stand at the very beginning: as if a line had ended before.
        self._buffer = bytearray(b"\r\n")
        self._state = _State.PREAMBLE
        self._line_end = 0

    def feed(self, chunk: bytes | bytearray) -> Iterator[Event]:
        """The events that this chunk completes; must be exhausted before the next call."""
        self._buffer += chunk
        steps = {
            _State.PREAMBLE: self._preamble,
            _State.DELIMITER: self._after_delimiter,
            _State.HEADERS: self._headers,
            _State.BODY: self._body,
        }
        while self._state in steps:
            before = (self._state, len(self._buffer))
            yield from steps[self._state]()
            if (self._state, len(self._buffer)) == before:
                return
        self._buffer.clear()

    def close(self) -> None:
        """Say that no more comes."""
        if self._state is not _State.EPILOGUE:
            raise MultipartError("the body ends before its closing boundary")

    def _preamble(self) -> Iterator[Event]:
        end = self._buffer.find(self._delimiter)
        if end < 0:
            del self._buffer[: -len(self._delimiter)]
        else:
            del self._buffer[: end + len(self._delimiter)]
            self._state = _State.DELIMITER
        return iter(())

    def _after_delimiter(self) -> Iterator[Event]:
        if self._buffer.startswith(b"--"):
            self._state = _State.EPILOGUE
            return iter(())
        end = self._buffer.find(b"\r\n")
        if end > LONGEST_PADDING or (end < 0 and len(self._buffer) > LONGEST_PADDING):
            raise MultipartError("a boundary is followed by something else")
        if end >= 0:
            if self._buffer[:end].strip(b" \t"):
                raise MultipartError("a boundary is followed by something else")
            # The line's end stays: headers may be absent, and then an empty line follows at once.
            del self._buffer[:end]
            self._state = _State.HEADERS
        return iter(())

    def _headers(self) -> Iterator[Event]:
        end = self._buffer.find(b"\r\n\r\n")
        if end > LONGEST_HEADERS or (end < 0 and len(self._buffer) > LONGEST_HEADERS):
            raise MultipartError(f"the headers of a part are longer than {LONGEST_HEADERS} bytes")
        if end < 0:
            return
        headers = BytesHeaderParser().parsebytes(bytes(self._buffer[2 : end + 2]))
        # The last line end stays: the delimiter of a part without a body begins with it.
        del self._buffer[: end + 2]
        self._line_end = 2
        self._state = _State.BODY
        yield PartBegin(parse_content_type(str(headers.get("Content-Type", ""))).media_type)

    def _body(self) -> Iterator[Event]:
        end = self._buffer.find(self._delimiter)
        safe = end if end >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if safe > self._line_end:
            data = bytes(memoryview(self._buffer)[self._line_end : safe])
            del self._buffer[:safe]
            self._line_end = 0
            yield PartData(data)
        if end >= 0:
            del self._buffer[: self._buffer.find(self._delimiter) + len(self._delimiter)]
            self._line_end = 0
            self._state = _State.DELIMITER
            yield PartEnd()
