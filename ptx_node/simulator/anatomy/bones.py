"""Ribs, clavicles, shoulder blades, sternum and upper arms as tubes in template millimetres; the spine stands in `spine`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.build import LEFT, RIGHT
from ptx_node.simulator.anatomy.curves import ease
from ptx_node.simulator.anatomy.pleura import HALF_DEPTH, HALF_WIDTH, MIDDLE_Y, POWER
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, along, join, rounded, smooth_line
from ptx_node.simulator.patient import Confounder, Posture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ptx_node.simulator.anatomy.build import Build

_ENDS_DEG = (150, 153, 151, 149, 146, 142, 136, 127, 116, 102, 66, 42)
"""How far round each rib's bone goes, from the spine at 0 to the breastbone at 180; the rest is cartilage, which no ray sees."""
_FALL_MM = (44, 64, 82, 96, 106, 113, 116, 112, 102, 90, 52, 30)
_CORTEX_HU, _MARROW_HU = 1200.0, 130.0


def rib_top(number: int) -> float:
    """Height (z) of the joint of rib 1 to 12 with the spine."""
    n = number - 1
    return 131.0 - 20.6 * n - 0.22 * n * n


def bones(build: Build) -> list[Tubes]:
    """All bones but the spine; older ones are thinner."""
    thin = float(np.clip(1.25 - 0.006 * build.patient.age_years, 0.65, 1.1))
    cortex, marrow = _CORTEX_HU * thin, _MARROW_HU * thin
    return [
        join(Kind.RIB, list(_ribs(build)), hu=cortex, core_hu=marrow, wall_mm=0.95),
        join(Kind.CLAVICLE, list(_clavicles(build)), hu=cortex, core_hu=marrow + 40, wall_mm=1.3),
        join(Kind.SCAPULA, list(_scapulae(build)), hu=cortex, core_hu=marrow + 60, wall_mm=0.9),
        join(Kind.HUMERUS, list(_arms(build)), hu=cortex, core_hu=marrow, wall_mm=1.8),
        join(Kind.STERNUM, list(_sternum()), hu=0.7 * cortex, core_hu=marrow, wall_mm=0.7),
    ]


def _ribs(build: Build) -> Iterator[Course]:
    rng = build.patient.rng("ribs")
    slope = float(rng.normal(1.0, 0.07)) * (0.88 + 0.18 * (1 - build.patient.inspiration))
    for side in (LEFT, RIGHT):
        for number in range(1, 13):
            end = np.deg2rad(_ENDS_DEG[number - 1] + rng.normal(0, 2.5))
            angle = np.linspace(np.deg2rad(7), end, 64)
            share = angle / np.pi
            z = rib_top(number) + rng.normal(0, 0.8) - slope * _FALL_MM[number - 1] * ease(share, -0.04, 0.96)
            if number == 1:
                x, y = _first_rib(angle, end)
            else:
                x, y = _round_the_cage(angle, z)
            thick = np.interp(share, (0, 0.3, 0.6, 0.9), (3.6, 3.7, 2.9, 2.2)) * (0.55 if number == 1 else 1.0)
            half = np.stack([np.interp(share, (0, 0.1, 0.5, 1), (4.4, 6.6, 7.0, 7.2)), thick], axis=1)
            half = half * float(rng.normal(1.0, 0.04)) * (0.93 if build.patient.sex == "F" else 1.04)
            twist = np.interp(share, (0, 0.2, 1), (0.35, 0.1, -0.15))  # the upper edge leans out behind, in front of the side
            outward = np.stack([np.sin(angle), np.cos(angle), np.zeros_like(angle)], axis=1)
            up = np.array([0, 0, 1.0]) + twist[:, None] * outward
            if number == 1:  # it lies flat
                up = 0.7 * outward + np.array([0, 0, 0.75])
            yield Course(
                np.stack([x, y, z], axis=1) * (side, 1, 1),
                half * rounded(share / share[-1], 0.0, 0.10 if number == 1 else 0.03),
                up * (side, 1, 1),
            )


