"""What a CT shows of a body and a radiograph does not: fat around the heart, blood, liver, vertebrae, septa in the muscles, the couch.

`anatomy` draws everything between lungs and skin as one soft tissue, since a radiograph adds it up. Here that tissue is painted in,
without moving a border of lung or pleural air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.body import MUSCLE_HU, Body
from ptx_node.simulator.anatomy.curves import share_inside
from ptx_node.simulator.anatomy.tubes import Kind
from ptx_node.simulator.ct_couch import Couch
from ptx_node.simulator.ct_mediastinum import great_vessels, paint_heart
from ptx_node.simulator.ct_spine import Spine
from ptx_node.simulator.ct_texture import texture

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.body import Solids
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.ct_frame import Frame
    from ptx_node.simulator.patient import Patient

FAT_HU, LIVER_HU, SPLEEN_HU, FLUID_HU, DIAPHRAGM_HU = -98.0, 58.0, 48.0, 9.0, 45.0
DIAPHRAGM_MM = 4.0


@dataclass(frozen=True, slots=True)
class CtBody:
    """A body with its blood, couch and spine, ready for the scanner."""

    body: Body
    contrast_hu: float
    couch: Couch
    spine: Spine
    tubes: tuple[Tubes, ...]

    @classmethod
    def of(cls, patient: Patient, contrast_hu: float = 0.0) -> CtBody:
        """Of a patient who already lies; the last few are kept."""
        return _ct_body(patient, contrast_hu)

    @property
    def extent_mm(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """The body's."""
        return self.body.extent_mm

    def solids(self, x_mm: Plane, y_mm: Plane, z_mm: Plane, *, edge_mm: float) -> Solids:
        """The body's."""
        return self.body.solids(x_mm, y_mm, z_mm, edge_mm=edge_mm)

    def paint(self, hu: Plane, air: Plane, lung: Plane, frame: Frame, *, table: bool) -> None:
        """Add to a slice, in place, everything that `anatomy` leaves to CT."""
        points = frame.points()
        self._lung(hu, lung, points)
        self._tissue(hu, lung + air, frame)
        if table:
            self.couch.paint(hu, points)

    def _lung(self, hu: Plane, lung: Plane, points: tuple[Plane, Plane, Plane]) -> None:
        """Parenchyma: fine grain, patches, denser behind, where blood gathers."""
        inside = lung > 0.1
        if not inside.any():
            return
        at = _chosen(points, inside)
        grain = np.float32(20) * texture(at, 1.7, 1) + np.float32(13) * texture(at, 9.0, 2)
        grain += np.float32(0.28) * at[1] + np.float32(12)
        hu[inside] += lung[inside] * grain

    def _tissue(self, hu: Plane, hollow: Plane, frame: Frame) -> None:
        """Soft tissue within the cage, then the muscles outside it."""
        x, y, z = self.body.template(*frame.points())
        wall = self.body.sides[0].wall(x, y, z)
        cavity = np.minimum(self.body.sides[0].cavity(x, y, z)[0], self.body.sides[1].cavity(x, y, z)[0])
        edge = np.float32(frame.pixel_mm)
        caged = share_inside(wall + np.float32(1.0), edge) * share_inside(-cavity, edge)
        weight = np.minimum(caged, np.clip(1 - hollow, 0, 1))
        organs = np.full(hu.shape, FAT_HU, dtype=np.float32)
        self._below(organs, (x, y, z), edge)
        paint_heart(organs, self.body, frame, self.contrast_hu)
        self._fluid(organs, (x, y, z), wall, edge)
        hu += weight * (organs - np.float32(MUSCLE_HU))
        self._muscle(hu, weight, wall, frame)
        self.spine.paint(hu, frame, hollow)

    def _below(self, organs: Plane, point: tuple[Plane, Plane, Plane], edge: np.float32) -> None:
        """Diaphragm, liver, spleen and stomach under the domes."""
        x, y, z = point
        left, right = self.body.sides
        under = np.where(x > 0, left.dome.height(x, y), right.dome.height(x, y)) - z
        below = share_inside(-under, edge)
        if not below.any():
            return
        organs += below * (np.float32(DIAPHRAGM_HU) - organs)
        deep = share_inside(np.float32(DIAPHRAGM_MM) - under, edge)
        organs += deep * (np.float32(FAT_HU) - organs)
        enhanced = 0.35 * self.contrast_hu
        lobe = np.float32(34) - np.float32(0.55) * y - x
        liver = np.minimum(deep, np.clip(lobe / edge, 0, 1)) * share_inside(y - np.float32(62), np.float32(10))
        organs += liver * (np.float32(LIVER_HU + enhanced) - organs)
        spleen = np.sqrt(((x - 92) / 34) ** 2 + ((y - 48) / 30) ** 2) - 1
        spleen = np.minimum(deep, share_inside(spleen * np.float32(30), edge))
        organs += spleen * (np.float32(SPLEEN_HU + 1.2 * enhanced) - organs)
        stomach = np.sqrt(((x - 66) / 38) ** 2 + ((y + 14) / 40) ** 2) - 1
        content = np.where(y < -12, np.float32(-960), np.float32(22))
        stomach_wall = np.minimum(deep, share_inside(stomach * np.float32(38), edge))
        organs += stomach_wall * (np.float32(45) - organs)
        organs += np.minimum(deep, share_inside(stomach * np.float32(38) + 4, edge)) * (content - organs)

    def _fluid(self, organs: Plane, point: tuple[Plane, Plane, Plane], wall: Plane, edge: np.float32) -> None:
        """Pleural effusion behind, where `anatomy` left the cavity short."""
        for one in self.body.sides:
            if one.fluid is None or one.fluid.behind is None:
                continue
            distance, _ = replace(one, fluid=None).cavity(*point)
            organs += share_inside(np.maximum(distance, wall), edge) * (np.float32(FLUID_HU) - organs)

    def _muscle(self, hu: Plane, weight: Plane, wall: Plane, frame: Frame) -> None:
        """Fat planes between the muscles of the chest wall, and grain in all soft tissue."""
        inside = (hu > -250) & (hu < 250)
        if not inside.any():
            return
        at = _chosen(frame.points(), inside)
        outer = np.broadcast_to(wall, hu.shape)[inside]
        layered = np.sin(outer / np.float32(2.4) + np.float32(2.0) * texture(at, 26.0, 4))
        septa = np.clip((layered - np.float32(0.62)) * np.float32(2.2), 0, 1) * (outer > 6) * (1 - weight[inside])
        grain = np.float32(7) * texture(at, 3.2, 3)
        tissue = hu[inside]
        hu[inside] = tissue + grain - septa * np.clip(tissue + np.float32(90), 0, 140) * np.float32(0.75)


@lru_cache(maxsize=4)
def _ct_body(patient: Patient, contrast_hu: float) -> CtBody:
    body = Body.of(patient)
    tubes = tuple(replace(one, hu=one.hu + 0.85 * contrast_hu) if one.kind is Kind.VESSEL else one for one in body.tubes)
    soft = great_vessels(body.build, contrast_hu)
    return CtBody(body, contrast_hu, Couch.under(body), Spine.of(body), (*soft, *tubes))


def _chosen(points: tuple[Plane, Plane, Plane], inside: Plane) -> Plane:
    """Coordinates (3, N) of the chosen pixels."""
    return np.stack([np.broadcast_to(one, inside.shape)[inside] for one in points])
