"""The ablation study again: sixteen settings, several seeds, one command; ends in its table beside the published one.

Every cell is a run of `training.train` in a folder of its own: finished cells are kept, a killed one goes on from its checkpoint.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ptx_node.errors import UsageError
from training.checkpoint import write_whole
from training.parts import divide, open_data, prepare_part
from training.run import Place
from training.settings import Settings, load_settings
from training.train import SUMMARY, add_data_arguments, train

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from training.batches import Prepared


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """Which of the four changes are made."""

    lovasz: bool = False
    aspp: bool = False
    hypercolumns: bool = False
    scse: bool = False

    @property
    def name(self) -> str:
        """`plain`, or the changes joined by a plus."""
        return "+".join(name for name in self.__slots__ if getattr(self, name)) or "plain"

    def settings(self, base: Settings, seed: int) -> Settings:
        """The base with these changes: Lovasz takes the place of the pixels' BCE and a class weight of 0.01, ASPP that of the centre."""
        content = base.model_dump()
        content["name"], content["seed"] = f"{base.name}: {self.name}", seed
        if self.lovasz:
            content["loss"] |= {"lovasz": 1.0, "bce": 0.0, "image": 0.01}
        if self.aspp:
            content["network"]["centre"] = "aspp"
        content["network"] |= {"hypercolumns": self.hypercolumns, "scse": self.scse}
        return Settings.model_validate(content)


PUBLISHED: Mapping[str, tuple[float, float]] = {
    "plain": (0.583, 0.828),
    "lovasz": (0.588, 0.832),
    "aspp": (0.592, 0.838),
    "hypercolumns": (0.585, 0.842),
    "scse": (0.578, 0.836),
    "lovasz+aspp": (0.574, 0.829),
    "lovasz+hypercolumns": (0.586, 0.829),
    "lovasz+scse": (0.582, 0.835),
    "aspp+hypercolumns": (0.593, 0.837),
    "aspp+scse": (0.588, 0.827),
    "hypercolumns+scse": (0.579, 0.836),
    "lovasz+aspp+hypercolumns": (0.579, 0.832),
    "lovasz+aspp+scse": (0.585, 0.836),
    "lovasz+hypercolumns+scse": (0.578, 0.834),
    "aspp+hypercolumns+scse": (0.574, 0.840),
    "lovasz+aspp+hypercolumns+scse": (0.574, 0.837),
}
"""Dice and accuracy of the study, one run a cell, on SIIM-ACR, in the order of its table."""
CELLS = tuple(sorted((Cell(*bits) for bits in itertools.product((False, True), repeat=4)), key=lambda cell: [*PUBLISHED].index(cell.name)))
CHANGES = (("lovasz", "Lovász"), ("aspp", "ASPP"), ("hypercolumns", "Hyper."), ("scse", "scSE"))
BOUND = "|"


def ablate(base: Settings, data: tuple[Sequence[Prepared], Sequence[Prepared]], place: Place, *, cells: Sequence[Cell], seeds: int) -> Path:
    """Run what is not finished yet, seed after seed; the table is written anew after every cell. Returns its Markdown file.

    Args:
        base: the plain cell's settings.
        data: prepared arrays to train and to validate on.
        place: folder of all runs; its minutes are those of one run.
        cells: which to run; the table always has all sixteen.
        seeds: runs a cell, with the seeds 1, 2, …
    """
    place.folder.mkdir(parents=True, exist_ok=True)
    for seed, cell in itertools.product(range(1, seeds + 1), cells):
        folder = place.folder / f"{cell.name}-seed{seed}"
        if not (folder / SUMMARY).exists():
            one = Place(folder, place.minutes, place.device, place.threads, resume=True, quiet=place.quiet)
            train(cell.settings(base, seed), *data, one)
        write_tables(place.folder)
    return place.folder / "ablation.md"


