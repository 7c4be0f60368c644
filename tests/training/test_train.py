"""The training loop: what it sees, when it stops, and that a kill or a full disk costs nothing but time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ptx_node.errors import ConfigurationError, PermanentError, StorageFullError
from tests.training.real_formats import write_siim
from tests.training.stand_in import SIZE, InMemory, pictures, tiny, train_tiny
from training.__main__ import main
from training.batches import Order, Pool, Position, batches
from training.checkpoint import LAST, LOG, load_checkpoint, save_checkpoint
from training.networks.build import WEIGHTS, load_run
from training.run import Place
from training.schedule import Clock, schedule_of
from training.splits import LeakError
from training.train import train

CPU = torch.device("cpu")


def losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    steps = [line for line in lines if "epoch" not in line]
    assert list(range(1, len(steps) + 1)) == [line["step"] for line in steps], "each step stands in the log once, in order"
    return {line["step"]: line["loss"] for line in steps}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train_tiny(folder)
    return folder


def test_a_run_killed_at_any_step_and_resumed_is_the_uninterrupted_run(uninterrupted: Path, tmp_path: Path) -> None:
    """Same losses at every step and the same weights at the end, to the last bit, though steps after the checkpoint were lost."""
    folder = tmp_path / "killed"
    log = folder / LOG
    program = [sys.executable, "-m", "tests.training.stand_in", str(folder)]
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(program, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and log.read_text().count('"norm"') >= 8):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    reached = load_checkpoint(folder)["state"]["position"]["step"]
    assert 6 <= reached < 15, "the run was to be killed in its middle"
    train_tiny(folder, resume=True)
    assert losses(uninterrupted) == losses(folder)
    for name, expected in load_file(uninterrupted / WEIGHTS).items():
        assert torch.equal(expected, load_file(folder / WEIGHTS)[name]), name
    first, second = load_checkpoint(uninterrupted), load_checkpoint(folder)
    assert all(torch.equal(value, second["network"][name]) for name, value in first["network"].items())
    assert 2 == len(json.loads((folder / "environment.json").read_text()))


def test_a_finished_run_has_what_the_next_command_needs(uninterrupted: Path) -> None:
    assert {"config.toml", "environment.json", "log.jsonl", "last.pt", "model.safetensors", "summary.json", "best.json"} == {
        path.name for path in uninterrupted.iterdir()
    }
    settings, network = load_run(uninterrupted)
    assert tiny() == settings
    assert not network.training
    environment = json.loads((uninterrupted / "environment.json").read_text())[0]
    assert 40 == len(environment["git_revision"]) or not (Path(__file__).resolve().parents[2] / ".git").exists()
    assert torch.__version__.startswith(environment["packages"]["torch"].split("+")[0])
    summary = json.loads((uninterrupted / "summary.json").read_text())
    assert summary["simulated"] is True
    assert (15, 3) == (summary["steps"], summary["epochs"])


def test_frozen_layers_stand_still_until_their_stage_ends(tmp_path: Path) -> None:
    """Weights of the encoder after the first stage are those that the seed drew; after the second they are not."""
    one_stage = tiny(stages=[{"epochs": 1, "rate_from": 1e-2, "rate_to": 1e-2, "frozen": "encoder"}], optimiser={"ema": 0.0})
    two_stages = tiny(
        stages=[*(stage.model_dump() for stage in one_stage.stages), {"epochs": 1, "rate_from": 1e-2, "rate_to": 1e-2}],
        optimiser={"ema": 0.0},
    )
    for name, settings in (("a", one_stage), ("b", two_stages)):
        train_tiny(tmp_path / name, settings=settings)
    frozen, moved = (load_checkpoint(tmp_path / name)["network"] for name in "ab")
    torch.manual_seed(settings.seed)
    from training.networks.build import build  # noqa: PLC0415 - after the seed, as the run does

    start = build(settings.network).state_dict()
    weight, head = "encoder.layer3.0.conv1.weight", "segmentation_head.0.weight"
    assert torch.equal(start[weight], frozen[weight])
    assert not torch.equal(start[head], frozen[head])
    assert not torch.equal(start[weight], moved[weight])


def test_it_learns_to_find_what_is_there(tmp_path: Path) -> None:
    settings = tiny(stages=[{"epochs": 8, "rate_from": 4e-3, "rate_to": 1e-5}], optimiser={"batch": 8})
    torch.set_num_threads(1)
    summary = train(settings, [pictures(40)], [pictures(16, first=100)], Place(tmp_path / "run", device="cpu", quiet=True))
    assert summary["best"]["dice_positive"] > 0.6
    assert summary["best"]["auc"] > 0.9


@pytest.mark.parametrize("kind", ["classifier", "clasegnet", "ct"])
def test_the_other_kinds_of_run_go_through(tmp_path: Path, kind: str) -> None:
    one_epoch = [{"epochs": 1, "rate_from": 1e-3, "rate_to": 1e-4}]
    changes = {
        "classifier": {
            "network": {"kind": "classifier"},
            "loss": {"bce": 0, "dice": 0, "image": 0, "cross_entropy": 1.0},
            "keep": {"best": "auc"},
        },
        "clasegnet": {"network": {"kind": "clasegnet"}, "loss": {"bce": 0, "dice": 0, "image": 0, "mil": 1.0}, "data": {"balanced": True}},
        "ct": {"reads": "ct", "loss": {"dice": 0, "image": 0, "jaccard": 1.0}, "augment": {"hu_noise": 20.0, "hu_shift": 10.0}},
    }[kind]
    settings = tiny(stages=one_epoch, **changes)
    data = ([pictures(8, ct=kind == "ct")], [pictures(4, first=50, ct=kind == "ct")])
    best = train(settings, *data, Place(tmp_path / "run", device="cpu", quiet=True))["best"]
    assert math.isfinite(best["loss"])
    assert 0 <= best["auc"] <= 1
    assert (best["dice"] is None) == (kind == "classifier")


def test_training_stops_after_its_patience_and_stays_stopped(tmp_path: Path) -> None:
    settings = tiny(
        stages=[{"epochs": 50, "rate_from": 1e-12, "rate_to": 1e-12}],
        keep={"best": "auc", "patience": 2},
        data={"epoch_images": 4},
    )
    summary = train_tiny(tmp_path / "run", settings=settings)
    assert summary["stopped_early"]
    assert summary["epochs"] == summary["best"]["epoch"] + 2
    assert summary["steps"] == train_tiny(tmp_path / "run", settings=settings, resume=True)["steps"]


def spoilt(count: int) -> InMemory:
    """Half precision pictures, of which the second and fourth are not numbers."""
    data = pictures(count)
    images = (data.images_NHW / 255).astype(np.float16)
    images[[1, 3]] = np.nan
    return replace(data, images_NHW=images)


def test_a_loss_that_is_not_a_number_moves_no_weight_and_is_counted(tmp_path: Path) -> None:
    settings = tiny(stages=[{"epochs": 1, "rate_from": 1e-3, "rate_to": 1e-4}], data={"positive_rate": None}, keep={"bad_steps": 5})
    summary = train(settings, [spoilt(20)], [pictures(8, first=50)], Place(tmp_path / "run", device="cpu", quiet=True))
    assert 1 <= summary["skipped_steps"] <= 2
    assert all(torch.isfinite(value).all() for value in load_checkpoint(tmp_path / "run")["network"].values())


def test_losses_that_are_never_numbers_end_the_run_with_advice(tmp_path: Path) -> None:
    data = replace(pictures(12), images_NHW=np.full((12, 64, 64), np.nan, dtype=np.float16))
    with pytest.raises(PermanentError, match=r"3 steps in a row.*rate_from"):
        train(tiny(keep={"bad_steps": 3}), [data], [pictures(8, first=50)], Place(tmp_path / "run", device="cpu", quiet=True))


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"state": 1, "weights": torch.zeros(10)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageFullError, match=r"last\.pt .*The last good one is kept"):
            save_checkpoint(tmp_path, {"state": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 1 == load_checkpoint(tmp_path)["state"]
    assert [LAST] == [path.name for path in tmp_path.iterdir()]


def test_a_spoilt_checkpoint_is_a_clear_error(uninterrupted: Path, tmp_path: Path) -> None:
    (tmp_path / LAST).write_bytes((uninterrupted / LAST).read_bytes()[:5000])
    with pytest.raises(ConfigurationError, match="no checkpoint to resume from"):
        load_checkpoint(tmp_path)


def test_a_folder_in_use_is_only_taken_to_resume_the_same_settings(uninterrupted: Path) -> None:
    with pytest.raises(ConfigurationError, match="--resume"):
        train_tiny(uninterrupted)
    with pytest.raises(ConfigurationError, match=r"seed = 7.*Resume with the same"):
        train_tiny(uninterrupted, resume=True, settings=tiny(seed=7))


def test_nothing_is_trained_when_a_patient_stands_on_both_sides(tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="patient"):
        train(tiny(), [pictures(8)], [pictures(8, first=7)], Place(tmp_path / "run", device="cpu", quiet=True))
    assert not (tmp_path / "run" / LOG).exists()


def test_images_of_one_kind_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="0 positive and 8 negative"):
        train(tiny(), [pictures(8, label=0)], [pictures(8, first=50)], Place(tmp_path / "run", device="cpu", quiet=True))


def test_every_image_of_a_kind_comes_once_before_any_comes_twice() -> None:
    label = np.array([1] * 6 + [0] * 30)
    order = Order(label, np.arange(36), seed=1, batch=8)
    position, seen = Position(), list[int]()
    for _ in range(12):
        indices, position = order.next(position, 0.5)
        assert 4 == (label[indices] == 1).sum()
        seen += indices.tolist()
    positives = [one for one in seen if one < 6]
    for start in range(0, 48, 6):
        assert set(range(6)) == set(positives[start : start + 6])
    negatives = [one for one in seen if one >= 6]
    assert 30 == len(set(negatives[:30]))


def test_the_share_of_positives_slides_and_is_met_on_average() -> None:
    label = np.array([1] * 10 + [0] * 10)
    order, position = Order(label, np.arange(20), seed=1, batch=5), Position()
    for rate in (0.8, 0.22):
        shares = []
        for _ in range(400):
            indices, position = order.next(position, rate)
            shares.append((label[indices] == 1).mean())
        assert rate == pytest.approx(np.mean(shares), abs=0.02)
    schedule = schedule_of(tiny(), 20)
    assert [0.8, 0.55, 0.3] == [pytest.approx(schedule.positives_at(progress)) for progress in (0, 0.5, 1)]


def test_the_order_goes_on_from_a_position_as_if_never_stopped() -> None:
    label = np.array([1, 0] * 10)
    for rate in (0.4, None):
        position, whole = Position(), []
        for _ in range(9):
            indices, position = Order(label, np.arange(20), seed=3, batch=4).next(position, rate)
            whole.append(indices.tolist())
        again = Order(label, np.arange(20), seed=3, batch=4)
        position = Position()
        for expected in whole:
            indices, position = again.next(replace(position), rate)
            assert expected == indices.tolist()


def test_threads_prepare_the_same_batches_in_the_same_order() -> None:
    settings, pool = tiny(), Pool([pictures(10), pictures(10, first=10)])

    def inputs(threads: int) -> list[torch.Tensor]:
        order = Order(pool.label_N, np.arange(20), seed=1, batch=4)
        source = batches(pool, order, settings, Position(), lambda _: 0.5, CPU, threads=threads)
        found = [next(source).inputs_B1HW for _ in range(6)]
        source.close()
        return found

    for expected, found in zip(inputs(0), inputs(3), strict=True):
        assert torch.equal(expected, found)


def test_uncertain_labels_are_left_out_and_undrawn_masks_are_known_as_such() -> None:
    data = pictures(6)
    records = [replace(one, label=[1, 0, None][index % 3], masked=False) for index, one in enumerate(data.records)]
    pool = Pool([replace(data, records=tuple(records))])
    assert [1, 0, 1, 0] == pool.label_N.tolist()
    assert [False, True, False, True] == pool.known_N.tolist()


def test_a_balanced_part_has_as_many_of_each_kind() -> None:
    pool = Pool([pictures(20), pictures(30, first=20, label=0)])
    for most, expected in ((0, 20), (8, 8)):
        chosen = pool.limited(seed=1, most=most, balanced=True)
        assert expected == len(set(chosen.tolist()))
        assert expected / 2 == pool.label_N[chosen].sum()


def test_stages_follow_each_other_each_on_its_cosine() -> None:
    schedule = schedule_of(
        tiny(stages=[{"epochs": 1, "rate_from": 1.0, "rate_to": 0.5}, {"epochs": 3, "rate_from": 2.0, "rate_to": 0.0, "warm_up": 4}]), 20
    )
    assert (5, 20) == (schedule.epoch_steps, schedule.steps)
    assert [0, 0, 1, 1] == [schedule.stage_at(progress)[0] for progress in (0, 0.24, 0.25, 0.99)]
    rates = [schedule.learning_rate(progress, 100) for progress in (0, 0.125, 0.25, 0.625, 1.0)]
    assert [1.0, 0.75, 2.0, 1.0, 0.0] == pytest.approx(rates)
    assert [0.5, 1.0, 1.5, 2.0] == pytest.approx([schedule.learning_rate(0.25, step) for step in range(4)])


def test_a_time_budget_counts_what_was_spent_before_a_resume() -> None:
    clock = Clock(steps=1000, minutes=10, spent_s=300)
    assert 0.5 == pytest.approx(clock.progress(3), abs=0.01)
    assert 0.25 == Clock(steps=1000, minutes=0, spent_s=300).progress(250)


def test_a_run_ends_with_its_time(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    place = Place(tmp_path / "run", minutes=0.02, device="cpu", quiet=True)
    start = time.monotonic()
    settings, data = tiny(stages=[{"epochs": 1000, "rate_from": 1e-3, "rate_to": 1e-4}]), ([pictures(20)], [pictures(8, first=50)])
    summary = train(settings, *data, place)
    assert 0.02 <= summary["minutes"] + 0.005
    assert time.monotonic() - start < 60
    assert summary["best"]["epoch"] >= 1
    (tmp_path / "run" / "summary.json").unlink()
    again = train(settings, *data, replace(place, resume=True))
    assert (summary["steps"], summary["best"]) == (again["steps"], again["best"]), "a run whose time is over was trained on"


def test_tensorboard_is_written_where_it_is_asked_for_and_missing_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny(stages=[{"epochs": 1, "rate_from": 1e-3, "rate_to": 1e-4}])
    data = ([pictures(8)], [pictures(4, first=50)])
    train(settings, *data, Place(tmp_path / "run", device="cpu", tensorboard=True, quiet=True))
    assert 1 == len(list((tmp_path / "run" / "tensorboard").glob("events*")))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigurationError, match=r"ptx-node\[tensorboard\]"):
        train(settings, *data, Place(tmp_path / "other", device="cpu", tensorboard=True, quiet=True))


def test_the_command_trains_from_files_and_refuses_what_it_should(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A SIIM-ACR tree, a split, a run, its resume; an unknown setting is one line with file and key."""
    mask = "100 60 5 8 10 40"
    write_siim(tmp_path / "siim", [(number, mask if number % 4 < 2 else "-1") for number in range(24)], files=range(24))
    data = ["--data", f"siim:{tmp_path / 'siim'}"]
    assert 0 == main(["split", *data, "--out", str(tmp_path / "split.json"), "--shares", "0.5", "0.5", "0"])
    (tmp_path / "tiny.toml").write_text(tiny(stages=[{"epochs": 1, "rate_from": 1e-3, "rate_to": 1e-4}]).to_toml())
    words = [
        "train",
        "--config",
        str(tmp_path / "tiny.toml"),
        *data,
        "--split",
        str(tmp_path / "split.json"),
        "--out",
        str(tmp_path / "run"),
    ]
    words += ["--device", "cpu", "--torch-threads", "1", "--set", "optimiser.batch=2"]
    assert 0 == main(words)
    assert (tmp_path / "split.json").read_bytes() == (tmp_path / "run" / "split.json").read_bytes()
    assert 0 == main([*words, "--resume"])
    assert 2 == main(words)
    assert 2 == main([*words, "--set", "optimiser.bach=2"])
    errors = capsys.readouterr().err.splitlines()
    assert any("Give --resume" in line for line in errors)
    assert any("tiny.toml: optimiser.bach is not a setting; did you mean batch?" in line for line in errors)


def test_what_learns_on_crops_is_judged_on_whole_pictures(tmp_path: Path) -> None:
    """Crops of half the edge are trained on; validation, and the bundle that the run becomes, take the whole picture."""
    from training.evaluate.models import open_run  # noqa: PLC0415 - the predictor is needed here alone

    settings = tiny(data={"size": 32, "answer": SIZE}, augment={"zoom": [2.0, 2.0], "shift": 0.25})
    train_tiny(tmp_path / "run", settings=settings)
    assert SIZE == open_run(tmp_path / "run", device="cpu").predictor.bundle.input_size
    inputs = next(
        batches(
            Pool([pictures(8)]), Order(np.arange(8) % 2, np.arange(8), seed=1, batch=4), settings, Position(), lambda _: 0.5, CPU, threads=0
        )
    )
    assert (4, 1, 32, 32) == tuple(inputs.inputs_B1HW.shape)
