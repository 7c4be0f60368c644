"""A simple chest phantom in three dimensions: axial CT slices of a lying patient in Hounsfield units, with the exact mask.

As `phantom`: for demonstration, tests and training of the demonstration model. x grows to the patient's left, y to the back,
height from 0 (lung bases) to 1 (apices). Every slice of a seed shows the same patient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.first.shapes import ANGLES, Canvas, Grid, at_angle, blur, circular_smooth, noise, polar_table, step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.first.shapes import Plane

LUNG_HEIGHT_MM = 285.0
RIGHT, LEFT = -1, 1
AIR, FAT, TISSUE, BLOOD = -1000.0, -100.0, 50.0, 45.0
CENTRE = (74.0, 0.0)
WALL = ((10, -62), (40, -86), (84, -80), (118, -52), (134, 0), (118, 52), (84, 84), (46, 90), (22, 66), (28, 26), (26, -20))
"""Pleural outline of one side at mid height: (distance from the midline, y) in mm, from the front outwards and round."""


@dataclass(frozen=True, slots=True)
class PleuralAir:
    """Air of one side: depth in mm by polar angle at the height where there is most, and that height with its reach."""

    side: int
    depth_mm: NDArray[np.float64] = field(repr=False)
    middle: float
    reach: float

    def at(self, height: float) -> NDArray[np.float64]:
        """Depth by angle in the slice at this height."""
        share = max(0.0, 1 - float(abs((height - self.middle) / self.reach)) ** 2.5)
        return np.asarray(self.depth_mm * share, dtype=np.float64)


class ChestVolume:
    """One simulated patient in CT. Slices may be drawn in any order and are the same each time."""

    def __init__(self, seed: int, *, laterality: Laterality | None, columns: int = 512) -> None:
        rng = np.random.default_rng([seed, 2])
        self.seed, self.columns = seed, columns
        self.field_mm = float(rng.uniform(350, 430))
        self.pixel_mm = self.field_mm / columns
        self.grid = Grid.make(columns, columns, self.pixel_mm)
        self.x_HW = self.grid.x_HW + np.float32(rng.uniform(-10, 10))
        self.y_HW = self.grid.y_HW - np.float32(self.field_mm / 2 + rng.uniform(-15, 15))
        self.scale = float(rng.uniform(0.86, 1.12))
        self.fat_mm = float(rng.uniform(6, 30))
        self.density = float(rng.uniform(-900, -800))
        self.noise_hu = float(rng.uniform(6, 26))
        self.vessel_hu = float(rng.uniform(0, 60))
        self.walls = {side: circular_smooth(polar_table(WALL, CENTRE, smooth_deg=5), 3) for side in (RIGHT, LEFT)}
        self.polar = {side: self._polar(side) for side in (RIGHT, LEFT)}
        sides = {Laterality.RIGHT: (RIGHT,), Laterality.LEFT: (LEFT,), Laterality.BILATERAL: (RIGHT, LEFT), None: ()}[laterality]
        self.airs = {side: _pleural_air(rng, side) for side in sides}
        self.bullae = _bullae(rng)
        self.segments = _segments(rng)

    def _polar(self, side: int) -> tuple[Plane, Plane]:
        across, down = self.x_HW * side / self.scale - np.float32(CENTRE[0]), self.y_HW / self.scale - np.float32(CENTRE[1])
        return np.hypot(across, down), np.arctan2(down, across)

    def series(self, slices: int) -> tuple[NDArray[np.int16], NDArray[np.bool_], float]:
        """(Hounsfield units, mask, slice distance in mm) of so many slices from below the bases to above the apices."""
        heights = np.linspace(-0.05, 1.05, slices)
        drawn = [self.slice_at(float(height)) for height in heights]
        distance = LUNG_HEIGHT_MM * float(heights[1] - heights[0]) if slices > 1 else 1.0
        return np.stack([hu for hu, _ in drawn]), np.stack([mask for _, mask in drawn]), distance

    def slice_at(self, height: float) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Hounsfield units and pleural air of the axial slice at a height."""
        rng = np.random.default_rng([self.seed, 3, round((height + 1) * 100_000)])
        hu_HW = self._trunk(height)
        mask_HW = np.zeros(hu_HW.shape, dtype=np.bool_)
        taper = float(np.clip(1 - max(0.0, (height - 0.5) / 0.53) ** 2.4, 0, 1)) * (1 if height < 1.02 else 0)
        if taper > 0.06:
            vessels = self._vessels(height)
            for side in (RIGHT, LEFT):
                self._lung(hu_HW, mask_HW, (height, side, taper), vessels, rng)
        self._airways(hu_HW, height)
        self._bones(hu_HW, height, taper)
        hu_HW = blur(hu_HW) + self.noise_hu * blur(rng.standard_normal(hu_HW.shape, dtype=np.float32)) * np.float32(2)
        return np.clip(np.round(hu_HW), -1024, 2000).astype(np.int16), mask_HW

    def _ellipse(self, at: tuple[float, float], half: tuple[float, float], power: float = 2.0) -> Plane:
        """Signed distance of a kind, in mm: negative inside."""
        across, down = np.abs(self.x_HW / self.scale - at[0]) / half[0], np.abs(self.y_HW / self.scale - at[1]) / half[1]
        return np.asarray(((across**power + down**power) ** np.float32(1 / power) - 1) * min(half) * self.scale, dtype=np.float32)

    def _put(self, hu_HW: Plane, distance: Plane, value: float, width: float = 0.5) -> None:
        share = step(distance, width)
        hu_HW += share * (np.float32(value) - hu_HW)

    def _trunk(self, height: float) -> Plane:
        hu_HW = np.full(self.grid.shape, AIR, dtype=np.float32)
        shoulder = float(np.clip((height - 0.75) / 0.3, 0, 1))
        self._put(hu_HW, self._ellipse((0, 132 + self.fat_mm), (210, 6)), -300)
        half = 152 + self.fat_mm + 35 * shoulder, 104 + self.fat_mm - 10 * shoulder
        self._put(hu_HW, self._ellipse((0, 0), half, 2.4), FAT)
        self._put(hu_HW, self._ellipse((0, 0), (half[0] - self.fat_mm, half[1] - self.fat_mm), 2.4), TISSUE)
        hu_HW += np.float32(8) * noise(np.random.default_rng([self.seed, 4]), self.grid.shape, 14 / self.pixel_mm) * (hu_HW > -500)
        self._put(hu_HW, self._ellipse((4, -38), (20, 26)), FAT, 3)
        return hu_HW

    def _lung(
        self, hu_HW: Plane, mask_HW: NDArray[np.bool_], where: tuple[float, int, float], vessels: Plane, rng: np.random.Generator
    ) -> None:
        """Lung, dome of the diaphragm, heart, bullae and pleural air of one side of one slice."""
        height, side, taper = where
        radius, theta = self.polar[side]
        wall = at_angle(self.walls[side], theta) * np.float32(taper)
        solid = np.full(self.grid.shape, np.inf, dtype=np.float32)
        if height < 0.3:
            grow = float(np.sqrt(max(0.0, 1 - max(height, -0.1) / 0.3)))
            solid = self._ellipse((side * 72, 4), (66 * grow + 1, 88 * grow + 1))
        if height < 0.55:
            size = float(np.sqrt(max(0.0, 1 - (max(height, 0) / 0.55) ** 2)))
            solid = np.minimum(solid, self._ellipse((24, -26), (68 * size + 1, 54 * size + 1)))
        inside = np.maximum(radius - wall, -solid / np.float32(self.scale))
        texture = 14 * noise(rng, self.grid.shape, 3 / self.pixel_mm)
        lung = self.density + np.float32(0.5) * np.maximum(self.y_HW, 0) + texture + vessels
        for x, y, z, size in self.bullae[side]:
            section = size**2 - ((height - z) * LUNG_HEIGHT_MM) ** 2
            if section > 4:
                distance = np.hypot(self.x_HW / self.scale - x, self.y_HW / self.scale - y) - np.float32(np.sqrt(section))
                lung = np.where(distance < 0, np.float32(-985), lung) + 260 * np.exp(-0.5 * (distance / 0.7) ** 2)
        air = self.airs.get(side)
        depth = air.at(height) * taper if air is not None else None
        if depth is not None and depth.max() > 1.0:
            visceral = wall - np.minimum(at_angle(depth, theta), 0.75 * wall)
            gap = ((wall - visceral) > 1.0) & (inside < 0)
            loss = float(depth.mean()) / 40
            beyond = step(visceral - radius, 0.5) * gap
            lung = lung + 260 * loss
            lung = lung + beyond * (np.float32(-995) - lung) + gap * 330 * np.exp(-0.5 * ((radius - visceral) / 0.6) ** 2)
            mask_HW |= gap & (radius > visceral)
        share = step(inside * np.float32(self.scale), 0.5)
        hu_HW += share * (np.asarray(lung, dtype=np.float32) - hu_HW)

    def _vessels(self, height: float) -> Plane:
        """Pulmonary vessels that cross this slice, in units added to the lung."""
        canvas = Canvas(self.grid.shape, self.pixel_mm)
        slab = 1.5 / LUNG_HEIGHT_MM
        start, end, width = self.segments
        low, high = np.minimum(start[:, 2], end[:, 2]), np.maximum(start[:, 2], end[:, 2])
        near = (low < height + slab) & (high > height - slab)
        shift = float(self.x_HW[0, 0] - self.grid.x_HW[0, 0]), float(self.y_HW[0, 0] - self.grid.y_HW[0, 0])
        for a, b, w in zip(start[near], end[near], width[near], strict=True):
            run = b[2] - a[2] if abs(b[2] - a[2]) > 1e-6 else 1e-6
            t = np.clip(np.sort([(height - slab - a[2]) / run, (height + slab - a[2]) / run]), 0, 1)
            points = [((a[0] + s * (b[0] - a[0])) * self.scale - shift[0], (a[1] + s * (b[1] - a[1])) * self.scale - shift[1]) for s in t]
            points[1] = points[1][0] + 0.6 * self.pixel_mm, points[1][1]
            canvas.line(points, float(w), 780 + self.vessel_hu)
        return canvas.picture()

    def _airways(self, hu_HW: Plane, height: float) -> None:
        self._put(hu_HW, self._ellipse((14, 42), (12.5, 12.5)), BLOOD + self.vessel_hu)
        if height > 0.62:
            self._put(hu_HW, self._ellipse((2, 4), (9, 9)), TISSUE)
            self._put(hu_HW, self._ellipse((2, 4), (7.5, 8)), -990)
        elif height > 0.42:
            apart = 8 + 120 * (0.62 - height)
            for side in (RIGHT, LEFT):
                self._put(hu_HW, self._ellipse((side * apart, 10), (7.5, 7)), TISSUE)
                self._put(hu_HW, self._ellipse((side * apart, 10), (6, 5.5)), -985)
        self._put(hu_HW, self._ellipse((-2, 30), (4, 4)), -300 if self.seed % 3 == 0 else TISSUE)

    def _bones(self, hu_HW: Plane, height: float, taper: float) -> None:
        self._put(hu_HW, self._ellipse((0, 74), (19, 15)), 420)
        self._put(hu_HW, self._ellipse((0, 74), (16.5, 12.5)), 190)
        self._put(hu_HW, self._ellipse((0, 98), (8, 7)), TISSUE)
        self._put(hu_HW, self._ellipse((0, 112), (4, 11)), 400)
        if height > 0.35:
            self._put(hu_HW, self._ellipse((0, -92 * max(taper, 0.55)), (17, 5)), 300)
        cage = max(taper, 0.25)
        z = height * LUNG_HEIGHT_MM
        for rib in range(12):
            along = (295 - 25 * rib - z) / 95
            if not 0 <= along <= 1:
                continue
            angle = np.deg2rad(78 - 150 * along)
            for side in (RIGHT, LEFT):
                place = side * (22 + 118 * cage * np.cos(angle)), 97 * cage * np.sin(angle) + 2
                self._put(hu_HW, self._ellipse(place, (7, 7)), 460)
                self._put(hu_HW, self._ellipse(place, (4.5, 4.5)), 200)