def _first_rib(angle: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The small first arch round the apex."""
    share = angle / end
    x = np.interp(share, (0, 0.15, 0.4, 0.65, 0.85, 1), (22, 38, 60, 64, 50, 32))
    y = np.interp(share, (0, 0.15, 0.4, 0.65, 0.85, 1), (54, 62, 44, 8, -26, -46))
    kernel = np.hanning(15) / np.hanning(15).sum()
    return tuple(np.convolve(np.pad(one, 7, mode="reflect", reflect_type="odd"), kernel, mode="valid") for one in (x, y))  # type: ignore[return-value]  # two of two


def _round_the_cage(angle: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """On the outer side of the pleura; the first stretch runs back from the side of the vertebra."""
    z32 = z.astype(np.float32)
    a, b, middle = HALF_WIDTH(z32) + 5, HALF_DEPTH(z32) + 5, MIDDLE_Y(z32)
    x = a * np.sin(angle) ** (2 / POWER)
    y = middle + b * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / POWER)
    start = np.clip((np.deg2rad(34) - angle) / np.deg2rad(27), 0, 1) ** 2
    return x + start * (20 - x), y + start * (68 - y)


def _clavicles(build: Build) -> Iterator[Course]:
    rng = build.patient.rng("clavicles")
    lift = float(rng.normal(0, 4))
    for side in (LEFT, RIGHT):
        own = lift + float(rng.normal(0, 2))
        line = smooth_line((20, -66, 86), (48, -66, 92 + 0.3 * own), (84, -48, 103 + 0.7 * own), (118, -14, 116 + own), (148, 4, 120 + own))
        share = along(line)
        half = np.stack(
            [np.interp(share, (0, 0.08, 0.3, 0.7, 1), (9, 7.2, 5.6, 5.6, 7.6)), np.interp(share, (0, 0.6, 1), (5.5, 5.2, 4.6))], axis=1
        )
        yield Course(line * (side, 1, 1), half * rounded(share, 0.05, 0.05))


def _scapulae(build: Build) -> Iterator[Course]:
    """Borders, spine and coracoid; the blade between them is thin enough to be left to strips."""
    patient = build.patient
    rng = patient.rng("scapulae")
    over = Confounder.SCAPULA_EDGE in patient.confounders
    usual = 24.0 if patient.posture is Posture.UPRIGHT_PA else 12.0
    for side in (LEFT, RIGHT):
        out = float(rng.normal(-6 if over else usual, 4))
        turn = 0.5 * out
        superior, inferior = (97 + out, 70, 108), (116 + out + turn, 84, -22)
        medial = smooth_line(superior, (95 + out, 90, 82), (99 + out + 0.3 * turn, 98, 30), inferior)
        glenoid = (156 + 0.4 * out, 30, 84)
        lateral = smooth_line(glenoid, (143 + 0.7 * out + 0.4 * turn, 58, 42), (126 + out + 0.8 * turn, 82, -6), inferior)
        upper = smooth_line(superior, (122 + 0.6 * out, 56, 103), (143 + 0.5 * out, 38, 98), glenoid)
        ridge = smooth_line((97 + out, 99, 82), (128 + 0.6 * out, 88, 104), (160 + 0.4 * out, 48, 124), (172 + 0.3 * out, 16, 122))
        coracoid = smooth_line((147 + 0.4 * out, 26, 102), (143 + 0.4 * out, 8, 106), (140 + 0.4 * out, -10, 98))
        mirror = (side, 1, 1)
        yield Course(medial * mirror, np.array((1.6, 1.6)))
        yield Course(
            lateral * mirror,
            np.interp(along(lateral), (0, 0.12, 0.3, 1), (13, 8, 4.5, 2.4))[:, None] * (1, 0.7) * rounded(along(lateral), 0.11, 0.02),
        )
        yield Course(upper * mirror, np.array((1.8, 1.8)))
        yield Course(
            ridge * mirror,
            np.stack([np.linspace(1.5, 6.5, len(ridge)), np.linspace(2, 6, len(ridge))], axis=1) * rounded(along(ridge), 0, 0.06),
        )
        yield Course(coracoid * mirror, np.array((5.0, 5.0)) * rounded(along(coracoid), 0, 0.15))
        yield from _blade(medial, lateral, side)


def _blade(medial: np.ndarray, lateral: np.ndarray, side: int) -> Iterator[Course]:
    """The thin blade as overlapping flat strips from border to border."""
    rows = np.linspace(0.03, 0.97, 24)
    for share in rows:
        a = medial[int(share * (len(medial) - 1))]
        b = lateral[int(share * (len(lateral) - 1))]
        line = a + (b - a) * np.linspace(0, 1, 6)[:, None]
        yield Course(line * (side, 1, 1), np.array((6.0, 0.5)))


def _arms(build: Build) -> Iterator[Course]:
    rng = build.patient.rng("arms")
    for side in (LEFT, RIGHT):
        away = float(rng.normal(0, 6))
        line = smooth_line(
            (176, 12, 100), (184, 10, 84), (193 + 0.3 * away, 8, 50), (204 + away, 4, -40), (214 + 2 * away, 0, -130), steps=60
        )
        share = along(line)
        half = np.interp(share, (0, 0.1, 0.25, 0.4, 1), (22, 23, 20, 13, 11.5)) * rounded(share, 0.085, 0.0)[:, 0]
        yield Course(line * (side, 1, 1), np.stack([half, half], axis=1))


def _sternum() -> Iterator[Course]:
    line = smooth_line((0, -62, 94), (0, -76, 62), (0, -92, 10), (0, -98, -36))
    half = np.interp(np.linspace(0, 1, len(line)), (0, 0.08, 0.3, 0.45, 0.9, 1), (20, 25, 17, 14, 17, 8))
    yield Course(line, np.stack([half, np.full(len(line), 5.0)], axis=1), np.array([[1.0, 0, 0]]))
