"""What one process remembers while people look at pictures: whose look is noted already, and how many pictures are being made."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Request

from ptx_node.db import audit
from ptx_node.db.session import begin_write
from ptx_node.domain.audit_events import looked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ptx_node.dashboard.parts import Parts
    from ptx_node.domain.access import Who

AT_ONCE = 2
PATIENCE_S = 20.0
ONE_LOOK_S = 900.0
REMEMBERED = 10_000


class Viewing:
    """Shared by the requests of a process."""

    def __init__(self) -> None:
        self._making = BoundedSemaphore(AT_ONCE)
        self._looks: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def room(self) -> Iterator[None]:
        """Room for one picture in memory.

        Raises:
            HTTPException: 503, too many are being made and it took too long.
        """
        if not self._making.acquire(timeout=PATIENCE_S):
            raise HTTPException(503, "many pictures are being made at this moment; try again", {"Retry-After": "5"})
        try:
            yield
        finally:
            self._making.release()

    def note(self, parts: Parts, who: Who, study_instance_uid: str) -> None:
        """Note that somebody looks at a study's pictures, once in a quarter of an hour: 300 slices are one look."""
        key, moment = (who.actor, study_instance_uid), time.monotonic()
        with self._lock:
            fresh = moment - self._looks.get(key, -ONE_LOOK_S) < ONE_LOOK_S
        if fresh:
            return
        with begin_write(parts.engine) as session:
            audit.note(session, looked(who.actor, "pictures", [study_instance_uid]))
        with self._lock:  # only now: a look that could not be noted is tried again
            self._looks[key] = moment
            while len(self._looks) > REMEMBERED:
                self._looks.popitem(last=False)


def _viewing(request: Request) -> Viewing:
    viewing: Viewing = request.app.state.viewing
    return viewing


ViewingOf = Annotated[Viewing, Depends(_viewing)]
"""A route's parameter of this type is given what the process remembers."""
