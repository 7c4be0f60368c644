"""The pleural cavity of one side and the lung in it. Air between the two is the pneumothorax.

Distances are signed and about millimetres: negative inside. They are smooth along any line, so that a renderer may find where a ray
enters and leaves from samples a few millimetres apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.curves import Curve, ease
from ptx_node.simulator.anatomy.diaphragm import Dome
from ptx_node.simulator.patient import Confounder, Posture

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane, Table
    from ptx_node.simulator.anatomy.heart import Mediastinum
    from ptx_node.simulator.patient import PleuralAir

POWER = 2.35
APEX_MM = 122.0
HALF_WIDTH = Curve.through(
    (-200, 147),
    (-150, 149),
    (-100, 148),
    (-60, 145),
    (-20, 139),
    (20, 131),
    (55, 120),
    (80, 108),
    (98, 93),
    (110, 76),
    (118, 56),
    (123, 30),
    (126, 8),
)
HALF_DEPTH = Curve.through((-200, 92), (-100, 94), (-40, 92), (10, 86), (50, 74), (80, 62), (105, 48), (118, 36), (126, 14))
MIDDLE_Y = Curve.through((-200, 4), (-80, 2), (0, 2), (50, 8), (80, 14), (105, 20), (120, 24))


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the lung has drawn back, and from where.

    Attributes:
        depth: largest distance in template millimetres.
        reach: upright, the heights between which it grows from nothing to all; lying, how far back and how far up it goes.
        base: distance between lung and diaphragm.
        hilum, radii: the lung is also inside this ellipsoid: a collapsed lung hangs on its hilum.
        wave: phases of the lung edge's slight waves.
    """

    depth: float
    upright: bool
    reach: tuple[float, float]
    base: float
    hilum: tuple[float, float, float]
    radii: tuple[float, float, float]
    wave: tuple[float, float]
    lateral: float
    """Share of the half width from which the gap opens; smaller for larger ones."""

    @classmethod
    def of(cls, build: Build, air: PleuralAir, side: int) -> Gap:
        """The gap of this patient's pneumothorax."""
        rng = build.patient.rng(f"gap{side}")
        depth = air.depth_mm / build.stretch[0]
        fallen = float(np.clip((depth - 34) / 50, 0, 1))
        full, fist = np.array((215.0, 200.0, 280.0)), np.array((50.0, 76.0, 84.0))
        radii = full + (fist - full) * fallen**0.6
        upright = build.patient.posture is not Posture.SUPINE
        if build.patient.posture is Posture.UPRIGHT_PA:
            low = float(np.interp(depth, (3, 9, 16, 24, 32, 50, 70), (108, 92, 68, 36, -2, -105, -220))) + float(rng.normal(0, 10))
            reach, base = (low, APEX_MM - 3), float(np.interp(depth, (52, 85), (0, 16)))
        elif upright:
            low = float(np.interp(depth, (3, 9, 16, 24, 32, 50, 70), (104, 82, 54, 16, -32, -135, -235))) + float(rng.normal(0, 14))
            reach, base = (low, APEX_MM - 8), float(np.interp(depth, (45, 80), (0, 16)))
        else:
            rise = float(np.interp(depth, (3, 9, 16, 32, 50, 75), (10, 24, 50, 115, 190, 300))) * float(rng.uniform(0.8, 1.2))
            reach, base = (float(np.interp(depth, (3, 16, 32, 60), (-40, -18, 12, 65))), build.dome_mm[side] + rise), 0.35 * depth
        return cls(
            depth=depth,
            upright=upright,
            reach=reach,
            base=base,
            hilum=(side * 36 + build.shift_mm, 8.0, 2.0),
            radii=(float(radii[0]), float(radii[1]), float(radii[2])),
            wave=(float(rng.uniform(0, 6)), float(rng.uniform(0, 6))),
            lateral=float(np.interp(depth, (8, 16, 30, 45, 60, 90), (0.80, 0.75, 0.64, 0.53, 0.40, 0.1))),
        )

    def width(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Distance between chest wall and lung: upright mostly at the side and over the apex, so that the lung still meets the front."""
        wave = np.float32(1) - np.float32(0.06) * (1 + np.sin(z / np.float32(19) + np.float32(self.wave[0])))
        if self.upright:
            high = ease(z, self.reach[0], self.reach[1])
            side = np.float32(0.35) + np.float32(0.65) * high  # thinner along the side wall than over the apex
            lateral = ease(np.abs(x) * (1 / HALF_WIDTH(z)), self.lateral, self.lateral + 0.22)
            lateral = np.maximum(lateral, ease(z, APEX_MM - 10 - 1.2 * self.depth, APEX_MM - 4))  # over the apex it is all round
            return np.asarray((np.float32(self.depth) * (high * side * wave)) * lateral, dtype=np.float32)
        front = ease(y, self.reach[0], -75)
        basal = ease(z, self.reach[1] + 12, self.reach[1] - 45)
        lateral = np.float32(0.2) + np.float32(0.8) * ease(np.abs(x) * (1 / HALF_WIDTH(z)), 0.25, 0.75)
        return np.asarray((np.float32(1.25 * self.depth) * (basal * wave) * front) * lateral, dtype=np.float32)

    def under(self, y: Plane) -> Plane:
        """Distance between diaphragm and lung; in front only when lying."""
        return np.asarray(np.float32(self.base) * (1 if self.upright else ease(y, self.reach[0] + 20, -60)), dtype=np.float32)

    def from_hilum(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Signed distance to the ellipsoid on the hilum."""
        (cx, cy, cz), (rx, ry, rz) = self.hilum, self.radii
        q = ((x - np.float32(cx)) / np.float32(rx)) ** 2 + (
            ((y - np.float32(cy)) / np.float32(ry)) ** 2 + ((z - np.float32(cz)) / np.float32(rz)) ** 2
        )
        return np.asarray((np.sqrt(q) - 1) * np.float32(rx), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Fluid:
    """Pleural effusion: a level with a meniscus upright, a layer behind when lying."""

    level: float
    behind: float | None


@dataclass(frozen=True, slots=True)
class Hemithorax:
    """One side: cavity, lung, and how dense the lung is."""

    side: int
    dome: Dome
    medial: Table
    gap: Gap | None
    fluid: Fluid | None
    density: float = 0.14
    """Of the lung, relative to water."""

    @classmethod
    def of(cls, build: Build, mediastinum: Mediastinum, side: int) -> Hemithorax:
        """This side of this patient, with its lung's density after any collapse."""
        air = build.airs.get(side)
        gap = Gap.of(build, air, side) if air is not None else None
        one = cls(side, Dome.of(build, side), mediastinum.edge[side], gap, _fluid(build, side))
        rng = build.patient.rng(f"lung{side}")
        density = float(rng.normal(0.135, 0.012)) * (1 + 0.45 * (1 - build.patient.inspiration))
        return replace(one, density=min(0.5, density * one.compression() ** 0.7))

    def wall(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Signed distance to the chest wall's pleura, the apex included."""
        a, b = HALF_WIDTH(z), HALF_DEPTH(z)
        q = (np.abs(x) ** np.float32(POWER)) * (a ** np.float32(-POWER)) + np.abs((y - MIDDLE_Y(z)) / b) ** np.float32(POWER)
        return np.asarray((np.sqrt(q) - 1) * (np.float32(0.85) * np.maximum(a, np.float32(60))), dtype=np.float32)

    def _roof(self, x: Plane, y: Plane) -> Plane:
        """Height of the pleural cupola: rounded towards the middle, falling to the front along the first rib."""
        out = np.abs(x)
        inner = np.maximum(np.float32(50) - out, 0) / np.float32(30)
        front = np.maximum(np.float32(22) - y, 0) / np.float32(62)
        return np.asarray(np.float32(APEX_MM) - np.float32(20) * inner * inner - np.float32(40) * front**1.6, dtype=np.float32)

    def cavity(self, x: Plane, y: Plane, z: Plane) -> tuple[Plane, Plane]:
        """(signed distance to the pleural cavity's surface, to its outer wall alone)."""
        wall = np.maximum(self.wall(x, y, z), np.float32(0.8) * (z - self._roof(x, y)))
        floor = self._floor(x, y) - z
        edge = self.medial(y, z)
        medial = edge - x if self.side > 0 else x - edge
        distance = np.maximum(np.maximum(wall, floor), medial)
        if self.fluid is not None and self.fluid.behind is not None:
            distance = np.maximum(distance, y - np.float32(self.fluid.behind))
        return distance, wall

    def _floor(self, x: Plane, y: Plane) -> Plane:
        floor = self.dome.height(x, y)
        if self.fluid is not None and self.fluid.behind is None:
            if self.gap is not None and self.gap.upright:
                return np.maximum(floor, np.float32(self.fluid.level))  # under air a fluid is flat
            out = np.maximum(np.abs(x) - np.float32(70), 0) / np.float32(72)
            floor = np.maximum(
                floor, np.float32(self.fluid.level) + np.float32(38) * out * out + np.float32(20) * (np.abs(y) / np.float32(95)) ** 3
            )
        return floor

    def lung(self, x: Plane, y: Plane, z: Plane, cavity: tuple[Plane, Plane] | None = None) -> Plane:
        """Signed distance to the lung's surface; that of the cavity where there is no air."""
        distance, wall = cavity if cavity is not None else self.cavity(x, y, z)
        if self.gap is None:
            return distance
        free: Plane = wall + self.gap.width(x, y, z)
        if self.gap.base > 0.5:
            free = _rounded_maximum(free, self._floor(x, y) + self.gap.under(y) - z, 10)
        if self.gap.radii[0] < 214:
            free = _rounded_maximum(free, self.gap.from_hilum(x, y, z), 24)
        return np.maximum(distance, free)

    def compression(self) -> float:
        """Volume of the cavity over that of the lung in it."""
        if self.gap is None:
            return 1.0
        x = self.side * np.arange(4, 150, 8, dtype=np.float32).reshape(-1, 1, 1)
        y = np.arange(-96, 100, 8, dtype=np.float32).reshape(1, -1, 1)
        z = np.arange(-170, 126, 8, dtype=np.float32).reshape(1, 1, -1)
        cavity = self.cavity(x, y, z)
        return float((cavity[0] < 0).sum() / max(1, (self.lung(x, y, z, cavity) < 0).sum()))


def _rounded_maximum(one: Plane, two: Plane, width: float) -> Plane:
    """The larger of two distances, without the crease where they meet; it lies a quarter of `width` inwards there."""
    near = np.maximum(np.float32(width) - np.abs(one - two), 0)
    return np.asarray(np.maximum(one, two) + near * near * np.float32(0.25 / width), dtype=np.float32)


def _fluid(build: Build, side: int) -> Fluid | None:
    if Confounder.EFFUSION not in build.patient.confounders:
        return None
    rng = build.patient.rng("effusion")
    sides = {side: bool(chosen) for side, chosen in zip((1, -1), rng.permutation((True, bool(rng.random() < 0.35))), strict=True)}
    level, behind = float(rng.uniform(-38, 12)), float(rng.uniform(35, 68))
    if not sides[side]:
        return None
    if build.upright:
        return Fluid(build.dome_mm[side] + level, None)
    return Fluid(0.0, behind)
