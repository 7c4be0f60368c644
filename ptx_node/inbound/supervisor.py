"""The receiver as a site runs it: a parent that binds the port, and forked processes that share it.

The parent stays small: no thread, no database, so that forking is safe. A child that dies is replaced. SIGTERM or
SIGINT to the parent, or its death, ends the children in good order: they watch a pipe from it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import threading
import time
from typing import TYPE_CHECKING

from ptx_node import log
from ptx_node.inbound.negotiation import supported_contexts
from ptx_node.inbound.storage_scp import StorageScp, listen, terms_of
from ptx_node.inbound.tls import tls_context

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from ptx_node.inbound.association import CommitmentScp
    from ptx_node.pipeline.receive import Receiver
    from ptx_node.settings import DicomSettings

logger = log.get(__name__)

RESTART_DELAY_S = 1.0
DRAIN_S = 30.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    dicom: DicomSettings,
    build: Callable[[], tuple[Receiver, CommitmentScp]],
    *,
    ready: Callable[[int], None] = lambda _port: None,
    drain_s: float = DRAIN_S,
) -> int:
    """Receive until SIGTERM or SIGINT; returns an exit code. To be called in the main thread of a process of its own.

    Args:
        dicom: port 0 chooses a free one.
        build: makes a process's own receiver, database engine included; called after the fork.
        ready: called in the parent with the port, once it is bound and the children are started.
        drain_s: how long instances on their way may take to finish.

    Raises:
        OSError: the port cannot be bound.
        ConfigurationError: a certificate cannot be used.
    """
    supported_contexts()
    tls_context(dicom.tls)  # a wrong certificate is reported before anything starts
    listener = listen(dicom.host, dicom.port)
    port = int(listener.getsockname()[1])
    return _Parent(dicom, build, listener, drain_s).run(lambda: ready(port))


class _Parent:
    """Starts, replaces and ends the children."""

    def __init__(
        self, dicom: DicomSettings, build: Callable[[], tuple[Receiver, CommitmentScp]], listener: socket.socket, drain_s: float
    ) -> None:
        self._dicom = dicom
        self._build = build
        self._listener = listener
        self._drain_s = drain_s
        self._children: dict[int, float] = {}
        self._wake_read, self._wake_write = os.pipe()
        self._life_read, self._life_write = os.pipe()
        self._stopping = False

    def run(self, ready: Callable[[], None]) -> int:
        before = {number: signal.signal(number, self._on_signal) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        try:
            gc.collect()
            gc.freeze()  # what is loaded stays shared between the processes
            for _ in range(self._dicom.processes):
                self._fork()
            ready()
            self._watch()
            return self._end()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._listener.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            self._stopping = True
        os.write(self._wake_write, b"!")

    def _fork(self) -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(self._child())
        self._children[pid] = time.monotonic()
        logger.info("receiver process started", pid=pid)

    def _child(self) -> int:
        """The life of a child. Nothing of the parent's stack runs after it."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the pipe says when to end; a terminal or systemd signals everybody
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in (self._wake_read, self._wake_write, self._life_write):
            os.close(fd)
        try:
            receiver, commitment = self._build()
            scp = StorageScp(self._listener, terms_of(self._dicom), receiver, commitment, tls=tls_context(self._dicom.tls))
            threading.Thread(target=_stop_at_end_of, args=(self._life_read, scp), name="parent watch", daemon=True).start()
            scp.serve(drain_s=self._drain_s)
        except Exception:  # the process's last line: the parent replaces it
            logger.exception("receiver process failed")
            return 1
        return 0

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping:
                selector.select()
                os.read(self._wake_read, 4096)
                self._replace()

    def _replace(self) -> None:
        """Start a child for each that died; one that died young waits a moment first."""
        for age_s in self._reap():
            if age_s < RESTART_DELAY_S:
                time.sleep(RESTART_DELAY_S)
            if not self._stopping:
                self._fork()

    def _reap(self) -> list[float]:
        """Collect children that ended; returns how long each had lived."""
        ages = []
        for pid, started in list(self._children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._children[pid]
                ages.append(time.monotonic() - started)
                if not self._stopping:
                    logger.error("receiver process died, another takes its place", pid=pid, status=os.waitstatus_to_exitcode(status))
        return ages

    def _end(self) -> int:
        """Tell the children to end, and kill those that do not."""
        os.close(self._life_write)
        with contextlib.suppress(OSError):
            self._listener.shutdown(2)
        end = time.monotonic() + self._drain_s + 5
        while self._children and time.monotonic() < end:
            self._reap()
            time.sleep(0.01)
        for pid in self._children:
            logger.error("receiver process did not end in time and is killed", pid=pid)
            os.kill(pid, signal.SIGKILL)
        return 0


def _stop_at_end_of(pipe: int, scp: StorageScp) -> None:
    os.read(pipe, 1)
    scp.stop()
