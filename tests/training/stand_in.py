"""Small prepared data sets in memory: a bright wedge is what there is to find. Also a program that trains, to be killed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptx_node.model.preprocess import Letterbox
from training.checkpoint import save_weights
from training.networks.build import WEIGHTS, build
from training.records import Record
from training.run import Place
from training.settings import Settings
from training.train import train

SIZE = 64


@dataclass(frozen=True)
class InMemory:
    """What `training.prepared.Prepared` offers to training."""

    images_NHW: np.ndarray  # noqa: N815 - axes stand in array names
    masks_NHW: np.ndarray  # noqa: N815 - as above
    boxes: tuple[Letterbox, ...]
    records: tuple[Record, ...]


def pictures(count: int, *, first: int = 0, ct: bool = False, size: int = SIZE, **values: Any) -> InMemory:
    """Every second picture holds a bright square of a quarter of the edge; patients are numbered from `first`."""
    rng = np.random.default_rng([first, 1])
    images = rng.integers(60, 120, (count, size, size)).astype(np.uint8)
    masks = np.zeros((count, size, size), dtype=np.uint8)
    records = []
    for index in range(count):
        if index % 2:
            y, x = rng.integers(4, size * 3 // 4 - 4, 2)
            masks[index, y : y + size // 4, x : x + size // 4] = 1
            images[index][masks[index] > 0] += 90
        stated: dict[str, Any] = {"label": index % 2, "masked": True, "simulated": True} | values
        name = f"{first + index}"
        records.append(Record(image_id=name, patient_id=name, path=Path(f"{name}.dcm"), **stated))
    box = Letterbox.fit((size, size * 3 // 4), size)
    outside = np.ones((size, size), dtype=bool)
    outside[box.window] = False
    images[:, outside], masks[:, outside] = 0, 0
    stored = (images.astype(np.int16) * 4 - 1000) if ct else images
    return InMemory(stored, masks, (box,) * count, tuple(records))


def tiny(**values: Any) -> Settings:
    """Settings of a run that takes a second or two; tables may be given in part."""
    content: dict[str, Any] = {
        "name": "tiny",
        "data": {"size": SIZE, "positive_rate": [0.8, 0.3]},
        "network": {"backbone": "resnet10", "decoder_channels": [16, 16, 8, 8, 8]},
        "loss": {"bce": 3.0, "dice": 1.0, "image": 0.1},
        "stages": [
            {"epochs": 1, "rate_from": 2e-3, "rate_to": 1e-3, "frozen": "encoder"},
            {"epochs": 2, "rate_from": 2e-3, "rate_to": 1e-5},
        ],
        "optimiser": {"name": "radam", "batch": 4, "clip": 5.0, "ema": 0.9, "precision": "fp32"},
        "augment": {"flip": 0.5, "rotation_deg": 8.0, "zoom": [0.9, 1.1], "noise": 0.03, "gamma": 0.2},
        "keep": {"checkpoint_steps": 3},
    }
    for key, value in values.items():
        content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    return Settings.model_validate(content)


def train_tiny(folder: Path, *, resume: bool = False, settings: Settings | None = None) -> dict[str, Any]:
    """One run on twenty pictures, validated on eight."""
    torch.set_num_threads(1)
    return train(settings or tiny(), [pictures(20)], [pictures(8, first=100)], Place(folder, device="cpu", resume=resume, quiet=True))


def untrained_run(folder: Path, settings: Settings) -> None:
    """What a run leaves of its network, with weights that have learnt nothing."""
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(settings.to_toml(), "utf-8")
    (folder / "environment.json").write_text("[]", "utf-8")
    save_weights(folder / WEIGHTS, build(settings.network).state_dict())


if __name__ == "__main__":
    train_tiny(Path(sys.argv[1]))
