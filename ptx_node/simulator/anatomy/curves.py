"""Smooth curves and tables of one anatomical measure, looked up in single precision. Template millimetres throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

Plane = np.ndarray[tuple[Any, ...], np.dtype[np.floating[Any]]]
"""Values on points, of any shape that broadcasts with its neighbours; single precision wherever many are computed."""


@dataclass(frozen=True)
class Curve:
    """A measure along one axis, drawn smoothly through a few known points; constant beyond them."""

    at: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def through(cls, *knots: tuple[float, float]) -> Curve:
        """Through (position, value) in rising order of position."""
        position, value = np.array(knots).T
        at = np.linspace(position[0], position[-1], 256)
        return cls(at, PchipInterpolator(position, value)(at))

    def __call__(self, position: Plane) -> Plane:
        """Value at each position."""
        return np.interp(position, self.at, self.value).astype(np.float32)


@dataclass(frozen=True)
class Table:
    """A measure over two axes on a regular grid, looked up linearly; constant beyond it."""

    value: Plane
    origin: tuple[float, float]
    step: float

    def __call__(self, first: Plane, second: Plane) -> Plane:
        """Value at each pair; the two broadcast."""
        one, two = np.broadcast_arrays(first, second)
        at = [((one - self.origin[0]) / self.step).ravel(), ((two - self.origin[1]) / self.step).ravel()]
        found: Plane = map_coordinates(self.value, at, order=1, mode="nearest", output=np.float32).reshape(one.shape)
        return found


def share_inside(distance: Plane, width: float) -> Plane:
    """1 inside, 0 outside, a straight step of this width across the surface; the distance is negative inside."""
    return np.asarray(np.clip(np.float32(0.5) - distance / np.float32(width), 0, 1), dtype=np.float32)


def ease(value: Plane | float, low: float, high: float) -> Plane:
    """0 below `low`, 1 above `high`, smooth between; also falling when `low` is the larger."""
    share = np.clip((np.asarray(value, dtype=np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)
