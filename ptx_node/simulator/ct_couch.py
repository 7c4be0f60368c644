"""The couch under the patient, with its mattress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.curves import share_inside

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.body import Body
    from ptx_node.simulator.anatomy.curves import Plane

MATTRESS_HU, SHELL_HU, FOAM_HU = -900.0, -280.0, -955.0


@dataclass(frozen=True, slots=True)
class Couch:
    """A shallow trough.

    Attributes:
        top_mm: y of the mattress's surface under the spine.
        rise: how it rises to the sides: mm of y for a square mm of x.
        half_mm: half its width.
        mattress_mm, depth_mm: thickness of the mattress, and of the couch below it.
    """

    top_mm: float
    rise: float
    half_mm: float
    mattress_mm: float
    depth_mm: float

    @classmethod
    def under(cls, body: Body) -> Couch:
        """As deep as the back of this body sinks in."""
        rng = body.patient.rng("couch")
        x = np.arange(-40, 41, 20, dtype=np.float32)[None, None, :]
        y = np.arange(0, body.extent_mm[1][1] + 20, 2, dtype=np.float32)[None, :, None]
        z = np.arange(-80, 81, 20, dtype=np.float32)[:, None, None]
        skin = (body.solids(x, y, z, edge_mm=2.0).hu > -500).any(axis=(0, 2))
        press_mm = min(8.0, 0.6 * body.build.fat_mm) * body.build.stretch[1]  # fat yields, muscle does not
        back = float(y.ravel()[skin][-1])
        return cls(
            back - press_mm,
            float(rng.uniform(3e-4, 9e-4)),
            float(rng.uniform(195, 225)),
            float(rng.uniform(6, 16)),
            float(rng.uniform(22, 50)),
        )

    def paint(self, hu: Plane, points: tuple[Plane, Plane, Plane]) -> None:
        """Into a slice, in place; the body covers it where they meet."""
        x, y, _ = points
        if float(y.max()) < self.top_mm - self.rise * self.half_mm**2:
            return
        across = np.abs(x)
        top = np.float32(self.top_mm) - np.float32(self.rise) * np.minimum(across, np.float32(self.half_mm)) ** 2
        out = across - np.float32(self.half_mm)
        mattress = np.maximum(np.maximum(top - y, y - top - np.float32(self.mattress_mm)), out)
        shelf = top + np.float32(self.mattress_mm)
        bottom = (
            np.float32(self.top_mm + self.mattress_mm + self.depth_mm)
            - np.float32(0.3 * self.depth_mm) * (across / np.float32(self.half_mm)) ** 2
        )
        shell = np.maximum(np.maximum(shelf - y, y - bottom), out)
        free = np.clip((np.float32(-700) - hu) / np.float32(250), 0, 1)
        for distance, value in ((mattress, MATTRESS_HU), (shell, SHELL_HU), (shell + np.float32(2.2), FOAM_HU)):
            hu += share_inside(distance, 0.8) * free * (np.float32(value) - hu)
