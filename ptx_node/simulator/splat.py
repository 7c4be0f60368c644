"""Tubes as a radiograph shows them, at full resolution: their mass is spread over the pixels that their shadow covers.

Every piece is cut into points along its line, each point into a row of samples across its shadow, weighted by the way of the ray
through the elliptical section. Mass is kept, so that the picture's sum is right at any resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.beam import Beam

WATER_PER_MM = 0.0195
"""Attenuation of water at the effective energy of a chest radiograph."""
_SPACING_PX = 1.0


def per_mm(hu: float) -> float:
    """Attenuation per millimetre; calcium absorbs more than its Hounsfield units say, as CT is taken at a higher energy."""
    return WATER_PER_MM * (1 + hu / 1000 + 0.55 * max(0.0, hu - 120) / 1000)


class Canvas:
    """Sums of attenuation over a picture."""

    def __init__(self, beam: Beam) -> None:
        self.beam = beam
        self._rows, self._columns = beam.rows + 2, beam.columns + 2
        self._sum = np.zeros(self._rows * self._columns, dtype=np.float64)

    def picture(self) -> Plane:
        """What has been drawn, (rows, columns)."""
        drawn = self._sum.reshape(self._rows, self._columns)[1:-1, 1:-1].astype(np.float32)
        return np.asarray(gaussian_filter(drawn, 0.65, truncate=2.5), dtype=np.float32)  # hides the lattice of the samples

    def spread(self, column: Plane, row: Plane, weight: Plane) -> None:
        """Add weights at positions between pixels, each shared by its four neighbours."""
        inside = (column > -1) & (row > -1) & (column < self.beam.columns) & (row < self.beam.rows)
        if not inside.all():
            column, row, weight = column[inside], row[inside], weight[inside]
        left, top = column.astype(np.int32), row.astype(np.int32)  # both are above -1: shifted by one below
        left -= column < 0
        top -= row < 0
        dx, dy = column - left, row - top
        first = (top + 1) * np.int32(self._columns) + left + 1
        low = weight * dy
        high = weight - low
        right_high, right_low = high * dx, low * dx
        where = np.concatenate([first, first + 1, first + self._columns, first + self._columns + 1])
        what = np.concatenate([high - right_high, right_high, low - right_low, right_low])
        self._sum += np.bincount(where, weights=what, minlength=len(self._sum))

    def tubes(self, tubes: Tubes) -> None:
        """Add one kind of tubes."""
        column_a, row_a, large_a = self.beam.project(tubes.start_S3)
        column_b, row_b, large_b = self.beam.project(tubes.end_S3)
        run_c, run_r = column_b - column_a, row_b - row_a
        shown_px = np.hypot(run_c, run_r)
        seen = (np.maximum(column_a, column_b) > -40) & (np.minimum(column_a, column_b) < self.beam.columns + 40)
        seen &= (np.maximum(row_a, row_b) > -40) & (np.minimum(row_a, row_b) < self.beam.rows + 40)
        across = np.stack([-run_r, run_c], axis=1) / np.maximum(shown_px, 1e-3)[:, None]
        across[shown_px < 1e-3] = 1, 0
        large = (0.5 * (large_a + large_b)).astype(np.float32)
        half_px = self._shadow(tubes, across) * (large / np.float32(self.beam.pixel_mm))[:, None]
        area = np.pi * tubes.half_S2[:, 0] * tubes.half_S2[:, 1]
        length = np.linalg.norm(tubes.end_S3 - tubes.start_S3, axis=1)
        mass = length * (large / np.float32(self.beam.pixel_mm)) ** 2  # times area times attenuation: per pixel
        steep = np.clip((np.abs(tubes.end_S3[:, 1] - tubes.start_S3[:, 1]) / np.maximum(length, 1e-6) - 0.75) / 0.2, 0, 1)
        half_px[:, 1] *= steep  # along a line that lies flat, one section hides the next
        number = np.maximum(1, np.ceil(np.maximum(shown_px, 2 * steep * length / self.beam.pixel_mm) / _SPACING_PX)).astype(np.int32)
        wide = np.ceil(np.log2(np.maximum(2 * half_px[:, 0] / _SPACING_PX, 1))).astype(np.int32)
        for one in np.unique(wide[seen]):
            of = np.flatnonzero(seen & (wide == one))
            samples = 2 ** int(one)
            enough = np.ceil(14 * half_px[of, 0] * half_px[of, 1] / samples).astype(np.int32)
            line, section = (column_a, row_a, run_c, run_r), (across, half_px, area, mass)
            self._strips(tubes, tuple(v[of] for v in line), tuple(v[of] for v in section), np.maximum(number[of], enough), samples)

    def _shadow(self, tubes: Tubes, across: Plane) -> Plane:
        """Half extent of each section's shadow in millimetres: across the line's shadow, and along it (for pieces seen end on)."""
        along = tubes.end_S3 - tubes.start_S3
        along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        second = np.cross(along, tubes.up_S3)
        halves = []
        for c, r in ((across[:, 0], across[:, 1]), (across[:, 1], -across[:, 0])):
            one, two = (axis[:, 0] * c - axis[:, 2] * r for axis in (tubes.up_S3, second))  # rows grow downwards
            halves.append(np.sqrt((tubes.half_S2[:, 0] * one) ** 2 + (tubes.half_S2[:, 1] * two) ** 2))
        halves[0] = np.maximum(halves[0], 0.3 * tubes.half_S2.min(axis=1))
        return np.stack(halves, axis=1).astype(np.float32)

    def _strips(self, tubes: Tubes, line: tuple[Plane, ...], section: tuple[Plane, ...], number: NDArray[np.int32], samples: int) -> None:
        """Pieces whose shadows are about equally wide."""
        column, row, run_c, run_r = line
        across, half_px, area, mass = section
        piece = np.repeat(np.arange(len(number)), number)
        step = np.arange(len(piece)) - np.repeat(np.cumsum(number) - number, number)
        share = ((step + 0.5) / number[piece]).astype(np.float32)
        at = (np.arange(samples, dtype=np.float32) + 0.5) / samples * 2 - 1
        chord = np.sqrt(1 - at * at)
        outer = chord / chord.sum()
        wall, core, around = per_mm(tubes.hu), per_mm(tubes.core_hu), per_mm(tubes.surround_hu)
        weight = (wall - around) * (area * mass)[:, None] * outer[None, :]
        if np.isfinite(tubes.wall_mm):
            size = half_px[:, 0] * np.float32(self.beam.pixel_mm)
            inner = np.maximum(1 - tubes.wall_mm / size, 0)[:, None]
            hollow = np.sqrt(np.maximum(inner**2 - at[None, :] ** 2, 0))
            hollow = hollow * (
                inner * np.maximum(1 - tubes.wall_mm / (area / (np.pi * size)), 0)[:, None] / (hollow.sum(axis=1, keepdims=True) + 1e-6)
            )
            weight = weight + (core - wall) * (area * mass)[:, None] * hollow
        weight = (weight / number[:, None]).astype(np.float32)
        columns = np.repeat((column[piece] + share * run_c[piece])[:, None], samples, axis=1)
        rows = np.repeat((row[piece] + share * run_r[piece])[:, None], samples, axis=1)
        if samples > 1:
            side = at[None, :] * half_px[piece, :1]
            columns += side * across[piece, :1]
            rows += side * across[piece, 1:]
        steep = np.flatnonzero(half_px[piece, 1] > 0.5)
        if len(steep):  # the section itself is seen: its samples are scattered over it
            turn = (np.arange(len(steep))[:, None] * 0.7548777 + np.arange(samples)[None, :] * 0.5698403).astype(np.float32)
            onward = (2 * (turn % 1) - 1) * chord[None, :] * half_px[piece[steep], 1:]
            columns[steep] += onward * across[piece[steep], 1:]
            rows[steep] -= onward * across[piece[steep], :1]
        self.spread(columns.ravel(), rows.ravel(), weight[piece].ravel())
