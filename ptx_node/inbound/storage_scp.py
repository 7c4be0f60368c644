"""One receiving process: accepts connections from a listening socket it may share with others, a thread each.

`accept` blocks in the kernel, which wakes waiting processes in turn: associations that come together are spread over
the processes, and nothing polls.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

from ptx_node import log
from ptx_node.inbound.association import Association, Terms

if TYPE_CHECKING:
    import ssl

    from ptx_node.inbound.association import CommitmentScp
    from ptx_node.pipeline.receive import Receiver
    from ptx_node.settings import DicomSettings

logger = log.get(__name__)

BACKLOG = 512
HANDSHAKES = 64
"""Connections beyond `max_associations` that may be answered with a rejection at the same time; more are just closed."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, to be shared by the processes; port 0 chooses a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def terms_of(dicom: DicomSettings) -> Terms:
    """What the settings mean for every association."""
    return Terms(
        called_ae_titles=frozenset({dicom.ae_title, dicom.retrieve_ae_title, *dicom.sources}),
        sources=dicom.sources,
        peers=dicom.peers,
        max_associations=dicom.max_associations,
        max_pdu=dicom.max_pdu,
        idle_timeout_s=dicom.idle_timeout_s,
        retrieve_ae_title=dicom.retrieve_ae_title,
    )


class StorageScp:
    """The Storage, Verification and Storage Commitment SCP of one process.

    Args:
        listener: a listening socket; closed by nobody here.
        terms: allow-list and limits.
        receiver, commitment: built in this process.
        tls: None for plain TCP.
    """

    def __init__(
        self, listener: socket.socket, terms: Terms, receiver: Receiver, commitment: CommitmentScp, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._listener = listener
        self._terms = terms
        self._receiver = receiver
        self._commitment = commitment
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[Association] = set()
        self._threads = 0
        self._stopping = threading.Event()

    def serve(self, *, drain_s: float = 30.0) -> None:
        """Accept until `stop`; then let instances on their way finish, for `drain_s` at most."""
        while not self._stopping.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set() or self._listener.fileno() < 0 or error.errno == 22:  # noqa: PLR2004 - EINVAL: shut down
                    break
                logger.warning("accept failed", error=str(error))
                time.sleep(0.05)  # out of descriptors: give associations a moment to end
                continue
            self._start(connection, peer[0])
        self._drain(drain_s)

    def stop(self) -> None:
        """End `serve`, from another thread. Every process that shares the listening socket stops accepting."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def _start(self, connection: socket.socket, address: str) -> None:
        with self._lock:
            if self._threads >= self._terms.max_associations + HANDSHAKES:
                connection.close()
                return
            self._threads += 1
        threading.Thread(target=self._run, args=(connection, address), name=f"association from {address}", daemon=True).start()

    def _run(self, connection: socket.socket, address: str) -> None:
        try:
            sock = self._secure(connection, address)
            if sock is None:
                return
            association = Association(sock, address, self._terms, self._receiver, self._commitment)
            with self._lock:
                self._open.add(association)
                count = len(self._open)
            try:
                association.run(open_associations=count)
            finally:
                with self._lock:
                    self._open.discard(association)
        finally:
            with self._lock:
                self._threads -= 1

    def _secure(self, connection: socket.socket, address: str) -> socket.socket | None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return connection
        connection.settimeout(min(30.0, self._terms.idle_timeout_s))
        try:
            return self._tls.wrap_socket(connection, server_side=True)
        except (OSError, ValueError) as error:
            logger.warning("TLS handshake failed", error=str(error), peer_address=address)
            connection.close()
            return None

    def _drain(self, drain_s: float) -> None:
        with self._lock:
            for association in self._open:
                association.drain()
        end = time.monotonic() + drain_s
        while time.monotonic() < end:
            with self._lock:
                if not self._threads:
                    return
            time.sleep(0.02)
