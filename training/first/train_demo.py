"""Train a demonstration model on simulated patients only, for so many minutes of wall time on a CPU.

The loop is read top to bottom; every knob is in `Run`. Pictures go through the node's own preprocessing.
"""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ptx_node.model.network import PneumothoraxNet
from ptx_node.model.preprocess import HU_RANGE, radiograph_input, shrink, slice_input
from ptx_node.simulator.first.phantom import frontal
from ptx_node.simulator.first.radiograph import Look, display
from training.first.losses import joint_loss
from training.first.simulated import Example, Pool, pack, side_of

if TYPE_CHECKING:
    from torch import Tensor

DRAWN_PX = 304
VALIDATION_SEED, TEST_SEED = 10_000_000, 20_000_000
"""First seeds of patients that training never draws: it starts at `seed` x 1,000,000."""


@dataclass(frozen=True, slots=True)
class Run:
    """Every knob of a run; saved beside the weights."""

    kind: Literal["cxr", "ct"]
    folder: str
    minutes: float = 20.0
    input_size: int = 256
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-3
    pool: int = 5000
    warm_pool: int = 200
    ema: float = 0.995
    seed: int = 1
    torch_threads: int = 2
    backbone: str = "resnet10"
    decoder_channels: tuple[int, ...] = (64, 48, 32, 16, 8)
    validation_patients: int = 300
    test_patients: int = 400
    resumed_after_minutes: float = 0.0
    """Earlier training whose weights, in the same folder, this run goes on from; on other patients, since its seed differs."""


def draw_radiograph(seed: int) -> list[Example]:
    """The one picture of a simulated radiograph patient."""
    drawn = frontal(seed, laterality=side_of(seed), rows=DRAWN_PX, columns=DRAWN_PX)
    return [pack(drawn.thickness_HW, drawn.mask_HW)]


def draw_slices(seed: int) -> list[Example]:
    """Three slices of a simulated CT patient, at random heights, more of them where the air is."""
    from ptx_node.simulator.first.ct import ChestVolume  # noqa: PLC0415 - only CT runs need it

    rng = np.random.default_rng([seed, 8])
    volume = ChestVolume(seed, laterality=side_of(seed), columns=DRAWN_PX)
    drawn = [volume.slice_at(float(height)) for height in rng.uniform(0.0, 1.0, 3)]
    return [pack(np.clip(hu_HW, -1200, 1500), mask_HW) for hu_HW, mask_HW in drawn]


def augmented(example: Example, rng: np.random.Generator, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The input and the mask of one example under another display, place, size, turn and cut."""
    picture_HW, mask_HW = example.picture_HW.astype(np.float32), example.mask_HW()
    if run.kind == "cxr":
        picture_HW = display(picture_HW, Look.sample(rng))
        fill = 0.0
    else:
        picture_HW = picture_HW + rng.normal(0, 12) + rng.uniform(0, 25) * rng.standard_normal(picture_HW.shape, dtype=np.float32)
        fill = HU_RANGE[0]
    turn, zoom, shift = rng.uniform(-0.14, 0.14), rng.uniform(0.85, 1.2, 2), rng.uniform(-0.1, 0.1, 2)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    matrix = torch.tensor(
        [
            [flip * math.cos(turn) * zoom[0], -math.sin(turn) * zoom[1], shift[0]],
            [flip * math.sin(turn) * zoom[0], math.cos(turn) * zoom[1], shift[1]],
        ],
        dtype=torch.float32,
    )
    both = torch.from_numpy(np.stack([picture_HW - fill, mask_HW.astype(np.float32)]))[None]
    grid = torch.nn.functional.affine_grid(matrix[None], list(both.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0].numpy()
    rows, columns = moved.shape[1:]
    if rng.random() < 0.4:
        cut = int(rng.uniform(0.05, 0.22) * rows)
        moved = moved[:, cut // 2 : rows - cut // 2] if rng.random() < 0.5 else moved[:, :, cut // 2 : columns - cut // 2]
    picture_HW, soft_HW = np.ascontiguousarray(moved[0]) + np.float32(fill), np.ascontiguousarray(moved[1])
    if run.kind == "cxr":
        if rng.random() < 0.5:
            picture_HW = np.round(picture_HW * 255) / np.float32(255)
        square, box = radiograph_input(picture_HW, run.input_size)
    else:
        square, box = slice_input(np.round(picture_HW).astype(np.int16), run.input_size)
    target = np.zeros_like(square)
    target[box.window] = shrink(soft_HW, box.scaled) > 0.5
    return square, target


def batch(pool: Pool, rng: np.random.Generator, run: Run) -> tuple[Tensor, Tensor]:
    """One training batch: inputs and masks, both B1HW."""
    pairs = [augmented(example, rng, run) for example in pool.sample(rng, run.batch_size)]
    images, masks = (torch.from_numpy(np.stack(arrays))[:, None] for arrays in zip(*pairs, strict=True))
    return images.contiguous(memory_format=torch.channels_last), masks


def network_of(run: Run) -> PneumothoraxNet:
    """A network with random weights."""
    return PneumothoraxNet(run.backbone, run.decoder_channels).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train(run: Run) -> PneumothoraxNet:
    """Train for the run's minutes and return the averaged network; a log and the knobs are left in its folder."""
    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")
    torch.manual_seed(run.seed)
    torch.set_num_threads(run.torch_threads)
    rng = np.random.default_rng(run.seed)
    network = network_of(run)
    if run.resumed_after_minutes:
        network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay)
    pool = Pool(draw_radiograph if run.kind == "cxr" else draw_slices, first_seed=run.seed * 1_000_000, limit=run.pool)
    pool.grow(run.warm_pool)
    start, step, parts = time.monotonic(), 0, {"pixel": 0.0, "dice": 0.0, "class": 0.0}
    with (folder / "log.txt").open("a" if run.resumed_after_minutes else "w", encoding="utf-8") as log:
        while (progress := (time.monotonic() - start) / (60 * run.minutes)) < 1:
            rate = run.learning_rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * progress))
            for group in optimiser.param_groups:
                group["lr"] = rate
            pool.grow()
            images, masks = batch(pool, rng, run)
            network.train()
            with torch.autocast("cpu", torch.bfloat16):
                class_logit_B, mask_logits_B1HW = network(images)
            loss, seen = joint_loss(class_logit_B, mask_logits_B1HW, masks)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            follow(average, network, min(run.ema, (step + 1) / (step + 10)))
            step += 1
            parts = {name: 0.97 * parts[name] + 0.03 * value if step > 1 else value for name, value in seen.items()}
            if step % 50 == 0:
                line = f"step {step} minutes {progress * run.minutes:.1f} patients {len(pool.examples)} rate {rate:.2g} " + " ".join(
                    f"{name} {value:.4f}" for name, value in parts.items()
                )
                print(line, file=log, flush=True)
            if step % 500 == 0:
                torch.save(average.state_dict(), folder / "weights.pt")
    pool.close()
    torch.save(average.state_dict(), folder / "weights.pt")
    return average


def follow(average: PneumothoraxNet, network: PneumothoraxNet, keep: float) -> None:
    """Move the averaged network towards the trained one; counters are copied."""
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)
