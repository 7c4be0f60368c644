"""From a phantom's thickness to what a radiography system would show: window, curve, detail processing, collimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTSIDE_MM = 20.0
"""Rays through less than this passed beside the patient."""


@dataclass(frozen=True, slots=True)
class Look:
    """A system's display processing.

    Attributes:
        detail: share of large structures taken away in favour of small ones, 0 for none.
        low, high: percentiles of the patient that become black and white.
        gamma: exponent of the curve between them.
        border: fraction of the height and width that the collimator leaves black on each edge (top, bottom, left, right).
    """

    detail: float = 0.5
    low: float = 1.0
    high: float = 98.5
    gamma: float = 0.9
    border: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Look:
        """Any system's."""
        border = (0.0, 0.0, 0.0, 0.0)
        if rng.random() < 0.25:
            top, bottom, left, right = np.where(rng.random(4) < 0.5, rng.uniform(0, 0.06, 4), 0)
            border = (float(top), float(bottom), float(left), float(right))
        return cls(float(rng.uniform(0, 0.9)), float(rng.uniform(0, 6)), float(rng.uniform(90, 99.8)), float(rng.uniform(0.6, 1.5)), border)


def display(thickness_HW: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """The picture as shown, float32 0 (black) to 1 (white)."""
    picture = np.asarray(thickness_HW, dtype=np.float32)
    patient = picture > OUTSIDE_MM
    if look.detail > 0:
        coarse = Image.fromarray(picture).resize((12, 12), Image.Resampling.BOX)
        large = np.asarray(coarse.resize((picture.shape[1], picture.shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)
        picture = picture + np.float32(look.detail) * (picture - large) * patient
    sample = picture[::4, ::4][patient[::4, ::4]]
    low, high = np.percentile(sample, (look.low, look.high)) if sample.size else (0.0, 1.0)
    shown = np.clip((picture - np.float32(low)) / np.float32(max(high - low, 1e-3)), 0, 1) ** np.float32(look.gamma)
    rows, columns = shown.shape
    top, bottom, left, right = look.border
    shown[: round(top * rows)] = 0
    shown[rows - round(bottom * rows) :] = 0
    shown[:, : round(left * columns)] = 0
    shown[:, columns - round(right * columns) :] = 0
    return np.asarray(shown, dtype=np.float32)
