"""Heart chambers and great vessels for CT: blood, heart muscle, and tubes that a radiograph cannot tell from the tissue around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.curves import share_inside
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, join, smooth_line

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.body import Body
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.ct_frame import Frame, Window

BLOOD_HU, MYOCARDIUM_HU = 42.0, 48.0
RIM_MM = 2.5
"""Fat between the heart and the lung."""
MYOCARDIUM_MM = 9.0
_BLOOD = {
    "left ventricle": 0.85,
    "right ventricle": 0.9,
    "right atrium": 0.95,
    "left atrium": 0.9,
    "pulmonary trunk": 1.0,
    "ascending aorta": 0.9,
    "superior vena cava": 1.3,
    "aortic arch": 0.9,
    "left pulmonary artery": 1.0,
    "right pulmonary artery": 1.0,
}
"""Chambers that hold blood, with the share of the contrast they take; the rest of the mediastinum's shapes is fat and small vessels."""


def paint_heart(organs: Plane, body: Body, frame: Frame, contrast_hu: float) -> None:
    """Blood and heart muscle into the tissue of a slice, in place."""
    for chamber in body.mediastinum.chambers:
        share = _BLOOD.get(chamber.name)
        where = box(frame, body, chamber.centre, max(chamber.radii)) if share is not None else None
        if share is None or where is None:
            continue
        window, point = where
        distance = chamber.distance(*point) + np.float32(RIM_MM)
        blood = np.float32(BLOOD_HU + share * contrast_hu)
        part = organs[window]
        if chamber.name == "left ventricle":
            muscle = np.float32(MYOCARDIUM_HU + 0.3 * contrast_hu)
            part += share_inside(distance, frame.pixel_mm) * (muscle - part)
            distance = distance + np.float32(MYOCARDIUM_MM)
        part += share_inside(distance, frame.pixel_mm) * (blood - part)


def box(frame: Frame, body: Body, centre: tuple[float, float, float], radius: float) -> tuple[Window, tuple[Plane, Plane, Plane]] | None:
    """Part of a slice within `radius` of a place (both in template millimetres), with its template points; None if there is none."""
    stretch = np.array(body.build.stretch)
    window = frame.window(np.array(centre) * stretch, radius * float(stretch.max()) * 1.15 + 3)
    return None if window is None else (window, body.template(*frame.points_in(window)))


def great_vessels(build: Build, contrast_hu: float) -> list[Tubes]:
    """Descending aorta, arch, branches, veins, oesophagus and azygos, in patient millimetres."""
    aorta, shift = build.aorta, build.shift_mm
    blood = BLOOD_HU + 0.9 * contrast_hu
    wide = 11.5 * min(aorta, 1.25)
    out = 17 * aorta + 3
    arteries = [
        _tube(wide, (6 * aorta, 38, -215), (0.8 * out, 40, -120), (out + 0.4 * shift, 38, -30), (out, 36, 40), (18, 28, 55)),
        _tube(0.95 * wide, (-9, -16, 50), (-4, -8, 62), (8, 8, 66), (18, 28, 56)),
        _tube(6.0, (-3, -8, 68), (-9, -6, 90), (-15, 2, 112), (-24, 8, 150)),
        _tube(3.8, (4, 0, 68), (8, 2, 100), (14, 6, 160)),
        _tube(4.6, (12, 12, 66), (18, 16, 96), (26, 14, 116), (46, 10, 126)),
    ]
    veins = [
        _tube(6.5, (-16, -10, 70), (-19, -14, 92), (-24, -16, 112), (-28, -8, 150)),
        _tube(5.6, (-15, -14, 74), (0, -22, 86), (16, -22, 98), (26, -14, 116), (30, -6, 150)),
        _tube(3.6, (-8, 40, -190), (-8, 41, -60), (-9, 40, 20), (-12, 30, 46), (-15, 6, 50)),
    ]
    gullet = [_tube(6.2, (8, 30, -190), (6, 32, -80), (2, 34, 10), (2, 26, 60), (3, 22, 120), (1, 20, 170))]
    found = [
        join(Kind.VESSEL, arteries, hu=blood),
        join(Kind.VESSEL, veins, hu=BLOOD_HU + 1.0 * contrast_hu),
        join(Kind.VESSEL, gullet, hu=36.0, core_hu=-250.0, wall_mm=4.6),
    ]
    return [one.stretched(build.stretch) for one in found]


def _tube(radius: float, *points: tuple[float, float, float]) -> Course:
    return Course(smooth_line(*points, steps=8), np.array((radius, radius)))
