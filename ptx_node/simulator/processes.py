"""Server programs of the simulated hospital, started for the demo and the tests on free ports and ended by their id."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


PORTS = range(15_000, 32_000)
"""Below those that systems give to connections by themselves (from 32,768 on Linux, else from 49,152), which would be taken meanwhile."""


def free_ports(count: int) -> list[int]:
    """So many TCP ports of the loopback address that nothing listens on now, by chance: others look for some at the same time.

    Raises:
        PtxError: there are not so many.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS) // 4):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise PtxError(f"there are not {count} free ports from {PORTS.start} to {PORTS.stop - 1}")


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    return free_ports(1)[0]


def port_answers(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = 30.0, interval_s: float = 0.02) -> None:
    """Return as soon as `condition()` is true.

    Raises:
        PtxError: it did not become true in time; the message says what was waited for.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise PtxError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(interval_s)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    end_timeout_s: float = 10.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does: started, waited for until `ready()`, then terminated by its id.

    Args:
        command: the program and its arguments.
        log: its output is added to this file.
        ready: whether it can be used.
        env: more of its environment.
        timeout_s: how long it may take until it is ready.
        end_timeout_s: how long it may take to end before it is killed; one with children of its own needs more than they.

    Raises:
        PtxError: the program ended or did not become ready; the message carries the end of its log.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the caller's own program
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
    try:

        def ready_or_dead() -> bool:
            if process.poll() is not None:
                raise PtxError(f"{command[0]} ended with {process.returncode}: {_tail(log)}")
            return ready()

        try:
            wait_until(ready_or_dead, what=f"{command[0]} to become ready", timeout_s=timeout_s)
        except PtxError as error:
            raise PtxError(f"{error}: {_tail(log)}") from error
        yield process
    finally:
        stop(process, timeout_s=end_timeout_s)


def stop(process: subprocess.Popen[bytes], *, timeout_s: float = 10.0) -> None:
    """Terminate a process that we started, and kill it if it does not go."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-800:].strip() if log.is_file() else "no log"
