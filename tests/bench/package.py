"""The whole `ptx export` of so many studies: cases, figures, report, audit rows, scan and manifests; processor time and the most memory.

    python -m tests.bench.package [--studies 100000]

Rows as of `tests.bench.export`, on SQLite, with five audit rows a study. The export is a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import Engine

from ptx_node.db import audit, schema
from ptx_node.db.session import open_engine
from ptx_node.domain.audit import AuditKind, Event
from ptx_node.settings import load
from ptx_node.validation.package import Request
from ptx_node.wiring.export import run_export
from tests.bench.export import FIRST_DAY, MOST_MB, MOST_SECONDS, PERIOD, SECRET, fill

SOME = 2000
MODEL = {"manufacturer": "m", "name": "ptx-cxr", "version": "1.0", "weights_sha256": "ab" * 32, "device_uid": "2.25.1"}


def main() -> int:
    """Print the table; 1 when a bound is missed."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--studies", type=int, default=100_000)
    words.add_argument("--export", metavar="FOLDER", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.export:
        return export(Path(given.export))
    with tempfile.TemporaryDirectory(prefix="ptx-bench-") as name:
        folder = Path(name)
        (folder / "ptx.toml").write_text(f'[database]\nurl = "sqlite:///{folder / "ptx.db"}"\n')
        engine = open_engine(f"sqlite:///{folder / 'ptx.db'}")
        schema.upgrade(engine)
        fill(engine, given.studies)
        write_trail(engine, given.studies)
        engine.dispose()
        environment = {**os.environ, "PTX_EXPORT__SECRET": SECRET}
        command = [sys.executable, "-m", "tests.bench.package", "--export", name]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.splitlines()[-1])
    table = RichTable(title=f"ptx export of {given.studies} studies, SQLite", title_justify="left")
    cells = {
        "rows": "rows",
        "counted": "counted",
        "processor": "processor, s",
        "wall": "wall, s",
        "memory": "most memory, MB",
        "size": "package, MB",
    }
    for column in cells.values():
        table.add_column(column, justify="right")
    table.add_row(*(f"{told[one]:.1f}" if isinstance(told[one], float) else str(told[one]) for one in cells))
    Console(width=140).print(table)
    kept = told["processor"] <= MOST_SECONDS and told["memory"] <= MOST_MB
    print(f"bounds: {MOST_SECONDS:.0f} s of one processor, {MOST_MB:.0f} MB: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


def export(folder: Path) -> int:
    """One export in this process; what it took goes to standard output as JSON."""
    wall, processor = time.perf_counter(), time.process_time()
    request = Request(FIRST_DAY, PERIOD.until, "bench", "UTC")
    made = run_export(load(folder / "ptx.toml"), request, folder / "package", actor="user bench")
    told = {
        "rows": made.cases,
        "counted": made.counted,
        "processor": time.process_time() - processor,
        "wall": time.perf_counter() - wall,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "size": sum(path.stat().st_size for path in (folder / "package").rglob("*") if path.is_file()) / 1e6,
    }
    print(json.dumps(told))
    return 0


def write_trail(engine: Engine, studies: int) -> None:
    """A receipt, an inference and three deliveries a study, in the order of time."""
    begin = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    for first in range(0, studies, SOME):
        events = [event for number in range(first, min(first + SOME, studies)) for event in _events(number)]
        moment = begin + timedelta(days=365 * first / studies)
        with engine.execution_options(ptx_write=True).begin() as connection, patch("ptx_node.db.audit.datetime") as clock:
            clock.now.return_value = moment
            audit.append(connection, events)


def _events(number: int) -> list[Event]:
    uids = {"sop_instance_uid": f"1.8.{number}", "study_instance_uid": f"1.9.{number}"}
    said = {"outcome": "positive", "probability": 0.5, "threshold": 0.4, "model": MODEL, "settings_sha256": "cd" * 32, "recorded": True}
    delivered = [{"step": step, "status": "0x0000", "state": "committed"} for step in ("answered", "proof", "answered")]
    return [
        Event(AuditKind.RECEIPT, "peer CT1@10.0.0.1", {"outcome": "stored", **uids}),
        Event(AuditKind.INFERENCE, "node", {**uids, **said}),
        *(Event(AuditKind.DELIVERY, "node", {**uids, **one}) for one in delivered),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
