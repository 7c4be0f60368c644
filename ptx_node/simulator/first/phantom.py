"""A simple chest phantom: frontal radiographs as ray sums of analytic shapes, from a seed, with the exact mask.

It serves demonstration, tests and the training of the demonstration model. It is not anatomy of anybody, and a model that does
well on it has shown nothing about patients. Thicknesses are millimetres of water; bright means more of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.first.shapes import (
    ANGLES,
    Canvas,
    Grid,
    at_angle,
    bezier,
    blur,
    chord,
    circular_smooth,
    noise,
    polar_table,
    step,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.first.shapes import Plane

FIELD_MM = 400.0
NARROWEST_MM = 385.0
"""Height of a picture in the detector plane, more where the width would be less than this."""
LUNG_DENSITY = 0.27
RIGHT, LEFT = -1, 1
"""Sign of x on the picture: the patient's right is on the left of the picture."""

# Right and left pleural outlines at unit scale: (distance from the midline, y) in mm, from the apex outwards and round.
UPPER_OUTLINE = ((56, 56), (92, 72), (122, 112), (140, 165), (150, 220), (155, 270))
OUTLINES = {
    RIGHT: (*UPPER_OUTLINE, (158, 300), (156, 322), (128, 292), (88, 274), (46, 284), (26, 232), (27, 160), (28, 96)),
    LEFT: (*UPPER_OUTLINE, (158, 304), (156, 328), (130, 300), (92, 284), (52, 294), (32, 240), (27, 160), (28, 96)),
}
LUNG_CENTRE = (88.0, 190.0)


@dataclass(frozen=True, slots=True)
class Pneumothorax:
    """Air in one pleural space: depth in mm between chest wall and visceral pleura, one value a degree of polar angle."""

    side: int
    depth_mm: NDArray[np.float64] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Frontal:
    """One simulated frontal radiograph before any display transform.

    Attributes:
        thickness_HW: float32, millimetres of water along the ray, noise included.
        mask_HW: where pleural air lies between chest wall and visceral pleura.
        laterality: side of the patient, None without pneumothorax.
        pixel_mm: size of a pixel in the plane of the phantom.
    """

    thickness_HW: Plane = field(repr=False, compare=False)
    mask_HW: NDArray[np.bool_] = field(repr=False, compare=False)
    laterality: Laterality | None
    pixel_mm: float


def frontal(seed: int, *, laterality: Laterality | None, rows: int = 512, columns: int = 512) -> Frontal:
    """Draw the radiograph of this seed. The same arguments give the same picture; another size is another patient."""
    rng = np.random.default_rng([seed, 1])
    scale = rng.uniform(0.92, 1.18)
    field_mm = max(FIELD_MM, NARROWEST_MM * rows / columns)
    pixel_mm = field_mm / rows / scale
    grid = Grid.make(rows, columns, pixel_mm, rotation_deg=rng.uniform(-3, 3))
    grid = grid.moved(rng.uniform(-10, 10), rng.uniform(-14, 14) - (field_mm / scale - FIELD_MM) / 2)
    sides = {Laterality.RIGHT: (RIGHT,), Laterality.LEFT: (LEFT,), Laterality.BILATERAL: (RIGHT, LEFT), None: ()}[laterality]
    airs = [_pneumothorax(rng, side) for side in sides]
    body = _Body(rng, grid)
    thickness_HW, mask_HW = body.render(airs)
    return Frontal(thickness_HW, mask_HW, laterality if mask_HW.any() else None, field_mm / rows)


def _pneumothorax(rng: np.random.Generator, side: int) -> Pneumothorax:
    """Depth by angle from the apex: apical and lateral when upright, basal and lateral when supine."""
    angle = (np.arange(ANGLES) * 360 / ANGLES + 90 + 180) % 360 - 180  # 0 at the top, lateral +90 (medial -90)
    size = rng.choice(3, p=(0.4, 0.35, 0.25))
    depth = float(rng.uniform((7, 18, 35), (20, 42, 80))[size])
    lateral, basal = rng.uniform((0.05, 0.3, 0.5), (0.5, 0.9, 1.0))[size], rng.uniform((0, 0, 0.2), (0.15, 0.5, 0.9))[size]
    if rng.random() < 0.12:
        profile = np.interp(angle, (-180, 20, 70, 130, 150, 180), (0, 0, 0.5, 1.0, 0.7, 0))
    else:
        profile = np.interp(angle, (-180, -95, -45, 0, 35, 90, 135, 160, 180), (0, 0, 0.55, 1, 0.95, lateral, basal, 0.3 * basal, 0))
    wobble = 1 + 0.25 * circular_smooth(rng.standard_normal(ANGLES) * 6, 14)
    return Pneumothorax(side, circular_smooth(depth * profile, 9) * np.clip(wobble, 0.4, 1.6))


