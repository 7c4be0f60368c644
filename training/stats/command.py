"""`python -m training stats`: the report on one or several data sets, side by side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError
from training.datasets import KINDS, open_data_set
from training.datasets.table import read_rows
from training.splits import load
from training.stats.checks import findings
from training.stats.counts import summary
from training.stats.facts import KINDS as FINDINGS
from training.stats.gather import gather
from training.stats.page import write_page
from training.stats.tables import write_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from training.records import DataSet
    from training.stats.facts import Image

PROGRESS_S = 10.0
PARTS = ("part", "split", "fold", "set")
"""Columns of a table that divides images."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--data",
        required=True,
        nargs="+",
        metavar="[NAME=]KIND:FOLDER",
        help=f"data sets; KIND is one of {', '.join(KINDS)}; NAME is what the report calls it",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="for report.html, stats.json and tables; made if it is not there"
    )
    parser.add_argument("--split", type=Path, metavar="FILE", help="split to check: JSON of `split`, or a table image_id,part")
    parser.add_argument("--patients", type=Path, metavar="FILE", help="table image -> patient, where the files hide the patient (SIIM-ACR)")
    parser.add_argument("--table", type=Path, metavar="FILE", help="the set's table, where it has not its usual name")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="that read images (2)")
    parser.add_argument("--seed", type=int, default=1, help="of the random batch")


def run(chosen: argparse.Namespace) -> int:
    """Read, look, write, and say what was found.

    Raises:
        UsageError: a data set, table or split that is wrong as a whole, or no image at all.
    """
    data_sets = _opened(chosen)
    part_of = None if chosen.split is None else _parts(chosen.split)
    gathered = gather(data_sets, processes=chosen.processes, progress=_Progress())
    found = findings(gathered, part_of)
    numbers = summary(gathered, found)
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_tables(chosen.out, numbers, gathered.images, found)
    write_page(chosen.out / "report.html", gathered, numbers, found, seed=chosen.seed, split=chosen.split.name if chosen.split else "")
    for kind, told in FINDINGS.items():
        counts = [numbers["findings"][kind][name] for name in data_sets]
        if any(counts):
            print(f"{told.title:<42}{' / '.join(str(count) for count in counts)}")
    print(chosen.out / "report.html")
    return 0


def _opened(chosen: argparse.Namespace) -> dict[str, DataSet]:
    """The data sets by name; a name that is there already gets a number."""
    options = {name: getattr(chosen, name) for name in ("patients", "table") if getattr(chosen, name)}
    opened: dict[str, DataSet] = {}
    for words in chosen.data:
        name, equals, rest = words.partition("=")
        kind, colon, folder = (rest if equals and ":" in rest else words).partition(":")
        if not colon:
            raise UsageError(f"'{words}' is not KIND:FOLDER, such as siim:data/siim")
        wanted = name if equals and ":" in rest else kind
        place = 2
        while wanted in opened:
            wanted, place = f"{wanted.rsplit(' ', 1)[0]} {place}", place + 1
        try:
            opened[wanted] = open_data_set(kind, Path(folder), **options)
        except TypeError as error:
            raise UsageError(f"{kind} does not take {' or '.join(f'--{name}' for name in options)}") from error
    return opened


def _parts(path: Path) -> Callable[[Image], str | None]:
    """Which part an image stands in, by a split of patients or a table of images."""
    if path.suffix.lower() == ".json":
        part_of_patient = load(path).part_of
        return lambda image: part_of_patient.get(image.record.patient_id)
    rows = list(read_rows(path, ("image_id",)))
    column = next((name for name in PARTS if rows and name in rows[0].cells), None)
    if column is None:
        raise UsageError(f"{path}:1: no column {' or '.join(PARTS)}")
    part_of_image = {row["image_id"]: row[column] for row in rows}
    return lambda image: part_of_image.get(image.record.image_id)


class _Progress:
    """A line every few seconds."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.told > PROGRESS_S:
            self.told = time.monotonic()
            print(f"{done:,} of {of:,} images", flush=True)
