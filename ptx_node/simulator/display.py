"""What a vendor's processing makes of the signal: logarithm, window, detail enhancement, curve, collimation, burned-in text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Look:
    """One vendor's taste on one picture.

    Attributes:
        detail: gain of the finest, middle and coarse structures.
        latitude: how much of the large differences (lung against mediastinum) is kept; below 1 shows both.
        contrast: steepness of the curve.
        brightness: moves the curve's middle; 0 is the usual one.
    """

    detail: tuple[float, float, float] = (1.3, 1.3, 1.1)
    latitude: float = 0.75
    contrast: float = 1.0
    brightness: float = 0.0

    @classmethod
    def sample(cls, rng: np.random.Generator, vendor: str = "") -> Look:
        """A look by chance, near what this vendor does."""
        del vendor
        return cls(
            detail=(float(rng.uniform(1.0, 1.8)), float(rng.uniform(1.0, 1.6)), float(rng.uniform(0.95, 1.25))),
            latitude=float(rng.uniform(0.6, 0.95)),
            contrast=float(rng.uniform(0.85, 1.2)),
            brightness=float(rng.normal(0, 0.05)),
        )


def display(signal_HW: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """The picture as shown: 0 black (air) to 1 white (bone)."""
    density = -np.log(signal_HW)
    fine, middle, coarse, rest = _bands(density)
    mixed = look.detail[0] * fine + look.detail[1] * middle + look.detail[2] * coarse
    body = density > 0.5
    inner = rest[body] if body.any() else rest
    centre = float(np.median(inner))
    mixed += centre + look.latitude * (rest - centre)
    dark, bright = np.percentile(mixed[::4, ::4][body[::4, ::4]] if body.any() else mixed, (4, 97))
    shown = (mixed - dark) / max(1e-3, bright - dark)
    shown = 0.12 + 0.78 * shown
    steep = 4.4 * look.contrast
    curve = 1 / (1 + np.exp(-steep * (shown - 0.5 + look.brightness)))
    low, high = 1 / (1 + np.exp(0.62 * steep)), 1 / (1 + np.exp(-0.56 * steep))
    return np.clip((curve - low) / (high - low), 0, 1).astype(np.float32)


def _bands(density_HW: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Details of about 1, 4 and 16 mm, and what is left."""
    one = gaussian_filter(density_HW, max(0.6, density_HW.shape[0] / 512), truncate=3)
    small = one[::2, ::2]
    two = _like(gaussian_filter(small, density_HW.shape[0] / 280, truncate=3), one)
    tiny = one[::8, ::8]
    three = _like(gaussian_filter(tiny, density_HW.shape[0] / 300, truncate=3), one)
    return density_HW - one, one - two, two - three, three


def _like(small: NDArray[np.float32], large: NDArray[np.float32]) -> NDArray[np.float32]:
    by = large.shape[0] / small.shape[0], large.shape[1] / small.shape[1]
    return np.asarray(zoom(small, by, order=1, mode="nearest", grid_mode=True), dtype=np.float32)
