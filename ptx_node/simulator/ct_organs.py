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
from ptx_node.simulator.ct_effusion import LyingHemithorax
from ptx_node.simulator.ct_mediastinum import great_vessels, paint_heart
from ptx_node.simulator.ct_shell import LyingShell
from ptx_node.simulator.ct_spine import Spine
from ptx_node.simulator.ct_texture import texture
from ptx_node.simulator.ct_tubes import lay
from ptx_node.simulator.ct_wall import ChestWall, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.simulator.anatomy.blobs import Blob
    from ptx_node.simulator.anatomy.body import Solids
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.ct_frame import Frame
    from ptx_node.simulator.patient import Patient

FAT_HU, LIVER_HU, SPLEEN_HU, FLUID_HU, DIAPHRAGM_HU = -98.0, 58.0, 48.0, 9.0, 45.0
DIAPHRAGM_MM = 4.0
CONSOLIDATED = 1.6
"""A consolidation is patchy for a radiograph; a slice through it is nearly as dense as tissue."""
VESSEL_GROWTH, VESSEL_LEAST_MM = 1.12, 0.6
"""The tree ends early: its last twigs stand for all that follow, which a slice shows one by one."""
SHOULDER_MM = 78.0
"""Height above which the upper arm stays in the picture when it is raised."""


@dataclass(frozen=True, slots=True)
class Room:
    """Share of each pixel that bone may take (outside the pleura), and that vessels of the lung may take (outside bullae)."""

    bone: Plane
    vessel: Plane


@dataclass(frozen=True, slots=True)
class CtBody:
    """A body with its blood, couch and spine, ready for the scanner.

    Attributes:
        dependent: Hounsfield units that the lung gains at the back wall, where it hangs together, and everywhere.
    """

    body: Body
    contrast_hu: float
    couch: Couch
    spine: Spine
    tubes: tuple[Tubes, ...]
    vessels: tuple[Tubes, ...]
    blobs: tuple[Blob, ...]
    sides: tuple[LyingHemithorax, LyingHemithorax]
    chest_wall: ChestWall
    dependent: tuple[float, float]

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

    def paint(self, hu: Plane, air: Plane, lung: Plane, planes: Sequence[Frame], *, table: bool) -> Room:
        """Add to a slice, in place, everything that `anatomy` leaves to CT."""
        frame = planes[0].between(planes[-1])
        points = frame.points()
        self._lung(hu, lung, points)
        bullae = self._blobs(hu, lung, planes)
        fluid = self._tissue(hu, lung + air, frame)
        if table:
            self.couch.paint(hu, points)
        return Room(bone=np.clip(1 - lung - air - fluid, 0, 1), vessel=1 - bullae)

    def _blobs(self, hu: Plane, lung: Plane, planes: Sequence[Frame]) -> Plane:
        """Bullae and consolidation, averaged over the slice; the share that bullae take comes back."""
        hollow = np.zeros_like(hu)
        for blob in self.blobs:
            window = planes[0].window(np.array(blob.centre), max(blob.radii) + 12)
            if window is None:
                continue
            shares = [blob.share(*plane.points_in(window), plane.pixel_mm) for plane in planes]
            inside, wall = (sum(one[kind] for one in shares) * lung[window] / np.float32(len(planes)) for kind in (0, 1))
            part = hu[window]
            if blob.soft:
                dense = np.minimum(
                    part + inside * np.float32(CONSOLIDATED * (blob.hu - blob.surround_hu)), np.maximum(part, np.float32(MUSCLE_HU))
                )
                part[...] = dense
            else:
                part += inside * (np.float32(blob.hu) - part) + wall * (np.float32(-150) - part)
                hollow[window] = np.maximum(hollow[window], inside)
        return hollow

    def _lung(self, hu: Plane, lung: Plane, points: tuple[Plane, Plane, Plane]) -> None:
        """Parenchyma: fine grain, patches, denser behind, where blood gathers."""
        inside = lung > 0.1
        if not inside.any():
            return
        at = chosen(points, inside)
        grain = np.float32(20) * texture(at, 1.7, 1) + np.float32(13) * texture(at, 9.0, 2)
        soaked, base = self.dependent
        grain += np.float32(0.35) * at[1] + np.float32(base)
        x, y, z = self.body.template(*points)
        behind = np.exp(np.minimum(self.sides[0].wall(x, y, z), 0) / np.float32(9)) * np.clip(y / np.float32(60), 0, 1)
        grain += np.float32(soaked) * behind[inside]
        for one in self.sides:
            gained = one.collapsed(x, y, z)
            if gained is not None:
                grain += np.broadcast_to(gained, lung.shape)[inside]
        hu[inside] += lung[inside] * grain

    def _tissue(self, hu: Plane, hollow: Plane, frame: Frame) -> Plane:
        """Soft tissue within the cage, then the muscles outside it; the share of effusion comes back."""
        x, y, z = self.body.template(*frame.points())
        wall = self.body.sides[0].wall(x, y, z)
        cavity = np.minimum(self.body.sides[0].cavity(x, y, z)[0], self.body.sides[1].cavity(x, y, z)[0])
        edge = frame.pixel_mm
        caged = share_inside(wall + np.float32(1.0), edge) * share_inside(-cavity, edge)
        weight = np.minimum(caged, np.clip(1 - hollow, 0, 1))
        organs = np.full(hu.shape, FAT_HU, dtype=np.float32)
        self._below(organs, (x, y, z), edge)
        paint_heart(organs, self.body, frame, self.contrast_hu)
        for tubes in self.vessels:
            lay(tubes, [frame], organs)
        fluid = self._fluid(organs, (x, y, z), edge)
        hu += weight * (organs - np.float32(MUSCLE_HU))
        self.chest_wall.paint(hu, weight, wall, frame)
        self.spine.paint(hu, frame, hollow)
        return np.minimum(fluid, weight)

    def _below(self, organs: Plane, point: tuple[Plane, Plane, Plane], edge: float) -> None:
        """Diaphragm, liver, spleen and stomach under the domes."""
        x, y, z = point
        left, right = self.body.sides
        share = np.clip(np.float32(0.5) + x / np.float32(40), 0, 1)
        under = share * left.dome.height(x, y) + (1 - share) * right.dome.height(x, y) - z
        below = share_inside(-under, edge)
        if not below.any():
            return
        organs += below * (np.float32(DIAPHRAGM_HU) - organs)
        deep = share_inside(np.float32(DIAPHRAGM_MM) - under, edge)
        organs += deep * (np.float32(FAT_HU) - organs)
        enhanced = 0.35 * self.contrast_hu
        lobe = np.float32(34) - np.float32(0.55) * y - x
        liver = np.minimum(deep, np.clip(lobe / edge, 0, 1)) * share_inside(y - np.float32(62), 10.0)
        organs += liver * (np.float32(LIVER_HU + enhanced) - organs)
        low = z - np.float32(left.dome.top_mm)
        spleen = np.sqrt(((x - 92) / 34) ** 2 + (((y - 48) / 30) ** 2 + ((low + 62) / 48) ** 2)) - 1
        spleen = np.minimum(deep, share_inside(spleen * np.float32(30), edge))
        organs += spleen * (np.float32(SPLEEN_HU + 1.2 * enhanced) - organs)
        stomach = np.sqrt(((x - 66) / 38) ** 2 + (((y + 14) / 40) ** 2 + ((low + 58) / 55) ** 2)) - 1
        content = np.where(y < -12, np.float32(-960), np.float32(22))
        stomach_wall = np.minimum(deep, share_inside(stomach * np.float32(38), edge))
        organs += stomach_wall * (np.float32(45) - organs)
        organs += np.minimum(deep, share_inside(stomach * np.float32(38) + 4, edge)) * (content - organs)

    def _fluid(self, organs: Plane, point: tuple[Plane, Plane, Plane], edge: float) -> Plane:
        """Pleural effusion behind, where `anatomy` left the cavity short; its share of each pixel."""
        total = np.zeros_like(organs)
        for one in self.sides:
            distance = one.fluid_distance(*point)
            if distance is None:
                continue
            share = share_inside(distance, edge)
            organs += share * (np.float32(FLUID_HU) - organs)
            total += share
        return total


