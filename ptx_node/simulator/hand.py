"""A radiograph of a simulated hand, which a chest model must refuse: bones with cortex and marrow in soft tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.simulator.anatomy.curves import Plane

HEIGHT_MM = 220.0
SOFT_RAYS_PER_MM = 0.06
"""Attenuation of soft tissue: of lower energy than a chest's, and more than that, as the display is made for thick bodies."""
BONE, MARROW = 2.1, 1.2
"""Attenuation against water, of cortex and of what it surrounds."""
FINGERS = (
    # base of the metacarpal (mm from the wrist's middle, to the picture's right and up), heading in degrees, lengths of the bones
    ((-15.0, 9.0), -48.0, (42.0, 30.0, 24.0)),
    ((-11.0, 14.0), -11.0, (63.0, 38.0, 23.0, 17.0)),
    ((-2.0, 15.0), -1.0, (61.0, 43.0, 27.0, 18.0)),
    ((6.5, 13.5), 8.0, (55.0, 39.0, 25.0, 18.0)),
    ((14.0, 11.0), 19.0, (50.0, 32.0, 19.0, 16.0)),
)
CARPUS = ((-14, 6, 6.5, 5.0), (-6, 7, 5.5, 6.5), (3, 7.5, 6, 7), (11, 5.5, 6, 6), (-10, -5, 7, 5.5), (1, -5, 6.5, 5), (10, -4.5, 5, 5))
"""Small bones of the wrist: middle and half axes, mm."""
SHAFT = ((0.0, 1.35), (0.12, 1.2), (0.35, 0.78), (0.65, 0.74), (0.88, 1.08), (1.0, 1.12))
"""Radius along a bone, against its mean: waisted, with a broad base and a head."""


def hand_attenuation(seed: int, rows: int, columns: int) -> Plane:
    """Line integrals of attenuation, (rows, columns), of the hand of this seed, fingers upwards."""
    rng = np.random.default_rng([seed, 12])
    pixel_mm, grown = HEIGHT_MM / rows, rng.uniform(0.9, 1.08)
    x = ((np.arange(columns) - columns / 2) * pixel_mm / grown - 12).astype(np.float32)[None, :]
    up = ((rows * 0.78 - np.arange(rows)) * pixel_mm / grown).astype(np.float32)[:, None]
    at = x, up
    soft = _rod(at, ((0, -80), (0, 0)), ((0, 27), (1, 25))) * np.float32(0.75)
    palm = 26 * np.sqrt(np.maximum(1 - np.abs((x - 1) / 39) ** 3 - np.abs((up - 38) / 44) ** 3, 0))
    soft = np.maximum(soft, palm.astype(np.float32))
    bones = [_bone(at, ((14, -75), (12, -13)), 6.5), _bone(at, ((-11, -75), (-9, -13)), 8.0)]
    bones += [_shell(2 * depth * _ellipse(at, (cx, cy), (ax, ay)), 1.1) for cx, cy, ax, ay in CARPUS for depth in (5.5,)]
    for base, heading_deg, lengths in FINGERS:
        heading = np.deg2rad(heading_deg + rng.normal(0, 2.5))
        along = np.array((np.sin(heading), np.cos(heading)))
        begin, tip = np.array(base), np.array(base) + along * (sum(lengths) + 6)
        soft = np.maximum(soft, _rod(at, (tuple(begin), tuple(tip)), ((0, 9.5), (0.5, 9.5), (1, 6.5))))
        for number, length in enumerate(lengths):
            radius = 4.4 - 0.65 * number
            ends = begin + along * 1.15 * radius, begin + along * (length - 1.05 * radius - 1.0)
            bones.append(_bone(at, (tuple(ends[0]), tuple(ends[1])), radius))
            begin = begin + along * length
    grain = 1 + 0.035 * rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray((soft + np.sum(bones, axis=0, dtype=np.float32) * grain) * np.float32(SOFT_RAYS_PER_MM * grown), dtype=np.float32)


def _rod(at: tuple[Plane, Plane], ends: Sequence[Sequence[float]], radii: Sequence[tuple[float, float]]) -> Plane:
    """Way of the rays through a round rod with round ends; its radius along the way from end to end, mm."""
    (x0, y0), (x1, y1) = ends
    run_x, run_y = x1 - x0, y1 - y0
    share = np.clip(((at[0] - x0) * run_x + (at[1] - y0) * run_y) / (run_x**2 + run_y**2), 0, 1).astype(np.float32)
    radius = np.interp(share, [one for one, _ in radii], [one for _, one in radii])
    beside = (at[0] - x0 - share * run_x) ** 2 + (at[1] - y0 - share * run_y) ** 2
    return np.asarray(2 * np.sqrt(np.maximum(radius**2 - beside, 0)), dtype=np.float32)


def _bone(at: tuple[Plane, Plane], ends: Sequence[Sequence[float]], radius_mm: float) -> Plane:
    """What a long bone adds to the soft tissue that it stands in, in mm of water."""
    return _shell(_rod(at, ends, [(share, factor * radius_mm) for share, factor in SHAFT]), 0.32 * radius_mm)


def _shell(chord: Plane, wall_mm: float) -> Plane:
    """A chord through cortex, of which the marrow takes what lies further in than the wall."""
    inner = np.maximum(chord - 2 * np.float32(wall_mm), 0)
    return np.asarray((BONE - 1) * (chord - inner) + (MARROW - 1) * inner, dtype=np.float32)


def _ellipse(at: tuple[Plane, Plane], middle: tuple[float, float], half: tuple[float, float]) -> Plane:
    inside = 1 - ((at[0] - middle[0]) / half[0]) ** 2 - ((at[1] - middle[1]) / half[1]) ** 2
    return np.asarray(np.sqrt(np.maximum(inside, 0)), dtype=np.float32)
