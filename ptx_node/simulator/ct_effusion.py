"""Pleural effusion of a lying patient: behind, climbing at the edges, with some collapsed lung in front of it.

`anatomy` gives how far forward it reaches; under air it stays flat, as every level does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.curves import ease
from ptx_node.simulator.anatomy.pleura import Hemithorax

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.curves import Plane

BULGE_MM, CLIMB_MM, APEX_MM = 16.0, 15.0, 26.0
COLLAPSED_HU, COLLAPSED_MM = 520.0, 9.0


@dataclass(frozen=True, slots=True)
class LyingHemithorax(Hemithorax):
    """As `Hemithorax`, with the surface of its fluid shaped."""

    @classmethod
    def over(cls, one: Hemithorax) -> LyingHemithorax:
        """The same side."""
        return cls(**{each.name: getattr(one, each.name) for each in fields(Hemithorax)})

    def surface(self, x: Plane, z: Plane) -> Plane | None:
        """How far forward (template y) the fluid reaches; None without any."""
        if self.fluid is None or self.fluid.behind is None:
            return None
        behind = np.float32(self.fluid.behind)
        if self.gap is not None:
            return np.full((1, 1), behind, dtype=np.float32)
        out = (np.abs(x) - np.float32(70)) / np.float32(58)
        bulge = np.float32(BULGE_MM) - np.float32(BULGE_MM + CLIMB_MM) * np.minimum(out * out, np.float32(1.3))
        return np.asarray(behind + bulge + np.float32(APEX_MM) * ease(z, 20, 105), dtype=np.float32)

    def whole(self, x: Plane, y: Plane, z: Plane) -> tuple[Plane, Plane]:
        """(signed distance to the cavity with the fluid in it, to the outer wall alone)."""
        wall = np.maximum(self.wall(x, y, z), np.float32(0.8) * (z - self._roof(x, y)))
        edge = self.medial(y, z)
        medial = edge - x if self.side > 0 else x - edge
        return np.maximum(np.maximum(wall, self._floor(x, y) - z), medial), wall

    def cavity(self, x: Plane, y: Plane, z: Plane) -> tuple[Plane, Plane]:
        """(signed distance to what is left of the cavity for lung and air, to the outer wall alone)."""
        distance, wall = self.whole(x, y, z)
        surface = self.surface(x, z)
        return (distance if surface is None else np.maximum(distance, y - surface)), wall

    def fluid_distance(self, x: Plane, y: Plane, z: Plane) -> Plane | None:
        """Signed distance to the effusion; None without one."""
        surface = self.surface(x, z)
        return None if surface is None else np.maximum(self.whole(x, y, z)[0], surface - y)

    def collapsed(self, x: Plane, y: Plane, z: Plane) -> Plane | None:
        """Hounsfield units that the lung gains next to the fluid; None without any."""
        surface = self.surface(x, z)
        if surface is None:
            return None
        near = np.exp(-np.maximum(surface - y, 0) / np.float32(COLLAPSED_MM)) * (x * self.side > 0)
        return np.asarray(np.float32(COLLAPSED_HU) * near, dtype=np.float32)
