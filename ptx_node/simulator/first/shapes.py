"""Geometry that the phantoms are drawn with: grids in millimetres, outlines in polar form, tubes, smooth noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

ANGLES = 360


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixel centres of a picture in millimetres: x to the right of the picture, y downwards."""

    x_HW: Plane
    y_HW: Plane
    pixel_mm: float

    @classmethod
    def make(cls, rows: int, columns: int, pixel_mm: float, *, rotation_deg: float = 0.0) -> Grid:
        """A grid with x = 0 in the middle column and y = 0 at the top, turned about the picture's centre."""
        x_W = ((np.arange(columns) + 0.5 - columns / 2) * pixel_mm).astype(np.float32)
        y_H = ((np.arange(rows) + 0.5) * pixel_mm).astype(np.float32)
        if rotation_deg == 0:
            shape = (rows, columns)
            return cls(np.broadcast_to(x_W, shape).copy(), np.broadcast_to(y_H[:, None], shape).copy(), pixel_mm)
        turn, middle = np.deg2rad(np.float32(rotation_deg)), np.float32(rows * pixel_mm / 2)
        cos, sin = np.cos(turn), np.sin(turn)
        x_HW = cos * x_W[None, :] - sin * (y_H[:, None] - middle)
        y_HW = sin * x_W[None, :] + cos * (y_H[:, None] - middle) + middle
        return cls(x_HW.astype(np.float32), y_HW.astype(np.float32), pixel_mm)

    def moved(self, x_mm: float, y_mm: float) -> Grid:
        """The same pixels over another part of the phantom."""
        return Grid(self.x_HW + np.float32(x_mm), self.y_HW + np.float32(y_mm), self.pixel_mm)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.x_HW.shape[0], self.x_HW.shape[1]


def circular_smooth(values: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Smooth a closed table of one value an angle by a Gaussian of so many degrees."""
    steps = np.minimum(np.arange(values.size), values.size - np.arange(values.size)) * 360 / values.size
    kernel = np.exp(-0.5 * (steps / degrees) ** 2)
    return np.asarray(np.fft.irfft(np.fft.rfft(values) * np.fft.rfft(kernel / kernel.sum()), values.size), dtype=np.float64)


def polar_table(points: Iterable[tuple[float, float]], centre: tuple[float, float], *, smooth_deg: float = 4.0) -> NDArray[np.float64]:
    """Distance from `centre` to a closed outline through `points`, one value a degree; the outline must be star-shaped."""
    offsets = np.asarray(list(points)) - np.asarray(centre)
    theta, radius = np.arctan2(offsets[:, 1], offsets[:, 0]), np.hypot(offsets[:, 0], offsets[:, 1])
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    return circular_smooth(np.interp(angles, theta, radius, period=2 * np.pi), smooth_deg)


def at_angle(table: NDArray[np.float64], theta: Plane) -> Plane:
    """Values of a table of one entry a degree at angles in radians, interpolated."""
    closed = np.append(table, table[0]).astype(np.float32)
    position = np.mod(theta * np.float32(ANGLES / (2 * np.pi)), np.float32(ANGLES))
    below = np.minimum(position.astype(np.int32), ANGLES - 1)
    return np.asarray(closed[below] + (position - below) * (closed[below + 1] - closed[below]), dtype=np.float32)


def step(distance: Plane, width: float) -> Plane:
    """1 well inside (distance << 0), 0 well outside, smooth over about `width`, in the unit of the distance."""
    return np.asarray(np.clip(0.5 - distance / np.float32(2 * width), 0, 1), dtype=np.float32)


def chord(distance: Plane, radius: float) -> Plane:
    """Thickness of a cylinder of this radius at a distance from its axis, in the unit of both."""
    return np.asarray(2 * np.sqrt(np.maximum(np.float32(radius) ** 2 - distance**2, 0)), dtype=np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> Plane:
    """Smooth random field of about unit variance whose structures are about `cell_px` pixels large."""
    rows, columns = (max(2, round(size / cell_px) + 2) for size in shape)
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    if cell_px <= 1:
        return coarse[: shape[0], : shape[1]]
    return np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32) * np.float32(1.4)


def blur(image_HW: Plane, passes: int = 1) -> Plane:
    """A small separable smoothing (1 2 1) / 4, repeated."""
    for _ in range(passes):
        padded = np.pad(image_HW, ((1, 1), (0, 0)), mode="edge")
        image_HW = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) * np.float32(0.25)
        padded = np.pad(image_HW, ((0, 0), (1, 1)), mode="edge")
        image_HW = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) * np.float32(0.25)
    return image_HW


class Canvas:
    """Lines drawn in millimetres on a picture of thicknesses; what is drawn later lies on top."""

    def __init__(self, shape: tuple[int, int], pixel_mm: float) -> None:
        self.pixel_mm = pixel_mm
        self.columns = shape[1]
        self._image = Image.new("F", (shape[1], shape[0]), 0.0)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points_mm: Sequence[tuple[float, float]], width_mm: float, value: float) -> None:
        """An open line through points in the grid's millimetres (x = 0 in the middle column)."""
        pixels = [(x / self.pixel_mm + self.columns / 2, y / self.pixel_mm) for x, y in points_mm]
        width = width_mm / self.pixel_mm
        self._draw.line(pixels, fill=value * min(1.0, width), width=max(1, round(width)), joint="curve")

    def text(self, at_mm: tuple[float, float], words: str, height_mm: float, value: float) -> None:
        """Letters, their top left corner at a place in millimetres."""
        place = (at_mm[0] / self.pixel_mm + self.columns / 2, at_mm[1] / self.pixel_mm)
        self._draw.text(place, words, fill=value, font_size=max(6.0, height_mm / self.pixel_mm))

    def picture(self) -> Plane:
        """What was drawn."""
        return np.asarray(self._image, dtype=np.float32)


def bezier(points: Sequence[tuple[float, float]], count: int = 24) -> list[tuple[float, float]]:
    """Points on a cubic Bézier curve with four control points."""
    t = np.linspace(0, 1, count)[:, None]
    p = np.asarray(points, dtype=np.float64)
    curve = (1 - t) ** 3 * p[0] + 3 * (1 - t) ** 2 * t * p[1] + 3 * (1 - t) * t**2 * p[2] + t**3 * p[3]
    return [(float(x), float(y)) for x, y in curve]
