"""What hospitals put into and onto patients: tubes, lines, wires, electrodes, pacemakers. Template millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.airways import CARINA_Z
from ptx_node.simulator.anatomy.build import LEFT, SIDES
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, join, rounded, smooth_line
from ptx_node.simulator.patient import Confounder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ptx_node.simulator.anatomy.build import Build

_PLASTIC_HU, _STRIPE_HU, _STEEL_HU = 900.0, 7000.0, 7000.0


def devices(build: Build) -> list[Tubes]:
    """All devices of this patient."""
    found: list[Tubes] = []
    for confounder, make in _MAKERS.items():
        if confounder in build.patient.confounders:
            found += make(build)
    return found


def _round(radius: float) -> np.ndarray:
    return np.array((radius, radius))


def _chest_tube(build: Build) -> list[Tubes]:
    """Through the side wall and up (or back and down) along the pleura, with its stripe broken by the last hole."""
    rng = build.patient.rng("chest tube")
    side = SIDES[build.patient.tube_side] if build.patient.tube_side else LEFT
    enter = float(rng.uniform(-60, 20))
    wide = 2.2 if rng.random() < 0.3 else float(rng.uniform(3.6, 5.2))
    if rng.random() < 0.75:
        end = (rng.uniform(45, 75), rng.uniform(10, 40), rng.uniform(70, 102))
        middle = (118.0, rng.uniform(0, 40), enter + 35)
    else:
        end = (rng.uniform(50, 90), rng.uniform(55, 75), rng.uniform(-90, -50))
        middle = (112.0, rng.uniform(30, 50), enter + 4)
    outside = (240.0, -20.0, enter - 60), (190.0, -8.0, enter - 34), (152.0, 4.0, enter)
    line = smooth_line(*outside, middle, end) * (side, 1, 1)
    stripe = line + np.array((0.0, 0.0, 0.75 * wide)) * (1 if rng.random() < 0.5 else -1)
    hole = len(line) - int(rng.integers(22, 34))
    return [
        join(Kind.CHEST_TUBE, [Course(line, _round(wide))], hu=_PLASTIC_HU, core_hu=-900.0, wall_mm=0.22 * wide, surround_hu=-400.0),
        join(Kind.CHEST_TUBE, [Course(part, _round(0.9)) for part in (stripe[:hole], stripe[hole + 4 :])], hu=_STRIPE_HU),
    ]


def _line(build: Build) -> list[Tubes]:
    """From the neck or under the clavicle through the superior vena cava to the right atrium's door."""
    rng = build.patient.rng("line")
    shift = 0.6 * build.shift_mm
    end = (shift - rng.uniform(14, 20), -6.0, float(rng.uniform(-12, 40)))
    cava = (shift - 18.0, -8.0, 62.0)
    way = int(rng.integers(0, 4))
    start = (
        ((-70.0, -40.0, 190.0), (-38.0, -5.0, 140.0), (-20.0, -10.0, 96.0)),
        ((-130.0, -70.0, 60.0), (-90.0, -52.0, 100.0), (-45.0, -36.0, 98.0), (-22.0, -14.0, 88.0)),
        ((150.0, -60.0, 80.0), (90.0, -50.0, 104.0), (40.0, -38.0, 98.0), (4.0, -26.0, 82.0)),
        ((-205.0, 0.0, -60.0), (-178.0, 6.0, 40.0), (-120.0, -10.0, 98.0), (-50.0, -30.0, 100.0), (-22.0, -14.0, 86.0)),
    )[way]
    line = smooth_line(*start, cava, end)
    return [join(Kind.LINE, [Course(line, _round(0.8 if way == 3 else 1.2))], hu=3000.0, surround_hu=40.0)]


def _tracheal_tube(build: Build) -> list[Tubes]:
    rng = build.patient.rng("tracheal tube")
    end = CARINA_Z + float(rng.uniform(18, 60))
    line = smooth_line((0, -4, 230), (0, 5, 160), (0.1 * build.shift_mm, 9, 0.5 * (end + 160)), (0.4 * build.shift_mm - 1, 13, end))
    stripe = line + np.array((3.4, 3.0, 0.0))
    return [
        join(Kind.TRACHEAL_TUBE, [Course(line, _round(5.2))], hu=_PLASTIC_HU, core_hu=-990.0, wall_mm=1.1, surround_hu=-990.0),
        join(Kind.TRACHEAL_TUBE, [Course(stripe, _round(0.5))], hu=_STRIPE_HU, surround_hu=_PLASTIC_HU),
    ]


