"""The thoracic spine as CT slices show it: bodies with a rim of cortex, discs between them, canal, arch and processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.bones import rib_top
from ptx_node.simulator.anatomy.curves import share_inside
from ptx_node.simulator.anatomy.heart import spine_y
from ptx_node.simulator.ct_mediastinum import box

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.body import Body
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.ct_frame import Frame

CORTEX_HU, DISC_HU, CORD_HU = 480.0, 85.0, 28.0
REACH_MM = 52.0


@dataclass(frozen=True, slots=True)
class Spine:
    """One patient's spine; older bone is less dense."""

    body: Body
    marrow_hu: float

    @classmethod
    def of(cls, body: Body) -> Spine:
        """Of this body."""
        return cls(body, float(np.clip(270 - 1.9 * body.patient.age_years, 90, 230)))

    def paint(self, hu: Plane, frame: Frame, hollow: Plane) -> None:
        """Into a slice, in place, where there is no lung."""
        middle = frame.first_3 + 0.5 * (frame.columns - 1) * frame.pixel_mm * (frame.axes_33[0] + frame.axes_33[1])
        height = float(middle[2] / self.body.build.stretch[2])
        centre = (0.0, float(spine_y(np.array(height, dtype=np.float32))) + 18, height)
        where = box(frame, self.body, centre, REACH_MM)
        if where is None:
            return
        window, (x, y, z) = where
        part, free = hu[window], np.clip(1 - hollow[window], 0, 1)
        edge = frame.pixel_mm
        back = y - spine_y(z)
        self._muscles(part, free, x, back)
        level = np.mod(np.interp(z, *_levels()), 1.0).astype(np.float32)  # 0 and 1 at the discs
        disc = np.clip((np.float32(0.13) - np.minimum(level, 1 - level)) * np.float32(12), 0, 1)
        waist = np.float32(1) - np.float32(0.10) * np.sin(np.float32(np.pi) * level)
        rim = _ellipse(x, back, (17.0, 13.5), 2.4) + (1 - waist) * np.float32(14)
        self._bone(part, free, rim, np.float32(self.marrow_hu), edge, disc)
        canal = _ellipse(x, back - np.float32(22), (8.5, 7.5), 2.0)
        present = np.clip((np.sin(np.float32(np.pi) * level) - np.float32(0.25)) * 3, 0, 1)
        arch = np.maximum(_ellipse(x, back - np.float32(24), (14.5, 13.0), 2.0), -canal)
        roots = np.hypot(np.abs(x) - np.float32(12), np.maximum(np.abs(back - np.float32(15)) - np.float32(5), 0)) - np.float32(3.6)
        arch = np.maximum(np.where(present > 0.9, np.minimum(arch, roots), arch), -(rim + 1))
        self._bone(part, free * np.maximum(present, np.float32(0.35)), arch, np.float32(self.marrow_hu + 120), edge)
        across = np.abs(x)
        wing = np.hypot(
            np.maximum(np.abs(across - np.float32(22)) - np.float32(10), 0), back - np.float32(27) - np.float32(0.25) * across
        ) - np.float32(5.0)
        self._bone(part, free * np.clip((present - np.float32(0.6)) * 3, 0, 1), wing, np.float32(self.marrow_hu), edge)
        tip = _ellipse(x, back - np.float32(48), (3.0, 14.0), 2.0)
        self._bone(part, free, tip, np.float32(self.marrow_hu), edge)
        part += share_inside(canal, edge) * free * (np.float32(CORD_HU) - part)
        ring = np.abs(_ellipse(x, back - np.float32(22), (5.0, 4.2), 2.0)) - np.float32(0.5)
        part += share_inside(ring, edge) * free * np.float32(-22)

    def _muscles(self, part: Plane, free: Plane, x: Plane, back: Plane) -> None:
        """The long muscles beside the spinous processes."""
        side = _ellipse(np.abs(x) - np.float32(22), back - np.float32(44), (19.0, 14.0), 2.6)
        part += share_inside(side, 2.0) * free * (np.float32(50) - np.minimum(part, 50))

    def _bone(self, part: Plane, free: Plane, distance: Plane, marrow: np.float32, edge: float, disc: Plane | None = None) -> None:
        """Cortex and spongy bone within a distance; disc where it says so."""
        soft = np.zeros((1, 1), dtype=np.float32) if disc is None else disc
        cortex = np.float32(CORTEX_HU) + soft * np.float32(DISC_HU - CORTEX_HU)
        core = marrow + soft * (np.float32(DISC_HU) - marrow)
        part += share_inside(distance, edge) * free * (cortex - part)
        part += share_inside(distance + np.float32(1.6), edge) * free * (core - part)


def _ellipse(x: Plane, y: Plane, half: tuple[float, float], power: float) -> Plane:
    """About the signed distance to an ellipse round the origin."""
    p = np.float32(power)
    q = (np.abs(x) / np.float32(half[0])) ** p + (np.abs(y) / np.float32(half[1])) ** p
    return np.asarray((q ** np.float32(1 / power) - 1) * np.float32(min(half)), dtype=np.float32)


def _levels() -> tuple[list[float], list[float]]:
    """Heights and how many vertebrae lie below them, for interpolation; the spine goes on above the first and below the last rib."""
    tops = [rib_top(number) + 8 for number in range(-2, 17)][::-1]
    return tops, [float(number) for number in range(len(tops))]
