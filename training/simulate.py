"""`python -m training simulate`: a SIMULATED data set in the exact format of a real one, with the truth about every patient beside it.

Radiographs of the site `siim` become a DICOM tree with a run-length table, other sites DICOM with SEG, CT sites series folders with SEG or
NIfTI masks. Written by several processes; a second run with the same words goes on where the first one was stopped.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptx_node.errors import UsageError
from ptx_node.simulator.patient import Posture, Size
from training.datasets.known import COLUMNS, TRUTH
from training.datasets.run_lengths import EMPTY

if TYPE_CHECKING:
    import argparse

PARTS = ".parts"
"""Folder of one small file a finished patient; the tables are made of them."""
TABLE = "train-rle.csv"
SEEDS_A_SET = 100_000
CHUNK = 4
CHOSEN = ("postures", "sizes")
"""What an order does not say where it is left to chance, so that sets made before it could be said go on."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: the same order gives the same files for ever.

    Attributes:
        rows: of radiographs (columns in the site's own proportion); 0 for the site's own size. CT: of slices, likewise.
        first_seed: seed of the first patient; sets with other seeds share no patient.
        positives: odds of a pneumothorax.
        masks: `rle`, `seg` or `nifti`.
        slice_mm: CT: distance and thickness of slices; 0 for a protocol drawn by chance.
        postures: one of these for each patient, by chance; empty: with the odds of the site.
        sizes: of the pneumothorax, one of these by chance; empty: with the odds of the simulated hospital.
    """

    site: str
    out: Path
    rows: int
    first_seed: int
    positives: float
    masks: str
    slice_mm: float = 0.0
    postures: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What has to be the same in a run that goes on."""
        words = {name: value for name, value in asdict(self).items() if name not in {"out", *CHOSEN}}
        return words | {name: list(chosen) for name in CHOSEN if (chosen := getattr(self, name))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--site", required=True, help="how images are made and written: siim, toulouse, bedside, ct64")
    parser.add_argument("--patients", type=int, required=True, help="how many")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--rows", type=int, default=0, help="height of the pictures; the site's own by default. 512 is four times as fast as 1024"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help=f"of the set; sets of less than {SEEDS_A_SET} patients with other seeds share none"
    )
    parser.add_argument("--positives", type=float, default=0.5, help="share of patients with a pneumothorax")
    parser.add_argument("--masks", choices=("rle", "seg", "nifti"), help="siim: rle; other radiographs: seg; CT: seg or nifti")
    parser.add_argument("--slice-mm", type=float, default=0.0, help="CT: distance and thickness of slices; drawn by chance by default")
    parser.add_argument(
        "--postures", nargs="+", choices=[str(one) for one in Posture], default=[], help="one of these by chance; default: the site's odds"
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        choices=[str(one) for one in Size],
        default=[],
        help="of the air, one of these by chance; default: the odds",
    )
    parser.add_argument("--processes", type=int, default=2)


def run(chosen: argparse.Namespace) -> int:
    """Write the set.

    Raises:
        UsageError: no such site, masks that the format does not have, or a folder with another set.
    """
    masks = chosen.masks or {"siim": "rle"}.get(chosen.site, "seg")
    order = Order(
        chosen.site,
        chosen.out,
        chosen.rows,
        chosen.seed * SEEDS_A_SET,
        chosen.positives,
        masks,
        chosen.slice_mm,
        tuple(chosen.postures),
        tuple(chosen.sizes),
    )
    if not 0 < chosen.patients <= SEEDS_A_SET:
        raise UsageError(f"--patients is {chosen.patients}, but can be 1 to {SEEDS_A_SET}")
    kind = simulate(order, chosen.patients, processes=chosen.processes)
    print(f"SIMULATED data set: --data {kind}:{chosen.out}")
    return 0


def simulate(order: Order, patients: int, *, processes: int = 2) -> str:
    """Write what is still missing of the set, then its tables; the format (one of `training.datasets.KINDS`).

    Raises:
        UsageError: as `run`.
    """
    from training import simulated_patient  # noqa: PLC0415 - the simulator is heavy, and `--help` has no need of it

    kind = simulated_patient.kind_of(order)
    (order.out / PARTS).mkdir(parents=True, exist_ok=True)
    _same_order(order)
    missing = [seed for seed in range(order.first_seed, order.first_seed + patients) if not part_of(order, seed).is_file()]
    chunks = [missing[first : first + CHUNK] for first in range(0, len(missing), CHUNK)]
    started = time.monotonic()
    if processes < 2 or len(chunks) < 2:
        for seed in missing:
            write_part(order, seed)
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
            running = [pool.submit(_write_parts, order, chunk) for chunk in chunks]
            for count, future in enumerate(as_completed(running), 1):
                future.result()
                if count % max(1, len(chunks) // 20) == 0:
                    written, seconds = min(count * CHUNK, len(missing)), time.monotonic() - started
                    print(f"{written:>7} of {len(missing)} patients, {written / seconds:.2f} a second", flush=True)
    _write_tables(order, patients, kind)
    return kind


def part_of(order: Order, seed: int) -> Path:
    """Where a finished patient is noted."""
    return order.out / PARTS / f"{seed}.json"


def write_part(order: Order, seed: int) -> None:
    """Files of one patient, then its note: a patient without one is written again."""
    from training import simulated_patient  # noqa: PLC0415 - as above

    folder = order.out / PARTS / f"{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    note = simulated_patient.write(order, seed, folder)
    shutil.rmtree(folder, ignore_errors=True)
    partial = part_of(order, seed).with_suffix(".partial")
    partial.write_text(json.dumps(note), "utf-8")
    partial.rename(part_of(order, seed))


def _write_parts(order: Order, seeds: list[int]) -> None:
    for seed in seeds:
        write_part(order, seed)


def _quiet() -> None:
    """Behind everything else on this machine, and with one thread a process."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.nice(5)


def _same_order(order: Order) -> None:
    place = order.out / PARTS / "order.json"
    if place.is_file():
        before = json.loads(place.read_text("utf-8"))
        if before != order.to_json():
            raise UsageError(f"{order.out} holds a set of another order ({before}): choose another folder, or the same words to go on")
        return
    place.write_text(json.dumps(order.to_json()), "utf-8")


def _write_tables(order: Order, patients: int, kind: str) -> None:
    """The truth of all patients, and the run lengths where the format has them."""
    notes = [json.loads(part_of(order, seed).read_text("utf-8")) for seed in range(order.first_seed, order.first_seed + patients)]
    with (order.out / TRUTH).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(note["truth"] for note in notes)
    if kind == "siim":
        rows = [f"{note['truth']['image_id']}, {text}\n" for note in notes for text in note["run_lengths"] or [EMPTY]]
        (order.out / TABLE).write_text("ImageId, EncodedPixels\n" + "".join(rows), "utf-8")
