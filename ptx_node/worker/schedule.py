"""The sweeper: looks at the rows and rings for all that is due. Any number may run; none is needed for correctness of rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import exists, select

from ptx_node.db import jobs
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Instance
from ptx_node.errors import DatabaseUnavailableError
from ptx_node.log import get

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Engine

log = get(__name__)


def sweep(engine: Engine, ring: Callable[..., None], *, due: Callable[[], Iterable[str]], duties: Sequence[Callable[[], object]]) -> None:
    """One look: free lost leases, do the periodic duties (due collections, commitment reports), ring for what waits.

    `due` names the destinations that have something to send or to prove now.
    """
    moment = now()
    with begin_write(engine) as session:
        queued, given_up = jobs.reap(session, now=moment)
    if queued or given_up:
        log.warning("workers were lost", jobs_queued_again=queued, jobs_quarantined=given_up)
    for duty in duties:
        duty()
    with begin_read(engine) as session:
        unrouted = session.scalar(select(exists().where(Instance.routed_at.is_(None))))
        waiting = jobs.waiting(session, now=moment)
    if unrouted:
        ring("ptx.enqueue")
    if waiting:
        ring("ptx.infer")
    for name in due():
        ring("ptx.deliver", name)
        ring("ptx.prove", name)


def run(stop: threading.Event, look: Callable[[], None], *, interval_s: float) -> None:
    """Look every `interval_s` seconds until `stop`; a database that is away delays, and never ends, the sweeping."""
    while not stop.is_set():
        begun = time.monotonic()
        try:
            look()
        except DatabaseUnavailableError as error:
            log.warning("the database is away; looking again", error=str(error))
        except Exception:
            log.exception("a sweep failed; looking again")
        stop.wait(max(0.05, interval_s - (time.monotonic() - begun)))
