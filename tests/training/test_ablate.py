"""The ablation study in one command: sixteen different cells, kept when finished, beside the published table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from tests.training.stand_in import pictures, tiny
from training.ablate import CELLS, PUBLISHED, Cell, ablate, markdown
from training.run import Place
from training.settings import load_settings
from training.train import SUMMARY

BASE = tiny(
    network={"centre": "convolutions", "centre_filters": 16, "decoder": "plain"},
    loss={"bce": 1.0, "dice": 0.0, "image": 0.1},
    stages=[{"epochs": 1, "rate_from": 1e-3, "rate_to": 1e-4}],
)


def test_the_sixteen_cells_change_what_the_study_changed() -> None:
    """Lovasz takes the place of the pixels' BCE with a class weight of 0.01, ASPP that of the centre; nothing else differs."""
    base = load_settings(Path("ablation"))
    found = {cell: cell.settings(base, 3) for cell in CELLS}
    assert 16 == len({one.to_toml() for one in found.values()}) == len(set(CELLS)) == len(PUBLISHED)
    for cell, one in found.items():
        assert ((0.0, 1.0, 0.01) if cell.lovasz else (1.0, 0.0, 0.1)) == (one.loss.bce, one.loss.lovasz, one.loss.image)
        assert ("aspp" if cell.aspp else "convolutions") == one.network.centre
        assert (cell.hypercolumns, cell.scse) == (one.network.hypercolumns, one.network.scse)
        assert (base.stages, base.augment, base.data, base.optimiser, 3) == (one.stages, one.augment, one.data, one.optimiser, one.seed)
    assert ("plain", base.loss, base.network) == (CELLS[0].name, found[CELLS[0]].loss, found[CELLS[0]].network)


def test_the_studys_settings_are_those_that_it_states() -> None:
    base = load_settings(Path("ablation"))
    assert (256, 32, "radam", "resnet34", 256) == (
        *(base.data.size, base.optimiser.batch, base.optimiser.name, base.network.backbone, base.network.centre_filters),
    )
    assert [(3, 5e-4, 1e-4, "encoder"), (40, 5e-4, 5e-5, "none")] == [
        (one.epochs, one.rate_from, one.rate_to, one.frozen) for one in base.stages
    ]
    assert {"flip": 0.5} == base.augment.model_dump(exclude_defaults=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("ablation")
    run(folder, seeds=1)
    run(folder, seeds=2)
    return folder


def run(folder: Path, seeds: int) -> Path:
    data = ([pictures(8)], [pictures(4, first=50)])
    cells = [Cell(), Cell(lovasz=True, aspp=True, hypercolumns=True, scse=True)]
    return ablate(BASE, data, Place(folder, device="cpu", quiet=True), cells=cells, seeds=seeds)


def test_finished_cells_are_kept(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("*/last.pt")}
    assert 4 == len(before)
    run(finished, seeds=2)
    assert before == {path: path.stat().st_mtime_ns for path in finished.glob("*/last.pt")}


def test_the_table_has_mean_and_spread_over_seeds_beside_the_published_figures(finished: Path) -> None:
    table = (finished / "ablation.md").read_text()
    rows = [[word.strip() for word in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    assert 2 + 16 == len(rows)
    dice = [json.loads((finished / f"plain-seed{seed}" / SUMMARY).read_text())["best"]["dice"] for seed in (1, 2)]
    mean, spread = sum(dice) / 2, abs(dice[0] - dice[1]) / 2**0.5
    plain, last = rows[2], rows[-1]
    assert ["", "", "", "", f"{mean:.3f} ± {spread:.3f}"] == plain[:5]
    assert ["0.583", "0.828", "2"] == plain[6:]
    assert ["x", "x", "x", "x"] == last[:4]
    assert ["0.574", "0.837", "2"] == last[6:]
    assert ["not yet", "not yet"] == rows[3][4:6]
    lines = list(csv.DictReader((finished / "ablation.csv").read_text().splitlines()))
    assert mean == pytest.approx(float(lines[0]["dice_mean"]), abs=1e-5)
    assert spread == pytest.approx(float(lines[0]["dice_sd"]), abs=1e-5)


def test_simulated_data_are_called_simulated(finished: Path) -> None:
    assert "SIMULATED" in (finished / "ablation.md").read_text().splitlines()[0]
    real = {cell.name: [{"simulated": False, "best": {"dice": 0.5, "accuracy": 0.8}}] for cell in CELLS}
    assert "SIMULATED" not in markdown(real)
