"""Where tube, patient and detector stand, and what that makes of a point. Magnification follows: in AP the heart is far from the detector.

Rays leave the source and are named by where they cross the patient's middle plane (y = 0). Rotation and tilt of the patient move the
source instead of the body, which to the detector is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.patient import Posture

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.patient import Patient


@dataclass(frozen=True, slots=True)
class Beam:
    """A cone beam and its picture.

    Attributes:
        pixel_mm: in the patient's middle plane.
        centre_mm: (x, z) of the picture's centre there.
        source_mm: where the rays start, in the patient's coordinates.
    """

    rows: int
    columns: int
    pixel_mm: float
    centre_mm: tuple[float, float]
    source_mm: tuple[float, float, float]

    @classmethod
    def of(cls, patient: Patient, rows: int, columns: int, field_mm: float | None) -> Beam:
        """As this patient's radiographer stands it; `field_mm` is the picture's width, drawn by chance where not given."""
        rng = patient.rng("beam")
        pa = patient.posture is Posture.UPRIGHT_PA
        width = field_mm or float(rng.uniform(352, 412)) * (patient.height_cm / 172) ** 0.5 * (1 + 0.003 * (patient.body_mass_index - 24))
        if field_mm is None and rows < columns:
            width *= columns / rows
        distance = 1670.0 if pa else -float(rng.uniform(900, 1080))
        turn, lean = np.deg2rad(patient.rotation_deg), np.deg2rad(patient.tilt_deg)
        source = -float(np.sin(turn)) * distance, distance, float(np.sin(lean)) * distance
        off = rng.normal(0, (5, 6) if pa else (12, 12))
        return cls(rows, columns, width / columns, (float(off[0]), float(off[1]) - 22.0), source)

    def coarser(self, by: int) -> Beam:
        """The same view on a grid `by` times coarser."""
        return Beam(-(-self.rows // by), -(-self.columns // by), self.pixel_mm * by, self.centre_mm, self.source_mm)

    def axes(self) -> tuple[Plane, Plane]:
        """(x of columns, z of rows) in the middle plane."""
        x = (np.arange(self.columns) - (self.columns - 1) / 2) * self.pixel_mm + self.centre_mm[0]
        z = ((self.rows - 1) / 2 - np.arange(self.rows)) * self.pixel_mm + self.centre_mm[1]
        return x.astype(np.float32), z.astype(np.float32)

    def at_depth(self, x: Plane, z: Plane, y: float) -> tuple[Plane, Plane]:
        """Where the rays named (x, z) cross the plane of this y."""
        way = y / self.source_mm[1]
        return (
            np.asarray(x * np.float32(1 - way) + np.float32(self.source_mm[0] * way), dtype=np.float32),
            np.asarray(z * np.float32(1 - way) + np.float32(self.source_mm[2] * way), dtype=np.float32),
        )

    def slant(self) -> Plane:
        """Length of each ray's way through one millimetre of depth, (rows, columns)."""
        x, z = self.axes()
        across = ((x - self.source_mm[0]) / self.source_mm[1]) ** 2
        down = ((z - self.source_mm[2]) / self.source_mm[1]) ** 2
        return np.sqrt(1 + across[None, :] + down[:, None], dtype=np.float32)

    def project(self, points_N3: Plane) -> tuple[Plane, Plane, Plane]:
        """(column, row, magnification against the middle plane) of points."""
        way = points_N3[:, 1] / np.float32(self.source_mm[1])
        large = 1 / (1 - way)
        x = (points_N3[:, 0] - np.float32(self.source_mm[0]) * way) * large
        z = (points_N3[:, 2] - np.float32(self.source_mm[2]) * way) * large
        column = (x - np.float32(self.centre_mm[0])) / np.float32(self.pixel_mm) + np.float32((self.columns - 1) / 2)
        row = np.float32((self.rows - 1) / 2) - (z - np.float32(self.centre_mm[1])) / np.float32(self.pixel_mm)
        return column, row, large
