"""Cases whose answer is known and a network that is no network: what is very bright is pneumothorax."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.finding import ModelIdentity
from ptx_node.domain.image import Radiograph, Volume
from ptx_node.model.bundle import Bundle
from ptx_node.model.metadata import Decision
from ptx_node.model.predictor import Predictor
from training.evaluate.cases import Case
from training.records import Record

SIZE = 64
RULE = Decision(class_threshold=0.5, pixel_threshold=0.5, min_pixels=4)


class BrightSpots(torch.nn.Module):
    """Mask: what is brighter than `limit` in the network's input; class: the brightest value over it."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, image):
        logits = (image.float() - self.limit) * 6
        return logits.amax(dim=(1, 2, 3)), logits


def predictor(reads: str, decision: Decision = RULE, *, limit: float | None = None) -> Predictor:
    limit = (4.6 if reads == "radiograph" else 0.5) if limit is None else limit
    identity = ModelIdentity("tests", "spots", "1", "0" * 64, "2.25.1")
    requirements = Requirements(reads=reads)
    bundle = Bundle(identity, reads, requirements, SIZE, decision, BrightSpots(limit))
    return Predictor(bundle, torch.device("cpu"), batch_size=5)


class Pictures:
    """Cases of pictures in memory."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}

    def __call__(self, records: tuple[Record, ...]) -> Case:
        held = [self.held[record.image_id] for record in records]
        drawn = [mask for _, mask in held if mask is not None]
        truth = np.stack(drawn) if drawn else None
        if records[0].slice_index is None:
            return Case(records, Radiograph(records[0].image_id, held[0][0], (0.5, 0.5), None, ("L", "F")), truth)
        uids = tuple(record.image_id for record in records)
        return Case(records, Volume(records[0].series_id, uids, np.stack([hu for hu, _ in held]), (1.0, 1.0), 5.0, None), truth)


def radiographs(count: int = 40, *, seed: int = 1) -> tuple[list[Record], Pictures]:
    """Noise with a bright square in the positives, fainter in some; two of the negatives are as bright."""
    rng, pictures, records = np.random.default_rng(seed), Pictures(), []
    for index in range(count):
        positive = index % 2 == 0
        image = rng.normal(0.3, 0.05, (100, 80)).astype(np.float32).clip(0, 1)
        mask = np.zeros(image.shape, dtype=bool)
        row, column = int(rng.integers(5, 70)), int(rng.integers(5, 28) + (40 if index % 4 == 0 else 0))
        if positive:
            mask[row : row + 14, column : column + 9] = True
            image[mask] += 0.7 if index % 10 else 0.05
        elif index in {1, 7}:
            image[row : row + 6, column : column + 9] += 0.7
        record = Record(
            image_id=f"1.2.{index}",
            patient_id=f"P{index // 2 if index > 19 else index}",
            path=Path(f"{index}.dcm"),
            label=int(positive),
            masked=True,
            sex="FM"[index % 2],
            age_years=20.0 + index,
            view="PA" if index % 3 else "AP",
            modality="DX",
            site="siim" if index < count * 3 // 4 else "bedside",
            size=("small", "large")[index % 4 // 2] if positive else "",
            tube=index % 5 == 0,
            simulated=True,
        )
        pictures.held[record.image_id] = image, mask
        records.append(record)
    return records, pictures


def series(patients: int = 6, slices: int = 8) -> tuple[list[Record], Pictures]:
    """CT slices in HU; every other patient has a bright (0 HU) block in three of them."""
    rng, pictures, records = np.random.default_rng(5), Pictures(), []
    for patient in range(patients):
        for index in range(slices):
            hu = rng.normal(-850, 15, (SIZE, SIZE)).astype(np.int16)
            mask = np.zeros(hu.shape, dtype=bool)
            if patient % 2 == 0 and 2 <= index <= 4:
                mask[20:30, 8 : 20 + patient] = True
                hu[mask] = 0
            record = Record(
                image_id=f"1.3.{patient}.{index}",
                patient_id=f"C{patient}",
                path=Path(f"{patient}.nii.gz"),
                label=int(mask.any()),
                masked=True,
                series_id=f"1.3.{patient}",
                slice_index=index,
                modality="CT",
                site="ct64",
                simulated=True,
            )
            pictures.held[record.image_id] = hu, mask
            records.append(record)
    return records, pictures


def with_rule(one: Predictor, decision: Decision) -> Predictor:
    one.bundle = replace(one.bundle, decision=decision)
    return one
