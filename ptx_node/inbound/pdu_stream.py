"""Whole PDUs from a socket into one reused buffer (PS3.8 section 9.3): no thread, no polling, one copy."""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum

HEADER_BYTES = 6
FIRST_BUFFER_BYTES = 65_536


class PduType(IntEnum):
    """PS3.8 table 9-11 and following."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class PeerGoneError(Exception):
    """The peer closed the connection, or it broke."""


class IdleError(Exception):
    """The peer sent nothing for too long."""


class PduError(Exception):
    """The peer's bytes are not a PDU that is allowed here; `reason` is that of A-ABORT (PS3.8 table 9-26)."""

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class PduStream:
    """PDUs of one connection.

    Args:
        sock: with a time-out, or with SO_RCVTIMEO set; either ends a silent wait.
        max_bytes: a longer PDU body is an error.
    """

    def __init__(self, sock: socket.socket, *, max_bytes: int) -> None:
        self._sock = sock
        self.max_bytes = max_bytes
        self._buffer = bytearray(FIRST_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0

    def read(self) -> tuple[int, memoryview]:
        """The next PDU: its type and its body. The body is valid until the next call.

        Raises:
            PeerGoneError, IdleError, PduError: no PDU comes any more.
        """
        self._fill(HEADER_BYTES)
        pdu_type, length = struct.unpack_from(">BxI", self._buffer, self._start)
        if not PduType.ASSOCIATE_RQ <= pdu_type <= PduType.ABORT:
            raise PduError(1, f"unrecognised PDU type 0x{pdu_type:02X}")
        if length > self.max_bytes:
            raise PduError(6, f"a PDU of {length} bytes, {self.max_bytes} are allowed")
        self._fill(HEADER_BYTES + length)
        start = self._start + HEADER_BYTES
        self._start = start + length
        return pdu_type, self._view[start : self._start]

    def _fill(self, wanted: int) -> None:
        """Have at least so many bytes from `_start` on."""
        have = self._end - self._start
        if have >= wanted:
            return
        if len(self._buffer) - self._start < wanted:
            self._make_room(wanted, have)
        while self._end - self._start < wanted:
            try:
                count = self._sock.recv_into(self._view[self._end :])
            except (BlockingIOError, TimeoutError) as error:
                raise IdleError("nothing came for too long") from error
            except OSError as error:
                raise PeerGoneError(f"the connection broke: {error}") from error
            if not count:
                raise PeerGoneError("the peer closed the connection")
            self._end += count

    def _make_room(self, wanted: int, have: int) -> None:
        rest = bytes(self._view[self._start : self._end])
        if len(self._buffer) < wanted:
            self._buffer = bytearray(max(wanted, min(2 * len(self._buffer), self.max_bytes + HEADER_BYTES)))
            self._view = memoryview(self._buffer)
        self._view[:have] = rest
        self._start, self._end = 0, have


def set_idle_timeout(sock: socket.socket, timeout_s: float) -> None:
    """Let the kernel end a silent wait: saves a poll before each read. TLS sockets need Python's own time-out."""
    if hasattr(sock, "context"):
        sock.settimeout(timeout_s)
        return
    sock.settimeout(None)
    pair = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1_000_000) or int(timeout_s < 1))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pair)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, pair)


def send(sock: socket.socket, data: bytes) -> None:
    """Send all of it.

    Raises:
        PeerGoneError: the peer does not take it.
    """
    try:
        sock.sendall(data)
    except (OSError, ValueError) as error:
        raise PeerGoneError(f"the answer could not be sent: {error}") from error


def close_after_reply(sock: socket.socket, *, wait_s: float) -> None:
    """Let the peer read the last PDU and close first, as PS3.8 has it (state 13, ARTIM); close after `wait_s` at most."""
    end = time.monotonic() + wait_s
    try:
        sock.settimeout(wait_s)
        while time.monotonic() < end and sock.recv(65_536):
            pass
    except (OSError, ValueError):
        pass
    finally:
        sock.close()
