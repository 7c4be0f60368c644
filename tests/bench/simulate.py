"""Radiographs a second from the simulator: body, rays, detector and vendor's processing, one process a core.

Run by hand: `make bench BENCH=simulate`. Files are not written; DICOM encoding is the site's share.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from rich.console import Console
from rich.table import Table

from ptx_node.simulator.patient import Posture, draw_patient
from ptx_node.simulator.radiograph import Detector, Look, display, expose, project

BOUND_PER_S = 2.0
"""At least this many of 1024 x 1024 on two cores."""


def one(seed: int, size: int) -> tuple[float, float]:
    """Draw one; returns its processor seconds and its mean, so that nothing is left out."""
    start = time.process_time()
    patient, rng = draw_patient(seed), np.random.default_rng(seed)
    projection = project(patient, size, size)
    signal = expose(projection, Detector.sample(rng, bedside=patient.posture is not Posture.UPRIGHT_PA), seed)
    mean = float(display(signal, Look.sample(rng)).mean())
    return time.process_time() - start, mean


def main() -> int:
    """Print the table; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=24, help="of each size")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    table = Table(title=f"simulated radiographs, {arguments.processes} processes, {arguments.pictures} of each size", title_justify="left")
    for column in ("pixels", "radiographs a second", "processor seconds each (median)"):
        table.add_column(column, justify="right")
    reached = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        for size in (512, 1024, 2048):
            list(pool.map(one, range(arguments.processes), [size] * arguments.processes))  # imports and caches warm up
            start = time.perf_counter()
            drawn = list(pool.map(one, range(100, 100 + arguments.pictures), [size] * arguments.pictures))
            reached[size] = arguments.pictures / (time.perf_counter() - start)
            table.add_row(f"{size} x {size}", f"{reached[size]:.1f}", f"{np.median([seconds for seconds, _ in drawn]):.2f}")
    Console(width=110).print(table)
    print(f"bound: {BOUND_PER_S:.0f} a second of 1024 x 1024: {'kept' if reached[1024] >= BOUND_PER_S else 'MISSED'}")
    return 0 if reached[1024] >= BOUND_PER_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
