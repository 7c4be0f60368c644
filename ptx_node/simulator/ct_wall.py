"""The chest wall of a CT slice: muscles with fat around and between them, gland in the breasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.curves import ease
from ptx_node.simulator.ct_mediastinum import box
from ptx_node.simulator.ct_texture import texture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.body import Body
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.ct_frame import Frame

FAT_HU = -98.0


@dataclass(frozen=True, slots=True)
class ChestWall:
    """One patient's.

    Attributes:
        muscular: thickness of the muscles, relative to usual.
        arms_down: whether muscle far out is an arm's.
    """

    body: Body
    muscular: float
    arms_down: bool

    def paint(self, hu: Plane, weight: Plane, wall: Plane, frame: Frame) -> None:
        """Into a slice, in place.

        Args:
            hu: the slice so far, muscle from the pleura to the fat under the skin.
            weight: share of each pixel that is tissue within the cage.
            wall: signed distance to the pleura of the chest wall, positive outside.
            frame: where the slice lies.
        """
        self._muscle(hu, weight, wall, frame)
        self._gland(hu, frame)

    def _gland(self, hu: Plane, frame: Frame) -> None:
        """Strands of gland in the fat of the breasts; less with age."""
        share = np.clip(1.1 - 0.011 * self.body.patient.age_years, 0.15, 0.9)
        for breast in self.body.shell.breasts:
            where = box(frame, self.body, breast.centre, max(breast.radii))
            if where is None:
                continue
            window, (x, y, z) = where
            part = hu[window]
            inside = (self.body.shell.breast(breast, x, y, z) < -8) & (part > -200) & (part < -40)
            at = np.stack([np.broadcast_to(one, part.shape)[inside] for one in (x, y, z)])
            strands = texture(at, 5.0, 6) + texture(at, 13.0, 7) + np.float32(2.4 * share - 2.0)
            part[inside] += np.clip(strands, 0, 1.2) * np.float32(95)

    def _muscle(self, hu: Plane, weight: Plane, wall: Plane, frame: Frame) -> None:
        """Fat planes between the muscles of the chest wall, and grain in all soft tissue."""
        inside = (hu > -250) & (hu < 250)
        if not inside.any():
            return
        points = frame.points()
        hu[inside] += np.float32(7) * texture(chosen(points, inside), 3.2, 3)
        inside &= (wall > 6) & (weight < 0.5)
        at = chosen(points, inside)
        out = np.broadcast_to(wall, hu.shape)[inside]
        thick = self._thickness(at) + np.float32(2.5) * texture(at, 15.0, 9)
        at[2] *= np.float32(0.5)  # muscles run up and down
        layered = np.sin(out / np.float32(2.9) + np.float32(3.2) * texture(at, 21.0, 4))
        depth = np.float32(0.62) + np.float32(0.35) * texture(at, 14.0, 5)
        septa = np.clip((layered - depth) * np.float32(2.2), 0, 1) * np.clip(np.float32(0.4) + texture(at, 34.0, 8), 0, 1)
        tissue = hu[inside]
        fat = np.maximum(np.float32(0.75) * septa, np.clip((out - thick) / np.float32(1.6), 0, 1))
        hu[inside] = tissue - fat * np.clip(tissue - np.float32(FAT_HU), 0, 150)

    def _thickness(self, at: Plane) -> Plane:
        """How far from the pleura muscle reaches at points (3, N) in mm: thin in front, thick behind and about the shoulders."""
        across, y, z = np.abs(at[0]), at[1], at[2]
        chest = 8 * ease(z, -25, 30) * ease(across, 15, 50) * ease(y, 20, -30)
        back = 13 * ease(y, 25, 65) + 12 * ease(y, 55, 80) * ease(across, 75, 40)
        shoulder = 70 * ease(z, 45, 88) * ease(across, 60, 110)
        if self.arms_down:
            shoulder = shoulder + 70 * ease(across, 150, 168)
        return np.asarray(8 + np.float32(self.muscular) * (6 + chest + back) + shoulder, dtype=np.float32)


def chosen(points: tuple[Plane, Plane, Plane], inside: NDArray[np.bool_]) -> Plane:
    """Coordinates (3, N) of the chosen pixels."""
    return np.asarray(np.stack([np.broadcast_to(one, inside.shape)[inside] for one in points]), dtype=np.float32)
