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
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Engine

INTERVAL_S = 10.0

log = get(__name__)


def process_name(role: str) -> str:
    """The name that this process has in leases and heartbeats: role, host, process id."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def start(engine: Engine, role: str, detail: Callable[[], Mapping[str, Any]] = dict) -> Callable[[], None]:
    """Say every few seconds that this process lives, from a thread; the function returned ends it and takes the sign away.

    `detail` is asked each time for what there is to say, such as how a GPU stands.

    Never in a process that forks: SQLite's locks are counted in the process's memory, and a child that was forked while this
    thread held one would find the database locked for ever.
    """
    stop = threading.Event()
    name, started_at = process_name(role), now()

    def beat() -> None:
        while True:
            try:
                _say(engine, name, role, started_at, dict(detail()))
            except DatabaseUnavailableError as error:
                log.warning("no sign of life could be written", error=str(error))
            except Exception:  # the edge of a thread: a process that works must not be taken for dead
                log.exception("no sign of life could be written")
            if stop.wait(INTERVAL_S):
                break

    def end() -> None:
        stop.set()
        try:
            with begin_write(engine) as session:
                session.execute(delete(Heartbeat).where(Heartbeat.process == name))
        except DatabaseUnavailableError:
            log.debug("the sign of life stays; the database is away")

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    return end


@contextmanager
def beating(engine: Engine, role: str) -> Iterator[None]:
    """Say every few seconds that this process lives while the block runs."""
    end = start(engine, role)
    try:
        yield
    finally:
        end()


def _say(engine: Engine, name: str, role: str, started_at: datetime, detail: dict[str, Any]) -> None:
    with begin_write(engine) as session:
        session.merge(
            Heartbeat(
                process=name, role=role, host=socket.gethostname(), pid=os.getpid(), started_at=started_at, beat_at=now(), detail=detail
            )
        )
