"""A run becomes a bundle that the node loads and that says the same; what was not judged is not exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_METADATA

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.errors import ModelError, UsageError
from ptx_node.model.bundle import INFERENCE, load_bundle
from ptx_node.model.metadata import METADATA, WEIGHTS, describe
from ptx_node.model.patch_network import PatchNet
from ptx_node.model.predictor import Predictor
from ptx_node.model.preprocess import radiograph_input, slice_input
from ptx_node.settings import Settings as NodeSettings
from ptx_node.wiring.models import describe_models
from tests.factories import Place, Size, as_file, ct_series
from tests.training.real_formats import write_siim
from tests.training.stand_in import tiny, train_tiny, untrained_run
from training.__main__ import main
from training.datasets import open_data_set, read
from training.datasets.writing import save_seg
from training.evaluate.models import EVALUATION, WithoutMask, open_bundle, open_run, round_to_half
from training.export import TRAINING_LOG, export
from training.model_card import log_lines
from training.networks.build import build, load_run
from training.prepared import prepare
from training.settings import Network
from training.splits import draw

MONAI_REQUIRES = set(DEFAULT_METADATA)
"""What MONAI's own template of metadata holds."""


def evaluated(run: Path, data: str, split: Path) -> None:
    words = ["evaluate", "--run", run, "--data", data, "--split", split, "--out", run / "evaluation", "--device", "cpu", "--repeats", "20"]
    assert 0 == main([str(word) for word in [*words, "--examples", "1"]])


