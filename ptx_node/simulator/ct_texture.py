"""What makes a CT picture grainy: texture of lung and muscle, which belongs to the patient, and noise, which belongs to the scanner.

Texture is looked up in the patient's own millimetres, so that neighbouring slices and other reconstructions show the same lung.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

from ptx_node.simulator.ct_protocol import Kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane

LATTICE = 64
WATER_PER_MM = 0.0195
"""Attenuation of water at about 65 keV."""

_CUT_OFF: dict[Kernel, float] = {Kernel.SOFT: 0.55, Kernel.MEDIUM: 0.75, Kernel.LUNG: 1.15}
"""Line pairs a millimetre at which the kernel passes half; the detector sets a limit near 1.2."""
_BOOST: dict[Kernel, float] = {Kernel.SOFT: 0.0, Kernel.MEDIUM: 0.25, Kernel.LUNG: 0.9}
"""How much the kernel lifts middle frequencies: edges overshoot."""
_NOISE: dict[Kernel, float] = {Kernel.SOFT: 1.0, Kernel.MEDIUM: 1.5, Kernel.LUNG: 2.6}
"""What the kernel does to the noise, relative to the soft one."""


@lru_cache(maxsize=2)
def lattice() -> Plane:
    """Smooth periodic noise of unit spread on a cube, the same for ever."""
    values = np.random.default_rng(20_260).standard_normal((LATTICE,) * 3, dtype=np.float32)
    smooth = gaussian_filter(values, 0.7, mode="wrap")
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def texture(points_3N: NDArray[np.float32], grain_mm: float, offset: int) -> Plane:
    """Noise of unit spread at points (3, N) in mm, with grains of about this size."""
    shift = np.random.default_rng(offset).uniform(0, LATTICE, (3, 1)).astype(np.float32)
    at = np.mod(points_3N / np.float32(grain_mm) + shift, np.float32(LATTICE))
    return np.asarray(map_coordinates(lattice(), at, order=1, mode="grid-wrap", output=np.float32))


def reconstruct(hu_HW: Plane, kernel: Kernel, pixel_mm: float, noise_hu: float, rng: np.random.Generator) -> Plane:
    """The picture as the kernel leaves it, with noise that is stronger along thick paths and streaks across the shoulders."""
    columns = hu_HW.shape[0]
    transfer, grain, streak = _filters(columns, round(pixel_mm, 6), kernel)
    shown = irfft2(rfft2(hu_HW + np.float32(1000)) * transfer, s=hu_HW.shape) - np.float32(1000)
    if noise_hu <= 0:
        return np.asarray(shown, dtype=np.float32)
    across_H, down_W = paths(hu_HW, pixel_mm)
    strength = np.exp(np.float32(0.36) * (0.5 * (across_H[:, None] + down_W[None, :]) - np.float32(3.6)))
    white = rfft2(rng.standard_normal(hu_HW.shape, dtype=np.float32))
    noise = irfft2(white * grain, s=hu_HW.shape) * np.minimum(strength, np.float32(2.5))
    lines = np.clip((across_H - np.float32(5.8)) * np.float32(0.35), 0, 1.4)
    if lines.max() > 0.05:
        noise = noise + irfft2(white * streak, s=hu_HW.shape) * lines[:, None]
    return np.asarray(shown + np.float32(noise_hu * _NOISE[kernel]) * noise, dtype=np.float32)


def paths(hu_HW: Plane, pixel_mm: float) -> tuple[Plane, Plane]:
    """Attenuation through the slice along each row and down each column, smoothed: how dark the detector got."""
    dense = np.maximum(hu_HW + np.float32(1000), 0) * np.float32(WATER_PER_MM * pixel_mm / 1000)
    size = 12 / pixel_mm
    return gaussian_filter(dense.sum(axis=1), size), gaussian_filter(dense.sum(axis=0), size)


@lru_cache(maxsize=16)
def _filters(columns: int, pixel_mm: float, kernel: Kernel) -> tuple[Plane, Plane, Plane]:
    """(transfer of the picture, noise of unit spread, streaks of unit spread) over the half plane of frequencies."""
    down = np.fft.fftfreq(columns, pixel_mm)[:, None]
    along = np.fft.rfftfreq(columns, pixel_mm)[None, :]
    rate = np.hypot(down, along)
    limit = min(_CUT_OFF[kernel], 0.75 / pixel_mm)
    fall = np.exp(-np.log(2) * (rate / limit) ** 2)
    transfer = fall * (1 + _BOOST[kernel] * (rate / limit) ** 2)
    grain = np.sqrt(rate + 0.02) * transfer
    streak = grain * np.exp(-0.5 * (along / 0.035) ** 2)
    return transfer.astype(np.float32), _unit(grain, columns), _unit(streak, columns)


def _unit(half_plane: NDArray[np.float64], columns: int) -> Plane:
    """Scaled so that white noise of unit spread keeps it."""
    weight = np.full(half_plane.shape[1], 2.0)
    weight[0] = 1.0
    if columns % 2 == 0:
        weight[-1] = 1.0
    power = (half_plane**2 * weight).sum() / columns**2
    return np.asarray(half_plane / np.sqrt(power), dtype=np.float32)
