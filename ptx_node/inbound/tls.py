"""TLS of the doors: one context for every kind of them, and what a peer that checks certificates would say of ours."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ptx_node.errors import ConfigurationError

if TYPE_CHECKING:
    from ptx_node.settings import TlsFiles

X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED = 9, 10
"""OpenSSL's numbers, x509_vfy.h."""

CAUSES = {"KEY_VALUES_MISMATCH": "the key belongs to another certificate", "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM"}
"""The library's codes for people."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate as a peer sees it.

    Attributes:
        ends_at: None where it is refused.
        refusal: why every peer that checks refuses it; "" where none does.
    """

    ends_at: datetime | None = None
    refusal: str = ""


def tls_context(files: TlsFiles) -> ssl.SSLContext | None:
    """TLS 1.2 or later (PS3.15 B.12, BCP 195); client certificates are required when `trusted` is given. None without a certificate.

    Raises:
        ConfigurationError: a file cannot be read or is not what it should be; the message names it.
    """
    if files.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.private_key, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        with_key = f" with the private key {files.private_key}" if files.private_key else ", which must hold its private key too,"
        raise ConfigurationError(f"the certificate {files.certificate}{with_key} cannot be used: {_cause(error)}") from error
    if files.trusted is not None:
        try:
            context.load_verify_locations(files.trusted)
        except OSError as error:
            raise ConfigurationError(f"the certificates of clients cannot be checked by {files.trusted}: {_cause(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def shown(files: TlsFiles, name: str = "") -> Shown:
    """What a peer sees that calls us by this name or address; without one, the certificate's times alone.

    The peer is one of our own, in memory: it trusts this certificate, so that times and names are all that it can refuse.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    server = tls_context(files)
    if server is None:
        return Shown()
    server.verify_mode = ssl.CERT_NONE
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = bool(name)
    client.load_verify_locations(files.certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the first certificate of the file, whoever issued it
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = client.wrap_bio(back, there, server_hostname=name or None)
    door = server.wrap_bio(there, back, server_side=True)
    try:
        for one in (peer, door, peer):
            try:
                one.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return Shown(refusal=_refusal(error, name))
    told = peer.getpeercert() or {}
    return Shown(datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), UTC))


def _refusal(error: ssl.SSLCertVerificationError, name: str) -> str:
    if error.verify_code == X509_V_ERR_CERT_HAS_EXPIRED:
        return "it has expired"
    if error.verify_code == X509_V_ERR_CERT_NOT_YET_VALID:
        return "it is not valid yet: look at its first day, and at this machine's clock"
    return f"it is not for {name}" if name else error.verify_message


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return CAUSES.get(error.reason or "", "it is not in PEM, or damaged")
    return error.strerror or str(error)


def _no_password() -> str:
    raise PermissionError(0, "the private key has a password, which nobody types when the node starts: give it without one, mode 0600")
