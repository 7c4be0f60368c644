"""How a CT is taken: what the radiographer chooses, where the slices then lie, and what usual protocols look like."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Kernel(StrEnum):
    """How the reconstruction weighs detail against noise."""

    SOFT = "soft"
    MEDIUM = "medium"
    LUNG = "lung"
    """Sharp: edges overshoot and the noise is fine and strong."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One acquisition and its reconstruction. Lengths in millimetres.

    Attributes:
        columns: of the square picture.
        field_mm: width of the picture in the patient.
        slice_distance_mm: how far the table moves from slice to slice.
        slice_thickness_mm: what one slice averages over, along its normal.
        slices: None for as many as the lungs need; else this many spread over the lungs, and `slice_distance_mm` is not used.
        noise_hu: standard deviation in the middle of an average chest, before the kernel of the lung raises it.
        tilt_deg: of the gantry, about the patient's right-left axis: slices slide over each other, as a tilted gantry leaves them.
        oblique_deg: the reformatted slices turned about the patient's (right-left, front-back, long) axis; they stay stacked.
        off_centre_mm: where the middle of the picture lies from the middle of the body, (x, y).
        table: whether the couch is in the field.
        contrast_hu: added to blood by contrast medium; 0 without.
        circle: whether the corners outside the circle of reconstruction are blank.
        range_mm: (lowest, highest) z of slice centres; None for the lungs with a margin.
    """

    columns: int = 512
    field_mm: float = 380.0
    slice_distance_mm: float = 2.5
    slice_thickness_mm: float = 2.5
    slices: int | None = None
    kernel: Kernel = Kernel.SOFT
    noise_hu: float = 12.0
    tilt_deg: float = 0.0
    oblique_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    off_centre_mm: tuple[float, float] = (0.0, 0.0)
    table: bool = True
    contrast_hu: float = 0.0
    circle: bool = False
    range_mm: tuple[float, float] | None = None

    @property
    def pixel_mm(self) -> float:
        """Distance of pixel centres."""
        return self.field_mm / self.columns

    @property
    def axes_33(self) -> NDArray[np.float64]:
        """Unit vectors along a row, down a column and along the normal (to the head), as rows; LPS."""
        about_x, about_y, about_z = np.deg2rad((self.oblique_deg[0] + self.tilt_deg, self.oblique_deg[1], self.oblique_deg[2]))
        cos, sin = np.cos, np.sin
        turn_x = np.array([[1, 0, 0], [0, cos(about_x), -sin(about_x)], [0, sin(about_x), cos(about_x)]])
        turn_y = np.array([[cos(about_y), 0, sin(about_y)], [0, 1, 0], [-sin(about_y), 0, cos(about_y)]])
        turn_z = np.array([[cos(about_z), -sin(about_z), 0], [sin(about_z), cos(about_z), 0], [0, 0, 1]])
        return np.asarray((turn_z @ turn_y @ turn_x).T, dtype=np.float64)

    @property
    def travel_3(self) -> NDArray[np.float64]:
        """Unit vector from slice to slice: along the table under a tilted gantry, else along the normal."""
        return np.array([0.0, 0.0, 1.0]) if self.tilt_deg else np.asarray(self.axes_33[2])


def draw_protocol(seed: int, *, columns: int = 512) -> Protocol:
    """A protocol as scanners of different makers and hospitals have it, by chance."""
    rng = np.random.default_rng([seed, 7001])
    kernel = Kernel(str(rng.choice(list(Kernel), p=(0.45, 0.2, 0.35))))
    thickness = float(rng.choice([1.0, 1.25, 2.0, 2.5, 3.0, 5.0], p=(0.2, 0.15, 0.15, 0.25, 0.1, 0.15)))
    overlap = float(rng.choice([1.0, 0.8, 0.5], p=(0.7, 0.2, 0.1)))
    dose = float(rng.uniform(7, 26)) * float(np.clip((2.5 / thickness) ** 0.35, 0.8, 1.5))
    turned = rng.random() < 0.06
    return Protocol(
        columns=columns,
        field_mm=float(rng.uniform(330, 450)),
        slice_distance_mm=thickness * overlap,
        slice_thickness_mm=thickness,
        kernel=kernel,
        noise_hu=dose,
        tilt_deg=float(rng.uniform(-20, 20)) if rng.random() < 0.04 else 0.0,
        oblique_deg=(float(rng.normal(0, 8)), float(rng.normal(0, 4)), float(rng.normal(0, 4))) if turned else (0.0, 0.0, 0.0),
        off_centre_mm=(float(rng.normal(0, 7)), float(rng.normal(0, 9))),
        table=bool(rng.random() < 0.9),
        contrast_hu=float(rng.uniform(60, 260)) if rng.random() < 0.4 else 0.0,
        circle=bool(rng.random() < 0.3),
    )
