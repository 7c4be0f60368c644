"""Where the lungs are in a frontal radiograph, found in the picture alone: dark fields inside the bright body.

Classical, as segmentations before learned ones were: smoothing, a threshold between the fields and the rest (Otsu), parts that touch the
picture's edge taken away, the two largest parts kept; then a box with generous margins, since a pneumothorax lies at the edge.
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
MARGIN = (0.10, 0.10)
"""Added above and below, left and right, as part of the box."""
LEAST_PART = 0.02
"""Of the picture: a smaller dark part is no lung."""
LEAST_BOX = (0.35, 0.40)
"""Of the picture's height and width: a smaller box is a mistake, and the whole picture is kept."""


def lung_window(image_HW: NDArray[np.float32]) -> tuple[slice, slice]:
    """Rows and columns of the lung fields with a margin; all of the picture where they cannot be told."""
    rows, columns = image_HW.shape
    step = max(1, rows // ROWS)
    small_HW = ndimage.uniform_filter(image_HW, step)[step // 2 :: step, step // 2 :: step] if step > 1 else image_HW
    lungs = lung_fields(small_HW)
    whole = slice(0, rows), slice(0, columns)
    if not lungs.any():
        return whole
    window = []
    for axis, length in ((0, rows), (1, columns)):
        places = np.flatnonzero(lungs.any(axis=1 - axis))
        first, end = int(places[0]) * step, (int(places[-1]) + 1) * step
        margin = round(MARGIN[axis] * (end - first))
        window.append(slice(max(0, first - margin), min(length, end + margin)))
        if window[-1].stop - window[-1].start < LEAST_BOX[axis] * length:
            return whole
    return window[0], window[1]


def lung_fields(small_HW: NDArray[np.float32]) -> Bits:
    """Rough lung fields of a small picture; empty where there are none."""
    smooth = ndimage.gaussian_filter(small_HW, small_HW.shape[0] / 64)
    rows, columns = smooth.shape
    inner = slice(rows // 16, rows - rows // 16), slice(columns // 16, columns - columns // 16)
    dark = smooth < otsu(smooth[inner])
    dark = ndimage.binary_opening(dark, iterations=max(1, rows // 96))
    labels, count = ndimage.label(dark & ~_outside(dark))
    if count == 0:
        return np.zeros_like(dark)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    kept = [int(index) + 1 for index in np.argsort(sizes)[::-1][:2] if sizes[index] > LEAST_PART * dark.size]
    return np.asarray(np.isin(labels, kept), dtype=np.bool_)


def _outside(dark: Bits) -> Bits:
    """Air beside the patient: dark parts joined to the picture's edge.

    A lung may be joined to that air by a thin bridge (apex, dark shoulder), so the search from the edge goes through shrunken parts.
    """
    thinner = ndimage.binary_erosion(dark, iterations=max(2, dark.shape[0] // 48), border_value=1)
    labels, _ = ndimage.label(thinner)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    seeds = np.isin(labels, edge[edge > 0])
    return np.asarray(ndimage.binary_dilation(seeds, iterations=max(3, dark.shape[0] // 32), mask=dark), dtype=np.bool_)


def otsu(values: NDArray[np.float32], bins: int = 128) -> float:
    """The threshold that parts the values into the two groups that differ most (Otsu, IEEE Trans SMC 9:62, 1979)."""
    counts, edges = np.histogram(values, bins)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(middles[int(np.nanargmax(between[:-1]))])
