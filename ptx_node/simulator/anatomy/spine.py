"""The vertebrae as short tubes: bodies with end plates, pedicles, transverse and spinous processes. Template millimetres."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.bones import rib_top
from ptx_node.simulator.anatomy.heart import spine_y
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, join

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build

_SIDEWAYS = np.array([[1.0, 0, 0]])


def spine(build: Build) -> list[Tubes]:
    """From the lower neck to the first lumbar vertebra."""
    rng = build.patient.rng("spine")
    old = float(np.clip(1.3 - 0.007 * build.patient.age_years, 0.6, 1.15))
    bend, phase = float(rng.normal(0, 2.5)), float(rng.uniform(0, 6))
    tops = [rib_top(n) - 4 for n in range(-2, 15)]
    bodies, plates, arches = [], [], []
    for top, below in pairwise(tops):
        middle, tall = 0.5 * (top + below), top - below
        x = bend * float(np.sin(middle / 70 + phase))
        y = float(spine_y(np.array(middle)))
        wide = float(np.interp(middle, (-180, -60, 60, 130), (20, 17, 14.5, 14.5)))
        z = middle + tall * np.array((0.39, 0.2, 0.0, -0.2, -0.39))
        waist = np.array((1.0, 0.94, 0.92, 0.94, 1.0))
        section = np.stack([wide * waist, 0.82 * wide * waist], axis=1)
        bodies.append(Course(np.stack([np.full(5, x), np.full(5, y), z], axis=1), section, _SIDEWAYS))
        for end in (0.39, -0.39):
            at = middle + tall * end
            plates.append(Course(np.array([(x, y, at + 1.1), (x, y, at - 1.1)]), section[0], _SIDEWAYS))
        for side in (1, -1):
            arches.append(
                Course(
                    np.array([(x + side * 10, y + 10, middle + 2), (x + side * 11, y + 24, middle + 2)]), np.array((3.6, 5.2)), _SIDEWAYS
                )
            )
            reach = np.linspace((x + side * 9, y + 24, middle + 1), (x + side * 29, y + 33, middle + 4), 5)
            arches.append(Course(reach, np.array((4.2, 3.6))))
        thorn = np.linspace((x, y + 26, middle - 2), (x + float(rng.normal(0, 0.8)), y + 44, middle - 17), 6)
        arches.append(Course(thorn, np.array((2.6, 6.0)), _SIDEWAYS))
    return [
        join(Kind.SPINE, bodies, hu=430 * old, core_hu=130 * old, wall_mm=0.8, surround_hu=50.0),
        join(Kind.SPINE, plates, hu=190 * old, surround_hu=50.0),
        join(Kind.SPINE, arches, hu=520 * old, core_hu=130 * old, wall_mm=0.8, surround_hu=50.0),
    ]
