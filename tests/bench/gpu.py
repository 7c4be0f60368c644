"""On a GPU: forward throughput in bfloat16 with batches against plain float32 torch, and how much decoding keeps it busy.

Run by hand: `make bench BENCH=gpu`. Without a GPU it says so and ends; `--device cpu` runs the same program on the CPU, as a rehearsal
whose figures mean nothing for a GPU. Radiographs are SIMULATED; the ResNet-34's weights are drawn from a seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.model.inference_network import half_precision_pays, inference_network
from ptx_node.model.predictor import Predictor
from ptx_node.model.preprocess import radiograph_input
from ptx_node.simulator.studies import simulate
from tests.bench.rounds import SIZE, bundle_of, resnet34, timed

FASTER = 3.0
"""Images a second in bfloat16 over images a second in plain float32, each at its best batch, at least."""
BUSY = 0.8
"""What the decoders deliver over what the forward pass takes, at least, from the best source."""
SOURCES = ("JPEG Lossless or raw, 12 bit, 2048 x 2048", "JPEG Baseline, 8 bit, 1024 x 1024", "prepared squares, 8 bit, memory-mapped")
PLAIN, OURS, GRAPH = "plain float32", "the node's network, bfloat16", "the same as a CUDA graph"


@dataclass(frozen=True)
class Feed:
    """One kind of source: images a second that so many processes decode alone, and that come through the whole chain."""

    source: str
    processes: int
    decoded_per_s: float
    answered_per_s: float


def main() -> int:
    """Print the tables. 0: reached, or no GPU to measure on; 1: a bound is missed; 2: the device that was asked for is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:1; cpu to rehearse")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    parser.add_argument("--rounds", type=int, default=20, help="measured passes of each candidate and batch")
    parser.add_argument("--files", type=int, default=16, help="different radiographs of each source")
    parser.add_argument("--images", type=int, default=512, help="radiographs that are decoded for each figure, again and again")
    parser.add_argument("--processes", type=int, nargs="+", default=[], help="decoders; default: one, and one a core but one")
    parser.add_argument("--size", type=int, default=SIZE, help="edge of the network's input")
    chosen = parser.parse_args()
    if chosen.device != "cpu" and not torch.cuda.is_available():
        print("no GPU here: nothing was measured. Run this where torch sees one, or rehearse with --device cpu")
        return 0 if chosen.device == "auto" else 2
    device = torch.device("cuda" if chosen.device == "auto" else chosen.device)
    rates = throughput(device, chosen.batches, chosen.rounds, chosen.size)
    reached = report_throughput(rates, device)
    batch = max(rates[OURS], key=lambda size: rates[OURS][size])
    processes = chosen.processes or sorted({1, max(1, len(os.sched_getaffinity(0)) - 1)})
    with tempfile.TemporaryDirectory() as name:
        sources = files(Path(name), chosen.files, chosen.size)
        predictor = Predictor(bundle_of(resnet34(), chosen.size), device, batch)
        feeds = [feed(source, paths, predictor, count, chosen.images) for source, paths in sources.items() for count in processes]
    return int(not (report_feeds(feeds, rates[OURS][batch]) and reached))


def throughput(device: torch.device, batches: Sequence[int], rounds: int, size: int) -> dict[str, dict[int, float]]:
    """Images a second by candidate and batch, inputs already on the device. What does not fit is left out."""
    network = resnet34()
    plain = resnet34().to(device)
    ours = inference_network(network, device, half=device.type == "cuda" or half_precision_pays(device))
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    rates: dict[str, dict[int, float]] = {PLAIN: {}, OURS: {}, GRAPH: {}}
    for batch in batches:
        images = torch.randn((batch, 1, size, size), device=device)
        halved = images.to(ours.dtype).contiguous(memory_format=torch.channels_last)

        def eager(images: torch.Tensor = images) -> object:
            with torch.inference_mode():
                return plain(images)

        ways: dict[str, Callable[[], object]] = {PLAIN: eager, OURS: lambda halved=halved: ours(halved)}  # type: ignore[misc]
        try:
            if device.type == "cuda":
                ways[GRAPH] = cuda_graph(lambda halved=halved: ours(halved))  # type: ignore[misc]
            for name, seconds in timed(ways, rounds, wait=wait).items():
                rates[name][batch] = batch / float(np.median(seconds))
        except torch.OutOfMemoryError:
            print(f"a batch of {batch} does not fit")
            break
    return {name: found for name, found in rates.items() if found}


