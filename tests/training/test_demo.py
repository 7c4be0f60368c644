"""The demonstration models: how they are trained and judged, and that the shipped ones do what their cards say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import ptx_node
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.finding import Laterality, Outcome
from ptx_node.model.bundle import load_bundle
from ptx_node.model.predictor import Predictor
from ptx_node.simulator.first.studies import Profile, simulate_ct, simulate_radiograph
from training.first.export import export, figures, judged
from training.first.losses import joint_loss
from training.first.metrics import best_threshold, dice, roc_auc
from training.first.simulated import pack
from training.first.train_demo import TEST_SEED, Run, augmented, draw_radiograph, draw_slices, network_of, train

BUNDLES = Path(ptx_node.__file__).parent / "model" / "bundles"
UNSEEN = 30_000_001


def shipped(name: str) -> Predictor:
    return Predictor(load_bundle(BUNDLES / name), torch.device("cpu"))


@pytest.fixture(scope="module")
def cxr() -> Predictor:
    return shipped("ptx-cxr-demo")


@pytest.fixture(scope="module")
def ct() -> Predictor:
    return shipped("ptx-ct-demo")


@pytest.mark.parametrize("profile", list(Profile))
def test_the_shipped_model_reads_simulated_radiographs_as_they_arrive(cxr: Predictor, tmp_path: Path, profile: Profile) -> None:
    """Through DICOM, in every profile, of unseen patients: side and place of what is there, and nothing where nothing is."""
    right = 0
    sides = (Laterality.LEFT, Laterality.RIGHT, None, None)
    for seed, side in enumerate(sides, start=UNSEEN):
        study = simulate_radiograph(tmp_path, seed, profile=profile, laterality=side, size=(768, 640))
        (finding,), _ = cxr.predict([cxr.prepare(read_radiograph(study.paths[0]))])
        right += (finding.outcome is Outcome.POSITIVE) == (side is not None) and finding.laterality == side
    assert right >= 3


@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.RIGHT, None])
def test_the_shipped_ct_model_reads_simulated_series_in_any_order(ct: Predictor, tmp_path: Path, side: Laterality | None) -> None:
    study = simulate_ct(tmp_path, UNSEEN + 2, slices=20, laterality=side, columns=256)
    found = [ct.predict([ct.prepare(read_volume(paths))])[0][0] for paths in (study.paths, study.paths[::-1])]
    assert found[0] == found[1]
    assert (Outcome.NEGATIVE if side is None else Outcome.POSITIVE) is found[0].outcome
    assert side == found[0].laterality
    if study.mask is not None:
        assert found[0].mask is not None
        assert dice(study.mask, found[0].mask) > 0.6
        assert found[0].volume_ml == pytest.approx(study.mask.mean() * found[0].volume_ml / found[0].mask.mean(), rel=0.4)


@pytest.mark.parametrize("name", ["ptx-cxr-demo", "ptx-ct-demo"])
def test_the_card_says_what_the_model_is_and_how_it_did(name: str) -> None:
    card = (BUNDLES / name / "docs" / "README.md").read_text()
    metadata = json.loads((BUNDLES / name / "configs" / "metadata.json").read_text())
    assert "DEMONSTRATION" in card
    assert "Trained on simulated patients only" in card
    assert "Not for clinical use" in card
    assert metadata["eval_metrics"]["auc"] > 0.9
    for value in metadata["eval_metrics"].values():
        assert str(value) in card
    assert (BUNDLES / name / "models" / "model.safetensors").stat().st_size < 30_000_000


def test_a_few_of_the_cards_figures_come_out_again(cxr: Predictor) -> None:
    """On the first test patients the same code finds about what the card says of all."""
    stated = json.loads((BUNDLES / "ptx-cxr-demo" / "configs" / "metadata.json").read_text())["eval_metrics"]
    found = figures(cxr, judged(cxr, TEST_SEED, 16))
    assert found["auc"] > stated["auc"] - 0.1
    assert found["mean_dice_of_positives"] > stated["mean_dice_of_positives"] - 0.2


def test_the_real_radiograph_passes_through_to_an_answer(real_files: Path, cxr: Predictor) -> None:
    """What a phantom-trained model says of a person means nothing; that it answers on the source grid does."""
    image = read_radiograph(real_files / "cxr-jpeg-baseline-8bit.dcm")
    (finding,), _ = cxr.predict([cxr.prepare(image)])
    assert finding.probability is not None
    assert 0 <= finding.probability <= 1
    assert finding.mask is None or image.image_HW.shape == finding.mask.shape


def test_a_short_run_leaves_its_knobs_and_exports_a_bundle_that_loads(tmp_path: Path) -> None:
    small = Run(
        "cxr", str(tmp_path), minutes=0.1, input_size=64, batch_size=4, warm_pool=8, pool=24, validation_patients=6, test_patients=6
    )
    before = network_of(small).state_dict()
    network = train(small)
    assert any(not torch.equal(before[name], value) for name, value in network.state_dict().items())
    bundle, measured = export(network, small, tmp_path / "bundle", model_version="9")
    assert load_bundle(tmp_path / "bundle").identity == bundle.identity
    assert ("9", 64) == (bundle.identity.version, bundle.input_size)
    assert measured["patients"] == 6
    assert json.loads((tmp_path / "run.json").read_text())["minutes"] == 0.1


@pytest.mark.parametrize(("kind", "draw"), [("cxr", draw_radiograph), ("ct", draw_slices)])
def test_augmented_examples_keep_the_mask_on_the_picture(kind: str, draw: object) -> None:
    run = Run(kind, "", input_size=128)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    positive = next(one for seed in range(1, 40) for one in draw(seed) if one.positive and one.mask_HW().mean() > 0.01)  # type: ignore[operator]
    shares = []
    for _ in range(6):
        square, target = augmented(positive, rng, run)
        assert square.shape == target.shape == (128, 128)
        assert np.all(np.isfinite(square))
        assert set(np.unique(target)) <= {0, 1}
        shares.append(target.mean() / positive.mask_HW().mean())
    assert 0.3 < np.median(shares) < 1.8


def test_a_packed_example_gives_its_mask_back() -> None:
    mask = np.random.default_rng(0).random((13, 7)) > 0.5
    np.testing.assert_array_equal(mask, pack(np.zeros((13, 7)), mask).mask_HW())


def test_the_loss_is_small_for_a_right_answer_and_large_for_a_wrong_one() -> None:
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :4] = 1
    right, wrong = (mask * 20 - 10, torch.tensor([10.0, -10.0])), (10 - mask * 20, torch.tensor([-10.0, 10.0]))
    assert joint_loss(right[1], right[0], mask)[0] < 0.01
    assert joint_loss(wrong[1], wrong[0], mask)[0] > 10


def test_auc_and_threshold_are_those_of_their_definitions() -> None:
    truth, score = np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])
    assert roc_auc(truth, score) == pytest.approx(0.75)
    assert roc_auc(truth, np.full(4, 0.5)) == pytest.approx(0.5)
    assert 0.4 < best_threshold(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.6, 0.8])) < 0.6
    assert dice(truth, truth) == 1
    assert dice(np.zeros(4, dtype=bool), np.zeros(4, dtype=bool)) == 1


def test_a_new_network_has_the_runs_shape() -> None:
    class_logit, mask_logits = network_of(Run("ct", ""))(torch.zeros(2, 1, 64, 64))
    assert (2,) == class_logit.shape
    assert (2, 1, 64, 64) == mask_logits.shape
