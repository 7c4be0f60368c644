"""Keeps the processes of `ptx up` alive: starts them, starts a dead one again, ends them in order."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptx_node.log import get

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 15.0
STEADY_S = 30.0

log = get(__name__)

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """In the child, before its program starts: SIGTERM when the supervisor dies, however it dies (prctl(2))."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def role_command(*words: str) -> list[str]:
    """The command that runs one role of the node with this interpreter."""
    return [sys.executable, "-m", "ptx_node", *words]


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay_s: float = FIRST_DELAY_S
    not_before: float = field(default=0.0)

    def start(self) -> None:
        """Start it, its output appended to its log file."""
        with self.log_file.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                list(self.command),
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl, and no threads here
            )
        self.started = time.monotonic()

    def look(self) -> None:
        """Start a dead process again, later each time while it keeps dying."""
        if self.process is not None and self.process.poll() is None:
            return
        moment = time.monotonic()
        if self.process is not None:
            self.delay_s = FIRST_DELAY_S if moment - self.started > STEADY_S else min(self.delay_s * 2, LONGEST_DELAY_S)
            log.warning("process ended; starting it again", role=self.name, exit_code=self.process.returncode, delay_s=self.delay_s)
            self.process, self.not_before = None, moment + self.delay_s
        if moment >= self.not_before:
            self.start()


def supervise(children: Sequence[Child], stop: threading.Event, *, interval_s: float = 0.1) -> None:
    """Keep all children running until `stop`, then end them, the last started first."""
    try:
        while not stop.is_set():
            for child in children:
                child.look()
            stop.wait(interval_s)
    finally:
        end(children)


def end(children: Sequence[Child], *, timeout_s: float = 15.0) -> None:
    """Terminate, and after `timeout_s` kill: leases and rows make either safe."""
    for child in reversed(children):
        if child.process is not None and child.process.poll() is None:
            child.process.terminate()
    limit = time.monotonic() + timeout_s
    for child in reversed(children):
        if child.process is None:
            continue
        try:
            child.process.wait(max(0.1, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
