"""Coarse and fine grids over the same field of view. Much of a radiograph is smooth, and costs less on a coarse grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.curves import Plane


def finer(coarse_HW: Plane, shape: tuple[int, ...]) -> Plane:
    """A coarse picture on a finer grid with the same centre, linearly; a coarse pixel is a whole number of fine ones wide."""
    by = max(1, round(shape[0] / coarse_HW.shape[0]))
    if by == 1 and coarse_HW.shape == tuple(shape):
        return coarse_HW
    tall = _along_rows(coarse_HW, shape[0], by)
    return np.ascontiguousarray(_along_rows(np.ascontiguousarray(tall.T), shape[1], by).T)


def _along_rows(coarse: Plane, number: int, by: int) -> Plane:
    at = (np.arange(number, dtype=np.float32) - (number - 1) / 2) / by + (coarse.shape[0] - 1) / 2
    at = np.clip(at, 0, coarse.shape[0] - 1)
    low = np.minimum(at.astype(np.int32), max(0, coarse.shape[0] - 2))
    share = (at - low).astype(np.float32)[:, None]
    first: Plane = coarse[low]
    if coarse.shape[0] > 1:
        first += share * (coarse[low + 1] - first)
    return first


def smaller(fine_HW: Plane, by: int) -> Plane:
    """Means over squares of so many pixels; an incomplete square repeats the last pixels."""
    if by == 1:
        return fine_HW
    rest = [-size % by for size in fine_HW.shape]
    if any(rest):
        before = [one // 2 for one in rest]
        fine_HW = np.pad(fine_HW, [(one, all_ - one) for one, all_ in zip(before, rest, strict=True)], mode="edge")
    rows = np.add.reduceat(fine_HW, np.arange(0, fine_HW.shape[0], by), axis=0)
    return np.asarray(rows.reshape(rows.shape[0], -1, by).sum(axis=2) / np.float32(by * by), dtype=np.float32)
