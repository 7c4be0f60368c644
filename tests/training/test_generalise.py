"""The generalisation experiment: what a shifted site does to the figures, and that one command writes table and pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from training.__main__ import main
from training.generalise.judged import Scores, figures, local_threshold
from training.generalise.plan import MODELS, TRIALS
from training.simulate import Order, simulate


def shifted(by: float, count: int = 400) -> Scores:
    """Cases of a site whose scores lie higher by this, positives and negatives alike."""
    rng = np.random.default_rng(3)
    truth = np.arange(count) % 2 == 0
    logit = rng.normal(0, 1, count) + np.where(truth, 1.5, -1.5) + by
    return Scores(truth, 1 / (1 + np.exp(-logit)))


def test_a_shift_of_all_scores_leaves_the_auc_and_costs_specificity() -> None:
    home, away = figures(shifted(0), 0.5), figures(shifted(2), 0.5)
    assert home["auc"]["value"] == pytest.approx(away["auc"]["value"])
    assert away["specificity"]["value"] < home["specificity"]["value"] - 0.3
    assert away["sensitivity"]["value"] > home["sensitivity"]["value"]
    assert (400, 200) == (away["cases"], away["positives"])


def test_fifty_local_positives_bring_a_shifted_site_back() -> None:
    local = local_threshold(shifted(2), shifted(2, count=300), seed=1)
    assert local is not None
    assert local.sensitivity[0] + local.specificity[0] > 1.8
    assert local.threshold[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=0.1)
    assert 300 == local.tested
    assert local_threshold(shifted(2, count=190), shifted(2), seed=1) is None


def test_every_trial_asks_for_a_model_that_is_trained() -> None:
    assert {model.name for model in MODELS} == {trial.model for trial in TRIALS}
    assert len(TRIALS) == len({trial.name for trial in TRIALS})


def test_one_command_trains_judges_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a few SIMULATED patients of two sites, with a network that learns nothing in so short a time."""
    for place, (site, masks, patients) in enumerate((("siim", "rle", 20), ("toulouse", "seg", 10))):
        simulate(Order(site, tmp_path / site, 96, 5_000_000 + place * 1000, 0.5, masks), patients, processes=1)
    words = [
        "generalise",
        "--data",
        f"siim:{tmp_path / 'siim'}",
        "--other",
        f"dicom_seg:{tmp_path / 'toulouse'}",
        "--out",
        str(tmp_path / "out"),
    ]
    small = ("data.size=32", "data.stored=32", "network.backbone=resnet10", "optimiser.batch=4")
    words += [part for one in small for part in ("--set", one)] + ["--minutes", "0.005", "--base-minutes", "0.005", "--config", "one_site"]
    assert 0 == main(words)
    assert "SIMULATED" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert ["siim", "toulouse"] == results["sites"]
    assert len(TRIALS) == len(results["rows"])
    models = tmp_path / "out" / "models"
    assert {"base", "one_site", "landmarks", "lung_crop", "displays", "every_site"} == {one.name for one in models.iterdir()}
    assert 'start = ""' in (models / "base" / "config.toml").read_text()
    assert "base/model.safetensors" in (models / "lung_crop" / "config.toml").read_text()
    with (tmp_path / "out" / "table.csv").open() as file:
        assert len(TRIALS) * 2 * 3 == len(list(csv.DictReader(file)))
    for name in ("fall.png", "handling.png"):
        assert (tmp_path / "out" / name).stat().st_size > 10_000
    before = (tmp_path / "out" / "models" / "one_site" / "model.safetensors").stat().st_mtime_ns
    assert 0 == main(words)
    assert before == (tmp_path / "out" / "models" / "one_site" / "model.safetensors").stat().st_mtime_ns
