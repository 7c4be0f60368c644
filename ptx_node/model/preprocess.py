"""From source pixels to the network's square input, and exactly back. Training and the node use the same functions.

Both directions treat pixels as squares whose centres lie at half-integer places (no aligned corners), so that a mask lands where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

HU_RANGE = (-1050.0, 150.0)
"""Hounsfield units that become 0 and 1: air is told from lung, everything denser than soft tissue is one."""
MIN_STD = 0.02


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a source picture lies in a square input: scaled with its aspect kept, centred, padded.

    Attributes:
        source: (rows, columns) of the source.
        scaled: (rows, columns) of the source inside the square.
        offset: (row, column) of its top left corner.
        size: edge of the square.
    """

    source: tuple[int, int]
    scaled: tuple[int, int]
    offset: tuple[int, int]
    size: int

    @classmethod
    def fit(cls, source: tuple[int, int], size: int) -> Letterbox:
        """The largest centred place of a source of this shape."""
        longest = max(source)
        scaled = max(1, round(source[0] * size / longest)), max(1, round(source[1] * size / longest))
        return cls(source, scaled, ((size - scaled[0]) // 2, (size - scaled[1]) // 2), size)

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the square that hold the picture."""
        return slice(self.offset[0], self.offset[0] + self.scaled[0]), slice(self.offset[1], self.offset[1] + self.scaled[1])


def shrink(image_HW: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize by area-weighted bilinear interpolation (every source pixel counts when it shrinks)."""
    if image_HW.shape == shape:
        return image_HW
    source = torch.from_numpy(np.ascontiguousarray(image_HW))[None, None]
    small = torch.nn.functional.interpolate(source, size=shape, mode="bilinear", align_corners=False, antialias=True)
    return np.asarray(small[0, 0].numpy(), dtype=np.float32)


def radiograph_input(image_HW: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], Letterbox]:
    """The square input of a radiograph in 0..1: zero mean and unit deviation over the picture, 0 in the padding."""
    box = Letterbox.fit((image_HW.shape[0], image_HW.shape[1]), size)
    small_HW = shrink(image_HW, box.scaled)
    square = np.zeros((size, size), dtype=np.float32)
    square[box.window] = (small_HW - small_HW.mean()) / max(float(small_HW.std()), MIN_STD)
    return square, box


def slice_input(hu_HW: NDArray[np.int16], size: int) -> tuple[NDArray[np.float32], Letterbox]:
    """The square input of one CT slice: `HU_RANGE` to -1..1, air in the padding."""
    box = Letterbox.fit((hu_HW.shape[0], hu_HW.shape[1]), size)
    low, high = HU_RANGE
    scaled = np.clip((hu_HW.astype(np.float32) - low) * (2 / (high - low)) - 1, -1, 1)
    square = np.full((size, size), -1, dtype=np.float32)
    square[box.window] = shrink(np.ascontiguousarray(scaled, dtype=np.float32), box.scaled)
    return square, box


def to_source(logits_HW: torch.Tensor, box: Letterbox) -> torch.Tensor:
    """Logits of the square, on the source grid: the inverse of the geometry above, then the caller's threshold."""
    inside = logits_HW[box.window].float()[None, None]
    return torch.nn.functional.interpolate(inside, size=box.source, mode="bilinear", align_corners=False)[0, 0]
