"""What monitoring asks, built from the settings: the exporter and the probe of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.dashboard.health import Probe
from ptx_node.errors import PtxError
from ptx_node.wiring.node import broker_url, make_home

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.settings import Settings

PATIENCE_S = 3.0


def make_exporter(settings: Settings, engine: Engine) -> Exporter:
    """The metrics of the site. One process has it: two would each count everything."""
    receivers = tuple(one.name for one in settings.notifications.receivers)
    return Exporter(engine, Watched(_destinations(settings), _disk(settings), settings.store.watermark_bytes, receivers))


def make_probe(settings: Settings, engine: Engine) -> Probe:
    """What readiness looks at."""
    return Probe(engine, _destinations(settings), _disk(settings), settings.store.watermark_bytes, lambda: ask_broker(settings))


def ask_broker(settings: Settings) -> None:
    """Whether Redis answers.

    Raises:
        PtxError: it does not.
    """
    try:
        redis.Redis.from_url(broker_url(settings), socket_connect_timeout=PATIENCE_S, socket_timeout=PATIENCE_S).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise PtxError(f"Redis does not answer: {error}. Work waits in the database until it does") from error


def _destinations(settings: Settings) -> tuple[str, ...]:
    return tuple(one.name for one in settings.destinations)


def _disk(settings: Settings) -> Path:
    """A folder on the disk of the file store, which may not be there before the first instance."""
    make_home(settings)
    return settings.store_folder if settings.store_folder.is_dir() else settings.home
