"""Long thin things: ribs, vessels, airways, catheters. Each is a run of short straight pieces with an elliptical section."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.simulator.anatomy.curves import Plane


class Kind(StrEnum):
    """What a tube is."""

    RIB = "rib"
    CLAVICLE = "clavicle"
    SCAPULA = "scapula"
    STERNUM = "sternum"
    SPINE = "spine"
    HUMERUS = "humerus"
    VESSEL = "vessel"
    AIRWAY = "airway"
    SOFT_TISSUE_AIR = "soft_tissue_air"
    CHEST_TUBE = "chest_tube"
    LINE = "line"
    TRACHEAL_TUBE = "tracheal_tube"
    GASTRIC_TUBE = "gastric_tube"
    WIRE = "wire"


@dataclass(frozen=True, slots=True)
class Tubes:
    """Pieces of one kind and material; S counts pieces.

    Attributes:
        start_S3, end_S3: ends of the centre line, mm.
        half_S2: the section's half axes, mm.
        up_S3: unit direction of the first half axis (square to the piece); the second stands on both. Any direction for a round one.
        hu: of the wall.
        core_hu: inside the wall.
        wall_mm: thickness of the wall; infinite for a solid tube.
        surround_hu: what the tube lies in, which it replaces.
    """

    kind: Kind
    start_S3: Plane
    end_S3: Plane
    half_S2: Plane
    up_S3: Plane
    hu: float
    core_hu: float = 0.0
    wall_mm: float = float("inf")
    surround_hu: float = 30.0

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.start_S3)

    def only(self, keep_S: np.ndarray) -> Tubes:
        """Those pieces alone."""
        return replace(
            self, start_S3=self.start_S3[keep_S], end_S3=self.end_S3[keep_S], half_S2=self.half_S2[keep_S], up_S3=self.up_S3[keep_S]
        )

    def stretched(self, by: tuple[float, float, float]) -> Tubes:
        """From template to patient millimetres; sections keep their size."""
        factor = np.array(by, dtype=np.float32)
        return replace(self, start_S3=self.start_S3 * factor, end_S3=self.end_S3 * factor)


@dataclass(frozen=True, slots=True)
class Course:
    """One centre line with its sections, before it is cut into pieces.

    Attributes:
        points_P3: along the line.
        half_P2: half axes at each point; a single pair for all.
        up_P3: direction of the first axis at each point, or None for round ones.
    """

    points_P3: np.ndarray
    half_P2: np.ndarray
    up_P3: np.ndarray | None = None


def join(kind: Kind, courses: Sequence[Course], **material: float) -> Tubes:
    """Courses of one kind and material as pieces."""
    starts, ends, halves, ups = [], [], [], []
    for course in courses:
        points = np.asarray(course.points_P3, dtype=np.float32)
        half = np.broadcast_to(np.asarray(course.half_P2, dtype=np.float32), (len(points), 2))
        run = points[1:] - points[:-1]
        up = np.array([[0, 0, 1]], dtype=np.float32) if course.up_P3 is None else np.asarray(course.up_P3, dtype=np.float32)
        up = np.broadcast_to(up, points.shape)[:-1]
        along = run / np.maximum(np.linalg.norm(run, axis=1, keepdims=True), 1e-6)
        up = up - along * (up * along).sum(axis=1, keepdims=True)
        ups.append(up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6))
        starts.append(points[:-1])
        ends.append(points[1:])
        halves.append(0.5 * (half[1:] + half[:-1]))
    return Tubes(kind, np.concatenate(starts), np.concatenate(ends), np.concatenate(halves), np.concatenate(ups), **material)


def along(points_P3: np.ndarray) -> np.ndarray:
    """Share of the line's length before each point, 0 to 1."""
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_P3, axis=0), axis=1))])
    return np.asarray(run / max(float(run[-1]), 1e-6))


def rounded(share: np.ndarray, first: float, last: float) -> np.ndarray:
    """Factor that closes a tube over these shares of its length at either end, (P, 1)."""
    size = np.ones(len(share))
    for inward, length in ((share, first), (1 - share, last)):
        if length:
            size *= np.sqrt(np.clip(1 - (1 - np.clip(inward / length, 0, 1)) ** 2, 0.02, 1))
    return np.asarray(size[:, None])


def smooth_line(*points: tuple[float, float, float], steps: int = 24) -> np.ndarray:
    """A smooth line through a few points (Catmull-Rom), (P, 3)."""
    known = np.array(points, dtype=np.float32)
    known = np.concatenate([2 * known[:1] - known[1:2], known, 2 * known[-1:] - known[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    parts = []
    for a, b, c, d in zip(known[:-3], known[1:-2], known[2:-1], known[3:], strict=True):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*parts, known[-2:-1]])
