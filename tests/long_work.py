"""Work for another process, as the dashboard's figures are: slow, failing, killed. It imports little, so that the process starts soon."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from ptx_node.errors import PtxError


def slow(seconds: float, _folder: str) -> str:
    """Take so long."""
    time.sleep(seconds)
    return "done"


def left_in(folder: str) -> str:
    """Leave rows behind."""
    (Path(folder) / "cases.csv").write_text("rows of patients")
    return folder


def killed(_folder: str) -> None:
    """Die as for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def wrong(_folder: str) -> None:
    """Fail in words."""
    raise PtxError("said in words")


def faulty(patient: str, _folder: str) -> None:
    """Fail as nobody foresaw."""
    raise ValueError(f"of {patient}")