def cuda_graph(way: Callable[[], object]) -> Callable[[], object]:
    """The kernels of one pass, launched together: what is gained where launching takes longer than computing."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            way()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        way()
    return graph.replay


def files(folder: Path, count: int, size: int) -> dict[str, list[Path]]:
    """Simulated radiographs as the three sources hold them: as sites send them, as public data sets, and as training prepares them."""
    sent = [simulate(folder / "dx", seed, site="toulouse", size=(2048, 2048)).paths[0] for seed in range(91_000, 91_000 + count)]
    exports = [simulate(folder / "export", seed, site="siim").paths[0] for seed in range(91_000, 91_000 + count)]
    squares = []
    for number, path in enumerate(exports):
        square, _ = radiograph_input(read_radiograph(path).image_HW, size)
        squares.append(folder / f"{number}.npy")
        np.save(squares[-1], np.interp(square, (square.min(), square.max()), (0, 255)).astype(np.uint8))
    return dict(zip(SOURCES, (sent, exports, squares), strict=True))


def one_thread() -> None:
    """A decoder's share of the cores."""
    torch.set_num_threads(1)


def decode(path: Path, size: int) -> np.ndarray:
    """One file as the network takes it: float16 of (size, size), which halves what travels between the processes."""
    image = np.load(path, mmap_mode="r").astype(np.float32) / 255 if path.suffix == ".npy" else read_radiograph(path).image_HW
    return radiograph_input(image, size)[0].astype(np.float16)


def feed(source: str, paths: Sequence[Path], predictor: Predictor, processes: int, images: int) -> Feed:
    """Decoders alone, then decoders that feed the predictor, copies to and from the device included."""
    size, batch = predictor.bundle.input_size, predictor.batch_size
    again = [paths[number % len(paths)] for number in range(max(images, 2 * batch))]
    # A fresh process each: a GPU in use does not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=one_thread) as pool:
        list(pool.map(decode, again[:processes], [size] * processes))
        begun = time.perf_counter()
        for _ in ahead(pool, again, size, 4 * processes + batch):
            pass
        alone = len(again) / (time.perf_counter() - begun)
        predictor.forward(torch.zeros((batch, size, size)))
        waiting, begun = list[np.ndarray](), time.perf_counter()
        for number, square in enumerate(ahead(pool, again, size, 4 * processes + batch), 1):
            waiting.append(square)
            if len(waiting) == batch or number == len(again):
                predictor.forward(torch.from_numpy(np.stack(waiting)))
                waiting.clear()
        return Feed(source, processes, alone, len(again) / (time.perf_counter() - begun))


def ahead(pool: ProcessPoolExecutor, paths: Sequence[Path], size: int, most: int) -> Iterator[np.ndarray]:
    """The decoded files in their order, so many of them begun before they are asked for."""
    left = iter(paths)
    begun = [pool.submit(decode, path, size) for path in islice(left, most)]
    while begun:
        square = begun.pop(0).result()
        begun += [pool.submit(decode, path, size) for path in islice(left, 1)]
        yield square


def report_throughput(rates: dict[str, dict[int, float]], device: torch.device) -> bool:
    """Print images a second; whether ours is fast enough."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, a rehearsal"
    table = Table(title=f"forward, images a second ({name})", title_justify="left")
    for heading in ("batch", *rates, "ours / plain"):
        table.add_column(heading, justify="right")
    for batch in rates[OURS]:
        found = [rates[way][batch] for way in rates]
        table.add_row(str(batch), *(f"{rate:.1f}" for rate in found), f"{rates[OURS][batch] / rates[PLAIN][batch]:.2f}")
    Console(width=120).print(table)
    times = max(rates[OURS].values()) / max(rates[PLAIN].values())
    tf32 = "with" if torch.backends.cudnn.allow_tf32 else "without"
    print(f"each at its best batch: {times:.2f} x plain float32 ({tf32} TF32 in convolutions, torch's default)")
    print(f"at least {FASTER:.0f} x: {'yes' if times >= FASTER else 'NO'}\n")
    return times >= FASTER


def report_feeds(feeds: Sequence[Feed], forward_per_s: float) -> bool:
    """Print what decoders deliver; whether those of the best source can keep the device busy enough."""
    table = Table(title=f"feeding it: forward {forward_per_s:.0f} images a second", title_justify="left")
    for heading in ("source", "decoders", "decoded, images/s", "can keep busy", "kept busy", f"decoders for {BUSY:.0%}"):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for one in feeds:
        needed = np.ceil(BUSY * forward_per_s * one.processes / one.decoded_per_s)
        table.add_row(
            one.source,
            str(one.processes),
            f"{one.decoded_per_s:.1f}",
            f"{busy_share(one.decoded_per_s, forward_per_s):.0%}",
            f"{busy_share(one.answered_per_s, forward_per_s):.0%}",
            f"{needed:.0f}",
        )
    Console(width=130).print(table)
    best = max(busy_share(one.decoded_per_s, forward_per_s) for one in feeds)
    print("can keep busy: decoded / forward; kept busy: answered by the whole chain, copies included, / forward")
    print(f"decoders of the best source can keep it busy {best:.0%} of the time; at least {BUSY:.0%}: {'yes' if best >= BUSY else 'NO'}")
    return best >= BUSY


def busy_share(images_per_s: float, forward_per_s: float) -> float:
    """Share of its time that the device works, when so many images a second reach it."""
    return min(1.0, images_per_s / forward_per_s)


if __name__ == "__main__":
    raise SystemExit(main())
