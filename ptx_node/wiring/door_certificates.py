"""The certificates of the open doors, looked at before peers do: what they would refuse is said at the start, and by `ptx doctor`.

A certificate that cannot be used stops the start. One that has expired, or has another name, is said and served: many a modality
checks neither, and its images must not wait for somebody to renew a certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ptx_node.inbound.tls import shown
from ptx_node.log import get
from ptx_node.wiring.node import tls_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ptx_node.inbound.tls import Shown
    from ptx_node.settings import Settings

log = get(__name__)

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def doors_with_tls(settings: Settings) -> Iterator[tuple[str, str]]:
    """Open doors that have a certificate, each with the name that its peers call it by; "" where the settings do not say one."""
    address = urlsplit(settings.dashboard.base_url).hostname or ""
    for name in ("dicom", "stow", "hl7", "fhir", "dashboard"):
        door = getattr(settings, name)
        if getattr(door, "enabled", True) and door.tls.certificate is not None:
            own = "" if door.host in EVERYWHERE else door.host
            yield name, address or own if name == "dashboard" else own or address


def certificate_shown(settings: Settings, door: str, name: str = "") -> Shown:
    """What peers see that call a door by this name; without one, the certificate's times alone.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    return shown(tls_paths(getattr(settings, door).tls, settings), name)


def refused_certificates(settings: Settings) -> list[str]:
    """A sentence for each open door whose certificate its peers would refuse.

    Raises:
        ConfigurationError: one cannot be used at all.
    """
    return [told for door, name in doors_with_tls(settings) if (told := _refused(settings, door, name))]


def warn_of_certificate(settings: Settings, door: str) -> None:
    """Log what peers would refuse of one door's certificate. Errors as of `refused_certificates`."""
    for one, name in doors_with_tls(settings):
        told = _refused(settings, one, name) if one == door else ""
        if told:
            log.warning(told)


def _refused(settings: Settings, door: str, name: str) -> str:
    refusal = certificate_shown(settings, door).refusal or certificate_shown(settings, door, name).refusal
    certificate = tls_paths(getattr(settings, door).tls, settings).certificate
    return f"{door}: peers that check the certificate {certificate} refuse it: {refusal}" if refusal else ""
