"""What is too fine to be drawn one by one: the weave of small vessels and septa in the lungs, strands of fat and muscle around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ptx_node.simulator.grids import finer

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.patient import Patient


def texture(patient: Patient, lung_mm_HW: Plane, attenuation_HW: Plane) -> Plane:
    """Attenuation to add, drawn from the patient's seed, the same on any grid as far as the grid can show it.

    Args:
        patient: whose seed it is.
        lung_mm_HW: way of the rays through lung, on a grid that may be coarser.
        attenuation_HW: so far; its shape is the result's.
    """
    rng = patient.rng("texture")
    lung = np.minimum(lung_mm_HW, 200) * np.float32(1 / 150)
    weave = _noise(rng, lung.shape, 2.2, 512) * np.float32(0.010) + _noise(rng, lung.shape, 6.0, 256) * np.float32(0.018)
    strands = _noise(rng, lung.shape, 9.0, 128) * np.float32(0.022)
    drawn = finer(weave * lung + strands, attenuation_HW.shape)
    drawn *= np.clip(attenuation_HW, 0, 1)  # nothing beside the patient
    return drawn


def _noise(rng: np.random.Generator, shape: tuple[int, ...], grain: float, cells: int) -> Plane:
    """Smooth noise of standard deviation 1 over a square of 512, on a grid that is fine enough for its grain."""
    sigma = grain * cells / 512
    drawn = gaussian_filter(rng.standard_normal((cells, cells), dtype=np.float32), sigma, mode="wrap", truncate=3)
    drawn /= drawn.std()
    rows, columns = ((np.arange(size) * (cells / max(shape))) for size in shape)
    low_r, low_c = rows.astype(np.int32), columns.astype(np.int32)
    tall = drawn[low_r % cells] + (rows - low_r).astype(np.float32)[:, None] * (drawn[(low_r + 1) % cells] - drawn[low_r % cells])
    return np.asarray(
        tall[:, low_c % cells] + (columns - low_c).astype(np.float32) * (tall[:, (low_c + 1) % cells] - tall[:, low_c % cells]),
        dtype=np.float32,
    )
