"""One forward pass on the CPU: the node's Predictor against the same network in ONNX Runtime, on the same cores, in the same run.

Run by hand: `make bench BENCH=forward`. Inputs are SIMULATED radiographs and CT slices; the ResNet-34's weights are drawn from a seed.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.model.bundle import Bundle, load_bundle
from ptx_node.model.inference_network import half_precision_pays
from ptx_node.model.predictor import Predictor
from ptx_node.model.preprocess import radiograph_input
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.studies import simulate
from ptx_node.wiring.models import SHIPPED
from tests.bench.rounds import SIZE, bundle_of, ratio, resnet34, timed

BOUND = 1.1
"""The Predictor's time over ONNX Runtime's, at most, in `BOUND_CASE`; the other tables are there to be read."""
BOUND_CASE = "resnet34, one 512 x 512"
PEER = "ONNX Runtime, float32"
OURS = "the node's Predictor"
CPU = torch.device("cpu")

Answer = tuple[np.ndarray, np.ndarray]
"""(class probabilities of shape N, mask logits of shape NHW)."""
Way = Callable[[], Answer]


@dataclass(frozen=True)
class Case:
    """One network and what it is given."""

    name: str
    bundle: Bundle
    inputs_NHW: torch.Tensor


def main() -> int:
    """Print the tables; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="measured passes of each candidate")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of every candidate")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well (a minute more; needs a C++ compiler)")
    parser.add_argument("--only", default="", help="cases whose name holds this word")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")  # the exporter's, about Python in the network
    torch.set_num_threads(chosen.threads)
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        for case in cases(Path(name)):
            if chosen.only in case.name:
                rounds = chosen.rounds * (SIZE // case.bundle.input_size) ** 2  # short passes need more of them
                seconds, answers = measured(case, Path(name), rounds, with_compiler=chosen.compile)
                reached = report(case.name, seconds, answers, chosen.threads)
                missed |= int(case.name == BOUND_CASE and not reached)
    return missed


def cases(folder: Path) -> list[Case]:
    """The ResNet-34 alone and in a batch, and every bundle that ships with its usual batch."""
    pictures = [read_radiograph(simulate(folder / "radiographs", seed, site="siim").paths[0]) for seed in range(90_001, 90_009)]
    slices = read_volume(simulate(folder / "ct", 90_001, site="ct64", protocol=Protocol(slices=8)).paths)
    network = bundle_of(resnet34())
    inputs = torch.from_numpy(np.stack([radiograph_input(one.image_HW, network.input_size)[0] for one in pictures]))
    found = [Case(BOUND_CASE, network, inputs[:1]), Case("resnet34, eight 512 x 512", network, inputs)]
    for metadata in sorted(SHIPPED.glob("*/configs/metadata.json")):
        bundle = load_bundle(metadata.parents[1])
        preparing = Predictor(bundle, CPU, half=False)
        if bundle.reads == "radiograph":
            inputs = torch.cat([preparing.prepare(one).inputs_ZHW for one in pictures])[:1]
        else:
            inputs = preparing.prepare(slices).inputs_ZHW
        found.append(Case(f"{bundle.identity.name}, {len(inputs)} of {bundle.input_size} x {bundle.input_size}", bundle, inputs))
    return found


def measured(case: Case, folder: Path, rounds: int, *, with_compiler: bool) -> tuple[dict[str, np.ndarray], dict[str, Answer]]:
    """Seconds of each candidate in each round, and what each answers."""
    ways = candidates(case, folder, with_compiler=with_compiler)
    answers = {name: way() for name, way in ways.items()}
    return timed(ways, rounds), answers


def candidates(case: Case, folder: Path, *, with_compiler: bool = False) -> dict[str, Way]:
    """Every way of running this network that this machine has; the peer first, ours second."""
    network, inputs_NHW, count = case.bundle.network, case.inputs_NHW, len(case.inputs_NHW)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    exact = Predictor(case.bundle, CPU, batch_size=count, half=False)
    ours = Predictor(case.bundle, CPU, batch_size=count)
    onnx = exported(network, inputs_NHW, folder / "network.onnx")
    ways: dict[str, Way] = {
        PEER: onnx_runtime(onnx, inputs_NHW),
        OURS: lambda: numbers(ours.forward(inputs_NHW)),
        "Predictor, float32": lambda: numbers(exact.forward(inputs_NHW)),
        "plain torch, float32": torch_way(network, inputs_NHW),
        "+ channels last": torch_way(last, inputs_NHW, torch.channels_last),
        "+ bfloat16 by autocast": torch_way(last, inputs_NHW, torch.channels_last, autocast=True),
        "frozen TorchScript, float32": torch_way(frozen(last, inputs_NHW), inputs_NHW, torch.channels_last),
    }
    if with_compiler and shutil.which(os.environ.get("CXX", "g++")):
        ways["torch.compile, float32"] = torch_way(torch.compile(copy.deepcopy(last), dynamic=False), inputs_NHW, torch.channels_last)
    if importlib.util.find_spec("openvino"):
        ways |= {f"OpenVINO, {name}": open_vino(onnx, inputs_NHW, hint) for name, hint in (("float32", "f32"), ("bfloat16", "bf16"))}
    return ways


def numbers(answer: tuple[np.ndarray, torch.Tensor]) -> Answer:
    return answer[0], answer[1].numpy()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def torch_way(
    network: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    inputs_NHW: torch.Tensor,
    layout: torch.memory_format = torch.contiguous_format,
    *,
    autocast: bool = False,
) -> Way:
    """Plain torch, without the Predictor."""
    images = inputs_NHW[:, None].contiguous(memory_format=layout)

    def answer() -> Answer:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            classes, masks = network(images)
        return sigmoid(classes.float().numpy()), masks[:, 0].float().numpy()

    return answer


def frozen(network: nn.Module, inputs_NHW: torch.Tensor) -> nn.Module:
    images = inputs_NHW[:, None].contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        traced: nn.Module = torch.jit.freeze(torch.jit.trace(network, images))
    return traced


def exported(network: nn.Module, inputs_NHW: torch.Tensor, target: Path) -> Path:
    """The network as an ONNX file for inputs of this shape."""
    torch.onnx.export(
        network, (inputs_NHW[:, None],), str(target), input_names=["image"], output_names=["class", "mask"], opset_version=18, dynamo=False
    )
    return target


def onnx_runtime(path: Path, inputs_NHW: torch.Tensor) -> Way:
    """ONNX Runtime with every optimisation of the graph, on as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    images = inputs_NHW[:, None].numpy()

    def answer() -> Answer:
        classes, masks = session.run(None, {"image": images})
        return sigmoid(classes), masks[:, 0]

    return answer


def open_vino(path: Path, inputs_NHW: torch.Tensor, precision: str) -> Way:
    """OpenVINO where somebody installed it; the node does not need it."""
    import openvino  # noqa: PLC0415 - not a dependency

    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(str(path), "CPU", hints)
    images = inputs_NHW[:, None].numpy()

    def answer() -> Answer:
        found = compiled(images)
        return sigmoid(found[0]), found[1][:, 0]

    return answer


def report(name: str, seconds: dict[str, np.ndarray], answers: dict[str, Answer], threads: int) -> bool:
    """Print one table; whether our Predictor keeps the bound."""
    table = Table(title=f"{name}, {threads} threads", title_justify="left")
    for heading in ("candidate", "median, ms", "least, ms", "/ ONNX Runtime's", "least / least", "largest |Δp|", "of a pixel"):
        table.add_column(heading, justify="left" if heading == "candidate" else "right")
    for candidate, times in seconds.items():
        classes, pixels = differences(answers[candidate], answers[PEER])
        table.add_row(
            candidate,
            f"{np.median(times) * 1000:.0f}",
            f"{times.min() * 1000:.0f}",
            f"{ratio(times, seconds[PEER]):.2f}",
            f"{times.min() / seconds[PEER].min():.2f}",
            f"{classes:.5f}",
            f"{pixels:.5f}",
        )
    Console(width=130).print(table)
    found = ratio(seconds[OURS], seconds[PEER])
    reached = found <= BOUND
    print(f"{OURS} runs in {'bfloat16' if half_precision_pays(CPU) else 'float32'} here; {found:.2f} x ONNX Runtime's time; ", end="")
    print(f"at most {BOUND}: {'yes' if reached else 'NO'}\n")
    return reached


def differences(found: Answer, expected: Answer) -> tuple[float, float]:
    """The largest difference of a probability, of an image and of a pixel."""
    return float(np.abs(found[0] - expected[0]).max()), float(np.abs(sigmoid(found[1]) - sigmoid(expected[1])).max())


if __name__ == "__main__":
    raise SystemExit(main())
