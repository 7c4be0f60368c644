"""One slice as a plane in the patient: from pixels to millimetres and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane


Window = tuple[slice, slice]
"""Rows and columns of a slice."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A square picture of `columns` pixels in patient coordinates (LPS, mm).

    Attributes:
        first_3: centre of the first pixel.
        axes_33: unit vectors along a row, down a column and along the normal, as rows.
    """

    first_3: NDArray[np.float64]
    axes_33: NDArray[np.float64]
    pixel_mm: float
    columns: int

    def moved(self, along_normal_mm: float) -> Frame:
        """The parallel plane at this distance."""
        return Frame(self.first_3 + along_normal_mm * self.axes_33[2], self.axes_33, self.pixel_mm, self.columns)

    def between(self, other: Frame) -> Frame:
        """The parallel plane half way."""
        return Frame(0.5 * (self.first_3 + other.first_3), self.axes_33, self.pixel_mm, self.columns)

    def window(self, centre_mm: NDArray[np.float64], reach_mm: float) -> Window | None:
        """Rows and columns within this reach of a place; None where the plane does not come so near."""
        u, v, w = (float(one) for one in self.seen(np.asarray(centre_mm)[None])[0])
        if abs(w) > reach_mm:
            return None
        columns, rows = (
            slice(max(0, int((at - reach_mm) / self.pixel_mm)), max(0, min(self.columns, int((at + reach_mm) / self.pixel_mm) + 2)))
            for at in (u, v)
        )
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def points_in(self, window: Window) -> tuple[Plane, Plane, Plane]:
        """As `points`, of some rows and columns."""
        rows, columns = window
        x, y, z = (one[rows if one.shape[0] > 1 else slice(None), columns if one.shape[1] > 1 else slice(None)] for one in self.points())
        return x, y, z

    def points(self) -> tuple[Plane, Plane, Plane]:
        """x, y and z of the pixel centres, mm, each as small as it broadcasts: rows of a straight slice share their y."""
        step = np.arange(self.columns) * self.pixel_mm
        out = []
        for axis in range(3):
            along, down = self.axes_33[0, axis], self.axes_33[1, axis]
            value = np.full((1, 1), self.first_3[axis])
            if abs(along) > 1e-9:
                value = value + along * step[None, :]
            if abs(down) > 1e-9:
                value = value + down * step[:, None]
            out.append(value.astype(np.float32))
        return out[0], out[1], out[2]

    def seen(self, points_N3: NDArray[np.floating]) -> Plane:
        """Points in the frame's own millimetres: along a row and down a column from the first pixel's centre, and off the plane."""
        return np.asarray((points_N3 - self.first_3.astype(np.float32)) @ self.axes_33.T.astype(np.float32), dtype=np.float32)
