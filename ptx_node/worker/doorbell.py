"""Rings the workers. Ringing returns at once, joins with rings of the same moment, and may fail: the sweeper rings again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ptx_node.log import get

if TYPE_CHECKING:
    from celery import Celery

INTERVAL_S = 0.01
"""The first ring is sent at once; those of so long afterwards are one message."""

log = get(__name__)


class Doorbell:
    """Sends wake-up messages from a thread of its own, started at the first ring (and again after a fork)."""

    def __init__(self, app: Celery, *, interval_s: float = INTERVAL_S) -> None:
        self._app = app
        self._interval_s = interval_s
        self._wanted: set[tuple[str, tuple[str, ...]]] = set()
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._failing = False

    def ring(self, task: str, *args: str) -> None:
        """Ask for `task` to be run soon with these ids. Never blocks, never raises."""
        with self._lock:
            self._wanted.add((task, args))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send_all, name="doorbell", daemon=True)
                self._thread.start()
        self._event.set()

    def close(self) -> None:
        """Send what is wanted and stop."""
        self._closed.set()
        self._event.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _send_all(self) -> None:
        while True:
            self._event.wait()
            self._event.clear()
            with self._lock:
                wanted, self._wanted = self._wanted, set()
            for task, args in wanted:
                self._send(task, args)
            if self._closed.is_set():
                return
            self._closed.wait(self._interval_s)

    def _send(self, task: str, args: tuple[Any, ...]) -> None:
        try:
            self._app.send_task(task, args=args, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - the broker may be away in any way; the rows do not depend on it
            if not self._failing:
                log.warning("the broker does not take messages; work goes on when the sweeper reaches it again", error=str(error))
            self._failing = True
        else:
            if self._failing:
                log.info("the broker takes messages again")
            self._failing = False
