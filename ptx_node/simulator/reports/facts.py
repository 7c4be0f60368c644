"""What of a patient a chest CT shows besides the pneumothorax: which side, which lobe, as the body of `anatomy` has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.anatomy.build import LEFT, RIGHT, Build
from ptx_node.simulator.anatomy.confounders import extras
from ptx_node.simulator.anatomy.heart import Mediastinum
from ptx_node.simulator.anatomy.pleura import Hemithorax
from ptx_node.simulator.anatomy.tubes import Kind
from ptx_node.simulator.patient import Confounder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.simulator.anatomy.blobs import Blob
    from ptx_node.simulator.patient import Patient, PleuralAir

TOLD = (Confounder.EFFUSION, Confounder.BULLA, Confounder.CONSOLIDATION, Confounder.SUBCUTANEOUS_AIR, Confounder.CHEST_TUBE)
"""Confounders whose side a report tells."""
DEVICES = (Confounder.LINE, Confounder.TRACHEAL_TUBE, Confounder.GASTRIC_TUBE, Confounder.PACEMAKER)

LOBES = ("upper", "middle", "lower")
SIDE = {LEFT: Laterality.LEFT, RIGHT: Laterality.RIGHT}


@dataclass(frozen=True, slots=True)
class Facts:
    """What may be said.

    Attributes:
        sides: of each confounder in TOLD that the patient has: LEFT, RIGHT or BILATERAL; of several bullae, where most are.
        lobe: of the consolidation, one of LOBES.
    """

    airs: tuple[PleuralAir, ...]
    sides: Mapping[Confounder, Laterality] = field(default_factory=dict)
    lobe: str = "upper"
    devices: tuple[Confounder, ...] = ()
    skin_fold: bool = False
    sex: str = "M"
    age_years: int = 50

    @classmethod
    def of(cls, patient: Patient) -> Facts:
        """Of this patient, the same whenever it is asked."""
        sides, lobe = _found(patient)
        return cls(
            airs=patient.airs,
            sides=sides,
            lobe=lobe,
            devices=tuple(one for one in DEVICES if one in patient.confounders),
            skin_fold=Confounder.SKIN_FOLD in patient.confounders,
            sex=patient.sex,
            age_years=patient.age_years,
        )

    def has(self, confounder: Confounder, side: Laterality | None = None) -> bool:
        """Whether it is there, on this side if one is asked for."""
        found = self.sides.get(confounder)
        return found is not None and (side is None or found in (side, Laterality.BILATERAL))


@lru_cache(maxsize=1024)
def _found(patient: Patient) -> tuple[Mapping[Confounder, Laterality], str]:
    """Side of each confounder that has one, and the lobe of a consolidation, read off the body that the scanner sees."""
    wanted = [one for one in TOLD if one in patient.confounders]
    if not wanted:
        return {}, LOBES[0]
    build = Build.of(patient.lying())
    mediastinum = Mediastinum.of(build)
    lungs = tuple(Hemithorax.of(build, mediastinum, side) for side in (LEFT, RIGHT))
    more = extras(build, lungs)
    sides: dict[Confounder, Laterality] = {}
    wet = [SIDE[one.side] for one in lungs if one.fluid is not None]
    for confounder in wanted:
        if confounder is Confounder.EFFUSION:
            sides[confounder] = wet[0] if len(wet) == 1 else Laterality.BILATERAL
        elif confounder is Confounder.CHEST_TUBE:
            sides[confounder] = patient.tube_side or Laterality.LEFT
        elif confounder is Confounder.SUBCUTANEOUS_AIR:
            x = [float(one.start_S3[:, 0].sum()) for one in more.tubes if one.kind is Kind.SOFT_TISSUE_AIR]
            sides[confounder] = SIDE[LEFT if sum(x) > 0 else RIGHT]
        else:
            blobs = [one for one in more.blobs if one.soft is (confounder is Confounder.CONSOLIDATION)]
            sides[confounder] = SIDE[LEFT if sum(float(np.sign(one.centre[0])) * one.radii[0] for one in blobs) > 0 else RIGHT]
    return sides, _lobe(more.blobs, sides.get(Confounder.CONSOLIDATION))


def _lobe(blobs: tuple[Blob, ...], side: Laterality | None) -> str:
    """Lobe of the consolidation on this side, from where most of it lies."""
    centres = np.array([one.centre for one in blobs if one.soft and side is SIDE[LEFT if one.centre[0] > 0 else RIGHT]])
    if not len(centres):
        return LOBES[0]
    _, y, z = centres.mean(axis=0)
    if z > 25:
        return "upper"
    return "middle" if side is Laterality.RIGHT and y < -15 else "lower"
