"""Where the lungs are in a frontal radiograph, found in the picture alone: what is darker than its wide surroundings, left and right.

Classical, as segmentations before learned ones were: smoothing, difference to a wide mean (which makes exposure and window indifferent),
and of the dark parts of each half the one that lies where lungs lie. Then a box with generous margins, since a pneumothorax is at the edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.bool_]

ROWS = 192
"""The search is done on a small copy of about so many rows."""
MARGIN = (0.10, 0.12)
"""Added above and below, left and right, as part of the box: the fields found stop short of apex, wall and recess."""
EXPECTED = ((0.30, 0.0, 0.5), (0.70, 0.5, 1.0))
"""Of each lung: middle, first and last column, as part of the picture's width."""
MIDDLE_ROW, SPREAD = 0.42, (0.20, 0.14)
LEAST_FIELD = 0.02
"""Of the picture: a smaller dark part is no lung."""
LEAST_DARKER = 0.04
"""Mean brightness by which a lung is darker than its surroundings."""
LEAST_BOX = (0.35, 0.40)
"""Of the picture's height and width: a smaller box is a mistake, and the whole picture is kept."""
BLACK = 0.06
"""Brightness below which what reaches the picture's edge is no body."""


def lung_window(image_HW: NDArray[np.float32]) -> tuple[slice, slice]:
    """Rows and columns of the lung fields with a margin; all of the picture where not both can be told."""
    rows, columns = image_HW.shape
    whole = slice(0, rows), slice(0, columns)
    step = max(1, round(rows / ROWS))
    small_HW = ndimage.uniform_filter(image_HW, step)[step // 2 :: step, step // 2 :: step] if step > 1 else image_HW
    fields = lung_fields(small_HW)
    if len(fields) < len(EXPECTED):
        return whole
    both, window = np.logical_or(*fields), []
    for axis, length in ((0, rows), (1, columns)):
        places = np.flatnonzero(both.any(axis=1 - axis))
        first, end = int(places[0]) * step, (int(places[-1]) + 1) * step
        if end - first < LEAST_BOX[axis] * length:
            return whole
        margin = round(MARGIN[axis] * (end - first))
        window.append(slice(max(0, first - margin), min(length, end + margin)))
    return window[0], window[1]


def lung_fields(small_HW: NDArray[np.float32]) -> list[Bits]:
    """The rough lung field of each half of a small picture, left of the picture first; a half without one is left out."""
    rows, columns = small_HW.shape
    inside = ~_frame(small_HW)
    wide = (rows / 5, columns / 5)
    share = np.maximum(ndimage.gaussian_filter(inside.astype(np.float32), wide, mode="nearest"), 1e-3)
    around = ndimage.gaussian_filter(small_HW * inside, wide, mode="nearest") / share
    darker = around - ndimage.gaussian_filter(small_HW, rows / 70)
    dark = ndimage.binary_opening((darker > 0) & inside, iterations=max(1, rows // 90))
    v, u = (np.arange(rows)[:, None] + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    found = []
    for middle, first, last in EXPECTED:
        half = ndimage.binary_opening(dark & (u >= first) & (u < last), iterations=max(1, rows // 60))
        labels, count = ndimage.label(half)
        if count == 0:
            continue
        expected = np.exp(-(((u - middle) / SPREAD[1]) ** 2) / 2 - ((v - MIDDLE_ROW) / SPREAD[0]) ** 2 / 2)
        weights = ndimage.sum_labels(expected * np.clip(darker, 0, 0.2), labels, np.arange(1, count + 1))
        field = labels == 1 + int(np.argmax(weights))
        if field.mean() > LEAST_FIELD and darker[field].mean() > LEAST_DARKER:
            found.append(np.asarray(field, dtype=np.bool_))
    return found


def _frame(small_HW: NDArray[np.float32]) -> Bits:
    """Black that reaches the picture's edge: collimator, and air beside the patient. It would make everything else look bright."""
    labels, _ = ndimage.label(small_HW < BLACK)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.asarray(np.isin(labels, edge[edge > 0]), dtype=np.bool_)