@pytest.fixture(scope="module")
def siim(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("siim")
    rows = [(number, "-1" if number % 4 < 2 else f"{200 + number} 6 34 7") for number in range(2, 26)]
    write_siim(folder / "data", rows, files=range(2, 26))
    draw("siim", open_data_set("siim", folder / "data").records, seed=3, shares=(0.34, 0.33, 0.33)).save(folder / "split.json")
    return folder / "data", folder / "split.json"


@pytest.fixture(scope="module")
def run(siim, tmp_path_factory) -> Path:
    """A judged run of radiographs."""
    folder = tmp_path_factory.mktemp("runs") / "radiograph"
    train_tiny(folder)
    evaluated(folder, f"siim:{siim[0]}", siim[1])
    return folder


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "cxr"
    words = ["export", "--run", run, "--out", out, "--name", "ptx-cxr", "--model-version", "1.0.0"]
    assert 0 == main([str(word) for word in words])
    return out


def write_series(folder: Path) -> None:
    """Four CT series, two of them with a mask."""
    for study in range(4):
        place = folder / str(study)
        place.mkdir(parents=True)
        slices = ct_series(4, Place(study=study + 1, patient_id=f"C{study}"), size=Size(40, 32))
        for index, ds in enumerate(slices):
            (place / f"{index}.dcm").write_bytes(as_file(ds))
        if study % 2:
            mask = np.zeros((4, 40, 32), bool)
            mask[1:3, 8:16, 5:12] = True
            save_seg(place / "mask.dcm", slices, mask)


# --- what is in it


def test_node_lists_and_loads_the_bundle(bundle, run):
    (row,) = describe_models(NodeSettings(models={"cxr": bundle}))
    assert (True, None, "1.0.0", "radiograph", 64) == tuple(row[name] for name in ("intact", "problem", "version", "reads", "input_size"))
    decision = json.loads((run / "decision.json").read_text())
    assert decision["weights_sha256"] == row["weights_sha256"]
    assert decision["decision"]["class_threshold"] == row["threshold"]
    assert 15 == row["min_age_years"]


def test_monai_finds_its_keys_and_builds_the_network(bundle):
    metadata = json.loads((bundle / METADATA).read_text())
    assert MONAI_REQUIRES - set(metadata) == set()
    assert {"inputs", "outputs"} == set(metadata["network_data_format"])
    assert "dicom" == metadata["data_type"]
    parser = ConfigParser()
    parser.read_config(bundle / INFERENCE)
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(load_bundle(bundle).network.state_dict())


def test_card_is_written_from_the_evaluation(bundle, run):
    card = (bundle / "docs" / "README.md").read_text()
    judged = json.loads((run / "evaluation" / "metrics.json").read_text())
    found = judged["figures"]["all"]
    for value in (found["discrimination"]["auc"], found["rule"]["sensitivity"], found["masks"]["dice_of_positives"]):
        assert f"| {value['value']:.3f} | {value['low']:.3f} to {value['high']:.3f} |" in card
    for words in ("Not for clinical use", "## Limits", "## By subgroup", "sex: M", "ptx-cxr", "decoder_channels = [16, 16, 8, 8, 8]"):
        assert words in card
    assert describe(bundle).identity.weights_sha256 in card
    assert judged["about"]["split"]["digest"] in card
    assert all(f"| {one['what']} |" in card for one in judged["must_reach"])
    assert judged == json.loads((bundle / EVALUATION).read_text())
    assert str(run) not in card + (bundle / EVALUATION).read_text() + (bundle / METADATA).read_text()


def test_card_says_who_was_trained_on_where_the_rule_was_chosen_on_others(run, tmp_path):
    here = tmp_path / "run"
    shutil.copytree(run, here)
    judged = json.loads((here / "evaluation" / "metrics.json").read_text())["about"]["split"]
    (here / "environment.json").write_text(json.dumps([{"split": {"name": "first, second", "digest": "12ab, 34cd"}}]))
    export(here, tmp_path / "out", name="n", model_version="1", evaluation=here / "evaluation")
    card = (tmp_path / "out" / "docs" / "README.md").read_text()
    assert "trained under split first, second, SHA-256 `12ab, 34cd`" in card
    assert f"judged, under split {judged['name']}, SHA-256 `{judged['digest']}`" in card


def test_card_of_simulated_data_says_so_first(run, tmp_path):
    here = tmp_path / "run"
    shutil.copytree(run, here)
    path = here / "evaluation" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"simulated": "all"}))
    export(here, tmp_path / "out", name="n", model_version="1", evaluation=here / "evaluation")
    card = (tmp_path / "out" / "docs" / "README.md").read_text()
    assert card.splitlines()[2].startswith("**SIMULATED")
    assert "It has never seen a picture of a person" in card
    assert "simulated" == json.loads((tmp_path / "out" / METADATA).read_text())["data_type"]


