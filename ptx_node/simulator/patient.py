"""Who lies or stands before the tube: everything that is drawn by chance about a simulated patient, before any picture is made.

One patient, many pictures: `anatomy` turns these numbers into a body in three dimensions, `radiograph` and `ct` look at that body,
`reports` writes what a radiologist would dictate of it. The same seed and wishes give the same patient for ever.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality

if TYPE_CHECKING:
    from collections.abc import Mapping


class Posture(StrEnum):
    """How the patient was placed, which decides where air and fluid go."""

    UPRIGHT_PA = "upright_pa"
    BEDSIDE_AP = "bedside_ap"
    """Half sitting in bed, tube in front, detector behind."""
    SUPINE = "supine"
    """Lying on the back: a bedside radiograph, and every CT."""


class Size(StrEnum):
    """How much air: the largest distance between the chest wall and the lung's edge decides."""

    OCCULT = "occult"
    """Seen on CT, hardly or not at all on a radiograph."""
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    TENSION = "tension"
    """The lung collapsed to the hilum, the mediastinum pushed to the other side."""


DEPTH_MM: Mapping[Size, tuple[float, float]] = {
    Size.OCCULT: (3.0, 6.0),
    Size.SMALL: (7.0, 16.0),
    Size.MEDIUM: (16.0, 32.0),
    Size.LARGE: (32.0, 60.0),
    Size.TENSION: (60.0, 95.0),
}
"""Range of the largest distance from the wall to the lung, at full size of the chest."""

SIZE_ODDS: Mapping[Size, float] = {Size.OCCULT: 0.03, Size.SMALL: 0.40, Size.MEDIUM: 0.37, Size.LARGE: 0.16, Size.TENSION: 0.04}


@dataclass(frozen=True, slots=True)
class PleuralAir:
    """Pneumothorax of one side.

    Attributes:
        side: LEFT or RIGHT; a bilateral pneumothorax is two of these.
        depth_mm: largest distance between chest wall and lung.
    """

    side: Laterality
    size: Size
    depth_mm: float


class Confounder(StrEnum):
    """What the literature blames for wrong answers."""

    CHEST_TUBE = "chest_tube"
    SKIN_FOLD = "skin_fold"
    BULLA = "bulla"
    SUBCUTANEOUS_AIR = "subcutaneous_air"
    EFFUSION = "effusion"
    SCAPULA_EDGE = "scapula_edge"
    """The medial border of the blade stands over the lung, as when the shoulders are not rolled forward."""
    LINE = "line"
    """Central venous line."""
    TRACHEAL_TUBE = "tracheal_tube"
    GASTRIC_TUBE = "gastric_tube"
    ELECTRODES = "electrodes"
    PACEMAKER = "pacemaker"
    CONSOLIDATION = "consolidation"


_ODDS: Mapping[Confounder, tuple[float, float]] = {
    Confounder.CHEST_TUBE: (0.02, 0.05),
    Confounder.SKIN_FOLD: (0.04, 0.22),
    Confounder.BULLA: (0.06, 0.05),
    Confounder.SUBCUTANEOUS_AIR: (0.01, 0.05),
    Confounder.EFFUSION: (0.10, 0.25),
    Confounder.SCAPULA_EDGE: (0.25, 0.75),
    Confounder.LINE: (0.04, 0.50),
    Confounder.TRACHEAL_TUBE: (0.0, 0.35),
    Confounder.GASTRIC_TUBE: (0.02, 0.35),
    Confounder.ELECTRODES: (0.10, 0.75),
    Confounder.PACEMAKER: (0.04, 0.05),
    Confounder.CONSOLIDATION: (0.08, 0.15),
}
"""Odds without pneumothorax: (upright, in bed)."""

_RAISED: Mapping[Confounder, float] = {Confounder.CHEST_TUBE: 0.30, Confounder.SUBCUTANEOUS_AIR: 0.08, Confounder.BULLA: 0.05}
"""What a pneumothorax adds: a tube is its treatment, which is why a model may learn the tube instead of the air."""


