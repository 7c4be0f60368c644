"""A CT series from the first C-STORE to its finding: is any step worse than linear in the slices, and how much memory does the worker take?

Run by hand: `make bench BENCH=ct`. Series of 75, 150 and 300 slices of 512 x 512; the model's forward time is shown apart.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Heartbeat, Job
from ptx_node.dicom.volume import read_volume
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.modality import all_taken, send_files
from ptx_node.simulator.patient import Size, Wishes
from ptx_node.simulator.processes import wait_until
from ptx_node.simulator.studies import simulate
from tests.bench.site import QUIET_S, Node, running_node

SLICES = (75, 150, 300)
BOUND_GB = 2.5
STEEPEST = 1.25
"""Growth exponent that still counts as linear on a machine whose clock is noisy."""
STEPS = (
    "sent and stored",
    "routed, queued (less the quiet time)",
    "claimed",
    "decoded, prepared, encoded",
    "forward",
    "sent, accepted",
    "read back alone",
)
POSITIVE = Wishes(laterality="right", size=Size.LARGE)


def main() -> int:
    """Print the tables; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="series of each length; medians are shown")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_node(folder) as node, peak_memory(node) as peak:
            one(node, folder, 40, 70_000)
            table = np.array(
                [
                    np.median([one(node, folder, slices, 80_000 + 100 * slices + run) for run in range(arguments.runs)], axis=0)
                    for slices in SLICES
                ]
            )
    return report(table, peak[0])


def one(node: Node, folder: Path, slices: int, seed: int) -> list[float]:
    """Seconds of each step of one series."""
    study = simulate(folder / "modality", seed, site="ct64", protocol=Protocol(slices=slices), wishes=POSITIVE)
    begun = time.time()
    rows = send_files(study.paths, node.peer)
    assert all_taken(rows), rows

    def accepted() -> bool:
        with begin_read(node.engine) as session:
            return session.scalar(select(Job.accepted_at).where(Job.study_instance_uid == study.study_instance_uid)) is not None

    wait_until(accepted, what=f"result of {slices} slices", timeout_s=300, interval_s=0.1)
    with begin_read(node.engine) as session:
        job = session.scalars(select(Job).where(Job.study_instance_uid == study.study_instance_uid)).one()
    forward = job.forward_ms / 1000
    reading = time.perf_counter()
    assert read_volume(study.paths).hu_ZHW.shape[0] == slices
    read_back = time.perf_counter() - reading
    work = (job.encoded_at - job.started_at).total_seconds() - forward
    return [
        job.last_instance_at.timestamp() - begun,
        (job.queued_at - job.last_instance_at).total_seconds() - QUIET_S,
        (job.started_at - job.queued_at).total_seconds(),
        work,
        forward,
        (job.accepted_at - job.encoded_at).total_seconds(),
        read_back,
    ]


@contextmanager
def peak_memory(node: Node) -> Iterator[list[float]]:
    """The most memory (GB, resident) that the inference worker and its children held while the block ran."""
    peak, done = [0.0], threading.Event()
    with begin_read(node.engine) as session:
        pid = session.scalars(select(Heartbeat.pid).where(Heartbeat.role == "worker-infer")).one()

    def watch() -> None:
        parent = psutil.Process(pid).parent()  # the worker's own process, which forked the one that works
        assert parent is not None
        while not done.wait(0.05):
            held = 0
            for process in (parent, *parent.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], held / 1e9)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield peak
    done.set()
    thread.join()


def report(table: np.ndarray, peak_gb: float) -> int:
    view = Table(title="one CT series of 512 x 512 slices, seconds", title_justify="left")
    view.add_column("step")
    for slices in SLICES:
        view.add_column(f"{slices} slices", justify="right")
    view.add_column("growth exponent", justify="right")
    worst = 0.0
    for name, column in zip(STEPS, table.T, strict=True):
        exponent = float(np.polyfit(np.log(SLICES), np.log(np.maximum(column, 1e-3)), 1)[0])
        counts = column[-1] > 0.1  # below that, the clock is all that is measured
        worst = max(worst, exponent if counts else 0.0)
        view.add_row(name, *(f"{value:.2f}" for value in column), f"{exponent:.2f}" if counts else "-")
    Console(width=110).print(view)
    print(f"steepest step: slices to the power {worst:.2f}; linear or better: {'yes' if worst <= STEEPEST else 'NO'}")
    print(f"peak memory of the inference worker: {peak_gb:.2f} GB; must be at most {BOUND_GB} GB: {'yes' if peak_gb <= BOUND_GB else 'NO'}")
    return int(worst > STEEPEST or peak_gb > BOUND_GB)


if __name__ == "__main__":
    raise SystemExit(main())
