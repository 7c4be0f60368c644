"""The programs that time forward passes: what they compare answers alike, and their verdicts follow their figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ptx_node.model.network import PneumothoraxNet
from tests.bench import forward, gpu
from tests.bench.rounds import bundle_of, ratio, timed


def seconds(ours: float) -> dict[str, np.ndarray]:
    return {forward.PEER: np.array([0.1, 0.2, 0.1]), forward.OURS: np.array([0.1, 0.2, 0.1]) * ours}


def test_every_round_runs_every_candidate_once_and_not_always_in_the_same_order() -> None:
    order: list[str] = []
    found = timed({name: lambda name=name: order.append(name) for name in "ab"}, 2)  # type: ignore[misc]
    assert list("abab" + "ab" + "ba") == order  # twice unmeasured, then two rounds
    assert [(2,), (2,)] == [times.shape for times in found.values()]


def test_the_ratio_compares_within_a_round() -> None:
    """In the second round the machine was ten times slower for both."""
    assert 1.5 == pytest.approx(ratio(np.array([1.5, 15.0, 1.5]), np.array([1.0, 10.0, 1.0])))


def test_candidates_answer_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PneumothoraxNet("resnet10", [16, 16, 8, 8, 8]).eval()
    case = forward.Case("small", bundle_of(network, 64), torch.randn(2, 64, 64))
    taken, answers = forward.measured(case, tmp_path, 1, with_compiler=False)
    assert [forward.PEER, forward.OURS] == list(taken)[:2]
    for name, answer in answers.items():
        assert (2,) == answer[0].shape
        assert max(forward.differences(answer, answers[forward.PEER])) < (0.02 if "bfloat16" in name or name == forward.OURS else 1e-4)


@pytest.mark.parametrize(("ours", "reached", "says"), [(1.09, True, "at most 1.1: yes"), (1.12, False, "at most 1.1: NO")])
def test_the_bound_is_eleven_tenths_of_onnx_runtimes_time(
    ours: float, reached: bool, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = np.full(1, 0.5), np.zeros((1, 4, 4))
    assert reached == forward.report("one", seconds(ours), dict.fromkeys(seconds(ours), answer), 2)
    shown = capsys.readouterr().out
    assert says in shown
    assert f"{ours:.2f}" in shown


def test_a_gpu_must_be_three_times_as_fast_each_way_at_its_best_batch(capsys: pytest.CaptureFixture[str]) -> None:
    plain = {1: 10.0, 8: 100.0}
    assert gpu.report_throughput({gpu.PLAIN: plain, gpu.OURS: {1: 40.0, 8: 300.0}}, torch.device("cpu"))
    assert not gpu.report_throughput({gpu.PLAIN: plain, gpu.OURS: {1: 290.0, 8: 280.0}}, torch.device("cpu"))
    assert "2.90 x plain float32" in capsys.readouterr().out


def test_decoders_must_deliver_four_fifths_of_what_the_forward_pass_takes(capsys: pytest.CaptureFixture[str]) -> None:
    slow, enough = gpu.Feed("slow", 2, 20.0, 15.0), gpu.Feed("enough", 4, 80.0, 60.0)
    assert not gpu.report_feeds([slow], 100.0)
    assert "8 │" in capsys.readouterr().out  # decoders for 80 %: ten images a second each
    assert gpu.report_feeds([slow, enough], 100.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--device", "cuda"], 2)])
def test_without_a_gpu_the_program_says_so(
    arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", *arguments])
    assert status == gpu.main()
    assert "no GPU here: nothing was measured" in capsys.readouterr().out


def test_what_decoders_prepare_is_the_networks_input(tmp_path: Path) -> None:
    for source, paths in gpu.files(tmp_path, 1, 64).items():
        square = gpu.decode(paths[0], 64)
        assert (64, 64) == square.shape, source
        assert abs(float(square.astype(np.float32).mean())) < 0.05
        assert float(square.std()) > 0.5
