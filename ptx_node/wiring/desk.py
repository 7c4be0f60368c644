"""What the dashboard's pages for those who run the node are given, from the settings."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ptx_node.dashboard.desk import Desk, DestinationFacts, RuleBook
from ptx_node.errors import PtxError
from ptx_node.outbound import certificates
from ptx_node.settings import DicomwebDestination, DimseDestination, TlsFiles
from ptx_node.wiring.export_folder import exports_folder
from ptx_node.wiring.models import describe_models, known_models, site_of_rules
from ptx_node.wiring.node import load_rules, make_destination, make_tls, open_store, tls_paths

if TYPE_CHECKING:
    from datetime import datetime

    from ptx_node.settings import Destination, Settings

LONGEST_STEP_S = 5.0
"""A person waits for the test of a destination: each step of it may take so long at most."""
HTTPS_PORT = 443
CARD = "docs/README.md"
LONGEST_CARD = 100_000


def make_desk(settings: Settings) -> Desk:
    """Rules, destinations, models and exports for the pages."""
    return Desk(
        rule_book=_rule_book(settings),
        destinations={one.name: destination_facts(one, settings) for one in settings.destinations},
        models=partial(cards, settings),
        exports=exports_folder(settings),
    )


def cards(settings: Settings) -> list[dict[str, Any]]:
    """The models as `ptx models` lists them, hashed now, each with its card; "" where it has none."""
    return [row | {"card": _card(Path(row["folder"]))} for row in describe_models(settings)]


def _card(bundle: Path) -> str:
    try:
        return (bundle / CARD).read_text(encoding="utf-8", errors="replace")[:LONGEST_CARD]
    except OSError:
        return ""


def _rule_book(settings: Settings) -> RuleBook:
    models = known_models(settings)
    return RuleBook(
        load_rules(settings),
        _rules_text(settings),
        site_of_rules(settings, models.requirements.keys()),
        models.requirements,
        models.device_uids,
        open_store(settings).path,
    )


def destination_facts(one: Destination, settings: Settings) -> DestinationFacts:
    """What the page Destinations tells of one, and how it tests it."""
    match one:
        case DimseDestination():
            address = f"{one.called_ae}@{one.host}:{one.port}"
        case DicomwebDestination():
            address = one.url
        case _:
            address = str(settings.home / one.folder)
    return DestinationFacts(
        one.type,
        address,
        tuple(str(kind) for kind in one.kinds),
        one.retry.deadline_s,
        partial(_echo, one, settings),
        partial(_certificates, one, settings),
        partial(_peer_ends, one, settings),
    )


def _echo(one: Destination, settings: Settings) -> str:
    """C-ECHO, a query, or a file: as a delivery would reach it, in seconds."""
    quick = one if one.type == "folder" else one.model_copy(update={"timeout_s": min(one.timeout_s, LONGEST_STEP_S)})
    return make_destination(quick, settings).echo()


def _certificates(one: Destination, settings: Settings) -> dict[str, datetime | str]:
    """Our certificate for it and whom we trust, from the files."""
    files = getattr(one, "tls", None)
    files = tls_paths(files, settings) if files is not None else TlsFiles()
    found: dict[str, datetime | str] = {}
    for word, path in (("ours", files.certificate), ("whom we trust", files.trusted)):
        if path is None:
            continue
        try:
            found[word] = certificates.file_ends(path)
        except PtxError as error:
            found[word] = str(error)
    return found


def _peer_ends(one: Destination, settings: Settings) -> datetime | None:
    """When the certificate ends that it shows us, asked over the line."""
    tls = make_tls(getattr(one, "tls", None), settings)
    if isinstance(one, DimseDestination) and tls is not None:
        host, port = one.host, one.port
    elif isinstance(one, DicomwebDestination) and urlsplit(one.url).scheme == "https":
        parts = urlsplit(one.url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    else:
        return None
    context = tls.context() if tls is not None else ssl.create_default_context()
    return certificates.peer_ends(host, port, context, timeout_s=min(one.timeout_s, LONGEST_STEP_S))


def _rules_text(settings: Settings) -> str:
    """The lines of the configuration file that are rules: nothing else of it is shown to anybody."""
    if settings.config_file is None or not settings.config_file.is_file():
        return ""
    kept, ours = [], False
    for line in settings.config_file.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            ours = line.lstrip("[").startswith(("rules]", "rules."))
        if ours:
            kept.append(line)
    return "\n".join(kept).strip() + "\n" if kept else ""
