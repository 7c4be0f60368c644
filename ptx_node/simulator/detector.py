"""What a detector makes of the rays: scatter, quantum noise, blur. In exposure units: 1 is the open beam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ptx_node.simulator.grids import finer, smaller

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.radiograph import Projection


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector with its exposure.

    Attributes:
        quanta: detected in a pixel of 0.4 mm of the open beam; fewer are an under-exposed picture.
        scatter: scattered over direct radiation behind the mediastinum; a grid takes most of it away.
        blur_mm: standard deviation of the blur (detector and focus), in the patient's plane.
        electronic: standard deviation of the electronic noise, in quanta.
    """

    quanta: float = 60_000.0
    scatter: float = 0.6
    blur_mm: float = 0.18
    electronic: float = 4.0

    @classmethod
    def sample(cls, rng: np.random.Generator, *, bedside: bool = False) -> Detector:
        """A detector by chance. At the bedside: often no grid, and one exposure in six is far too small."""
        under = bool(rng.random() < (0.16 if bedside else 0.04))
        return cls(
            quanta=float(np.exp(rng.normal(np.log(40_000 if bedside else 70_000), 0.4))) * (0.12 if under else 1.0),
            scatter=float(rng.uniform(0.8, 1.6) if bedside and rng.random() < 0.6 else rng.uniform(0.25, 0.7)),
            blur_mm=float(rng.uniform(0.12, 0.30)),
            electronic=float(rng.uniform(2, 6)),
        )


def expose(projection: Projection, detector: Detector, seed: int) -> NDArray[np.float32]:
    """Signal of the detector, (rows, columns), 1 in the open beam."""
    rng = np.random.default_rng([seed, 77])
    direct = np.exp(-projection.attenuation_HW)
    by = max(1, projection.attenuation_HW.shape[0] // 64)
    small = smaller(direct, by)
    inside = small < 0.5
    wide_px = 35.0 / (projection.pixel_mm * by)
    level = np.minimum(small, 0.25)
    fog = gaussian_filter(np.where(inside, level, 0.3 * level), wide_px) * np.float32(0.8 * detector.scatter) + np.float32(
        0.002 * detector.scatter
    )
    signal = direct + finer(fog, direct.shape)
    blur_px = detector.blur_mm / projection.pixel_mm
    if blur_px > 0.2:
        signal = gaussian_filter(signal, blur_px, truncate=3)
    quanta = np.float32(detector.quanta * (projection.pixel_mm / 0.4) ** 2)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.sqrt(signal * quanta + np.float32(detector.electronic**2))
    return np.maximum(signal + noise / quanta, np.float32(1e-5))
