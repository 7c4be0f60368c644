"""When certificates end: of files that we show or trust, and of a peer that we call."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from ptx_node.errors import ConfigurationError, DestinationUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def file_ends(path: Path) -> datetime:
    """When the first certificate of a PEM file ends that ends.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} is no certificate that can be read: {error}") from error
    return min(one.not_valid_after_utc for one in found)


def peer_ends(host: str, port: int, context: ssl.SSLContext, *, timeout_s: float) -> datetime:
    """When the certificate ends that a TLS server shows us now; it is checked as for a delivery.

    Raises:
        DestinationUnavailableError: no connection, or a certificate that we do not trust.
    """
    try:
        with socket.create_connection((host, port), timeout_s) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
            shown = tls.getpeercert() or {}
    except OSError as error:  # ssl.SSLError is one
        raise DestinationUnavailableError(f"{host}:{port} shows no certificate that we accept: {error}") from error
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
