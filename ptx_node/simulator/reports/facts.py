"""What of a patient a chest CT shows besides the pneumothorax, in the words a report needs: which side, which lobe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.patient import Confounder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.simulator.patient import Patient, PleuralAir

TOLD = (Confounder.EFFUSION, Confounder.BULLA, Confounder.CONSOLIDATION, Confounder.SUBCUTANEOUS_AIR, Confounder.CHEST_TUBE)
"""Confounders whose side a report tells."""
DEVICES = (Confounder.LINE, Confounder.TRACHEAL_TUBE, Confounder.GASTRIC_TUBE, Confounder.PACEMAKER)


@dataclass(frozen=True, slots=True)
class Facts:
    """What may be said.

    Attributes:
        sides: of each confounder in TOLD that the patient has: LEFT, RIGHT or BILATERAL.
    """

    airs: tuple[PleuralAir, ...]
    sides: Mapping[Confounder, Laterality] = field(default_factory=dict)
    devices: tuple[Confounder, ...] = ()
    skin_fold: bool = False
    sex: str = "M"
    age_years: int = 50

    @classmethod
    def of(cls, patient: Patient) -> Facts:
        """Of this patient, the same whenever it is asked."""
        return cls(
            airs=patient.airs,
            sides={one: _side(patient, one) for one in TOLD if one in patient.confounders},
            devices=tuple(one for one in DEVICES if one in patient.confounders),
            skin_fold=Confounder.SKIN_FOLD in patient.confounders,
            sex=patient.sex,
            age_years=patient.age_years,
        )

    def has(self, confounder: Confounder, side: Laterality | None = None) -> bool:
        """Whether it is there, on this side if one is asked for."""
        found = self.sides.get(confounder)
        return found is not None and (side is None or found in (side, Laterality.BILATERAL))


def _side(patient: Patient, confounder: Confounder) -> Laterality:
    if confounder is Confounder.CHEST_TUBE and patient.tube_side is not None:
        return patient.tube_side
    return Laterality.LEFT if patient.rng(f"side of {confounder}").random() < 0.5 else Laterality.RIGHT
