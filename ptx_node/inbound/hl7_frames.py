"""MLLP (HL7 v2.x Minimal Lower Layer Protocol) over any bytes: finds messages in a stream, whatever lies around them.

Tolerated: several messages in a packet, one in many, bytes between frames, a missing start block, a missing carriage
return after the end block, and a missing end block where the last segment is complete (which is said). Never more in memory than one
message of the allowed size.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

START, END, RETURN = 0x0B, 0x1C, 0x0D
_SEGMENT_ENDS = (b"\r", b"\n")
_UNFRAMED = b"MSH"


class Wrong(StrEnum):
    """What is wrong with a frame."""

    TOO_LARGE = "too_large"
    CUT_OFF = "cut_off"
    """It breaks off inside a segment."""
    UNENDED = "unended"
    """Its last segment is complete, but no end block came: it may be whole."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, or what there is of it: of one that is too large, the beginning."""

    content: bytes
    wrong: Wrong | None = None


def framed(message: bytes) -> bytes:
    """A message as it goes over the wire."""
    return bytes((START,)) + message + bytes((END, RETURN))


class FrameReader:
    """Takes the bytes of one connection and gives its messages, in order.

    Args:
        max_bytes: a larger message is let go, and reported once with its beginning.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._inside = False
        self._overflown = False

    @property
    def inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._inside

    @property
    def at_segment_end(self) -> bool:
        """Whether what there is of a message ends with a whole segment."""
        return self._pending[-1:] in _SEGMENT_ENDS

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes; returns the messages that they complete."""
        frames: list[Frame] = []
        at = 0
        while at < len(data):
            at = self._in_frame(data, at, frames) if self._inside else self._between(data, at)
        return frames

    def close(self) -> list[Frame]:
        """Say that nothing more comes, or not soon; a message whose last segment is complete needs no end block."""
        return [self._end()] if self._inside else []

    def _between(self, data: bytes, at: int) -> int:
        """Pass over what is outside a frame, up to a start block or to a header without one."""
        start = data.find(START, at)
        tail = bytes(self._pending) + data[at : start if start >= 0 else len(data)]
        unframed = tail.find(_UNFRAMED)
        if unframed >= 0:
            consumed = unframed + len(_UNFRAMED) - len(self._pending)
            self._begin()
            self._pending += _UNFRAMED
            return at + consumed
        self._pending[:] = tail[-(len(_UNFRAMED) - 1) :]
        if start < 0:
            return len(data)
        self._begin()
        return start + 1

    def _begin(self) -> None:
        self._pending.clear()
        self._inside, self._overflown = True, False

    def _in_frame(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Collect up to the end block, or to a start block that comes first."""
        ends = [found for found in (data.find(END, at), data.find(START, at)) if found >= 0]
        stop = min(ends, default=len(data))
        self._collect(data[at:stop])
        if not ends:
            return len(data)
        restart = data[stop] == START
        if not (restart and not self._pending):  # two start blocks in a row are one
            frames.append(self._end(ended=not restart))
        if restart:
            self._begin()
        return stop + 1

    def _collect(self, piece: bytes) -> None:
        room = self._max_bytes - len(self._pending)
        if len(piece) > room:
            self._overflown = True
        self._pending += piece[: max(0, room)]

    def _end(self, *, ended: bool = False) -> Frame:
        content = bytes(self._pending)
        self._pending.clear()
        self._inside = False
        if self._overflown:
            return Frame(content, Wrong.TOO_LARGE)
        if ended:
            return Frame(content)
        return Frame(content, Wrong.UNENDED if content[-1:] in _SEGMENT_ENDS else Wrong.CUT_OFF)
