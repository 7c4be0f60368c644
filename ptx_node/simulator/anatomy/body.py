"""One patient's body: everything smooth as a field over points, everything thin as tubes. Patient coordinates in millimetres.

x grows to the patient's left, y to the back, z to the head (LPS); the origin lies in the middle of the chest. The body itself is never
turned: rotation and tilt of the patient are where the radiograph's tube stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.airways import airways
from ptx_node.simulator.anatomy.blobs import bowel_gas
from ptx_node.simulator.anatomy.bones import bones
from ptx_node.simulator.anatomy.build import LEFT, RIGHT, Build
from ptx_node.simulator.anatomy.confounders import extras
from ptx_node.simulator.anatomy.curves import share_inside
from ptx_node.simulator.anatomy.heart import Mediastinum
from ptx_node.simulator.anatomy.pleura import Hemithorax
from ptx_node.simulator.anatomy.shell import Shell
from ptx_node.simulator.anatomy.spine import spine
from ptx_node.simulator.anatomy.vessels import vessels

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.blobs import Blob
    from ptx_node.simulator.anatomy.confounders import Fold
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.patient import Patient

AIR_HU, FAT_HU, MUSCLE_HU, BLOOD_HU, GLAND_HU = -1000.0, -100.0, 50.0, 42.0, -20.0
PLEURA_MM = 1.0
"""Thickness of the visceral pleura, which alone makes the white line of a pneumothorax."""


@dataclass(frozen=True, slots=True)
class Solids:
    """The smooth parts of the body at some points: Hounsfield units, share of pleural air, share of lung (each 0 to 1)."""

    hu: Plane
    air: Plane
    lung: Plane


@dataclass(frozen=True, slots=True)
class Body:
    """One patient.

    Attributes:
        extent_mm: (low, high) of x, y and z that hold everything worth a look.
    """

    patient: Patient
    build: Build
    shell: Shell
    mediastinum: Mediastinum
    sides: tuple[Hemithorax, Hemithorax]
    tubes: tuple[Tubes, ...]
    blobs: tuple[Blob, ...]
    folds: tuple[Fold, ...]
    extent_mm: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, patient: Patient) -> Body:
        """The body of this patient; the last few are kept."""
        return _body(patient)

    def template(self, x_mm: Plane, y_mm: Plane, z_mm: Plane) -> tuple[Plane, Plane, Plane]:
        """Points in the millimetres in which organs are drawn."""
        sx, sy, sz = self.build.stretch
        return tuple(np.asarray(one, dtype=np.float32) / np.float32(by) for one, by in ((x_mm, sx), (y_mm, sy), (z_mm, sz)))  # type: ignore[return-value]  # three of three

    def solids(self, x_mm: Plane, y_mm: Plane, z_mm: Plane, *, edge_mm: float = 0.7) -> Solids:
        """Hounsfield units, pleural air and lung at points; the arrays broadcast, and the less they are expanded the quicker.

        Args:
            x_mm: to the patient's left.
            y_mm: to the back.
            z_mm: to the head.
            edge_mm: width of the step at each surface, about the distance of the points.
        """
        x, y, z = self.template(x_mm, y_mm, z_mm)
        sx, sy, sz = self.build.stretch
        hu = np.float32(AIR_HU) + share_inside(self.shell.skin(x, y, z), edge_mm) * np.float32(FAT_HU - AIR_HU)
        hu = hu + share_inside(self.shell.muscle(x, y, z), edge_mm) * (np.float32(MUSCLE_HU) - hu)
        air_all, lung_all = np.zeros_like(hu), np.zeros_like(hu)
        for one in self.sides:
            cavity = one.cavity(x, y, z)
            distance = one.lung(x, y, z, cavity)
            hollow = share_inside(cavity[0], edge_mm)
            lung = np.minimum(share_inside(distance, edge_mm), hollow)
            air = hollow - lung
            inside = lung * np.float32(1000 * (one.density - 1)) + air * np.float32(AIR_HU)
            hu = hu * (1 - hollow) + inside
            if one.gap is not None:
                pleura = np.minimum(share_inside(distance - np.float32(PLEURA_MM), edge_mm), hollow) - lung
                hu = hu + pleura * np.float32(MUSCLE_HU - AIR_HU)
                air = air - pleura
            air_all, lung_all = air_all + air, lung_all + lung
        for blob in self.blobs:
            hu = _with_blob(hu, blob, lung_all, blob.share(x * np.float32(sx), y * np.float32(sy), z * np.float32(sz), edge_mm))
        return Solids(hu, air_all, lung_all)


def _with_blob(hu: Plane, blob: Blob, lung: Plane, shares: tuple[Plane, Plane]) -> Plane:
    inside, wall = (share * lung for share in shares) if blob.in_lung else shares
    if blob.soft:
        return np.asarray(
            np.minimum(hu + inside * np.float32(blob.hu - blob.surround_hu), np.maximum(hu, np.float32(MUSCLE_HU))), dtype=np.float32
        )
    return np.asarray(hu + inside * (np.float32(blob.hu) - hu) + wall * (np.float32(0) - hu), dtype=np.float32)


@lru_cache(maxsize=4)
def _body(patient: Patient) -> Body:
    build = Build.of(patient)
    mediastinum = Mediastinum.of(build)
    sides = Hemithorax.of(build, mediastinum, LEFT), Hemithorax.of(build, mediastinum, RIGHT)
    more = extras(build, sides)
    tubes = [*bones(build), *spine(build), *airways(build), vessels(build, sides), *more.tubes]
    sx, sy, sz = build.stretch
    depth = 125.0 + build.fat_mm * 1.2 + build.muscle_mm + (25 if build.breast else 0)
    return Body(
        patient=patient,
        build=build,
        shell=Shell.of(build),
        mediastinum=mediastinum,
        sides=sides,
        tubes=tuple(one.stretched(build.stretch) for one in tubes),
        blobs=tuple(one.stretched(build.stretch) for one in (*bowel_gas(build), *more.blobs)),
        folds=more.folds,
        extent_mm=((-245 * sx, 245 * sx), (-depth * sy, (depth + 4) * sy), (-230 * sz, 210 * sz)),
    )
