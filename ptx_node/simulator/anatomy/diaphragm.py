"""The domes of the diaphragm, as a height over each point of the axial plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.patient import Size

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane


@dataclass(frozen=True, slots=True)
class Dome:
    """One side's dome.

    Attributes:
        top_mm: height of its summit.
        steep: how far it falls to the side wall; less when air pushes it down.
        sulcus_mm: extra depth of the lateral sulcus, where air of a lying patient gathers.
        wave: (phase, size in mm) of a slight undulation, since no dome is a perfect arc.
    """

    side: int
    top_mm: float
    steep: float
    sulcus_mm: float
    wave: tuple[float, float]

    @classmethod
    def of(cls, build: Build, side: int) -> Dome:
        """The dome of one side of this patient."""
        rng = build.patient.rng(f"dome{side}")
        air = build.airs.get(side)
        tension = air is not None and air.size is Size.TENSION
        sulcus = 0.0
        if air is not None and not build.upright:
            sulcus = min(42.0, 10 + 0.55 * air.depth_mm)
        steep = rng.uniform(42, 56) * (0.75 if tension else 1.0)
        return cls(side, build.dome_mm[side], float(steep), float(sulcus), (float(rng.uniform(0, 6)), float(rng.uniform(0.5, 2.0))))

    def height(self, x: Plane, y: Plane) -> Plane:
        """Height (z) of the dome; the lung lies above."""
        out = np.asarray(x * np.float32(self.side), dtype=np.float32)
        lateral = np.maximum(out - np.float32(62), 0) / np.float32(80)
        medial = np.maximum(np.float32(62) - out, 0) / np.float32(62)
        back = np.maximum(y + np.float32(12), 0) / np.float32(104)
        front = np.maximum(np.float32(-12) - y, 0) / np.float32(84)
        fall = np.float32(self.steep) * lateral * lateral + np.float32(9) * medial * medial
        if self.sulcus_mm:
            fall = fall + np.float32(self.sulcus_mm) * np.minimum(lateral, 1) ** 3
        phase, size = self.wave
        fall = fall + np.float32(size) * np.sin(out / np.float32(17) + np.float32(phase))
        return np.asarray(
            np.float32(self.top_mm) - fall - (np.float32(66) * back * back + np.float32(24) * front * front), dtype=np.float32
        )
