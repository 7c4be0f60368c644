"""What the audit trail costs the receiver's commits, beside the same commits without it, in one run.

    python -m tests.bench.audit [--rows 300] [--rounds 3] [--postgresql postgresql+psycopg://…]

Rows go through the receiver's `Ledger` as instances do, without their files: one association in one process, four in one,
and two processes of two. Turns alternate. Only the ratios mean something on another machine; of a whole reception (reading,
writing and syncing the file) the commit is a part, so there the ratio is nearer to 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table as RichTable

from ptx_node.db import audit
from ptx_node.db.session import begin_read, now, open_engine
from ptx_node.db.tables import Table
from ptx_node.pipeline.ledger import Ledger

CASES = {"1 association": (1, 1), "4 associations": (1, 4), "2 processes x 2": (2, 2)}
WITHOUT = "ptx_node.pipeline.ledger.audit.append"


def row() -> dict[str, Any]:
    uid = f"2.25.{uuid.uuid4().int}"
    return {
        "sop_instance_uid": uid,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "series_instance_uid": uid[:50] + ".1",
        "study_instance_uid": uid[:50] + ".2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "modality": "CT",
        "patient_id": "BENCH",
        "issuer_of_patient_id": "",
        "accession_number": "1",
        "path": f"instances/000/{uid}.dcm",
        "size_bytes": 524_288,
        "sha256": "0" * 64,
        "uid_problem": None,
        "via": "dimse",
        "source": "bench",
        "calling_ae": "BENCH",
        "called_ae": "PTX",
        "peer_address": "127.0.0.1",
        "received_at": now(),
    }


def receive(url: str, associations: int, rows: int, audited: bool, told: Any) -> None:
    """One receiver process: seconds on the wall and of CPU from the first commit to the last go into `told`."""
    engine = open_engine(url)
    ledger = Ledger(engine, lambda: None)
    ledger.record(row())
    lines = [[row() for _ in range(rows)] for _ in range(associations)]

    def send(mine: list[dict[str, Any]]) -> None:
        for one in mine:
            ledger.record(one)

    def run() -> None:
        threads = [threading.Thread(target=send, args=(mine,)) for mine in lines]
        wall, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told.put((time.perf_counter() - wall, time.process_time() - cpu))

    if audited:
        run()
    else:
        with patch(WITHOUT):
            run()
    engine.dispose()


def measure(url: str, case: str, rows: int, *, audited: bool) -> tuple[float, float]:
    """(wall, CPU) milliseconds an instance."""
    processes, associations = CASES[case]
    fresh = multiprocessing.get_context("spawn")
    told = fresh.Queue()
    children = [fresh.Process(target=receive, args=(url, associations, rows, audited, told)) for _ in range(processes)]
    for child in children:
        child.start()
    spent = [told.get(timeout=300) for _ in children]
    for child in children:
        child.join()
    instances = processes * associations * rows
    return 1000 * max(wall for wall, _ in spent) / instances, 1000 * sum(cpu for _, cpu in spent) / instances


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=300, help="instances an association")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--postgresql", help="address of an empty database")
    given = words.parse_args()
    table = RichTable(title="milliseconds an instance (median): wall, CPU of the receiver; without -> with the audit trail")
    for column in ("database", "case", "wall", "ratio", "CPU", "ratio "):
        table.add_column(column)
    with tempfile.TemporaryDirectory(prefix="ptx-bench-") as folder:
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'ptx.db'}"} | ({"PostgreSQL": given.postgresql} if given.postgresql else {})
        for name, url in urls.items():
            engine = open_engine(url)
            Table.metadata.create_all(engine)
            for case in CASES:
                turns = [
                    (measure(url, case, given.rows, audited=False), measure(url, case, given.rows, audited=True))
                    for _ in range(given.rounds)
                ]
                (wall, cpu), (wall_audited, cpu_audited) = (
                    tuple(statistics.median(turn[which][what] for turn in turns) for what in (0, 1)) for which in (0, 1)
                )
                table.add_row(
                    name,
                    case,
                    f"{wall:.2f} -> {wall_audited:.2f}",
                    f"{wall_audited / wall:.2f}",
                    f"{cpu:.2f} -> {cpu_audited:.2f}",
                    f"{cpu_audited / cpu:.2f}",
                )
            with begin_read(engine) as session:
                begun = time.process_time()
                verdict = audit.verify(session)
                assert verdict.broken is None
            print(f"{name}: {verdict.rows} rows verified in {time.process_time() - begun:.2f} s of CPU")
            engine.dispose()
    Console().print(table)


if __name__ == "__main__":
    main()