def _pleural_air(rng: np.random.Generator, side: int) -> PleuralAir:
    """In front first, since the patient lies; large ones reach to the side and the whole height."""
    angle = np.arange(ANGLES) * 360.0 / ANGLES  # 0 lateral, 270 front
    size = int(rng.choice(3, p=(0.4, 0.35, 0.25)))
    depth = float(rng.uniform((5, 14, 28), (15, 32, 62))[size])
    lateral, back = rng.uniform((0, 0.2, 0.4), (0.4, 0.8, 1.0))[size], rng.uniform((0, 0, 0), (0.05, 0.25, 0.8))[size]
    profile = np.interp(
        angle, (0, 45, 90, 150, 205, 240, 270, 300, 330, 360), (lateral, back, 0.7 * back, 0, 0, 0.75, 1, 1, 0.5 + 0.5 * lateral, lateral)
    )
    wobble = np.clip(1 + 0.25 * circular_smooth(rng.standard_normal(ANGLES) * 6, 16), 0.4, 1.6)
    reach = float(rng.uniform((0.12, 0.3, 0.5), (0.35, 0.6, 1.1))[size])
    return PleuralAir(side, circular_smooth(depth * profile, 8) * wobble, float(rng.uniform(0.15, 0.85)), reach)


def _bullae(rng: np.random.Generator) -> dict[int, list[tuple[float, float, float, float]]]:
    """Round air inside the lung with a wall of its own, which is not pleural air: in one patient of three."""
    found: dict[int, list[tuple[float, float, float, float]]] = {RIGHT: [], LEFT: []}
    if rng.random() < 0.35:
        for _ in range(int(rng.integers(1, 7))):
            side = int(rng.choice((RIGHT, LEFT)))
            spot = side * rng.uniform(50, 105), rng.uniform(-50, 55), rng.uniform(0.35, 0.95), rng.uniform(5, 20)
            found[side].append((float(spot[0]), float(spot[1]), float(spot[2]), float(spot[3])))
    return found


def _segments(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Straight pieces of branching vessels: starts and ends (x, y in mm, height), widths in mm."""
    starts, ends, widths = [], [], []
    stack: list[tuple[NDArray[np.float64], NDArray[np.float64], float, int]] = []
    for side in (RIGHT, LEFT):
        for _ in range(14):
            heading = np.array([side * abs(rng.normal(0.8, 0.5)), rng.normal(0, 0.8), rng.normal(0, 1.0)])
            stack.append(
                (np.array([side * 30.0, rng.normal(5, 8), 0.45 * LUNG_HEIGHT_MM]), heading / np.linalg.norm(heading), rng.uniform(4, 7), 0)
            )
    while stack:
        start, heading, width, generation = stack.pop()
        end = start + heading * rng.uniform(18, 38)
        starts.append(start)
        ends.append(end)
        widths.append(width)
        if generation < 4:
            for _ in range(2):
                turn = heading + rng.normal(0, 0.42, 3)
                stack.append((end, turn / np.linalg.norm(turn), width * rng.uniform(0.6, 0.8), generation + 1))
    scale = np.array([1, 1, 1 / LUNG_HEIGHT_MM])
    return np.array(starts) * scale, np.array(ends) * scale, np.array(widths)
