"""What a vendor's processing makes of the signal: logarithm, window, detail enhancement, curve, collimation, burned-in text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ptx_node.simulator.grids import finer, smaller

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Look:
    """One vendor's taste on one picture.

    Attributes:
        detail: gain of structures of about 1, 4 and 16 mm.
        latitude: how much of the large differences (lung against mediastinum) is kept; less shows both at once.
        lung, heart: brightness (0 to 1) that lungs and mediastinum are given.
    """

    detail: tuple[float, float, float] = (1.3, 1.4, 1.2)
    latitude: float = 0.62
    lung: float = 0.24
    heart: float = 0.90

    @classmethod
    def sample(cls, rng: np.random.Generator, vendor: str = "") -> Look:
        """A look by chance, near what this vendor does."""
        del vendor
        return cls(
            detail=(float(rng.uniform(1.0, 1.8)), float(rng.uniform(1.0, 1.7)), float(rng.uniform(0.95, 1.3))),
            latitude=float(rng.uniform(0.5, 0.85)),
            lung=float(rng.uniform(0.15, 0.36)),
            heart=float(rng.uniform(0.80, 0.94)),
        )


def display(signal_HW: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """The picture as shown: 0 black (air) to 1 white (bone)."""
    density = -np.log(signal_HW)
    fine, middle, coarse, rest = _bands(density)
    body = density[::4, ::4] > 0.7
    centre = float(np.median(rest[::4, ::4][body])) if body.any() else 0.0
    mixed = look.detail[0] * fine
    mixed += look.detail[1] * middle
    mixed += look.detail[2] * coarse
    mixed += look.latitude * (rest - centre)
    thorax = mixed[::4, ::4][body] if body.any() else mixed
    dark, bright = np.percentile(thorax, (8, 88))
    low, high = np.log(look.lung / (1 - look.lung)), np.log(look.heart / (1 - look.heart))
    mixed -= dark
    mixed *= (high - low) / max(1e-3, bright - dark)
    mixed += low
    shown = 1 / (1 + np.exp(-np.clip(mixed, -12, 12)))
    black = 0.03
    return np.clip((shown - black) / (0.985 - black), 0, 1).astype(np.float32)


def _bands(density_HW: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Details of about 1, 4 and 16 mm, and what is left."""
    unit = density_HW.shape[0] / 512
    one = gaussian_filter(density_HW, max(0.6, unit), truncate=3)
    two = finer(gaussian_filter(smaller(density_HW, 4), unit, truncate=3), density_HW.shape)
    three = finer(gaussian_filter(smaller(density_HW, 8), 2.2 * unit, truncate=3), density_HW.shape)
    return density_HW - one, one - two, two - three, three
