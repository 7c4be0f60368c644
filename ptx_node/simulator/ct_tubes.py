"""Thin long things cut by a slice: vessels as dots and branches, ribs as ovals with a bright rim, catheters as rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.ct_frame import Frame

MOST_ELEMENTS = 400_000
"""Pixels of patches worked on at once, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Share of each pixel that lies in a tube (wall and core together) and in its core, 0 to 1."""

    whole_HW: Plane
    core_HW: Plane | None


def cut(tubes: Tubes, frame: Frame) -> Cut | None:
    """Where these tubes meet this plane; None where they do not."""
    start, end = frame.seen(tubes.start_S3), frame.seen(tubes.end_S3)
    edge = np.float32(frame.pixel_mm)
    reach = tubes.half_S2.max(axis=1) + edge
    low, high = np.minimum(start[:, 2], end[:, 2]) - reach, np.maximum(start[:, 2], end[:, 2]) + reach
    keep = np.flatnonzero((low < 0) & (high > 0))
    if not len(keep):
        return None
    pieces = _Pieces.of(tubes, keep, (start[keep], end[keep]), frame)
    whole = np.zeros(frame.columns**2, dtype=np.float32)
    core = np.zeros_like(whole) if np.isfinite(tubes.wall_mm) else None
    for group, box in pieces.groups(frame):
        _draw(pieces, group, box, frame, (whole, core, tubes.wall_mm))
    shape = (frame.columns, frame.columns)
    return Cut(whole.reshape(shape), core.reshape(shape) if core is not None else None)


def lay(tubes: Tubes, planes: Sequence[Frame], hu: Plane, free: Plane | None = None) -> Plane | None:
    """Draw tubes into a slice averaged over these planes, in place: wall, then core.

    Args:
        tubes: of one kind.
        planes: of one slice.
        hu: the slice so far.
        free: share of each pixel that the tubes may take; all where it is None.

    Returns:
        The share of each pixel that they take; None where they do not meet the slice.
    """
    cuts = [one for one in (cut(tubes, plane) for plane in planes) if one is not None]
    if not cuts:
        return None
    part = np.float32(1 / len(planes))
    whole = np.asarray(sum((one.whole_HW for one in cuts[1:]), cuts[0].whole_HW) * part, dtype=np.float32)
    if free is not None:
        whole *= free
    hu += whole * (np.float32(tubes.hu) - hu)
    cores = [one.core_HW for one in cuts if one.core_HW is not None]
    if cores:
        core = sum(cores[1:], cores[0]) * part
        hu += np.minimum(core, whole) * np.float32(tubes.core_hu - tubes.hu)
    return whole


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces near the plane in the frame's millimetres: start, run, unit directions of the two half axes, the half axes."""

    start_S3: Plane
    run_S3: Plane
    first_S3: Plane
    second_S3: Plane
    half_S2: Plane
    box_S4: NDArray[np.int32]
    round_S: NDArray[np.bool_]

    @classmethod
    def of(cls, tubes: Tubes, keep: NDArray[np.intp], ends: tuple[Plane, Plane], frame: Frame) -> _Pieces:
        start, end = ends
        run = end - start
        half = tubes.half_S2[keep].astype(np.float32)
        turn = frame.axes_33.T.astype(np.float32)
        along = run / np.maximum(np.linalg.norm(run, axis=1, keepdims=True), np.float32(1e-6))
        first = _square_to(along, tubes.up_S3[keep].astype(np.float32) @ turn)
        second = np.cross(along, first).astype(np.float32)
        reach = half.max(axis=1) + np.float32(frame.pixel_mm)
        rise = np.where(np.abs(run[:, 2]) < 1e-4, np.float32(1e-4), run[:, 2])
        near = np.clip((-reach - start[:, 2]) / rise, 0, 1)
        far = np.clip((reach - start[:, 2]) / rise, 0, 1)
        a, b = start + near[:, None] * run, start + far[:, None] * run
        low = np.floor((np.minimum(a, b)[:, :2] - reach[:, None]) / frame.pixel_mm)
        high = np.ceil((np.maximum(a, b)[:, :2] + reach[:, None]) / frame.pixel_mm)
        box = np.concatenate([low, high], axis=1).astype(np.int32)
        return cls(start, run, first, second, half, box, np.abs(half[:, 0] - half[:, 1]) < 1e-3)

    def groups(self, frame: Frame) -> Iterable[tuple[NDArray[np.intp], tuple[int, int]]]:
        """Pieces of one shape whose patches have one size in pixels (wide, high), a manageable number at a time."""
        box = self.box_S4
        inside = (box[:, 2] >= 0) & (box[:, 3] >= 0) & (box[:, 0] < frame.columns) & (box[:, 1] < frame.columns)
        size = np.maximum(box[:, 2:] - box[:, :2] + 1, 4)
        size = np.ceil(2 ** (np.ceil(2 * np.log2(size)) / 2)).astype(np.int32)
        kinds = np.concatenate([size, self.round_S[:, None]], axis=1)
        for wide, high, whether in np.unique(kinds[inside], axis=0):
            group = np.flatnonzero(inside & (kinds == (wide, high, whether)).all(axis=1))
            some = max(1, MOST_ELEMENTS // int(wide * high))
            for first in range(0, len(group), some):
                yield group[first : first + some], (int(wide), int(high))


def _square_to(along_S3: Plane, up_S3: Plane) -> Plane:
    """The direction nearest to `up` that is square to the piece; round tubes give any direction, even their own."""
    first = up_S3 - along_S3 * (along_S3 * up_S3).sum(axis=1, keepdims=True)
    size = np.linalg.norm(first, axis=1, keepdims=True)
    spare = np.stack([-along_S3[:, 1] - along_S3[:, 2], along_S3[:, 0], along_S3[:, 0]], axis=1)
    spare = np.where(np.abs(along_S3[:, :1]) < 0.1, np.array([[1, 0, 0]], dtype=np.float32), spare)
    spare = spare - along_S3 * (along_S3 * spare).sum(axis=1, keepdims=True)
    first = np.where(size > 0.1, first, spare)
    return np.asarray(first / np.linalg.norm(first, axis=1, keepdims=True), dtype=np.float32)


def _draw(pieces: _Pieces, group: NDArray[np.intp], box: tuple[int, int], frame: Frame, into: tuple[Plane, Plane | None, float]) -> None:
    """Raise the shares where these pieces lie; touching pieces of one tube are one."""
    column = pieces.box_S4[group, 0][:, None] + np.arange(box[0], dtype=np.int32)
    row = pieces.box_S4[group, 1][:, None] + np.arange(box[1], dtype=np.int32)
    start, run = pieces.start_S3[group], pieces.run_S3[group]
    pixel = np.float32(frame.pixel_mm)
    point = (column * pixel - start[:, :1])[:, None, :], (row * pixel - start[:, 1:2])[:, :, None], -start[:, 2][:, None, None]
    length = np.sqrt(np.maximum((run * run).sum(axis=1), np.float32(1e-6)))[:, None, None]
    ahead = _along(point, run) / length
    over = ahead - np.clip(ahead, 0, length)
    half = pieces.half_S2[group][:, :, None, None]
    cap = np.minimum(half.min(axis=1), length)  # ends are round, but a disc stays flat
    if pieces.round_S[group[0]]:
        x, y, z = point
        aside = np.maximum((x * x + z * z) + y * y - ahead * ahead, 0)
        across: tuple[Plane, ...] = (np.asarray(aside, dtype=np.float32),)
    else:
        across = _along(point, pieces.first_S3[group]), _along(point, pieces.second_S3[group])
    whole, core, wall_mm = into
    inside = (column >= 0) & (column < frame.columns), (row >= 0) & (row < frame.columns)
    place = np.clip(row, 0, frame.columns - 1)[:, :, None] * frame.columns + np.clip(column, 0, frame.columns - 1)[:, None, :]
    valid = inside[1][:, :, None] & inside[0][:, None, :]
    _raise(whole, place, _share(across, over, (half, cap), pixel) * valid)
    if core is not None:
        inner = np.maximum(half - np.float32(wall_mm), np.float32(0.05))
        _raise(core, place, _share(across, over, (inner, np.minimum(cap, inner.min(axis=1))), pixel) * valid)


def _along(point: tuple[Plane, Plane, Plane], direction_S3: Plane) -> Plane:
    """Inner product of every point with its piece's direction."""
    x, y, z = point
    dx, dy, dz = (direction_S3[:, axis][:, None, None] for axis in range(3))
    return np.asarray(y * dy + (x * dx + z * dz), dtype=np.float32)


def _share(across: tuple[Plane, ...], over: Plane, size: tuple[Plane, Plane], edge: np.float32) -> Plane:
    """Share inside a section, by a distance that is right near its surface.

    Args:
        across: squared distance from a round piece's line, or the two distances along an ellipse's axes.
        over: distance beyond the piece's ends.
        size: half axes (S, 2, 1, 1), and how far the rounded ends reach (S, 1, 1).
        edge: width of the step at the surface, mm.
    """
    half, cap = size
    a, b = half[:, 0], half[:, 1]
    if len(across) == 1:
        beyond = over * (a / cap)
        distance = np.sqrt(across[0] + beyond * beyond) - a
    else:
        qa, qb, qc = across[0] / a, across[1] / b, over / cap
        q = np.sqrt(qa * qa + (qb * qb + qc * qc))
        steep = np.sqrt((qa / a) ** 2 + ((qb / b) ** 2 + (qc / cap) ** 2)) / np.maximum(q, np.float32(1e-3))
        distance = np.maximum((q - 1) / np.maximum(steep, 1 / np.maximum(a, b)), -np.minimum(a, b))
    return np.asarray(np.clip(np.float32(0.5) - distance / edge, 0, 1), dtype=np.float32)


def _raise(into: Plane, place: NDArray[np.int32], share: Plane) -> None:
    some = share > 0
    np.maximum.at(into, place[some], share[some])
