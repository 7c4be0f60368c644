"""Associations that we open (pynetdicom requestor). The library's ways to fail become our errors here, once."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, evt

from ptx_node.errors import ConfigurationError, DestinationRefusedError, DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_PDU_BYTES = 131_072


@dataclass(frozen=True, slots=True)
class TlsClient:
    """Our side of a TLS connection (PEM): our certificate if the peer asks for one, and whom we trust (else the system's)."""

    certificate: Path | None = None
    private_key: Path | None = None
    trusted: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later; the peer's certificate and host name are always checked.

        Raises:
            ConfigurationError: a file is missing or is not what it should be.
        """
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.trusted)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:  # ssl.SSLError is one
            files = f"{self.certificate}, {self.private_key}, {self.trusted}"
            raise ConfigurationError(f"the TLS files of a destination cannot be used ({files}): {error}") from error
        return context


@dataclass(frozen=True, slots=True)
class DimsePeer:
    """A DICOM application to call. `timeout_s` bounds each step: connecting, negotiating, one answer."""

    host: str
    port: int
    called_ae: str
    calling_ae: str = "PTX"
    timeout_s: float = 30.0
    tls: TlsClient | None = None

    def __str__(self) -> str:
        return f"{self.called_ae}@{self.host}:{self.port}"


class Checkpoint(threading.Event):
    """Stands in for the event at which pynetdicom 3.0 halts its own thread while we wait for an answer.

    Its thread announces that it halts before it does, so that now and then it still takes the answer from under us; the
    instance then seems unanswered until the time-out. Here `clear` returns when that thread stands at `wait`.
    """

    LONGEST_S = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._standing = threading.Event()
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        """Halt until `set`."""
        if self.is_set():
            return True
        self._standing.set()
        return super().wait(timeout)

    def set(self) -> None:
        """Let the thread run."""
        self._standing.clear()
        super().set()

    def clear(self) -> None:
        """Return when the thread stands, or when it has long ended."""
        super().clear()
        self._standing.wait(self.LONGEST_S)


@contextmanager
def association(
    peer: DimsePeer, contexts: Sequence[Any], handlers: Sequence[tuple[Any, Any]] = (), roles: Sequence[Any] = ()
) -> Iterator[Any]:
    """An established association (pynetdicom), released at the end of the block.

    Args:
        peer: whom to call.
        contexts: presentation contexts to propose.
        handlers: pynetdicom event handlers, for what the peer may send us.
        roles: SCP/SCU Role Selection items (PS3.7 D.3.3.4), where the peer is to send on this association.

    Raises:
        DestinationUnavailableError: no connection, no answer, rejected, or aborted during negotiation.
        DestinationRefusedError: the peer accepts none of the contexts.
        ConfigurationError: the TLS files cannot be used.
    """
    ae = AE(peer.calling_ae)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_s
    assoc = ae.associate(
        peer.host,
        peer.port,
        contexts=list(contexts),
        ae_title=peer.called_ae,
        max_pdu=MAX_PDU_BYTES,
        ext_neg=list(roles),
        evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once), *handlers],
        tls_args=(peer.tls.context(), peer.host) if peer.tls else None,
    )
    if not assoc.is_established:
        if assoc.rejected_contexts and not assoc.accepted_contexts:
            offered = ", ".join(sorted({context.abstract_syntax.name for context in contexts}))
            raise DestinationRefusedError(f"{peer} accepts none of what was proposed: {offered}")
        raise DestinationUnavailableError(f"{peer} {_why(assoc)}")
    assoc._reactor_checkpoint = Checkpoint()  # noqa: SLF001 - see there
    try:
        yield assoc
    finally:
        _end(assoc)


def _end(assoc: Any) -> None:
    """Release, unless the peer has aborted: the library may not have looked at that yet, and would wait for an answer in vain."""
    if assoc.is_established and not assoc.acse.is_aborted():
        assoc.release()


def _send_at_once(event: Any) -> None:
    """Without this, Nagle's algorithm and delayed acknowledgements may cost 40 ms an instance."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why(assoc: Any) -> str:
    if assoc.is_rejected:
        answer = assoc.acceptor.primitive
        return f"rejected the association: {answer.result_str}, {answer.reason_str}. Check the AE titles on both sides"
    return "does not answer, or ended the connection. Check host, port and TLS on both sides"