class _Body:
    """One simulated patient on one grid. Made for a single picture; draws in the order in which random numbers are taken."""

    def __init__(self, rng: np.random.Generator, grid: Grid) -> None:
        self.rng, self.grid = rng, grid
        self.x_HW, self.y_HW = grid.x_HW, grid.y_HW
        self.depth_mm = rng.uniform(180, 260)
        self.outlines = {side: self._outline(side) for side in (RIGHT, LEFT)}
        self.polar = {side: self._polar(side) for side in (RIGHT, LEFT)}

    def _outline(self, side: int) -> NDArray[np.float64]:
        base = self.rng.uniform(-18, 12)
        jitter = self.rng.normal(0, 1.3, (len(OUTLINES[side]), 2))
        points = [(m + dm, y + dy + base * max(0.0, (y - 190) / 130)) for (m, y), (dm, dy) in zip(OUTLINES[side], jitter, strict=True)]
        return polar_table(points, LUNG_CENTRE, smooth_deg=6)

    def _polar(self, side: int) -> tuple[Plane, Plane, Plane]:
        """Radius, wall radius and angle table position of every pixel, about this side's lung centre."""
        across, down = self.x_HW * side - np.float32(LUNG_CENTRE[0]), self.y_HW - np.float32(LUNG_CENTRE[1])
        theta = np.arctan2(down, across)
        return np.hypot(across, down), at_angle(self.outlines[side], theta), theta

    def render(self, airs: list[Pneumothorax]) -> tuple[Plane, NDArray[np.bool_]]:
        """Sum up everything along the ray; the mask is exact."""
        rng, shape = self.rng, self.grid.shape
        mask_HW = np.zeros(shape, dtype=bool)
        heart_HW = self._heart()
        total = self._torso()
        density = LUNG_DENSITY * rng.uniform(0.75, 1.3)
        texture = 0.6 * noise(rng, shape, 4 / self.grid.pixel_mm) + 0.8 * noise(rng, shape, 11 / self.grid.pixel_mm)
        haze = noise(rng, shape, 90 / self.grid.pixel_mm)
        strength, haziness, depth = rng.uniform(0.5, 2.2), rng.uniform(0, 5), self.depth_mm * rng.uniform(0.6, 0.72)
        vessels = self._vessels()
        for side in (RIGHT, LEFT):
            radius, wall, theta = self.polar[side]
            lung = np.maximum(depth * np.maximum(1 - (radius / wall) ** 2, 0) ** np.float32(0.38) - heart_HW, 0)
            inside = step(radius - wall, 0.7)
            air = next((air for air in airs if air.side == side), None)
            collapsed = np.ones(shape, dtype=np.float32)
            line: Plane | float = 0.0
            tissue = density
            if air is not None:
                visceral = wall - np.minimum(at_angle(air.depth_mm, theta), 0.72 * wall)
                gap = (wall - visceral) > 1.0
                overlap = rng.uniform(0, 0.45)  # lung in front of or behind the air
                collapsed = np.where(gap, overlap + (1 - overlap) * step(radius - visceral, 0.6), 1).astype(np.float32)
                mask_HW |= (radius > visceral) & (radius < wall) & gap
                tissue = density * (1 + 0.9 * float(air.depth_mm.mean()) / 40)
                line = rng.uniform(1.2, 4.5) * np.exp(-0.5 * ((radius - visceral) / rng.uniform(0.7, 1.0)) ** 2) * gap
            parenchyma = tissue * lung + (strength * texture + haziness * haze + 2.2 * vessels) * np.minimum(lung / 40, 1)
            total = total - inside * lung + inside * (collapsed * np.minimum(parenchyma, lung + 30) + line)
        total = total + self._bones()
        total = total + self._devices()
        sigma = rng.uniform(0.6, 2.2)
        total = blur(total, passes=int(rng.integers(0, 2))) + sigma * rng.standard_normal(shape, dtype=np.float32)
        return np.asarray(total, dtype=np.float32), mask_HW

    def _torso(self) -> Plane:
        """Soft tissue: trunk, neck, shoulders, arms; air outside. The airway and the stomach bubble are subtracted."""
        x, y, rng = self.x_HW, self.y_HW, self.rng
        wide = rng.uniform(0.95, 1.12)
        half = np.interp(y[:, :1].ravel(), (-60, 10, 40, 70, 130, 220, 420), np.array((60, 70, 118, 225, 192, 184, 188)) * wide)
        ratio = np.minimum(np.abs(x) / half[:, None].astype(np.float32), 1)
        total = np.float32(self.depth_mm) * np.sqrt(1 - ratio ** np.float32(2.6))
        arm = np.abs(x) - np.float32(222 * wide) - (y - 60) * np.float32(0.06)
        total = np.maximum(total, chord(arm, 34) * np.float32(1.3) * step(70 - y, 8))
        centre, bend = rng.uniform(-3, 3), rng.uniform(-0.02, 0.02)
        total -= 0.8 * chord(x - np.float32(centre) - bend * (y - 100), 9) * step(y - 142, 6)
        for side, slope in ((RIGHT, 0.75), (LEFT, 1.15)):
            along = y - 140
            total -= 0.5 * chord((x - side * slope * along) * np.float32(0.7), 6) * step(-along, 3) * step(along - 30, 8)
        if rng.random() < 0.6:
            bubble = np.hypot((x - rng.uniform(55, 95)) / rng.uniform(22, 42), (y - rng.uniform(318, 335)) / rng.uniform(12, 22))
            total -= rng.uniform(20, 75) * np.sqrt(np.maximum(1 - bubble**2, 0))
        if rng.random() < 0.4:
            for side in (RIGHT, LEFT):
                breast = np.hypot((x - side * 85) / 62, (y - rng.uniform(255, 285)) / 60)
                total += rng.uniform(12, 35) * np.sqrt(np.maximum(1 - breast**2, 0))
        total += 4 * noise(rng, self.grid.shape, 40 / self.grid.pixel_mm) * (total > 20)
        return np.asarray(np.maximum(total, 0), dtype=np.float32)

    def _heart(self) -> Plane:
        """Thickness of heart, aortic knob and hila over the lungs, in mm of replaced lung."""
        x, y, rng = self.x_HW, self.y_HW, self.rng
        size = rng.uniform(0.85, 1.25)
        turned = (x - 26) * np.float32(0.86) + (y - 250) * np.float32(0.5), (y - 250) * np.float32(0.86) - (x - 26) * np.float32(0.5)
        heart = 125 * np.sqrt(np.maximum(1 - (turned[0] / (80 * size)) ** 2 - (turned[1] / (52 * size)) ** 2, 0))
        atrium = 90 * np.sqrt(np.maximum(1 - ((x + 12) / (42 * size)) ** 2 - ((y - 235) / 52) ** 2, 0))
        knob = 70 * np.sqrt(np.maximum(1 - ((x - 18) / 24) ** 2 - ((y - 135) / 22) ** 2, 0))
        pedicle = 90 * np.sqrt(np.maximum(1 - ((x - 2) / 40) ** 2 - ((y - 165) / 62) ** 2, 0))
        hila = sum(
            24 * np.sqrt(np.maximum(1 - ((x - side * 38) / 17) ** 2 - ((y - 183 - 6 * (side == RIGHT)) / 27) ** 2, 0))
            for side in (RIGHT, LEFT)
        )
        return np.asarray(np.maximum(np.maximum(heart, atrium), np.maximum(knob, pedicle)) + hila, dtype=np.float32)

    def _vessels(self) -> Plane:
        """Branching vessels from both hila outwards, in mm of diameter, thinner and fainter to the outside."""
        canvas, rng = Canvas(self.grid.shape, self.grid.pixel_mm), self.rng
        shift = float(self.x_HW[0, 0] + self.grid.pixel_mm * (self.grid.shape[1] - 1) / 2), float(self.y_HW[0, 0])
        branches: list[tuple[float, float, float, float, int, int]] = [
            (side * 34.0, 185.0, float(heading + rng.normal(0, 0.12)), float(rng.uniform(4.0, 7.0)), side, 0)
            for side in (RIGHT, LEFT)
            for heading in np.linspace(-1.35, 1.35, 9)
        ]
        for x, y, heading, width, side, generation in branches:
            length = rng.uniform(22, 40)
            bend = heading + rng.normal(0, 0.18)
            middle = x + side * np.cos(heading) * length / 2, y + np.sin(heading) * length / 2
            end = middle[0] + side * np.cos(bend) * length / 2, middle[1] + np.sin(bend) * length / 2
            canvas.line([(a - shift[0], b - shift[1]) for a, b in ((x, y), middle, end)], max(0.7, 0.7 * width), width)
            if generation < 4:
                forks = float(rng.uniform(0.1, 0.45)), -float(rng.uniform(0.1, 0.45))
                branches.extend((*end, bend + fork, width * float(rng.uniform(0.62, 0.82)), side, generation + 1) for fork in forks)
        return blur(canvas.picture())

    def _bones(self) -> Plane:
        """Spine, ribs, clavicles and the medial borders of the scapulae, in mm of water beyond soft tissue."""
        x, y, rng = self.x_HW, self.y_HW, self.rng
        strength = rng.uniform(0.5, 1.2)
        beat = np.cos((y - rng.uniform(0, 26)) * np.float32(2 * np.pi / 26))
        bones = step(np.abs(x) - 19 - 2 * beat, 4) * (13 + 4 * beat) * step(-y - 20, 10)
        posterior, spread = rng.uniform(-8, 8), rng.uniform(23.5, 27)
        for side in (RIGHT, LEFT):
            bones = bones + self._ribs(side, posterior, spread)
            m = x * side
            collar = y - np.float32(98 + rng.uniform(-10, 10)) + m * np.float32(rng.uniform(0.18, 0.42)) + 5 * np.sin(m / 22)
            bones += self._tube(collar, 5.5) * step(12 - m, 2) * step(m - 150, 3) * np.float32(1.2)
            edge = m - np.float32(rng.uniform(128, 168)) + (y - 90) * np.float32(rng.uniform(-0.25, 0.05))
            blade = step(-edge, 1.2) * step(70 - y, 6) * step(y - 205, 12) * step(m - 200, 6)
            bones += blade * rng.uniform(2, 7) + np.exp(-0.5 * (edge / 1.8) ** 2) * blade * rng.uniform(0, 6)
        return np.asarray(bones * strength, dtype=np.float32)

    def _ribs(self, side: int, posterior: float, spread: float) -> Plane:
        """Posterior ribs falling outwards, anterior ribs falling inwards, joined at the wall."""
        radius, wall, _theta = self.polar[side]
        m, y, rng = self.x_HW * side, self.y_HW, self.rng
        bounds = step(radius - wall - 5, 2) + 0.0
        ribs = np.zeros(self.grid.shape, dtype=np.float32)
        outwards, inwards = (m - 18) / 136, (156 - m) / 88
        hump = np.sin(np.clip(outwards, 0, 1) * np.float32(np.pi)) * 8
        fall_back = np.maximum(outwards, 0) ** 2
        for index in range(10):
            start = 62 + posterior + spread * index + rng.normal(0, 1)
            fall = 26 + 2.8 * index + rng.normal(0, 2)
            ribs += self._tube(y - np.float32(start) + hump - np.float32(fall) * fall_back, 5.2) * step(16 - m, 2)
            if 0 < index < 8:
                front = np.asarray(y - np.float32(start + fall + 6) - np.float32(38 + 3 * index) * inwards, dtype=np.float32)
                ribs += 0.75 * self._tube(front, 5.8) * step(74 - m, 10)
        return ribs * bounds

    @staticmethod
    def _tube(distance: Plane, radius: float) -> Plane:
        """A long bone: dense cortex, less dense inside."""
        return np.asarray(1.9 * chord(distance, radius) - 1.35 * chord(distance, radius - 1.4), dtype=np.float32)

    def _devices(self) -> Plane:
        """What hides or mimics: tubes, leads, a skin fold, side markers. The same odds with and without pneumothorax."""
        rng, canvas = self.rng, Canvas(self.grid.shape, self.grid.pixel_mm)
        for _ in range(int(rng.choice(4, p=(0.45, 0.25, 0.2, 0.1)))):
            start = rng.uniform(-170, 170), rng.choice((-5.0, 395.0)) if rng.random() < 0.6 else rng.uniform(40, 380)
            middle = [(rng.uniform(-130, 130), rng.uniform(60, 330)) for _ in range(3)]
            width, value = rng.uniform(0.8, 6), rng.uniform(6, 28)
            points = bezier([start, *middle])
            canvas.line(points, width, value)
            if width > 3:
                canvas.line(points, width - 2.2, 0.55 * value)
        if rng.random() < 0.7:
            side = rng.choice((RIGHT, LEFT))
            place = side * rng.uniform(120, 165) - 6, rng.uniform(12, 60)
            canvas.text(place, "R" if side == RIGHT else "L", rng.uniform(12, 22), 140.0)
        return canvas.picture() + self._fold()

    def _fold(self) -> Plane:
        """A skin fold: a step that fades to one side and runs beyond the lung, without a line, vessels on both sides."""
        rng = self.rng
        chosen, side, place, lean, amount = (
            rng.random() < 0.25,
            rng.choice((RIGHT, LEFT)),
            rng.uniform(60, 125),
            rng.normal(0, 0.2),
            rng.uniform(4, 14),
        )
        if not chosen:
            return np.zeros(self.grid.shape, dtype=np.float32)
        distance = self.x_HW * side - np.float32(place) - (self.y_HW - 190) * np.float32(lean)
        inner = -np.minimum(distance, 0)
        return np.asarray(
            amount * np.exp(-inner / 22) * (distance < 0) * step(60 - self.y_HW, 20) * step(self.y_HW - 360, 20), dtype=np.float32
        )
