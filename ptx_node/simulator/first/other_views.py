"""Pictures that the model must not read: a lateral chest radiograph and a hand. In mm of water, like the phantom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.first.shapes import Canvas, Grid, blur, chord, noise, step

if TYPE_CHECKING:
    from ptx_node.simulator.first.shapes import Plane


def lateral_chest(seed: int, rows: int, columns: int) -> Plane:
    """A trunk from the side: spine behind, sternum in front, both lungs on top of each other, heart, diaphragm."""
    rng = np.random.default_rng([seed, 11])
    grid = Grid.make(rows, columns, 400 / rows, rotation_deg=rng.uniform(-3, 3))
    x, y = grid.x_HW, grid.y_HW
    half = np.interp(y[:, :1].ravel(), (0, 60, 150, 300, 400), (60, 95, 125, 130, 120)).astype(np.float32)
    total = 330 * np.sqrt(np.maximum(1 - np.abs(x / half[:, None]) ** np.float32(2.6), 0))
    lung = np.maximum(1 - (x / 92) ** 2 - ((y - 175) / 140) ** 2, 0) ** np.float32(0.4)
    dome = step(y - 285 + 25 * np.cos(x / 70), 3)
    heart = 110 * np.sqrt(np.maximum(1 - ((x + 35) / 48) ** 2 - ((y - 225) / 52) ** 2, 0))
    total = total - np.maximum(190 * lung * dome - heart, 0)
    total += (30 + 10 * np.cos(y * np.float32(2 * np.pi / 27))) * step(np.abs(x - 78 + 8 * np.sin(y / 90)) - 15, 3)
    total += 18 * step(np.abs(x + 98 - 0.05 * y) - 5, 2) * step(60 - y, 5) * step(y - 220, 5)
    return np.asarray(total + 3 * noise(rng, grid.shape, 8) + rng.standard_normal(grid.shape, dtype=np.float32), dtype=np.float32)


def hand(seed: int, rows: int, columns: int) -> Plane:
    """A hand from the back: soft tissue, carpal, metacarpal and finger bones."""
    rng = np.random.default_rng([seed, 12])
    pixel_mm = 220 / rows
    soft, bone = Canvas((rows, columns), pixel_mm), Canvas((rows, columns), pixel_mm)
    grid = Grid.make(rows, columns, pixel_mm)
    for finger, (spread, length) in enumerate(zip((-1.05, -0.3, -0.05, 0.17, 0.42), (62, 88, 96, 90, 74), strict=True)):
        heading = np.array([np.sin(spread), -np.cos(spread)])
        place = np.array([6.0 * (finger - 2), 165.0])
        soft.line([tuple(place), tuple(place + heading * length * 1.55)], 19, 16)
        for part, share in enumerate((0.62, 0.42, 0.28, 0.2)):
            end = place + heading * length * share
            bone.line([tuple(place + heading * 3), tuple(end - heading * 2)], 9 - 1.4 * part, 13)
            place = end
    palm = 24 * np.sqrt(np.maximum(1 - (grid.x_HW / 42) ** 2 - ((grid.y_HW - 145) / 48) ** 2, 0))
    wrist = chord(grid.x_HW, 28) * np.float32(0.45) * step(170 - grid.y_HW, 6)
    carpus = sum(
        10 * np.sqrt(np.maximum(1 - ((grid.x_HW - x) / 8) ** 2 - ((grid.y_HW - y) / 7) ** 2, 0))
        for x in (-18, -6, 6, 18)
        for y in (168, 181)
    )
    total = np.maximum(np.maximum(palm, wrist), blur(soft.picture(), 3)) + blur(bone.picture(), 2) + carpus
    return np.asarray(total * 8 + 2 * rng.standard_normal((rows, columns), dtype=np.float32), dtype=np.float32)
