"""What every role builds from the settings: database, store, rules, broker address, destinations."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, assert_never

from ptx_node.db.session import open_engine
from ptx_node.dicom.attributes import known_keywords
from ptx_node.domain.audit import canonical_json, digest
from ptx_node.domain.routing import parse_rules
from ptx_node.errors import ConfigurationError, PtxError
from ptx_node.outbound.association import DimsePeer, TlsClient
from ptx_node.outbound.dicomweb import DicomwebService
from ptx_node.outbound.folder import Folder
from ptx_node.outbound.storage_scu import Commitment, StorageScu
from ptx_node.outbound.stow_rs import StowRs
from ptx_node.pipeline.deliver import Policy
from ptx_node.pipeline.store import FileStore
from ptx_node.settings import DicomwebDestination, DimseDestination, FolderDestination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.domain.routing import Rule
    from ptx_node.pipeline.deliver import Destination
    from ptx_node.settings import Destination as DestinationSettings
    from ptx_node.settings import Settings, TlsFiles


def open_database(settings: Settings, *, pool_size: int = 5, query_timeout_s: float = 0) -> Engine:
    """The engine of this process; `query_timeout_s` as `open_engine` has it.

    Raises:
        PtxError: the node's home cannot be made.
    """
    make_home(settings)
    return open_engine(settings.database_url, pool_size=pool_size, query_timeout_s=query_timeout_s)


def open_store(settings: Settings) -> FileStore:
    """The file store below the node's home."""
    make_home(settings)
    return FileStore(settings.store_folder, watermark_bytes=settings.store.watermark_bytes)


def make_home(settings: Settings) -> Path:
    """The node's home, made if it is missing; only this user may look into a new one.

    Raises:
        PtxError: it cannot be made.
    """
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PtxError(f"the node's home {settings.home} cannot be made: {error.strerror}. Set node.home to another folder") from error
    return settings.home


def make_logs(settings: Settings) -> Path:
    """The folder where `ptx up` keeps the output of its processes."""
    logs = make_home(settings) / "logs"
    logs.mkdir(exist_ok=True)
    return logs


def process_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process of the same node."""
    config = {"PTX_CONFIG": str(settings.config_file)} if settings.config_file else {}
    return {**os.environ, **config}


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set while the block runs."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settings_sha256(settings: Settings) -> str:
    """What the audit trail calls these settings: SHA-256 of their canonical JSON, every secret as the same stars."""
    return digest(canonical_json(settings.model_dump(mode="json")))


def load_rules(settings: Settings) -> tuple[Rule, ...]:
    """The site's rules.

    Raises:
        ConfigurationError: a rule is wrong; the message names it and the place.
    """
    return parse_rules(settings.rules, known_keywords())


def broker_file(settings: Settings) -> Path:
    """Where `ptx up` notes the address of its embedded Redis, readable by this user only."""
    return settings.home / "broker.url"


def broker_url(settings: Settings) -> str:
    """Address of the broker.

    Raises:
        ConfigurationError: it is the embedded one, and `ptx up` has not started it.
    """
    url = settings.broker.url.get_secret_value()
    if url != "embedded":
        return url
    try:
        return broker_file(settings).read_text(encoding="ascii").strip()
    except OSError:
        raise ConfigurationError("no broker: start the whole node with `ptx up`, or name a Redis in broker.url (redis://…)") from None


def make_destinations(settings: Settings) -> dict[str, tuple[Destination, Policy]]:
    """Every configured destination, with how it is retried."""
    return {one.name: (make_destination(one, settings), _policy(one, settings)) for one in settings.destinations}


def make_destination(one: DestinationSettings, settings: Settings) -> Destination:
    """The adapter of one destination; nothing is connected yet."""
    match one:
        case DimseDestination():
            peer = DimsePeer(one.host, one.port, one.called_ae, one.calling_ae, one.timeout_s, make_tls(one.tls, settings))
            return StorageScu(one.name, peer, Commitment(one.commitment))
        case DicomwebDestination():
            basic = (one.username, one.password.get_secret_value()) if one.username and one.password else None
            token = one.bearer_token.get_secret_value() if one.bearer_token else None
            return StowRs(one.name, DicomwebService(one.url, token, basic, one.timeout_s, make_tls(one.tls, settings), one.verify))
        case FolderDestination():
            return Folder(one.name, settings.home / one.folder)
        case _:
            assert_never(one)


def make_tls(files: TlsFiles | None, settings: Settings) -> TlsClient | None:
    """Our side of TLS to a peer; None: plain TCP, or the system's authorities for HTTPS."""
    return None if files is None else TlsClient(**dict(tls_paths(files, settings)))


def tls_paths(files: TlsFiles, settings: Settings) -> TlsFiles:
    """The same files by absolute paths: relative ones are relative to the configuration file."""
    base = settings.config_file.parent if settings.config_file else settings.home
    return files.model_copy(update={name: base / path for name, path in files if path is not None})


def _policy(one: DestinationSettings, settings: Settings) -> Policy:
    return Policy(
        first_delay_s=one.retry.first_delay_s,
        max_delay_s=one.retry.max_delay_s,
        lease_s=min(settings.worker.lease_s, 60.0),
        commitment_timeout_s=one.commitment_timeout_s if isinstance(one, DimseDestination) else 0.0,
    )
