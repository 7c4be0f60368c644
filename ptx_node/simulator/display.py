"""What a vendor's processing makes of the signal: logarithm, window, detail enhancement, curve, collimation, burned-in text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ptx_node.simulator.grids import finer, smaller
from ptx_node.simulator.overlay import Marker, burn_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane


@dataclass(frozen=True, slots=True)
class Look:
    """One vendor's taste on one picture.

    Attributes:
        detail: gain of structures of about 1, 4 and 16 mm.
        latitude: how much of the large differences (lung against mediastinum) is kept; less shows both at once.
        lung, heart: brightness (0 to 1) that lungs and mediastinum are given.
        borders: share of the picture that collimation blackens at the top, right, bottom and left.
        markers: letters burned in, as the side marker.
    """

    detail: tuple[float, float, float] = (1.3, 1.4, 1.2)
    latitude: float = 0.52
    lung: float = 0.24
    heart: float = 0.90
    borders: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    markers: tuple[Marker, ...] = ()

    @classmethod
    def sample(cls, rng: np.random.Generator, vendor: str = "", words: tuple[str, ...] = ("SIMULATED",)) -> Look:
        """A look by chance, near what this vendor does.

        Args:
            rng: the only source of chance.
            vendor: the first known name that stands in it decides; any other has a middling taste.
            words: one of them is burned in, in one picture of four.
        """
        taste = next((taste for name, taste in TASTES.items() if name in vendor.lower()), TASTES[""])
        detail = tuple(float(gain * rng.uniform(0.85, 1.15)) for gain in taste[0])
        borders = tuple(float(rng.uniform(0.005, 0.06)) if rng.random() < 0.22 else 0.0 for _ in range(4))
        side = "L" if rng.random() < 0.6 else "R"
        across = rng.uniform(0.80, 0.93) if side == "L" else rng.uniform(0.06, 0.16)
        markers = []
        if rng.random() < 0.8:
            markers.append(
                Marker(side, (float(rng.uniform(0.03, 0.16)), float(across)), float(rng.uniform(0.03, 0.055)), bool(rng.random() < 0.4))
            )
        if rng.random() < 0.25:
            word = str(rng.choice(words)) if words else ""
            markers.append(Marker(word, (float(rng.uniform(0.01, 0.04)), float(rng.uniform(0.2, 0.6))), float(rng.uniform(0.014, 0.022))))
        return cls(
            detail=(detail[0], detail[1], detail[2]),
            latitude=float(np.clip(taste[1] * rng.uniform(0.7, 1.05), 0.35, 1)),
            lung=float(np.clip(taste[2] + rng.normal(0, 0.04), 0.1, 0.45)),
            heart=float(np.clip(rng.normal(0.88, 0.025), 0.78, 0.95)),
            borders=(borders[0], borders[1], borders[2], borders[3]),
            markers=tuple(markers),
        )


TASTES: Mapping[str, tuple[tuple[float, float, float], float, float]] = {
    "fuji": ((1.2, 1.3, 1.1), 0.72, 0.20),
    "carestream": ((1.5, 1.6, 1.2), 0.55, 0.27),
    "kodak": ((1.4, 1.4, 1.1), 0.62, 0.25),
    "agfa": ((1.7, 1.7, 1.3), 0.48, 0.30),
    "philips": ((1.4, 1.6, 1.35), 0.52, 0.26),
    "siemens": ((1.25, 1.4, 1.2), 0.62, 0.22),
    "ge ": ((1.35, 1.35, 1.1), 0.66, 0.24),
    "canon": ((1.6, 1.4, 1.15), 0.58, 0.24),
    "": ((1.35, 1.4, 1.2), 0.62, 0.24),
}
"""By a part of the vendor's name, in small letters: gains of detail, latitude, brightness of the lungs. Invented, in the manner of each."""


def display(signal_HW: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    """The picture as shown: 0 black (air) to 1 white (bone)."""
    density = -np.log(signal_HW)
    fine, middle, coarse, rest = _bands(density)
    body = density[::4, ::4] > 0.7
    centre = float(np.median(rest[::4, ::4][body])) if body.any() else 0.0
    fine *= np.float32(look.detail[0])
    middle *= np.float32(look.detail[1])
    coarse *= np.float32(look.detail[2])
    rest -= np.float32(centre)
    rest *= np.float32(look.latitude)
    mixed = fine + middle
    mixed += coarse
    mixed += rest
    shown = _curve(mixed, mixed[::4, ::4][body] if body.any() else mixed, look)
    burn_in(shown, look.borders, look.markers)
    return shown


def _curve(mixed_HW: Plane, thorax: Plane, look: Look) -> NDArray[np.float32]:
    """The window: lungs and mediastinum get the brightness the look asks for, everything beyond fades to black and white."""
    dark, bright = (float(one) for one in np.percentile(thorax, (8, 84)))
    low, high = np.log(look.lung / (1 - look.lung)), np.log(look.heart / (1 - look.heart))
    steep = (high - low) / max(1e-3, bright - dark)
    shown = mixed_HW * np.float32(-steep)
    shown += np.float32(steep * dark - low)
    np.clip(shown, -12, 12, out=shown)
    np.exp(shown, out=shown)
    shown += np.float32(1)
    np.reciprocal(shown, out=shown)
    black = 0.03
    shown -= np.float32(black)
    shown *= np.float32(1 / (0.985 - black))
    return np.clip(shown, 0, 1, out=shown)


def _bands(density_HW: NDArray[np.float32]) -> tuple[Plane, Plane, Plane, Plane]:
    """Details of about 1, 4 and 16 mm, and what is left."""
    unit = density_HW.shape[0] / 512
    one = gaussian_filter(density_HW, max(0.6, unit), truncate=2.5)
    by = max(1, round(2 * unit))
    two = finer(gaussian_filter(smaller(density_HW, by), 4 * unit / by, truncate=3), density_HW.shape)
    three = finer(gaussian_filter(smaller(density_HW, 4 * by), 17.6 * unit / (4 * by), truncate=3), density_HW.shape)
    return density_HW - one, one - two, two - three, three