def _gastric_tube(build: Build) -> list[Tubes]:
    rng = build.patient.rng("gastric tube")
    shift = 0.7 * build.shift_mm
    below = build.dome_mm[LEFT] - float(rng.uniform(20, 60))
    line = smooth_line(
        (2, 4, 230), (3, 24, 150), (shift + 2, 34, 60), (shift + 4, 34, -40), (14, 20, -104), (42, 0, below), (66, -20, below - 12)
    )
    wide = float(rng.uniform(1.6, 2.8))
    return [
        join(Kind.GASTRIC_TUBE, [Course(line, _round(wide))], hu=350.0, core_hu=-300.0, wall_mm=0.7, surround_hu=40.0),
        join(Kind.GASTRIC_TUBE, [Course(line + np.array((0.6 * wide, 0, 0)), _round(0.7))], hu=_STRIPE_HU),
    ]


def _electrodes(build: Build) -> list[Tubes]:
    """Stickers with a metal snap on the front of the chest, each with its wire."""
    rng = build.patient.rng("electrodes")
    spots = np.array(((95, 88), (-95, 88), (105, -70), (-105, -80), (30, -40), (70, -75), (0, 40)))
    chosen = spots[rng.permutation(len(spots))[: int(rng.integers(3, 6))]] + rng.normal(0, 14, (1, 2))
    front = -104 - build.muscle_mm - build.fat_mm
    away = np.array((rng.choice((-240.0, 240.0)), front, rng.uniform(-160, 0)))
    snaps, stickers, wires = [], [], []
    for x, z in chosen + rng.normal(0, 7, chosen.shape):
        y = front * (1 - 0.25 * (abs(x) / 150) ** 2) * (0.8 if z > 60 else 1.0)
        stickers.append(Course(np.array(((x, y - 1.2, z), (x, y, z))), _round(9.0)))
        snaps.append(Course(np.array(((x, y - 3.5, z), (x, y - 1.0, z))), _round(float(rng.uniform(2.2, 4.0)))))
        bend = np.array((0.5 * (away[0] + x), y - 4, 0.5 * (away[2] + z))) + rng.normal(0, (22, 2, 34))
        wires.append(Course(smooth_line((x, y - 3, z), tuple(bend), tuple(away + rng.normal(0, 12, 3))), _round(0.75)))
    return [
        join(Kind.WIRE, stickers, hu=700.0, surround_hu=-1000.0),
        join(Kind.WIRE, snaps, hu=_STEEL_HU, surround_hu=-1000.0),
        join(Kind.WIRE, wires, hu=3200.0, surround_hu=-1000.0),
    ]


def _pacemaker(build: Build) -> list[Tubes]:
    rng = build.patient.rng("pacemaker")
    side = 1 if rng.random() < 0.8 else -1
    x, z = side * float(rng.uniform(85, 112)), float(rng.uniform(52, 78))
    y = -70.0 - build.muscle_mm - 0.6 * build.fat_mm
    tilt = rng.uniform(-0.5, 0.5)
    up = np.array([[np.sin(tilt), 0, np.cos(tilt)]])
    steps = np.linspace(0, 1, 15)
    can = np.array((x, y - 4, z)) + steps[:, None] * np.array((0, 8.0, 0))
    shift = 0.7 * build.shift_mm
    heart = build.dome_mm[LEFT] + 14
    lead = smooth_line(
        (x, y, z + 12),
        (side * 95, -62, 100),
        (side * 40, -38, 97),
        (shift - 12, -16, 80),
        (shift - 20, -10, 30),
        (shift - 18, -26, -40),
        (shift + 34, -56, heart),
    )
    return [
        join(Kind.WIRE, [Course(can, np.array((19.0, 23.0)) * rounded(steps, 0.16, 0.16), up)], hu=_STEEL_HU, surround_hu=-60.0),
        join(Kind.WIRE, [Course(lead, _round(1.0))], hu=4500.0),
    ]


_MAKERS: Mapping[Confounder, Callable[[Build], list[Tubes]]] = {
    Confounder.CHEST_TUBE: _chest_tube,
    Confounder.LINE: _line,
    Confounder.TRACHEAL_TUBE: _tracheal_tube,
    Confounder.GASTRIC_TUBE: _gastric_tube,
    Confounder.ELECTRODES: _electrodes,
    Confounder.PACEMAKER: _pacemaker,
}
