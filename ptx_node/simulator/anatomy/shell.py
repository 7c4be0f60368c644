"""The body around the chest: skin with breasts, shoulders and arms, fat under it, muscle within. Template millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.curves import Curve
from ptx_node.simulator.anatomy.pleura import HALF_DEPTH, HALF_WIDTH, MIDDLE_Y, POWER
from ptx_node.simulator.patient import Posture

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane

_SHOULDER_WIDTH = Curve.through(
    (-110, 0), (-60, 60), (-20, 132), (30, 164), (66, 186), (95, 198), (112, 194), (126, 166), (138, 122), (150, 84), (166, 62), (240, 56)
)
_SHOULDER_DEPTH = Curve.through((-110, 40), (-20, 80), (40, 90), (80, 90), (110, 80), (134, 66), (150, 56), (240, 60))


@dataclass(frozen=True, slots=True)
class Breast:
    """One breast as an ellipsoid on the front wall."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shell:
    """The outside of the body."""

    fat_mm: float
    muscle_mm: float
    arm_out: float
    breasts: tuple[Breast, ...]

    @classmethod
    def of(cls, build: Build) -> Shell:
        """The outside of this patient."""
        rng = build.patient.rng("shell")
        breasts = []
        if build.breast:
            size = build.breast
            press = 0.62 if build.patient.posture is Posture.UPRIGHT_PA else 0.7
            sag = 14 * size if build.upright else -4
            for side in (1, -1):
                at = (side * (74 + 8 * size + rng.normal(0, 3)), -92 - 0.5 * build.fat_mm, -34 - sag + float(rng.normal(0, 4)))
                breasts.append(Breast(at, (44 * size**0.5 + 13, 56 * size * press, 44 * size**0.5 + 13)))
        return cls(build.fat_mm, build.muscle_mm, float(rng.normal(4, 8)), tuple(breasts))

    def muscle(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Signed distance to the muscles' outside."""
        return self._layer(x, y, z, self.muscle_mm, self.muscle_mm + 4)

    def skin(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Signed distance to the skin."""
        distance = self._layer(x, y, z, self.muscle_mm + self.fat_mm, self.muscle_mm + 4 + 1.2 * self.fat_mm)
        for breast in self.breasts:
            distance = np.minimum(distance, self.breast(breast, x, y, z))
        return distance

    def breast(self, breast: Breast, x: Plane, y: Plane, z: Plane) -> Plane:
        """Signed distance to one breast."""
        (cx, cy, cz), (rx, ry, rz) = breast.centre, breast.radii
        q = ((x - np.float32(cx)) / np.float32(rx)) ** 2 + (
            ((y - np.float32(cy)) / np.float32(ry)) ** 2 + ((z - np.float32(cz)) / np.float32(rz)) ** 2
        )
        return np.asarray((np.sqrt(q) - 1) * np.float32(ry), dtype=np.float32)

    def _layer(self, x: Plane, y: Plane, z: Plane, beside: float, before: float) -> Plane:
        """Trunk, shoulders and arms grown by so much to the sides and to front and back."""
        low = np.minimum(z, np.float32(96))  # the cage's own width ends at the neck
        a = HALF_WIDTH(low) + np.float32(10 + beside)
        b = HALF_DEPTH(low) + np.float32(10 + before)
        middle = MIDDLE_Y(low) + np.float32(3)
        power = np.float32(POWER + 0.15)
        trunk = np.abs(x) ** power * a**-power + (np.abs(y - middle) / b) ** power
        trunk = (np.sqrt(trunk) - 1) * (np.float32(0.8) * a) + np.float32(1.1) * np.maximum(z - np.float32(112), 0)
        wide = _SHOULDER_WIDTH(z)
        half, depth = np.maximum(wide + np.float32(0.6 * beside), 1), _SHOULDER_DEPTH(z) + np.float32(0.5 * before)
        shoulder = (x / half) ** 2 + ((y - np.float32(14)) / depth) ** 2
        shoulder = (np.sqrt(shoulder) - 1) * np.minimum(half, depth) + np.maximum(0, np.float32(8) - wide)
        lower = np.maximum(np.float32(88) - z, 0)
        arm_x = np.abs(x) - (np.float32(184) + np.float32(0.02 * self.arm_out) * lower + np.float32(0.10) * lower)
        size = np.float32(33 + 0.7 * beside)
        arm = np.sqrt(arm_x**2 + (y - np.float32(8)) ** 2 + np.maximum(z - np.float32(88), 0) ** 2) - size
        return np.asarray(np.minimum(np.minimum(trunk, shoulder), arm), dtype=np.float32)