def results(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Summaries of the finished runs, by cell."""
    return {
        cell.name: [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{cell.name}-seed*/{SUMMARY}"))]
        for cell in CELLS
    }


def write_tables(folder: Path) -> None:
    """`ablation.md` and `ablation.csv` of what is finished."""
    found = results(folder)
    write_whole(folder / "ablation.md", markdown(found).encode())
    write_whole(folder / "ablation.csv", comma_separated(found).encode())


def markdown(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The study's table with ours beside it; mean ± standard deviation over seeds where there are several."""
    runs = [summary for several in found.values() for summary in several]
    heading = [*(title for _, title in CHANGES), "Dice here", "Accuracy here", "Dice published", "Accuracy published", "Runs"]
    lines = [f"# Ablation study{': SIMULATED data' if any(one['simulated'] for one in runs) else ''}", ""]
    if any(one["simulated"] for one in runs):
        lines += [
            "Trained and validated on SIMULATED patients: compare the order of the cells, not the figures, with the published table.",
            "",
        ]
    lines += ["Validation part, best epoch by Dice. Dice is the mean over images, 1 if answer and mask are both empty, 0 if only one is;"]
    lines += ["accuracy is the class's at 0.5. The published figures are of one run a cell on SIIM-ACR.", ""]
    lines += [_row(heading), _row(["---"] * len(heading))]
    for cell in CELLS:
        several, published = found[cell.name], PUBLISHED[cell.name]
        marks = ["x" if getattr(cell, name) else "" for name, _ in CHANGES]
        figures = [_spread([one["best"][name] for one in several]) for name in ("dice", "accuracy")]
        lines.append(_row([*marks, *figures, *(f"{value:.3f}" for value in published), str(len(several))]))
    return "\n".join(lines) + "\n"


def comma_separated(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """One line a cell: means and standard deviations as numbers, empty where there are none."""
    table = io.StringIO()
    names = [f"{name}_{what}" for name in ("dice", "accuracy") for what in ("mean", "sd")]
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*(name for name, _ in CHANGES), *names, "dice_published", "accuracy_published", "runs", "simulated"])
    for cell in CELLS:
        several = found[cell.name]
        figures: list[float | str] = []
        for name in ("dice", "accuracy"):
            values = [float(one["best"][name]) for one in several]
            figures += [round(statistics.mean(values), 5) if values else "", round(statistics.stdev(values), 5) if len(values) > 1 else ""]
        simulated = any(one["simulated"] for one in several)
        writer.writerow([*(int(getattr(cell, name)) for name, _ in CHANGES), *figures, *PUBLISHED[cell.name], len(several), int(simulated)])
    return table.getvalue()


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "not yet"
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def _row(cells: Sequence[str]) -> str:
    return f"{BOUND} {' | '.join(cells)} {BOUND}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training ablate`."""
    add_data_arguments(parser)
    parser.add_argument("--config", type=Path, default=Path("ablation"), help="settings of the plain cell; default: the study's")
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs and of the table; finished cells in it are kept")
    parser.add_argument("--seeds", type=int, default=3, help="runs a cell")
    parser.add_argument("--only", action="append", choices=[cell.name for cell in CELLS], help="run these cells alone")


def run(chosen: argparse.Namespace) -> int:
    """Prepare the data once, run the cells, print the table."""
    if chosen.seeds < 1:
        raise UsageError("--seeds is at least 1")
    base = load_settings(chosen.config, chosen.set)
    if chosen.torch_threads:
        torch.set_num_threads(chosen.torch_threads)
    parts = divide(open_data(chosen.data), chosen.split)
    prepared = chosen.prepared or chosen.out / "prepared"
    data = (prepare_part(parts["train"], prepared, base), prepare_part(parts["validation"], prepared, base))
    cells = [cell for cell in CELLS if not chosen.only or cell.name in chosen.only]
    place = Place(chosen.out, chosen.minutes, chosen.device, chosen.threads)
    print(ablate(base, data, place, cells=cells, seeds=chosen.seeds).read_text(encoding="utf-8"))
    return 0
