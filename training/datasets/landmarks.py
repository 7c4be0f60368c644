"""Histogram standardisation by landmarks (Nyúl, Udupa and Zhang, IEEE Trans Med Imaging 19:143, 2000).

Percentiles 1, 10, 20 … 90, 99 of a picture are moved to fixed brightnesses, linearly in between. It undoes any rising curve that a
vendor's processing puts over the same picture, without touching which of two places is brighter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
BORDER = 0.08
"""Part of each edge that is left out: collimator, letters and air beside the patient are no anatomy."""
LEAST_STEP = 1e-4


def landmarks_of(image_HW: NDArray[np.float32]) -> NDArray[np.float64]:
    """Brightness at each of `PERCENTILES` in the inner part of the picture."""
    rows, columns = image_HW.shape
    inner = image_HW[int(rows * BORDER) : rows - int(rows * BORDER), int(columns * BORDER) : columns - int(columns * BORDER)]
    step = max(1, round((inner.size / 250_000) ** 0.5))  # a quarter of a million pixels tell the percentiles well enough
    return np.asarray(np.percentile(inner[::step, ::step], PERCENTILES), dtype=np.float64)


def learn(images: Iterable[NDArray[np.float32]]) -> tuple[float, ...]:
    """The reference of these pictures: the mean of their landmarks, after the outermost of each are moved to the common mean range."""
    all_NL = np.array([landmarks_of(image_HW) for image_HW in images])
    low, high = all_NL[:, 0].mean(), all_NL[:, -1].mean()
    spans_N = np.maximum(all_NL[:, -1] - all_NL[:, 0], LEAST_STEP)
    same_NL = low + (all_NL - all_NL[:, :1]) / spans_N[:, None] * (high - low)
    return tuple(round(float(value), 4) for value in same_NL.mean(axis=0))


def standardised(image_HW: NDArray[np.float32], reference: tuple[float, ...]) -> NDArray[np.float32]:
    """The picture with its landmarks at the reference; beyond the outermost ones the outermost slopes go on, clipped to 0..1."""
    found = landmarks_of(image_HW)
    found = np.maximum.accumulate(found + np.arange(found.size) * LEAST_STEP)  # flat stretches get a slope
    target = np.asarray(reference)
    low_slope = (target[1] - target[0]) / (found[1] - found[0])
    high_slope = (target[-1] - target[-2]) / (found[-1] - found[-2])
    places = np.concatenate([[found[0] - 1], found, [found[-1] + 1]])
    heights = np.concatenate([[target[0] - low_slope], target, [target[-1] + high_slope]])
    return np.asarray(np.clip(np.interp(image_HW, places, heights), 0, 1), dtype=np.float32)
