"""One slice as a plane in the patient: from pixels to millimetres and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane


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