def test_training_log_comes_along_with_every_epoch(bundle, run):
    ours = [json.loads(line) for line in (bundle / TRAINING_LOG).read_text().splitlines()]
    theirs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert theirs == ours
    text = "".join(json.dumps({"step": step, **({"epoch": step // 100} if step % 100 == 0 else {})}) + "\n" for step in range(1, 1001))
    short = [json.loads(line) for line in log_lines(text, most=50).splitlines()]
    assert list(range(1, 11)) == [line["epoch"] for line in short if "epoch" in line]
    assert 50 >= sum("epoch" not in line for line in short) > 40


# --- it says the same


def test_same_radiograph_has_the_same_probabilities_in_training_and_node(siim, run, bundle):
    _, network = load_run(run)
    round_to_half(network)
    node = Predictor(load_bundle(bundle), torch.device("cpu"), half=False)
    for record in open_data_set("siim", siim[0]).records[:4]:
        image, _ = read(record)
        square, _ = radiograph_input(image, 64)
        with torch.inference_mode():
            class_logit, mask_logits = network(torch.from_numpy(square)[None, None])
        probabilities, logits = node.forward(node.prepare(read_radiograph(record.path)).inputs_ZHW)
        assert class_logit.double().sigmoid().item() == pytest.approx(float(probabilities[0]), abs=1e-6)
        torch.testing.assert_close(mask_logits[0, 0].sigmoid(), logits[0].sigmoid(), atol=1e-5, rtol=0)


def test_prepared_arrays_give_nearly_the_nodes_input(siim, bundle, tmp_path):
    """They hold 8 bits a pixel: nothing else may differ."""
    node = Predictor(load_bundle(bundle), torch.device("cpu"), half=False)
    records = open_data_set("siim", siim[0]).records[:2]
    stored = prepare(records, tmp_path, size=64, processes=1)
    for index, record in enumerate(records):
        expected = node.prepare(read_radiograph(record.path)).inputs_ZHW[0].numpy()
        np.testing.assert_allclose(expected, stored.network_input(index), atol=0.03)


def test_same_ct_slices_have_the_same_probabilities_in_training_and_node(tmp_path):
    write_series(tmp_path / "data")
    data = open_data_set("ct_folder", tmp_path / "data", unlabelled="negative")
    draw("ct", data.records, seed=1, shares=(0.0, 0.5, 0.5), by=()).save(tmp_path / "split.json")
    untrained_run(tmp_path / "run", tiny(reads="ct"))
    evaluated(tmp_path / "run", f"ct_folder:{tmp_path / 'data'}:unlabelled=negative", tmp_path / "split.json")
    export(tmp_path / "run", tmp_path / "ct", name="ptx-ct", model_version="1", evaluation=tmp_path / "run" / "evaluation")
    judged = json.loads((tmp_path / "ct" / EVALUATION).read_text())
    assert (2, 1) == (judged["figures"]["all"]["cases"], judged["figures"]["all"]["volume"]["patients_with_air"])
    _, network = load_run(tmp_path / "run")
    round_to_half(network)
    node = Predictor(load_bundle(tmp_path / "ct"), torch.device("cpu"), half=False)
    volume = read_volume(sorted((tmp_path / "data" / "0").glob("*.dcm")))
    probabilities, logits = node.forward(node.prepare(volume).inputs_ZHW)
    slices = {record.extra["sop_instance_uid"]: read(record)[0] for record in data.records if record.patient_id == "C0"}
    for index, uid in enumerate(volume.sop_instance_uids):
        with torch.inference_mode():
            class_logit, mask_logits = network(torch.from_numpy(slice_input(slices[uid], 64)[0])[None, None])
        assert class_logit.double().sigmoid().item() == pytest.approx(float(probabilities[index]), abs=1e-6)
        torch.testing.assert_close(mask_logits[0, 0].sigmoid(), logits[index].sigmoid(), atol=1e-5, rtol=0)


def test_judged_run_and_exported_bundle_give_the_same_findings(siim, run, bundle):
    images = [read_radiograph(record.path) for record in open_data_set("siim", siim[0]).records[:5]]
    in_memory, loaded = open_run(run, device="cpu").predictor, Predictor(load_bundle(bundle), torch.device("cpu"))
    for image in images:
        (one,), (other,) = (model.predict([model.prepare(image)])[0] for model in (in_memory, loaded))
        assert (one.probability, one.outcome, one.area_mm2) == (other.probability, other.outcome, other.area_mm2)


def test_network_of_patches_answers_in_the_node_as_in_training(siim, tmp_path):
    untrained_run(tmp_path / "run", tiny(network={"kind": "clasegnet", "patch": 8}, loss={"bce": 0, "dice": 0, "image": 0, "mil": 1.0}))
    evaluated(tmp_path / "run", f"siim:{siim[0]}", siim[1])
    export(tmp_path / "run", tmp_path / "out", name="patches", model_version="1", evaluation=tmp_path / "run" / "evaluation")
    _, network = load_run(tmp_path / "run")
    round_to_half(network)
    same_answers(network, load_bundle(tmp_path / "out").network)


@pytest.mark.parametrize("patch", [2, 16])
def test_network_of_patches_takes_the_surest_one_at_every_size(patch):
    arguments = {"backbone": "resnet10", "decoder_channels": (16, 16, 8, 8, 8), "patch": patch, "score": "max"}
    trained = build(Network(kind="clasegnet", **arguments)).eval()
    answering = PatchNet(**arguments).eval()
    answering.load_state_dict(trained.state_dict())
    same_answers(trained, answering)


def same_answers(one: torch.nn.Module, other: torch.nn.Module) -> None:
    inputs = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        for expected, found in zip(one(inputs), other(inputs), strict=True):
            torch.testing.assert_close(expected, found, atol=1e-5, rtol=1e-5)


def test_bundle_is_judged_by_the_sites_that_it_says_it_saw(siim, bundle, tmp_path, capsys):
    judged = json.loads((bundle / EVALUATION).read_text())
    assert tuple(judged["about"]["trained_sites"]) == open_bundle(bundle, device="cpu").trained_sites != ()
    words = ["evaluate", "--bundle", bundle, "--data", f"siim:{siim[0]}", "--part", "all", "--out", tmp_path, "--device", "cpu"]
    assert 0 == main([str(word) for word in [*words, "--repeats", "5", "--examples", "1"]])
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert (24, judged["about"]["trained_sites"]) == (again["figures"]["all"]["cases"], again["about"]["trained_sites"])


# --- what is refused


def test_altered_weights_are_refused(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "cut")
    data = bytearray((tmp_path / "cut" / WEIGHTS).read_bytes())
    data[-7] ^= 1
    (tmp_path / "cut" / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(ModelError, match="altered or cut"):
        load_bundle(tmp_path / "cut")
    (row,) = describe_models(NodeSettings(models={"cut": tmp_path / "cut"}))
    assert "altered or cut" in row["problem"]


@pytest.mark.parametrize("change", [{"class_from": "moon"}, {"odds": 1.0}])
def test_a_decision_rule_that_the_node_does_not_know_is_refused(bundle, tmp_path, change):
    shutil.copytree(bundle, tmp_path / "odd")
    metadata = json.loads((bundle / METADATA).read_text())
    metadata["ptx"]["decision"] |= change
    (tmp_path / "odd" / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match="lacks or has a wrong"):
        load_bundle(tmp_path / "odd")


def test_a_run_that_was_not_judged_is_not_exported(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "decision.json").unlink()
    with pytest.raises(UsageError, match="no decision rule for its weights"):
        export(tmp_path / "run", tmp_path / "out", name="n", model_version="1", evaluation=run / "evaluation")
    with pytest.raises(UsageError, match=r"metrics\.json cannot be read"):
        export(run, tmp_path / "out", name="n", model_version="1", evaluation=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "value"), [("weights_sha256", "0" * 64), ("decision", {"class_threshold": 0.3})])
def test_an_evaluation_of_something_else_is_not_taken(run, tmp_path, name, value):
    content = json.loads((run / "evaluation" / "metrics.json").read_text())
    content["about"][name] = value
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="judges other weights or another decision rule"):
        export(run, tmp_path / "out", name="n", model_version="1", evaluation=tmp_path)


def test_a_classifier_is_not_exported_and_the_reason_is_said(tmp_path):
    untrained_run(tmp_path / "run", tiny(network={"kind": "classifier"}, loss={"bce": 0, "dice": 0, "image": 1.0}))
    with pytest.raises(UsageError, match="draws no mask"):
        export(tmp_path / "run", tmp_path / "out", name="n", model_version="1", evaluation=tmp_path)
    wrapped = WithoutMask(build(Network(kind="classifier", backbone="resnet10")).eval())
    assert not (wrapped(torch.zeros(1, 1, 64, 64))[1].sigmoid() > 1e-9).any()


def test_pixels_that_the_node_does_not_handle_so_are_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("[data.handling]", '[data.handling]\nvalues = "full_range"'))
    with pytest.raises(UsageError, match="which the node does not do"):
        export(tmp_path / "run", tmp_path / "out", name="n", model_version="1", evaluation=run / "evaluation")
