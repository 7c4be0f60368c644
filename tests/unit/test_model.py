"""Bundles and the predictor, with a small network of random weights: what holds for every model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from ptx_node.domain.finding import Outcome
from ptx_node.domain.image import Radiograph, Volume
from ptx_node.errors import ModelError
from ptx_node.model.bundle import Bundle, load_bundle, save_bundle
from ptx_node.model.embedding import embedding_of
from ptx_node.model.inference_network import inference_network
from ptx_node.model.metadata import METADATA, WEIGHTS, Decision, device_uid
from ptx_node.model.network import PneumothoraxNet
from ptx_node.model.predictor import Predictor, choose_device, load_predictor
from ptx_node.model.preprocess import radiograph_input

ARGUMENTS: dict[str, Any] = {"backbone": "resnet10", "decoder_channels": [16, 16, 8, 8, 8]}


def metadata(**ours: object) -> dict[str, Any]:
    decision = {"class_threshold": 0.0, "pixel_threshold": 0.5, "min_pixels": 1, "smooth_mm": 10}
    ptx = {"manufacturer": "test", "reads": "radiograph", "input_size": 64, "decision": decision, "requirements": {"min_age_years": 15}}
    return {"name": "test-model", "version": "1.2.3", "ptx": ptx | ours}


@pytest.fixture(scope="module")
def network() -> PneumothoraxNet:
    torch.manual_seed(0)
    network = PneumothoraxNet(**ARGUMENTS).eval()
    with torch.no_grad():
        network.segmentation_head[0].bias += 0.3
    return network


@pytest.fixture
def folder(tmp_path: Path, network: PneumothoraxNet) -> Path:
    save_bundle(tmp_path / "bundle", network=network, metadata=metadata(), arguments=ARGUMENTS, card="a card")
    return tmp_path / "bundle"


@pytest.fixture
def predictor(folder: Path) -> Predictor:
    return Predictor(load_bundle(folder), torch.device("cpu"))


@pytest.fixture
def ct(tmp_path: Path, network: PneumothoraxNet) -> Predictor:
    save_bundle(tmp_path / "ct", network=network, metadata=metadata(reads="ct"), arguments=ARGUMENTS, card="")
    return Predictor(load_bundle(tmp_path / "ct"), torch.device("cpu"), batch_size=4)


def radiograph(seed: int, shape: tuple[int, int] = (150, 120), **values: Any) -> Radiograph:
    picture = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return replace(Radiograph(f"2.25.{seed}", picture, (0.2, 0.1), None), **values)


def volume(slices: int = 6) -> Volume:
    hu = np.random.default_rng(0).integers(-1024, 500, (slices, 80, 72)).astype(np.int16)
    return Volume("2.25.1", tuple(f"2.25.{index + 10}" for index in range(slices)), hu, (0.8, 0.8), 5.0, None)


def test_a_bundle_says_who_it_is(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert ("test", "test-model", "1.2.3") == (bundle.identity.manufacturer, bundle.identity.name, bundle.identity.version)
    assert device_uid(bundle.identity.weights_sha256) == bundle.identity.device_uid
    assert bundle.identity.device_uid.startswith("2.25.")
    assert len(bundle.identity.device_uid) <= 64
    assert bundle.requirements.min_age_years == 15
    assert Decision(0.0, 0.5, 1, 10) == bundle.decision


def test_other_weights_are_another_device(folder: Path, tmp_path: Path) -> None:
    other = save_bundle(tmp_path / "other", network=PneumothoraxNet(**ARGUMENTS), metadata=metadata(), arguments=ARGUMENTS, card="")
    assert load_bundle(folder).identity.device_uid != other.identity.device_uid


def test_monai_builds_the_same_network_from_the_bundle(folder: Path) -> None:
    """The folder is a MONAI Bundle, not merely called one."""
    parser = ConfigParser()
    parser.read_config(folder / "configs" / "inference.json")
    built = parser.get_parsed_content("network_def")
    assert load_bundle(folder).network.state_dict().keys() == built.state_dict().keys()


def altered(folder: Path, name: str) -> None:
    weights, metadata_file, inference = folder / WEIGHTS, folder / METADATA, folder / "configs" / "inference.json"
    if name == "weights":
        data = bytearray(weights.read_bytes())
        data[-100] ^= 1
        weights.write_bytes(bytes(data))
    elif name == "no weights":
        weights.unlink()
    elif name == "no metadata":
        metadata_file.unlink()
    elif name == "not json":
        metadata_file.write_text("{")
    elif name == "no decision":
        content = json.loads(metadata_file.read_text())
        del content["ptx"]["decision"]
        metadata_file.write_text(json.dumps(content))
    elif name == "input size":
        content = json.loads(metadata_file.read_text())
        content["ptx"]["input_size"] = 100
        metadata_file.write_text(json.dumps(content))
    elif name == "other code":
        content = json.loads(inference.read_text())
        content["network_def"]["_target_"] = "os.system"
        inference.write_text(json.dumps(content))
    elif name == "other network":
        content = json.loads(inference.read_text())
        content["network_def"]["decoder_channels"] = [32, 32, 16, 16, 8]
        inference.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("weights", "altered or cut"),
        ("no weights", "cannot be read"),
        ("no metadata", "cannot be read"),
        ("not json", "not JSON"),
        ("no decision", "decision"),
        ("input size", "multiple of 32"),
        ("other code", "only ptx_node.model.network.PneumothoraxNet"),
        ("other network", "do not fit"),
    ],
)
def test_a_spoilt_bundle_is_refused_with_a_clear_error(folder: Path, name: str, says: str) -> None:
    altered(folder, name)
    with pytest.raises(ModelError, match=says):
        load_bundle(folder)


def test_a_device_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="use auto, cpu, cuda"):
        choose_device("banana")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="0 CUDA devices"):
            choose_device("cuda:1")


def test_masks_are_on_the_source_grid_with_area_in_its_spacing(predictor: Predictor) -> None:
    (finding,), forward_ms = predictor.predict([predictor.prepare(radiograph(1))])
    assert Outcome.POSITIVE == finding.outcome
    assert finding.mask is not None
    assert (150, 120) == finding.mask.shape
    assert finding.area_mm2 == pytest.approx(finding.mask.sum() * 0.02)
    assert finding.laterality is not None
    assert finding.volume_ml is None
    assert forward_ms > 0


def test_unknown_spacing_leaves_the_area_unsaid_with_its_reason(predictor: Predictor) -> None:
    image = radiograph(1, pixel_spacing_mm=None, spacing_reason="pixel_spacing_unknown")
    (finding,), _ = predictor.predict([predictor.prepare(image)])
    assert (None, "pixel_spacing_unknown") == (finding.area_mm2, finding.spacing_reason)
    assert finding.mask is not None


def test_at_the_threshold_it_is_positive_and_under_it_negative_without_mask(predictor: Predictor) -> None:
    prepared = predictor.prepare(radiograph(1))
    (finding,), _ = predictor.predict([prepared])
    assert finding.probability is not None
    for threshold, outcome in ((finding.probability, Outcome.POSITIVE), (finding.probability + 1e-9, Outcome.NEGATIVE)):
        predictor.bundle = replace(predictor.bundle, decision=replace(predictor.bundle.decision, class_threshold=threshold))
        (again,), _ = predictor.predict([prepared])
        assert outcome == again.outcome
        assert (again.mask is None) == (outcome is Outcome.NEGATIVE)


@pytest.mark.parametrize("half", [False, True])
def test_a_batch_of_one_answers_like_a_batch_of_four(predictor: Predictor, half: bool) -> None:
    predictor = Predictor(predictor.bundle, torch.device("cpu"), half=half)
    prepared = [predictor.prepare(radiograph(seed, (100 + 30 * seed, 120))) for seed in range(4)]
    together, _ = predictor.predict(prepared)
    for one, finding in zip(prepared, together, strict=True):
        (alone,), _ = predictor.predict([one])
        assert finding.probability == pytest.approx(alone.probability, abs=0.02 if half else 1e-5)
        assert finding.sop_instance_uids == alone.sop_instance_uids == one.sop_instance_uids
        assert finding.mask is not None
        assert alone.mask is not None
        assert (finding.mask != alone.mask).mean() < (0.02 if half else 1e-3)


def test_the_plain_network_gives_the_predictors_probability(predictor: Predictor, network: PneumothoraxNet) -> None:
    """Training and node share preprocessing and network: half precision of the file is the only difference."""
    predictor = Predictor(predictor.bundle, torch.device("cpu"), half=False)
    image = radiograph(3)
    square, _ = radiograph_input(image.image_HW, 64)
    with torch.inference_mode():
        expected = network(torch.from_numpy(square)[None, None])[0].sigmoid().item()
    (finding,), _ = predictor.predict([predictor.prepare(image)])
    assert finding.probability == pytest.approx(expected, abs=2e-3)


def test_a_ct_series_is_one_finding_with_a_volume(ct: Predictor) -> None:
    (finding,), _ = ct.predict([ct.prepare(volume())])
    assert finding.mask is not None
    assert (6, 80, 72) == finding.mask.shape
    assert finding.volume_ml == pytest.approx(finding.mask.sum() * 0.8 * 0.8 * 5 / 1000)
    assert finding.area_mm2 is None
    assert len(finding.sop_instance_uids) == 6


def test_a_ct_series_with_unknown_distances_has_no_volume(ct: Predictor) -> None:
    (finding,), _ = ct.predict([ct.prepare(replace(volume(), slice_spacing_mm=None, spacing_reason="missing_slices"))])
    assert (None, "missing_slices") == (finding.volume_ml, finding.spacing_reason)


def test_slices_answer_alike_in_batches_of_any_size(ct: Predictor) -> None:
    ct = Predictor(ct.bundle, torch.device("cpu"), batch_size=4, half=False)
    prepared = ct.prepare(volume(7))
    expected, logits = ct.forward(prepared.inputs_ZHW)
    for size in (1, 3, 7, 100):
        ct.batch_size = size
        probabilities, again = ct.forward(prepared.inputs_ZHW)
        np.testing.assert_allclose(expected, probabilities, atol=1e-5)
        torch.testing.assert_close(logits, again, atol=1e-3, rtol=1e-3)


def test_the_wrong_kind_of_image_is_refused(predictor: Predictor, ct: Predictor) -> None:
    with pytest.raises(ModelError, match="reads radiograph"):
        predictor.prepare(volume())
    with pytest.raises(ModelError, match="reads ct"):
        ct.prepare(radiograph(1))


class Crowded(torch.nn.Module):
    """A network on a device that has room for two images."""

    def __init__(self, inner: Any, room: int) -> None:
        super().__init__()
        self.inner, self.room, self.sizes = inner, room, list[int]()

    def forward(self, images: torch.Tensor) -> Any:
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(images)


def crowded(bundle: Bundle, room: int) -> tuple[Predictor, Crowded]:
    tight = Predictor(bundle, torch.device("cpu"), batch_size=8, half=False)
    tight._network = network = Crowded(tight._network, room)
    return tight, network


def test_out_of_memory_halves_the_batch_and_answers_all_the_same(folder: Path) -> None:
    bundle = load_bundle(folder)
    plain = Predictor(bundle, torch.device("cpu"), batch_size=8, half=False)
    prepared = [plain.prepare(radiograph(seed)) for seed in range(5)]
    tight, network = crowded(bundle, room=2)
    expected, found = plain.predict(prepared)[0], tight.predict(prepared)[0]
    assert [5, 4, 2, 2, 1] == network.sizes
    np.testing.assert_allclose([one.probability for one in expected], [one.probability for one in found], atol=1e-5)


def test_when_not_even_one_image_fits_it_is_a_memory_error(folder: Path) -> None:
    tight, _ = crowded(load_bundle(folder), room=0)
    with pytest.raises(MemoryError, match="one image does not fit"):
        tight.predict([tight.prepare(radiograph(1))])


def test_no_image_is_no_finding(predictor: Predictor) -> None:
    assert ([], 0.0) == predictor.predict([])


def test_a_loaded_predictor_is_warm_and_stays_on_its_threads(folder: Path) -> None:
    loaded = load_predictor(folder, device="cpu", torch_threads=1, batch_size=2)
    assert torch.get_num_threads() == 1
    assert "radiograph" == loaded.reads
    assert 15 == loaded.requirements.min_age_years
    torch.set_num_threads(2)


def test_the_embedding_comes_with_the_same_pass_and_changes_no_answer(predictor: Predictor) -> None:
    """To the last bit, in both types: as the network alone answers."""
    prepared = [predictor.prepare(radiograph(seed)) for seed in range(3)]
    inputs = torch.cat([one.inputs_ZHW for one in prepared])[:, None]
    for half in (False, True):
        ready = inference_network(predictor.bundle.network, torch.device("cpu"), half=half)
        passes = []
        ready.network.encoder.register_forward_hook(lambda *_, passes=passes: passes.append(1))  # type: ignore[misc,operator,union-attr]
        passed = ready(inputs)
        assert [1] == passes
        with torch.inference_mode():
            alone = ready.network(inputs.to(ready.dtype).contiguous(memory_format=torch.channels_last))
        assert torch.equal(alone[0], passed.class_logit_B)
        assert torch.equal(alone[1], passed.mask_logits_B1HW)
        assert passed.embedding_BC is not None
        assert (torch.float32, (3, 512)) == (passed.embedding_BC.dtype, tuple(passed.embedding_BC.shape))


def test_a_finding_carries_what_the_network_saw(predictor: Predictor) -> None:
    predictor = Predictor(predictor.bundle, torch.device("cpu"), half=False)
    image = radiograph(1)
    (finding,), _ = predictor.predict([predictor.prepare(image)])
    square, _ = radiograph_input(image.image_HW, 64)
    with torch.inference_mode():
        expected = predictor.bundle.network.encoder(torch.from_numpy(square)[None, None])[-1].mean(dim=(0, 2, 3))  # type: ignore[operator,union-attr]
    assert finding.embedding is not None
    assert np.float16 == finding.embedding.dtype
    np.testing.assert_allclose(finding.embedding, expected.numpy(), rtol=5e-3, atol=1e-3)


def test_a_network_without_an_encoder_answers_without_an_embedding(predictor: Predictor) -> None:
    class Brightness(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.amax(dim=(1, 2, 3)), images

    plain = Predictor(replace(predictor.bundle, network=Brightness()), torch.device("cpu"))
    (finding,), _ = plain.predict([plain.prepare(radiograph(1))])
    assert finding.embedding is None
    assert finding.probability is not None


def test_slices_count_by_their_share_of_lung() -> None:
    """Of four slices one is half lung, one a quarter, one fat, one air; where no slice has lung all count alike."""
    features = np.eye(4, 6, dtype=np.float32)
    inputs = torch.full((4, 8, 8), -1.0)  # air
    fat, lung = ((hu + 1050) / 600 - 1 for hu in (-90, -800))
    inputs[0, :4], inputs[1, :2], inputs[2] = lung, lung, fat
    np.testing.assert_allclose(embedding_of(features, inputs, "ct"), [2 / 3, 1 / 3, 0, 0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(embedding_of(features, inputs * 0 + 1, "ct"), [0.25] * 4 + [0, 0], atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_features_that_are_no_numbers_in_half_precision_are_not_kept(value: float) -> None:
    features = np.array([[1.0, value]], dtype=np.float32)
    assert embedding_of(features, torch.zeros(1, 8, 8), "radiograph") is None
