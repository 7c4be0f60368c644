"""The branching vessels of one lung: a tree that halves the lung again and again, so that it reaches everywhere.

The targets are drawn in the lung as it stands, retracted or not; nothing grows into pleural air.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.tubes import Kind, Tubes

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.build import Build
    from ptx_node.simulator.anatomy.pleura import Hemithorax

_LEVELS = 10
_MARGIN_MM = 5.0
_BEND = (0.0, 0.34, 0.68, 1.0)
"""Where each branch is cut into straight pieces; the last two generations are straight."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Pieces of a tree: ends in template mm, radius in mm."""

    start_S3: np.ndarray
    end_S3: np.ndarray
    radius_S: np.ndarray


def vessels(build: Build, sides: tuple[Hemithorax, ...]) -> Tubes:
    """Arteries and veins of both lungs."""
    trees = []
    for hemithorax in sides:
        rng = build.patient.rng(f"vessels{hemithorax.side}")
        x = hemithorax.side * 1.0
        shift = build.shift_mm
        artery = np.array((x * 38 + 0.8 * shift, 10, 20 if x > 0 else 12))
        vein = np.array((x * 30 + 0.9 * shift, 12, -14))
        for root, wide in ((artery, 7.2), (vein, 6.0)):
            targets = _targets(hemithorax, root, rng, 2**_LEVELS)
            trees.append(_within(hemithorax, grow(root, targets, wide * float(rng.normal(1, 0.06)), rng)))
    start, end = np.concatenate([t.start_S3 for t in trees]), np.concatenate([t.end_S3 for t in trees])
    radius = np.concatenate([t.radius_S for t in trees]).astype(np.float32)
    up = np.zeros_like(start)
    up[:, 1] = 1
    return Tubes(Kind.VESSEL, start, end, np.stack([radius, radius], axis=1), up, hu=40.0, surround_hu=-860.0)


def _targets(hemithorax: Hemithorax, root: np.ndarray, rng: np.random.Generator, number: int) -> np.ndarray:
    """Points in the lung at some distance from its surface, denser where more blood flows: below and behind."""
    found = np.empty((0, 3), dtype=np.float32)
    while len(found) < number:
        points = rng.uniform((3, -96, -172), (150, 96, 124), (6 * number, 3)).astype(np.float32)
        points[:, 0] *= hemithorax.side
        keep = hemithorax.lung(points[:, 0], points[:, 1], points[:, 2]) < -_MARGIN_MM
        keep &= np.linalg.norm((points - root) * (1, 0.8, 1), axis=1) > rng.uniform(22, 75, len(points))  # none turns back at the root
        keep &= rng.random(len(points)) < 0.75 - 0.0022 * points[:, 2]
        found = np.concatenate([found, points[keep]])
        if not keep.any():
            msg = "no lung is left to grow vessels in"
            raise ValueError(msg)
    return found[:number]


def grow(root: np.ndarray, targets_N3: np.ndarray, radius: float, rng: np.random.Generator) -> Tree:
    """A tree from `root` to every target; N is a power of two, and every generation halves each group of targets.

    Groups are cut across the way to them, so that branches part at sharp angles and run outwards, as vessels do.
    """
    groups, parent = targets_N3[None], root.astype(np.float32)[None]
    heading = np.zeros((1, 3), dtype=np.float32)
    levels = int(np.log2(len(targets_N3)))
    starts, ends, radii = [], [], []
    for level in range(levels):
        groups = _halve(groups, parent)
        parent, heading = np.repeat(parent, 2, axis=0), np.repeat(heading, 2, axis=0)
        step = groups.mean(axis=1) - parent
        share = min(1.0, 1.6 / (levels - level + 0.5)) if level < levels - 1 else 1.0
        child = parent + step * share * rng.uniform(0.6, 1.35, (len(step), 1)).astype(np.float32)
        length = np.linalg.norm(child - parent, axis=1, keepdims=True)
        child += rng.normal(0, 0.11, child.shape).astype(np.float32) * length
        control = parent + (0.42 * length * heading + 0.08 * (child - parent) if level else 0.5 * (child - parent))
        size = radius * 0.5 ** ((level + 1) / 2.6) * rng.uniform(0.82, 1.15, len(child))
        points = [_bezier(parent, control, child, t) for t in (_BEND if level < levels - 2 else _BEND[::3])]
        for number, (a, b) in enumerate(pairwise(points)):
            starts.append(a)
            ends.append(b)
            radii.append(size * (1.15 - 0.15 * number))
        out = child - control
        heading = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-3)
        parent = child
    return Tree(np.concatenate(starts), np.concatenate(ends), np.concatenate(radii))


def _halve(groups_GN3: np.ndarray, parent_G3: np.ndarray) -> np.ndarray:
    """Each group cut in two along its longest extent across the way from its parent: (2 G, N / 2, 3)."""
    off = groups_GN3 - parent_G3[:, None]
    way = off.mean(axis=1, keepdims=True)
    way /= np.maximum(np.linalg.norm(way, axis=2, keepdims=True), 1e-3)
    off -= way * (off * way).sum(axis=2, keepdims=True)
    axis = (off.std(axis=1) * np.array((1.0, 0.85, 1.05), dtype=np.float32)).argmax(axis=1)
    order = np.argsort(np.take_along_axis(off, axis[:, None, None], axis=2)[:, :, 0], axis=1)
    ordered = np.take_along_axis(groups_GN3, order[:, :, None], axis=1)
    return ordered.reshape(2 * len(groups_GN3), -1, 3)


def _bezier(a: np.ndarray, b: np.ndarray, c: np.ndarray, t: float) -> np.ndarray:
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c, dtype=np.float32)


def _within(hemithorax: Hemithorax, tree: Tree) -> Tree:
    """Without the pieces that would cross pleural air or leave the lung for the wall."""
    keep = np.ones(len(tree.radius_S), dtype=bool)
    for share in (0.0, 0.5, 1.0):
        x, y, z = (tree.start_S3 + share * (tree.end_S3 - tree.start_S3)).T
        cavity = hemithorax.cavity(x, y, z)
        lung = hemithorax.lung(x, y, z, cavity)
        inside = lung < -tree.radius_S - 1.0
        beside_air = (lung > cavity[0] + 0.5) & (cavity[0] < tree.radius_S + 1.0)
        keep &= inside | (~beside_air & (cavity[1] < -25))  # at the hilum they come out of the mediastinum
    return Tree(tree.start_S3[keep], tree.end_S3[keep], tree.radius_S[keep])