@dataclass(frozen=True, slots=True)
class Patient:
    """One simulated person on one morning.

    Attributes:
        age_years: 16 to 95.
        height_cm, body_mass_index: build; the thorax scales with the first, the soft tissues with the second.
        inspiration: 0 (poor: domes high, heart wide) to 1 (deep).
        rotation_deg: turn about the long axis; positive brings the left side to the front.
        tilt_deg: positive is the lordotic view of a half sitting patient.
        airs: pleural air, one entry a side.
        confounders: what else is seen; each draws its own details from the seed in `anatomy`.
        tube_side: side of the chest tube, which follows the pneumothorax where there is one.
    """

    seed: int
    sex: str
    age_years: int
    height_cm: float
    body_mass_index: float
    posture: Posture
    inspiration: float
    rotation_deg: float
    tilt_deg: float
    airs: tuple[PleuralAir, ...] = ()
    confounders: frozenset[Confounder] = field(default_factory=frozenset)
    tube_side: Laterality | None = None

    @property
    def laterality(self) -> Laterality | None:
        """Side of the pneumothorax as a finding names it; None without one."""
        if not self.airs:
            return None
        return self.airs[0].side if len(self.airs) == 1 else Laterality.BILATERAL

    @property
    def size(self) -> Size | None:
        """The larger side's."""
        return max(self.airs, key=lambda air: air.depth_mm).size if self.airs else None

    def rng(self, purpose: str) -> np.random.Generator:
        """Chance for one purpose, so that a change of one part of the body leaves the others as they are."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    def lying(self) -> Patient:
        """The same person in the CT later that day: supine, straight, breathing in; the air has moved to the front."""
        return replace(self, posture=Posture.SUPINE, rotation_deg=0.0, tilt_deg=0.0, inspiration=max(self.inspiration, 0.7))


@dataclass(frozen=True, slots=True)
class Wishes:
    """What must be so; everything that is None is left to chance.

    Attributes:
        laterality: side of the pneumothorax; "none" for no pneumothorax.
        prevalence: odds of a pneumothorax where `laterality` is left to chance.
        confounders: these, and no others.
    """

    laterality: Laterality | str | None = None
    size: Size | None = None
    posture: Posture | None = None
    sex: str | None = None
    age_years: int | None = None
    confounders: frozenset[Confounder] | None = None
    prevalence: float = 0.5


ANYBODY = Wishes()
NOBODY = "none"


def draw_patient(seed: int, wishes: Wishes = ANYBODY) -> Patient:
    """The patient of this seed under these wishes."""
    rng = np.random.default_rng([seed, 1001])
    drawn = Posture(rng.choice([Posture.UPRIGHT_PA, Posture.BEDSIDE_AP, Posture.SUPINE], p=(0.6, 0.25, 0.15)))
    posture = wishes.posture or drawn
    upright = posture is Posture.UPRIGHT_PA
    sex = wishes.sex or str(rng.choice(["M", "F"]))
    age = wishes.age_years or int(np.clip(rng.normal(52, 20), 16, 95))
    height = float(np.clip(rng.normal(176 if sex == "M" else 163, 7), 145, 202))
    mass_index = float(np.clip(rng.normal(24.5, 4.2), 16.5, 40))
    inspiration = _inspiration(deepcopy(rng), posture)
    _inspiration(rng, drawn)  # may use up more chance in one posture than in another: what follows must not notice a wish
    rotation = float(rng.normal(0, 2.0 if upright else 5.0))
    tilt = float(rng.normal(0, 2) if upright else rng.normal(6 if posture is Posture.BEDSIDE_AP else 0, 4))
    airs = _airs(rng, wishes)
    confounders = {one for one, odds in _ODDS.items() if rng.random() < odds[0 if upright else 1] + (_RAISED.get(one, 0) if airs else 0)}
    if wishes.confounders is not None:
        confounders = set(wishes.confounders)
    tube_side = Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT
    return Patient(
        seed=seed,
        sex=sex,
        age_years=age,
        height_cm=height,
        body_mass_index=mass_index,
        posture=posture,
        inspiration=inspiration,
        rotation_deg=rotation,
        tilt_deg=tilt,
        airs=airs,
        confounders=frozenset(confounders),
        tube_side=(airs[0].side if airs else tube_side) if Confounder.CHEST_TUBE in confounders else None,
    )


def _inspiration(rng: np.random.Generator, posture: Posture) -> float:
    """How deeply one breathes in: less in bed."""
    return float(np.clip(rng.beta(5, 2) if posture is Posture.UPRIGHT_PA else rng.beta(3, 3.5), 0, 1))


def _airs(rng: np.random.Generator, wishes: Wishes) -> tuple[PleuralAir, ...]:
    """The wished or drawn pneumothorax; the same number of draws whatever is wished, so that the rest stays the same."""
    present = rng.random() < wishes.prevalence
    drawn = Laterality(rng.choice([Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL], p=(0.46, 0.48, 0.06)))
    sizes = [Size(rng.choice(list(SIZE_ODDS), p=list(SIZE_ODDS.values()))) for _ in range(2)]
    shares = rng.random(2)
    laterality = (drawn if present else None) if wishes.laterality is None else wishes.laterality
    if laterality is None or laterality == NOBODY:
        return ()
    laterality = Laterality(laterality)
    sides = (Laterality.RIGHT, Laterality.LEFT) if laterality is Laterality.BILATERAL else (laterality,)
    airs = []
    for side, size, share in zip(sides, sizes, shares, strict=False):
        one = wishes.size or size
        if one is Size.TENSION and len(sides) > 1:
            one = Size.LARGE  # both lungs collapsed is a death, not a radiograph
        low, high = DEPTH_MM[one]
        airs.append(PleuralAir(side, one, float(low + share * (high - low))))
    return tuple(airs)
