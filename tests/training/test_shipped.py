"""The models that ship: they read simulated studies as they arrive, and their cards say what they are and how they did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ptx_node
from ptx_node.commission.statements import dice
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.finding import Laterality, Outcome
from ptx_node.model.bundle import load_bundle
from ptx_node.model.predictor import Predictor
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.patient import NOBODY, Size, Wishes
from ptx_node.simulator.studies import simulate
from ptx_node.validation.statistics import roc_auc

BUNDLES = Path(ptx_node.__file__).parent / "model" / "bundles"
NAMES = ("ptx-cxr-demo", "ptx-ct-demo")
UNSEEN = 9_300_001
"""The first of the seeds of this module; no training set begins there."""
LARGEST_BYTES = 50_000_000
CLEAR = Wishes(size=Size.LARGE, confounders=frozenset())


def shipped(name: str) -> Predictor:
    return Predictor(load_bundle(BUNDLES / name), torch.device("cpu"))


@pytest.fixture(scope="module")
def cxr() -> Predictor:
    return shipped("ptx-cxr-demo")


@pytest.fixture(scope="module")
def ct() -> Predictor:
    return shipped("ptx-ct-demo")


@pytest.mark.parametrize("site", ["siim", "toulouse", "bedside"])
def test_the_shipped_model_reads_clear_radiographs_as_they_arrive(cxr: Predictor, tmp_path: Path, site: str) -> None:
    """Through DICOM, as every site sends them: side and place of what is there, and nothing where nothing is."""
    right = 0
    for seed, side in enumerate((Laterality.LEFT, Laterality.RIGHT, NOBODY, NOBODY), start=UNSEEN):
        study = simulate(tmp_path, seed, site=site, wishes=replace(CLEAR, laterality=side), size=(768, 640))
        (finding,), _ = cxr.predict([cxr.prepare(read_radiograph(study.paths[0]))])
        right += (finding.outcome is Outcome.POSITIVE) == (study.laterality is not None) and finding.laterality == study.laterality
    assert right >= 3


@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.RIGHT, NOBODY])
def test_the_shipped_ct_model_reads_a_series_in_any_order(ct: Predictor, tmp_path: Path, side: Laterality | str) -> None:
    protocol = Protocol(columns=256, slices=16, slice_thickness_mm=5.0)
    study = simulate(tmp_path, UNSEEN + 10, site="ct64", wishes=replace(CLEAR, laterality=side), protocol=protocol)
    found = [ct.predict([ct.prepare(read_volume(paths))])[0][0] for paths in (study.paths, study.paths[::-1])]
    assert found[0] == found[1]
    assert (Outcome.POSITIVE if study.laterality else Outcome.NEGATIVE) is found[0].outcome
    assert study.laterality == found[0].laterality
    if study.mask is not None:
        assert found[0].mask is not None
        assert dice(study.mask, found[0].mask) > 0.8
        assert study.volume_ml == pytest.approx(found[0].volume_ml, rel=0.25)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_model_is_and_how_it_did(name: str) -> None:
    card = (BUNDLES / name / "docs" / "README.md").read_text("utf-8")
    metadata = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text("utf-8"))
    for words in ("SIMULATED DATA ONLY", "Not for clinical use", "## Limits", metadata["ptx"]["weights_sha256"], "training train"):
        assert words in card
    assert metadata["ptx"]["simulated"] is True
    assert metadata["eval_metrics"]["auc"] > 0.9
    assert sum(path.stat().st_size for path in (BUNDLES / name).rglob("*") if path.is_file()) < LARGEST_BYTES
    steps = [json.loads(line) for line in (BUNDLES / name / "docs" / "training-log.jsonl").read_text("utf-8").splitlines()]
    assert steps


def test_the_cards_figures_come_out_again(cxr: Predictor, tmp_path: Path) -> None:
    """On patients whom nobody has seen, the model does about what its card says."""
    stated = json.loads((BUNDLES / "ptx-cxr-demo" / "configs" / "metadata.json").read_text("utf-8"))["eval_metrics"]
    studies = [simulate(tmp_path / str(seed), UNSEEN + 100 + seed, site="siim") for seed in range(32)]
    prepared = [cxr.prepare(read_radiograph(study.paths[0])) for study in studies]
    findings = [finding for first in range(0, len(prepared), 8) for finding in cxr.predict(prepared[first : first + 8])[0]]
    truth = np.array([study.laterality is not None for study in studies])
    assert roc_auc(truth, np.array([finding.probability for finding in findings])) > stated["auc"] - 0.12
    overlaps = [
        dice(study.mask, finding.mask) if finding.mask is not None else 0.0
        for study, finding in zip(studies, findings, strict=True)
        if study.mask is not None
    ]
    assert np.mean(overlaps) > stated["dice_of_positives"] - 0.2


def test_the_real_radiograph_passes_through_to_an_answer(real_files: Path, cxr: Predictor) -> None:
    """What a model of simulated patients says of a person means little; that it answers on the source's grid does."""
    image = read_radiograph(real_files / "cxr-jpeg-baseline-8bit.dcm")
    (finding,), _ = cxr.predict([cxr.prepare(image)])
    assert finding.probability is not None
    assert 0 <= finding.probability <= 1
    assert finding.mask is None or image.image_HW.shape == finding.mask.shape