@lru_cache(maxsize=4)
def _ct_body(patient: Patient, contrast_hu: float) -> CtBody:
    body = Body.of(patient)
    arms, couch = _arms_down(patient), Couch.under(body)
    sx, sy, _ = body.build.stretch
    blobs = tuple(one for one in body.blobs if one.in_lung)  # the bowel's gas is painted with the bowel
    sides = LyingHemithorax.over(body.sides[0]), LyingHemithorax.over(body.sides[1])
    rng = patient.rng("ct tissue")
    muscular = float(rng.uniform(0.7, 1.35)) * (1.1 if patient.sex == "M" else 0.9)
    dependent = float(rng.uniform(20, 230)), float(rng.normal(22, 22))
    body = replace(body, blobs=(), sides=sides, shell=LyingShell.on(body.shell, couch.top_mm / sy, couch.rise * sx**2 / sy, arms_down=arms))
    tubes = tuple(_seen(one, contrast_hu, arms=arms) for one in body.tubes if one.kind is not Kind.SPINE)
    return CtBody(
        body=body,
        contrast_hu=contrast_hu,
        couch=couch,
        spine=Spine.of(body),
        tubes=tubes,
        vessels=tuple(great_vessels(body.build, contrast_hu)),
        blobs=blobs,
        sides=sides,
        chest_wall=ChestWall(body, muscular, arms),
        dependent=dependent,
    )


def _arms_down(patient: Patient) -> bool:
    """Arms are above the head, but for some who cannot lift them."""
    return bool(patient.rng("ct arms").random() < 0.12)


def _seen(tubes: Tubes, contrast_hu: float, *, arms: bool) -> Tubes:
    """A tube as CT shows it: enhanced vessels, marrow darker than the mean that a radiograph needs, no arm that is out of the field."""
    if tubes.kind is Kind.VESSEL:
        half = np.maximum(VESSEL_GROWTH * tubes.half_S2, np.float32(VESSEL_LEAST_MM))
        return replace(tubes, half_S2=half.astype(np.float32), hu=tubes.hu + 0.85 * contrast_hu)
    if tubes.kind is Kind.HUMERUS and not arms:
        return tubes.only(np.minimum(tubes.start_S3[:, 2], tubes.end_S3[:, 2]) > SHOULDER_MM)
    if tubes.kind is Kind.RIB:
        return replace(tubes, hu=0.8 * tubes.hu, core_hu=0.6 * tubes.core_hu)
    return tubes
