"""The HL7 door on the network: MLLP over TCP or TLS, a thread a connection, many messages a connection.

An answer goes out after the message is committed. A peer may keep a connection open as long as it likes between
messages; within one it must go on.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from typing import TYPE_CHECKING

from ptx_node import log
from ptx_node.inbound.hl7_frames import FrameReader, framed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from ptx_node.inbound.hl7_frames import Frame

logger = log.get(__name__)

READ_BYTES = 65_536
LOOK_S = 0.5
"""How often a waiting connection looks whether the door closes or its message has taken too long."""
UNENDED_S = 10.0
"""A message whose last segment is complete and after which nothing comes for so long has ended without its end block."""
HANDSHAKE_S = 10.0


class MllpServer:
    """Serves one listening socket in this process.

    Args:
        listener: a listening socket; closed by nobody here.
        answer: takes a frame and the peer's address, gives the messages to send back; must not raise.
        max_message_bytes: of one message; no connection holds more in memory.
        max_connections: open at once; further ones are closed.
        message_timeout_s: for one message from its first byte to its last, and for one answer to be taken.
        tls: None for plain TCP.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: Callable[[Frame, str], Iterable[bytes]],
        *,
        max_message_bytes: int,
        max_connections: int,
        message_timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._max_message_bytes = max_message_bytes
        self._max_connections = max_connections
        self._message_timeout_s = message_timeout_s
        self._tls = tls
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def serve(self, *, drain_s: float = 10.0) -> None:
        """Accept until `stop`; then let messages on their way be answered, for `drain_s` at most."""
        while not self._stopping.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set() or self._listener.fileno() < 0 or error.errno == errno.EINVAL:
                    break
                logger.warning("accept failed", error=str(error))
                time.sleep(0.05)
                continue
            self._start(connection, str(peer[0]))
        end = time.monotonic() + drain_s
        with self._lock:
            open_threads = list(self._threads)
        for thread in open_threads:
            thread.join(max(0.0, end - time.monotonic()))

    def stop(self) -> None:
        """End `serve`, from another thread or a signal handler."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def _start(self, connection: socket.socket, address: str) -> None:
        thread = threading.Thread(target=self._run, args=(connection, address), name=f"hl7 from {address}", daemon=True)
        with self._lock:
            if len(self._threads) >= self._max_connections:
                logger.warning("too many HL7 connections (hl7.max_connections)", peer_address=address)
                connection.close()
                return
            self._threads.add(thread)
        thread.start()

    def _run(self, connection: socket.socket, address: str) -> None:
        try:
            with contextlib.closing(self._secure(connection)) as sock:
                self._converse(sock, address)
        except OSError as error:  # the peer is gone, or never spoke TLS
            logger.info("HL7 connection ended", peer_address=address, error=str(error))
        except Exception:  # this connection's last line: it ends without an answer, so that the sender sends again
            logger.exception("HL7 connection failed", peer_address=address)
        finally:
            connection.close()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _secure(self, connection: socket.socket) -> socket.socket:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls is None:
            return connection
        connection.settimeout(HANDSHAKE_S)
        return self._tls.wrap_socket(connection, server_side=True)

    def _converse(self, sock: socket.socket, address: str) -> None:
        reader = FrameReader(max_bytes=self._max_message_bytes)
        begun_at = heard_at = time.monotonic()
        while True:
            sock.settimeout(LOOK_S)
            try:
                data = sock.recv(READ_BYTES)
            except TimeoutError:
                if self._stopping.is_set() and not reader.inside:
                    return
                if not reader.inside:
                    continue
                if reader.at_segment_end and time.monotonic() - heard_at > UNENDED_S:
                    self._reply(sock, reader.close(), address)
                elif time.monotonic() - begun_at > self._message_timeout_s:
                    logger.warning("HL7 message does not end (hl7.message_timeout_s)", peer_address=address)
                    self._reply(sock, reader.close(), address)
                    return
                continue
            was_inside = reader.inside
            frames = reader.feed(data) if data else reader.close()
            heard_at = time.monotonic()
            if not was_inside or frames:
                begun_at = heard_at
            self._reply(sock, frames, address)
            if not data or (reader.inside and heard_at - begun_at > self._message_timeout_s):
                return
            if self._stopping.is_set() and not reader.inside:
                return

    def _reply(self, sock: socket.socket, frames: Iterable[Frame], address: str) -> None:
        sock.settimeout(self._message_timeout_s)
        for frame in frames:
            for message in self._guarded(frame, address):
                sock.sendall(framed(message))

    def _guarded(self, frame: Frame, address: str) -> Iterable[bytes]:
        """The handler of this door: a fault of ours ends the connection without an answer, so that the sender sends again."""
        try:
            return self._answer(frame, address)
        except Exception as error:
            logger.exception("HL7 message failed", peer_address=address)
            raise ConnectionAbortedError("a fault of the node; see the log") from error
