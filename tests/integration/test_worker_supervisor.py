"""The processes of a node end with it, however it ends, so that the next one finds its ports free."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from ptx_node.simulator.processes import wait_until

PARENT = """
import sys, threading
from pathlib import Path
from ptx_node.worker.supervisor import Child, supervise
child = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], {}, Path(sys.argv[1]) / "log")
threading.Timer(0.5, lambda: (Path(sys.argv[1]) / "pid").write_text(str(child.process.pid))).start()
supervise([child], threading.Event())
"""


def test_the_roles_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path])
    note = tmp_path / "pid"
    wait_until(lambda: note.is_file() and note.read_text() != "", what="the child to be started")
    child = psutil.Process(int(note.read_text()))
    assert child.is_running()
    parent.kill()
    parent.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the child to end")
