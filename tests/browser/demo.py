"""The demonstration as a newcomer runs it: `ptx demo` in a terminal, what it prints there, the PACS that it starts, its end by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pydicom
from playwright.sync_api import Browser

from ptx_node.settings import Settings, load
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import port_answers, running, wait_until
from tests.browser.conftest import Watched

NAME, PASSWORD = "anna", "a simulated hospital"
DONE = "running until Ctrl-C"
PATIENCE_S = 240.0
ENDING_S = 60.0


@dataclass
class Demonstration:
    """A running `ptx demo` whose day is over.

    Attributes:
        home: its folder, of which a test reads what the modality and the PACS were given.
        printed: what its terminal shows.
        signed_in: the cookies of its first administrator.
    """

    process: subprocess.Popen[bytes]
    home: Path
    printed: str
    signed_in: Any = None
    exit_code: int | None = None
    left: list[str] = field(default_factory=list)

    @cached_property
    def link(self) -> str:
        """The one-time link of the first administrator."""
        (found,) = re.findall(r"its first administrator, once and within a day: (\S+)", self.printed)
        return str(found)

    @cached_property
    def url(self) -> str:
        """The dashboard's address."""
        (found,) = re.findall(r"^dashboard: (\S+)$", self.printed, re.MULTILINE)
        return str(found)

    @cached_property
    def settings(self) -> Settings:
        """Those that the demonstration has written for its node."""
        return load(self.home / "ptx.toml")

    @cached_property
    def archive(self) -> dict[str, Any]:
        """The configuration of its PACS."""
        known: dict[str, Any] = json.loads((self.home / "pacs" / "orthanc.json").read_text(encoding="utf-8"))
        return known

    @property
    def pacs_url(self) -> str:
        """Root of its PACS's REST interface."""
        return f"http://127.0.0.1:{self.archive['HttpPort']}"

    def sent(self, number: str) -> pydicom.Dataset:
        """The header of the first image of a study, as the modality has sent it; `number` is its folder's."""
        first = min((self.home / "modality" / number).rglob("*.dcm"))
        return pydicom.dcmread(first, stop_before_pixels=True)

    def in_pacs(self, **query: str) -> list[dict[str, Any]]:
        """What its PACS finds of instances by these tags."""
        wanted = {"Level": "Instance", "Expand": True, "Query": query}
        found: list[dict[str, Any]] = httpx.post(f"{self.pacs_url}/tools/find", json=wanted, timeout=30).raise_for_status().json()
        return found

    def result(self, folder: Path, **query: str) -> Path:
        """The one result in the PACS that this query finds, fetched from it into `folder`."""
        (found,) = self.in_pacs(**query)
        made = folder / f"{found['ID']}.dcm"
        made.write_bytes(httpx.get(f"{self.pacs_url}/instances/{found['ID']}/file", timeout=30).raise_for_status().content)
        return made

    def stop_pacs(self) -> None:
        """End the PACS that the demonstration has started, as a machine is switched off."""
        (orthanc,) = (
            one for one in psutil.Process(self.process.pid).children() if str(self.home / "pacs" / "orthanc.json") in one.cmdline()
        )
        orthanc.kill()
        wait_until(lambda: not port_answers(self.archive["DicomPort"]), what="the PACS to be gone")

    def pacs_again(self, **extra: Any) -> AbstractContextManager[Pacs]:
        """The PACS on its own disk and its own ports, with these settings besides."""
        modalities = {name: (peer[0], peer[1], peer[2]) for name, peer in self.archive["DicomModalities"].items()}
        ports = (self.archive["DicomPort"], self.archive["HttpPort"])
        return running_pacs(self.home / "pacs", ports=ports, modalities=modalities, extra=extra)

    def processes(self) -> list[psutil.Process]:
        """Everything that it has started, and what that has."""
        started: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return started

    def interrupt(self) -> None:
        """Ctrl-C, which a terminal sends to its whole group of processes; notes how it ended and what still lives."""
        if self.process.poll() is not None:
            return
        started = self.processes()
        os.killpg(self.process.pid, signal.SIGINT)
        self.exit_code = self.process.wait(ENDING_S)
        _, alive = psutil.wait_procs(started, timeout=5)
        self.left = [str(one) for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    @contextmanager
    def window(self, browser: Browser, *, signed_in: bool = True, **context: Any) -> Iterator[Watched]:
        """A window, by default of the first administrator: at its end nothing was written to its console, and nobody else was asked."""
        cookies = {"storage_state": self.signed_in} if signed_in else {}
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **cookies, **context})
        watched = Watched(made.new_page())
        yield watched
        assert watched.errors == []
        assert watched.hosts == {urlsplit(self.url).netloc}
        made.close()


@contextmanager
def demonstration(folder: Path) -> Iterator[Demonstration]:
    """`ptx demo`, waited for until its day is over, and ended as a person does."""
    terminal, home = folder / "terminal", folder / "home"
    # A session of its own, as a terminal has, so that Ctrl-C goes to all of it and to nobody else.
    command: list[str | Path] = ["setsid", sys.executable, "-m", "ptx_node", "demo", "--home", home]
    with running(
        command, log=terminal, ready=lambda: DONE in terminal.read_text(encoding="utf-8"), timeout_s=PATIENCE_S, end_timeout_s=ENDING_S
    ) as process:
        shown = Demonstration(process, home, terminal.read_text(encoding="utf-8"))
        try:
            yield shown
        finally:
            shown.interrupt()
