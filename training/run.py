"""What a run is made of, and how all of it goes into a checkpoint and comes back from one. The loop is in `train`."""

from __future__ import annotations

import copy
import difflib
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ptx_node.errors import ConfigurationError, StorageFullError
from ptx_node.model.inference_network import half_precision_pays
from training.batches import Order, Pool, Position
from training.checkpoint import LAST, load_checkpoint, save_checkpoint
from training.networks.build import CONFIG, build
from training.schedule import Clock, schedule_of
from training.splits import check_leaks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from training.batches import Prepared
    from training.schedule import Schedule
    from training.settings import Optimiser, Settings


@dataclass(frozen=True, slots=True)
class Place:
    """Where and for how long a run goes on.

    Attributes:
        folder: of the run.
        minutes: wall-time budget of the whole run, which replaces the epochs of the settings; 0 for none.
        device: `cpu`, `cuda`, or `auto`.
        threads: that prepare batches beside the network; None: 8 for a GPU, 0 on a CPU, where they would take its cores.
        resume: go on from the folder's checkpoint, where it has one.
    """

    folder: Path
    minutes: float = 0.0
    device: str = "auto"
    threads: int | None = None
    resume: bool = False
    tensorboard: bool = False
    quiet: bool = False


@dataclass(slots=True)
class State:
    """What changes while a run goes on, beside weights and optimiser.

    Attributes:
        stage, stage_started: which stage, and the step that it began with.
        best, best_epoch: the deciding figure's best value (larger is better), and when.
        skipped, bad_in_a_row: steps whose loss was not finite.
        spent_s: wall time up to the last checkpoint.
    """

    position: Position = field(default_factory=Position)
    stage: int = -1
    stage_started: int = 0
    epoch: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    skipped: int = 0
    bad_in_a_row: int = 0
    spent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run in memory.

    Attributes:
        average: the weights' moving average, or their copy: what is validated and kept.
        half: whether the forward pass computes in bfloat16.
        looked_at: indices of `judged` that every epoch is validated on.
    """

    settings: Settings
    place: Place
    device: torch.device
    half: bool
    pool: Pool
    judged: Pool
    looked_at: NDArray[np.int64]
    order: Order
    schedule: Schedule
    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    state: State
    clock: Clock

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            StorageFullError: no room; the last good one is kept.
        """
        self.state.spent_s = self.clock.spent_s
        random = {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})
        parts: dict[str, Any] = {"network": self.network, "average": self.average, "optimiser": self.optimiser}
        save_checkpoint(
            self.place.folder, {name: part.state_dict() for name, part in parts.items()} | {"state": asdict(self.state), "random": random}
        )


def begin(settings: Settings, training: Sequence[Prepared], validation: Sequence[Prepared], place: Place) -> Run:
    """Everything of a run before its first step, new or as the checkpoint left it.

    Raises:
        ConfigurationError: too few images, a folder in use, or a checkpoint of other settings.
        LeakError: a patient, an image or a file stands on both sides.
    """
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if place.device == "auto" else place.device)
    open_folder(place, settings)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes are static
        torch.set_float32_matmul_precision("high")
    torch.manual_seed(settings.seed)
    pool, judged, data = Pool(training), Pool(validation), settings.data
    check_leaks({"train": pool.records, "validation": judged.records})
    chosen = pool.limited(seed=settings.seed, most=data.train_images, balanced=data.balanced)
    looked_at = judged.limited(seed=settings.seed, most=data.validation_images, balanced=data.balanced)
    order = Order(pool.label_N, chosen, seed=settings.seed, batch=settings.optimiser.batch)
    order.check(both=data.positive_rate is not None)
    if not len(looked_at):
        raise ConfigurationError("no image to validate on: give the split a validation part")
    network = build(settings.network).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as torch documents
    average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    optimiser, state = make_optimiser(network, settings.optimiser), State()
    if place.resume and (place.folder / LAST).exists():
        state = _restore(load_checkpoint(place.folder), network, average, optimiser)
    schedule = schedule_of(settings, len(chosen))
    return Run(
        settings=settings,
        place=place,
        device=device,
        half=settings.optimiser.precision == "bf16" or (settings.optimiser.precision == "auto" and half_precision_pays(device)),
        pool=pool,
        judged=judged,
        looked_at=looked_at,
        order=order,
        schedule=schedule,
        network=network,
        average=average,
        optimiser=optimiser,
        state=state,
        clock=Clock(schedule.steps, place.minutes, state.spent_s),
    )


def open_folder(place: Place, settings: Settings) -> None:
    """Make the run's folder with its settings; a folder in use is only taken to resume the same settings.

    Raises:
        ConfigurationError: in use, or of other settings; names the lines that differ.
        StorageFullError: it cannot be written.
    """
    config = place.folder / CONFIG
    wanted = settings.to_toml()
    if config.exists():
        if not place.resume:
            raise ConfigurationError(f"{place.folder} holds a run already. Give --resume to go on with it, or another --out")
        found = config.read_text(encoding="utf-8")
        if found != wanted:
            lines = difflib.ndiff(found.splitlines(), wanted.splitlines())
            differ = "; ".join(line for line in lines if line[:1] in "+-" and line[2:].strip())
            raise ConfigurationError(f"{config}: made with other settings ({differ[:300]}). Resume with the same, or give another --out")
        return
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        config.write_text(wanted, encoding="utf-8")
    except OSError as error:
        raise StorageFullError(f"{config}: {error.strerror}. Choose another --out, or free space") from error


def make_optimiser(network: nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """The method of the settings over all weights; frozen ones get no gradient and so do not move."""
    weights, decay = list(network.parameters()), settings.weight_decay
    if settings.name == "adam":
        return torch.optim.Adam(weights, weight_decay=decay)
    if settings.name == "radam":
        return torch.optim.RAdam(weights, weight_decay=decay, decoupled_weight_decay=True)
    return torch.optim.AdamW(weights, weight_decay=decay)


def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged network towards the trained one by 1 - keep; counters are copied."""
    with torch.no_grad():
        pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
        floats = [(mean, value) for mean, value in pairs if mean.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [value for _, value in floats], 1 - keep)
        for mean, value in pairs:
            if not mean.is_floating_point():
                mean.copy_(value)


def forget_statistics(network: nn.Module, average: nn.Module) -> None:
    """Take batch norm's statistics from the average: a forward pass whose values were not finite has spoilt the network's own."""
    with torch.no_grad():
        for value, mean in zip(network.buffers(), average.buffers(), strict=True):
            value.copy_(mean)


def _restore(saved: dict[str, Any], network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> State:
    network.load_state_dict(saved["network"])
    average.load_state_dict(saved["average"])
    optimiser.load_state_dict(saved["optimiser"])
    torch.set_rng_state(saved["random"]["cpu"])
    if "cuda" in saved["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["random"]["cuda"])
    return State(**saved["state"] | {"position": Position(**saved["state"]["position"])})
