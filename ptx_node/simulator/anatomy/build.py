"""Measures of one patient that every organ shares: how large the chest is, how deep the breath, where the domes and the mediastinum stand.

Organs are drawn in template millimetres (a person of 172 cm); `Build` says how far the template is stretched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.patient import Posture, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.simulator.patient import Patient, PleuralAir

LEFT, RIGHT = 1, -1
"""Sign of x on each side (LPS: x grows to the patient's left)."""
SIDES: Mapping[Laterality, int] = {Laterality.LEFT: LEFT, Laterality.RIGHT: RIGHT}


@dataclass(frozen=True, slots=True)
class Build:
    """Shared measures, template millimetres unless said otherwise.

    Attributes:
        stretch: real over template length along x, y and z.
        dome_mm: height (z) of the top of each dome, by side.
        shift_mm: how far air under tension pushes the mediastinum (positive: to the patient's left).
        heart: relative width of the heart.
        fat_mm, muscle_mm: thickness of the chest wall's layers.
        breast: relative size of the breasts, 0 in men.
        aorta: relative width of the aorta, which unfolds with age.
        airs: pleural air by side.
    """

    patient: Patient
    upright: bool
    stretch: tuple[float, float, float]
    dome_mm: Mapping[int, float]
    shift_mm: float
    heart: float
    fat_mm: float
    muscle_mm: float
    breast: float
    aorta: float
    airs: Mapping[int, PleuralAir]

    @classmethod
    def of(cls, patient: Patient) -> Build:
        """Measures of this patient."""
        rng = patient.rng("build")
        woman = patient.sex == "F"
        mass = patient.body_mass_index - 24
        tall = (patient.height_cm / 172) ** 0.8 * rng.normal(1.0, 0.03)
        wide = (patient.height_cm / 172) ** 0.5 * (0.94 if woman else 1.02) * (1 + 0.005 * mass) * rng.normal(1.0, 0.03)
        deep = (0.92 if woman else 1.0) * (1 + 0.010 * mass) * (1 + 0.0015 * (patient.age_years - 50)) * rng.normal(1.0, 0.04)
        lift = 42 * (1 - patient.inspiration)
        airs = {SIDES[air.side]: air for air in patient.airs}
        right = -104 + lift + rng.normal(0, 5)
        dome = {RIGHT: right, LEFT: right - abs(rng.normal(11, 6))}
        shift = 0.0
        for side, air in airs.items():
            push = {Size.LARGE: 3.0, Size.TENSION: 24.0}.get(air.size, 0.0) * float(rng.uniform(0.7, 1.3))
            shift -= side * push
            dome[side] -= {Size.LARGE: 4.0, Size.TENSION: 24.0}.get(air.size, 0.0)
        heart = (
            float(np.clip(rng.normal(1.10, 0.09), 0.92, 1.35))
            * (1 + 0.002 * (patient.age_years - 50))
            * (1 + 0.12 * (1 - patient.inspiration))
        )
        return cls(
            patient=patient,
            upright=patient.posture is not Posture.SUPINE,
            stretch=(float(wide), float(deep), float(tall)),
            dome_mm=dome,
            shift_mm=float(shift),
            heart=heart,
            fat_mm=float(np.clip(9 + 1.3 * mass + rng.normal(0, 2), 3, 40)),
            muscle_mm=float(np.clip(rng.normal(13 if woman else 17, 2.5), 8, 24)),
            breast=float(np.clip(rng.normal(0.9 + 0.03 * mass, 0.25), 0.3, 1.6)) if woman else 0.0,
            aorta=float(np.clip(rng.normal(0.9 + 0.005 * (patient.age_years - 40), 0.08), 0.75, 1.35)),
            airs=airs,
        )
