"""Trachea, carina and the larger bronchi: air with a wall, template millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.build import LEFT, RIGHT
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, join, smooth_line

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build

CARINA_Z = 44.0


def airways(build: Build) -> list[Tubes]:
    """Trachea and main bronchi in the mediastinum, lobar ones in the hila."""
    rng = build.patient.rng("airways")
    wide = (8.6 if build.patient.sex == "M" else 7.4) * float(rng.normal(1, 0.06))
    low = 0.75 * build.shift_mm
    carina = (low - 2.0, 20.0, CARINA_Z)
    trachea = smooth_line((0, 6, 190), (0.1 * low, 8, 130), (0.5 * low - 1, 14, 80), carina)
    right = smooth_line(carina, (low - 14, 21, 30), (low - 28, 20, 12), (low - 36, 16, -8))
    left = smooth_line(carina, (low + 18, 22, 30), (low + 36, 24, 16), (low + 48, 24, 4))
    upper = smooth_line((low - 16, 21, 29), (low - 32, 20, 28), (low - 46, 14, 36))
    main = [
        Course(trachea, np.array((wide, wide))),
        *(Course(line, np.stack([np.linspace(0.78, 0.55, len(line)) * wide] * 2, axis=1)) for line in (right, left)),
    ]
    lobar = [Course(upper, np.array((3.8, 3.8)))]
    for side in (RIGHT, LEFT):
        for _ in range(5):
            start = np.array((low + side * 40, 20, 8)) + rng.normal(0, (4, 4, 10))
            end = start + rng.normal((side * 24, 0, 0), (8, 18, 22))
            lobar.append(Course(np.linspace(start, end, 6), np.stack([np.linspace(2.8, 1.6, 6)] * 2, axis=1)))
    return [
        join(Kind.AIRWAY, main, hu=20.0, core_hu=-990.0, wall_mm=1.0, surround_hu=20.0),
        join(Kind.AIRWAY, lobar, hu=0.0, core_hu=-980.0, wall_mm=0.9, surround_hu=-600.0),
    ]
