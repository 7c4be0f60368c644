"""The skin of a patient on the couch: back pressed flat, breasts spread out, arms above the head."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.shell import Shell

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.curves import Plane

AWAY_MM = 1e5
MELT_MM = 16.0
"""Over which a breast runs out into the chest wall."""


@dataclass(frozen=True, slots=True)
class LyingShell(Shell):
    """As `Shell`.

    Attributes:
        back_mm: template y at which the couch holds the middle of the back.
        rise: of the couch to the sides, in template millimetres a square millimetre.
    """

    back_mm: float = 1e3
    rise: float = 0.0

    @classmethod
    def on(cls, shell: Shell, back_mm: float, rise: float, *, arms_down: bool) -> LyingShell:
        """The same person on a couch."""
        own = {one.name: getattr(shell, one.name) for one in fields(Shell)}
        breasts = tuple(
            replace(
                one,
                centre=(1.12 * one.centre[0], one.centre[1] + 6, one.centre[2]),
                radii=(1.2 * one.radii[0], 0.72 * one.radii[1], one.radii[2]),
            )
            for one in shell.breasts
        )
        own |= {"breasts": breasts, "arm_out": shell.arm_out if arms_down else AWAY_MM}
        return cls(**own, back_mm=back_mm, rise=rise)

    def skin(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Signed distance to the skin."""
        distance = self._layer(x, y, z, self.muscle_mm + self.fat_mm, self.muscle_mm + 4 + 1.2 * self.fat_mm)
        for breast in self.breasts:
            other = self.breast(breast, x, y, z)
            blend = np.clip(np.float32(0.5) + (distance - other) / np.float32(2 * MELT_MM), 0, 1)
            distance = distance + blend * (other - distance) - np.float32(MELT_MM) * blend * (1 - blend)
        return np.maximum(distance, y - np.float32(self.back_mm) + np.float32(self.rise) * x * x)
