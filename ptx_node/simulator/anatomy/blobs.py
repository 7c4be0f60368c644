"""Round things: gas in stomach and bowel, bullae, consolidation. Ellipsoids whose way along a ray is known exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane


@dataclass(frozen=True, slots=True)
class Blob:
    """One ellipsoid.

    Attributes:
        hu: inside; in the middle, for a soft one, which fades to its surface.
        surround_hu: what it replaces.
        wall_mm: thickness of a thin wall of soft tissue.
        level_z: there is gas above this height only, as over fluid; None for a whole ellipsoid.
        in_lung: nothing of it shows outside the lung.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hu: float
    surround_hu: float
    soft: bool = False
    wall_mm: float = 0.0
    level_z: float | None = None
    in_lung: bool = False

    def stretched(self, by: tuple[float, float, float]) -> Blob:
        """From template to patient millimetres."""
        centre, radii = np.array(self.centre) * by, np.array(self.radii) * by
        level = None if self.level_z is None else self.level_z * by[2]
        return replace(self, centre=three(centre), radii=three(radii), level_z=level)

    def radius(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """0 in the middle, 1 on the surface."""
        q = sum(((one - np.float32(at)) / np.float32(size)) ** 2 for one, at, size in zip((x, y, z), self.centre, self.radii, strict=True))
        return np.asarray(np.sqrt(q), dtype=np.float32)

    def share(self, x: Plane, y: Plane, z: Plane, edge_mm: float) -> tuple[Plane, Plane]:
        """(share of the inside, share of the wall) at points."""
        radius = self.radius(x, y, z)
        if self.soft:
            return np.clip(1 - radius * radius, 0, 1), np.zeros_like(radius)
        size = np.float32(min(self.radii))
        inside = np.clip(np.float32(0.5) - (radius - 1) * size / np.float32(edge_mm), 0, 1)
        if self.level_z is not None:
            inside = inside * np.clip(np.float32(0.5) + (z - np.float32(self.level_z)) / np.float32(edge_mm), 0, 1)
        if not self.wall_mm:
            return inside, np.zeros_like(inside)
        whole = np.clip(np.float32(0.5) - ((radius - 1) * size - np.float32(self.wall_mm)) / np.float32(edge_mm), 0, 1)
        return inside, whole - inside

    def way(self, x: Plane, z: Plane, grow_mm: float = 0.0) -> Plane:
        """Millimetres of depth inside (weighted, for a soft one) along the lines that cross its middle plane at (x, z)."""
        rx, ry, rz = (size + grow_mm for size in self.radii)
        left = np.maximum(
            1 - ((x - np.float32(self.centre[0])) / np.float32(rx)) ** 2 - ((z - np.float32(self.centre[2])) / np.float32(rz)) ** 2, 0
        )
        way = np.float32(4 / 3 * ry) * left**1.5 if self.soft else np.float32(2 * ry) * np.sqrt(left)
        if self.level_z is not None:
            way = way * np.clip(np.float32(0.5) + (z - np.float32(self.level_z)) / np.float32(0.5), 0, 1)
        return np.asarray(way, dtype=np.float32)


def three(point: Plane) -> tuple[float, float, float]:
    """x, y and z of one point as plain numbers."""
    x, y, z = (float(one) for one in point)
    return x, y, z


def bowel_gas(build: Build) -> list[Blob]:
    """The stomach's bubble under the left dome and loops of colon, in some."""
    rng = build.patient.rng("gas")
    found = []
    left = build.dome_mm[1]
    if rng.random() < 0.8:
        wide, tall = float(rng.uniform(20, 42)), float(rng.uniform(13, 26))
        at = (float(rng.uniform(46, 78)), float(rng.uniform(-10, 20)), left - 9 - tall - float(rng.uniform(0, 8)))
        level = at[2] - float(rng.uniform(-0.2, 0.5)) * tall if build.upright else None
        found.append(Blob(at, (wide, 0.7 * wide, tall), -1000.0, 40.0, level_z=level))
    where = np.array((rng.normal(96, 14), -10, left - rng.uniform(38, 75)))  # the bend of the colon below the spleen
    for _ in range(int(rng.integers(0, 8))):
        size = float(rng.uniform(7, 15))
        loop = where + rng.normal(0, (17, 12, 13))
        if loop[2] + size < left - 16:
            found.append(Blob(three(loop), (size * float(rng.uniform(0.8, 1.5)), 0.8 * size, size), -850.0, 40.0))
    return found
