"""Keeps a lease while its work runs, so that only a dead process loses its work to another."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ptx_node.db.session import begin_write
from ptx_node.errors import DatabaseUnavailableError
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

log = get(__name__)


@contextmanager
def renewing(engine: Engine, renew: Callable[[Session], None], *, lease_s: float) -> Iterator[None]:
    """Call `renew` in a transaction of its own, three times in the length of a lease, from a thread, while the block runs."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(lease_s / 3):
            try:
                with begin_write(engine) as session:
                    renew(session)
            except DatabaseUnavailableError as error:
                log.warning("lease not renewed", error=str(error))
            except Exception:  # the edge of a thread: one renewal that fails must not give the work to a second process
                log.exception("lease not renewed")

    thread = threading.Thread(target=run, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
