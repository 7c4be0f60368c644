"""What else is seen on the picture and has been taken for a pneumothorax, or hides one. Template millimetres.

Each draws its details from the patient's seed for its own purpose: taking one away leaves the others as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.blobs import Blob, three
from ptx_node.simulator.anatomy.build import SIDES
from ptx_node.simulator.anatomy.devices import devices
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, join, smooth_line
from ptx_node.simulator.patient import Confounder

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.pleura import Hemithorax


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold of skin pressed against the detector: thicker and thicker towards its edge, then nothing. A step, never a line.

    Attributes:
        line_P2: (x, z) of the edge from above to below, in patient millimetres.
        side: towards which the edge looks.
        thick_mm, wide_mm: of the fold.
    """

    line_P2: np.ndarray
    side: int
    thick_mm: float
    wide_mm: float

    def way(self, x: Plane, z: Plane) -> Plane:
        """Extra millimetres of skin at points of the detector's side."""
        order = np.argsort(self.line_P2[:, 1])
        edge = np.interp(z, self.line_P2[order, 1], self.line_P2[order, 0]).astype(np.float32)
        behind = (edge - x) * np.float32(self.side)
        low, high = self.line_P2[order[0], 1], self.line_P2[order[-1], 1]
        fade = np.clip((z - low) / 30, 0, 1) * np.clip((high - z) / 30, 0, 1)
        ramp = np.clip(1 - behind / np.float32(self.wide_mm), 0, 1) * np.clip(behind / np.float32(0.8) + 0.5, 0, 1)
        return np.asarray(np.float32(self.thick_mm) * ramp * ramp * fade, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Extras:
    """All that a patient's confounders add to the body; effusion and the blade's edge are made where fluid and blade are."""

    tubes: tuple[Tubes, ...]
    blobs: tuple[Blob, ...]
    folds: tuple[Fold, ...]


def extras(build: Build, sides: tuple[Hemithorax, ...]) -> Extras:
    """The confounders of this patient."""
    wanted = build.patient.confounders
    tubes, blobs, folds = devices(build), [], []
    if Confounder.SUBCUTANEOUS_AIR in wanted:
        tubes.append(_soft_tissue_air(build))
    if Confounder.BULLA in wanted:
        blobs += _bullae(build, sides)
    if Confounder.CONSOLIDATION in wanted:
        blobs += _consolidation(build, sides)
    if Confounder.SKIN_FOLD in wanted:
        folds += _folds(build)
    return Extras(tuple(tubes), tuple(blobs), tuple(folds))


def _folds(build: Build) -> list[Fold]:
    rng = build.patient.rng("fold")
    sx, _, sz = build.stretch
    found = []
    for side in rng.permutation((1, -1))[: 1 + int(rng.random() < 0.3)]:
        top, bottom = float(rng.uniform(60, 130)), float(rng.uniform(-170, -60))
        x = np.array((rng.uniform(60, 105), rng.uniform(80, 120), rng.uniform(85, 130), rng.uniform(90, 150)))
        line = smooth_line(*((float(side * at * sx), 0.0, float(z * sz)) for at, z in zip(x, np.linspace(top, bottom, 4), strict=True)))
        found.append(Fold(line[:, [0, 2]], int(side), float(rng.uniform(5, 12)), float(rng.uniform(18, 50))))
    return found


def _soft_tissue_air(build: Build) -> Tubes:
    """Streaks between the fibres of the chest wall's muscles, up into the neck."""
    rng = build.patient.rng("subcutaneous")
    side = SIDES[build.patient.tube_side] if build.patient.tube_side else next(iter(build.airs), int(rng.choice((1, -1))))
    courses = []
    for _ in range(int(rng.integers(120, 260))):
        if rng.random() < 0.6:  # beside the ribs
            z = rng.uniform(-140, 90)
            x = float(np.interp(z, (-140, 0, 90), (160, 152, 135))) + rng.uniform(0, 10 + build.fat_mm)
            run = np.array((rng.normal(0, 5), rng.normal(0, 16), rng.normal(0, 16)))
        elif rng.random() < 0.65:  # the fan of the chest muscle
            z = rng.uniform(10, 95)
            x = rng.uniform(50, 145)
            run = np.array((24.0, 8.0, (z - 20) * 0.25)) + rng.normal(0, 4, 3)
        else:
            z = rng.uniform(115, 175)
            x = rng.uniform(20, 110)
            run = rng.normal(0, 12, 3)
        start = np.array((side * x, rng.uniform(-70, 30), z))
        run[0] *= side
        middle = start + 0.5 * run + rng.normal(0, 2.5, 3)
        width = rng.uniform(0.8, 2.6)
        courses.append(Course(smooth_line(*map(tuple, (start, middle, start + run)), steps=5), np.array((width, 0.7 * width))))
    return join(Kind.SOFT_TISSUE_AIR, courses, hu=-950.0, surround_hu=-20.0)


def _inside(
    rng: np.random.Generator, hemithorax: Hemithorax, low: tuple[float, float, float], high: tuple[float, float, float]
) -> np.ndarray:
    """A point well in the lung, of a box given for the left side; the deepest of a few if none is."""
    points = rng.uniform(low, high, (60, 3)).astype(np.float32) * np.array((hemithorax.side, 1, 1), dtype=np.float32)
    depth = hemithorax.lung(points[:, 0], points[:, 1], points[:, 2])
    deep = np.flatnonzero(depth < -9)
    return np.asarray(points[deep[0]] if len(deep) else points[depth.argmin()])


def _bullae(build: Build, sides: tuple[Hemithorax, ...]) -> list[Blob]:
    rng = build.patient.rng("bullae")
    found = []
    for _ in range(int(rng.integers(2, 6))):
        one = sides[int(rng.integers(0, 2))]
        at = _inside(rng, one, (30, -50, 35), (100, 60, 112))
        depth = -float(one.lung(at[:1], at[1:2], at[2:])[0])
        size = float(min(rng.uniform(6, 26), max(4.0, depth + 3)))
        radii = size * rng.uniform(0.8, 1.2, 3)
        inside = 1000 * (one.density - 1)
        found.append(Blob(three(at), three(radii), -992.0, inside, wall_mm=0.6, in_lung=True))
    return found


def _consolidation(build: Build, sides: tuple[Hemithorax, ...]) -> list[Blob]:
    rng = build.patient.rng("consolidation")
    found = []
    for _ in range(int(rng.integers(1, 3))):
        one = sides[int(rng.integers(0, 2))]
        middle = _inside(rng, one, (25, -50, -90), (115, 75, 80))
        spread = rng.uniform(8, 24)
        for _ in range(int(rng.integers(6, 20))):
            at = middle + rng.normal(0, spread, 3)
            radii = rng.uniform(7, 24) * rng.uniform(0.7, 1.3, 3)
            hu = float(rng.uniform(-500, -100))
            found.append(Blob(three(at), three(radii), hu, 1000 * (one.density - 1), soft=True, in_lung=True))
    return found
