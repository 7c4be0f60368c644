"""Signs of life of the node's processes: silence in this table is how an operator notices a lost one."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import Heartbeat
from ptx_node.errors import DatabaseUnavailableError
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Engine

INTERVAL_S = 10.0

log = get(__name__)


def process_name(role: str) -> str:
    """The name that this process has in leases and heartbeats: role, host, process id."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def start(engine: Engine, role: str, detail: Mapping[str, Any] | None = None) -> threading.Event:
    """Say every few seconds that this process lives, from a thread that ends with it or when the event is set."""
    stop = threading.Event()
    name, started_at = process_name(role), now()

    def beat() -> None:
        while True:
            _say(engine, name, role, started_at, dict(detail or {}))
            if stop.wait(INTERVAL_S):
                break

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    return stop


@contextmanager
def beating(engine: Engine, role: str, detail: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Say every few seconds that this process lives while the block runs; take the sign away at its end."""
    stop = start(engine, role, detail)
    try:
        yield
    finally:
        stop.set()
        try:
            with begin_write(engine) as session:
                session.execute(delete(Heartbeat).where(Heartbeat.process == process_name(role)))
        except DatabaseUnavailableError:
            log.debug("the sign of life stays; the database is away")


def _say(engine: Engine, name: str, role: str, started_at: datetime, detail: dict[str, Any]) -> None:
    try:
        with begin_write(engine) as session:
            session.merge(
                Heartbeat(
                    process=name, role=role, host=socket.gethostname(), pid=os.getpid(), started_at=started_at, beat_at=now(), detail=detail
                )
            )
    except DatabaseUnavailableError as error:
        log.warning("no sign of life could be written", error=str(error))
