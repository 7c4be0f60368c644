"""Heart, great vessels and spine as what the mediastinum takes from the lungs: from where to where along x, for each (y, z).

Between the two lungs there is one stretch of tissue on every line from right to left, so two tables hold the whole mediastinum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ptx_node.simulator.anatomy.build import LEFT, RIGHT
from ptx_node.simulator.anatomy.curves import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane

_STEP = 2.0
_Y = np.arange(-124, 126, _STEP, dtype=np.float32)
_Z = np.arange(-200, 182, _STEP, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Chamber:
    """An ellipsoid whose centre runs along x with the height: `lean` millimetres of x for one of z."""

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    lean: float = 0.0

    def reach(self, y: Plane, z: Plane) -> tuple[Plane, Plane, NDArray[np.bool_]]:
        """(centre along x, half width along x, whether the line meets it at all)."""
        cx, cy, cz = self.centre
        rx, ry, rz = self.radii
        left = 1 - ((y - cy) / ry) ** 2 - ((z - cz) / rz) ** 2
        return cx + self.lean * (z - cz), rx * np.sqrt(np.maximum(left, 0)), left > 0

    def distance(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """About the distance to its surface in millimetres, negative inside."""
        cx, cy, cz = self.centre
        rx, ry, rz = self.radii
        q = ((x - cx - np.float32(self.lean) * (z - cz)) / rx) ** 2 + (((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
        return np.asarray((np.sqrt(q) - 1) * np.float32(min(self.radii)), dtype=np.float32)


def spine_y(z: Plane) -> Plane:
    """Middle of the vertebral bodies: the thoracic curve."""
    return np.asarray(np.float32(60) - np.float32(0.0011) * (z - np.float32(-25)) ** 2, dtype=np.float32)


def chambers(build: Build) -> tuple[Chamber, ...]:
    """Heart and great vessels of this patient, shifted by tension."""
    rng = build.patient.rng("heart")
    wide, aorta = build.heart, build.aorta
    base = 0.5 * (build.dome_mm[RIGHT] + build.dome_mm[LEFT])  # the heart rests on the diaphragm
    low = base + 29
    apex = float(rng.uniform(-0.42, -0.22))
    jitter = rng.normal(0, 2.0, (12, 2))
    parts = (
        ("left ventricle", (27, -30, low), (56 * wide, 46, 50), apex),
        ("right ventricle", (6, -44, low - 4), (46 * wide, 34, 46), 0.0),
        ("right atrium", (-11, -15, low + 16), (31 * wide, 36, 44), 0.0),
        ("left atrium", (17, 8, low + 44), (35 * wide, 32, 40), -0.12),
        ("pulmonary trunk", (19, -22, 18), (22, 20, 28), -0.1),
        ("ascending aorta", (-9, -18, 34), (22 * aorta, 24 * aorta, 44), 0.0),
        ("superior vena cava", (-16, -8, 50), (13, 15, 60), 0.0),
        ("upper mediastinum", (0, 8, 132), (24, 34, 96), 0.0),
        ("aortic arch", (17 * aorta, 8, 55), (21 * aorta, 32, 18 * aorta), 0.0),
        ("left subclavian artery", (12, 16, 98), (15, 18, 46), 0.05),
        ("left pulmonary artery", (30, 8, 30), (21, 13, 13), 0.0),
        ("right pulmonary artery", (-24, 4, 12), (24, 13, 17), 0.0),
    )
    return tuple(
        Chamber(
            name,
            (at[0] + build.shift_mm * _pushed(at[2]) + float(extra[0]), float(at[1]), float(at[2] + extra[1])),
            (float(radii[0]), float(radii[1]), float(radii[2])),
            lean,
        )
        for (name, at, radii, lean), extra in zip(parts, jitter, strict=True)
    )


def _pushed(z: float) -> float:
    """Share of the push that a height takes: the neck is held, the heart swings."""
    return float(np.clip(1.0 - (z - 20) / 110, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Mediastinum:
    """Where each lung ends towards the middle."""

    edge: Mapping[int, Table]
    chambers: tuple[Chamber, ...]

    @classmethod
    def of(cls, build: Build) -> Mediastinum:
        """The mediastinum of this patient."""
        parts = chambers(build)
        y, z = np.meshgrid(_Y, _Z, indexing="ij")
        pushed = build.shift_mm * np.clip(1.0 - (z - 20) / 110, 0, 1)
        left = (pushed + 1.2).astype(np.float32)  # where the lungs meet, two layers of pleura
        right = (pushed - 1.2).astype(np.float32)
        for part in (*parts, Chamber("descending aorta", (19 * build.aorta + 0.4 * build.shift_mm, 44, -60), (13 * build.aorta, 14, 125))):
            middle, half, meets = part.reach(y, z)
            left = np.where(meets, np.maximum(left, middle + half), left)
            right = np.where(meets, np.minimum(right, middle - half), right)
        behind = y - (spine_y(z) - 15)  # vertebrae, with the muscles beside them
        tissue = np.interp(behind, (0, 3, 12, 28, 42, 56), (0, 11, 18, 25, 36, 56))
        tissue = np.maximum(
            tissue, np.interp(y, (-100, -70, -45, 0, 16, 32, 45), (9, 3, 4, 9, 10, 15, 21)) + 2.5 * np.sin(z / 27)
        )  # fat in front, gullet behind
        left, right = np.maximum(left, tissue), np.minimum(right, -tissue)
        tables = {
            side: Table(gaussian_filter(edge, (1.3, 2.4)).astype(np.float32), (float(_Y[0]), float(_Z[0])), _STEP)
            for side, edge in ((LEFT, left), (RIGHT, right))
        }
        return cls(tables, parts)
