"""Tells whether two pictures are the same exposure: a digest of the pixels, a code of signs, and fine details to be sure.

The code holds the signs of cosine coefficients of the evened small picture: a perceptual hash of 64 bits and two more words of higher
frequencies. Compression, resizing and any rising grey scale leave nearly all of them; mirroring turns those of the odd columns, inversion
turns all. The first words of all pairs are compared outright (`alike`): 100,000 pictures take 17 s of one core, whatever
their distribution. An index of bands would have to bear that all chests look alike at low frequencies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import fft, ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Small = NDArray[np.uint8]
    Codes = NDArray[np.uint64]

EDGE = 64
"""Rows and columns of the small picture."""
BITS, WORDS = 64, 3
PLACES = sorted(((u, v) for u in range(EDGE) for v in range(EDGE) if u + v >= 8), key=lambda place: (sum(place), place))[: BITS * WORDS]
"""Below these frequencies lies what all chests share."""
_TAKEN = tuple(np.array(PLACES).T)
MAX_DETAIL = 127


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is kept of a picture to compare it with others.

    Attributes:
        small: `EDGE` x `EDGE`, stretched from the 1st to the 99th percentile.
        details: what is finer than a rib's distance, int8, `EDGE` x `EDGE`.
        code: `WORDS` words of 64 bits.
        contrast: standard deviation of the small picture before it was stretched, 0..1.
        symmetry, middle: see `symmetry` and `middle`.
    """

    small: Small
    details: NDArray[np.int8]
    code: Codes
    contrast: float
    symmetry: float
    middle: float


def pixel_digest(pixels_HW: NDArray[Any]) -> bytes:
    """SHA-256 over shape and values, the same for 8-bit values in 16-bit words, in a DICOM file or a PNG."""
    values = pixels_HW.astype(np.uint8) if pixels_HW.dtype.kind == "u" and pixels_HW.max(initial=0) < 256 else pixels_HW
    head = f"{values.shape[0]}x{values.shape[1]}:{values.dtype.kind}{values.dtype.itemsize};".encode()
    return hashlib.sha256(head + np.ascontiguousarray(values).tobytes()).digest()


def fingerprint(image_HW: NDArray[Any]) -> Fingerprint:
    """Of a picture of any size in 0..1. Its aspect does not count."""
    small, contrast = small_picture(image_HW)
    return Fingerprint(small, details(small), sign_code(small), contrast, symmetry(small), middle(small))


def small_picture(image_HW: NDArray[Any]) -> tuple[Small, float]:
    """The picture as `EDGE` x `EDGE`, stretched; and its deviation before that."""
    whole = Image.fromarray(np.ascontiguousarray(image_HW, dtype=np.float32))
    small = np.asarray(whole.resize((EDGE, EDGE), Image.Resampling.BOX))
    low, high = np.percentile(small, (1, 99))
    stretched = np.clip((small - low) / max(float(high - low), 1e-6), 0, 1)
    return np.asarray(np.round(stretched * 255), dtype=np.uint8), float(small.std())


def small_mask(mask_HW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The share of mask in each field of `EDGE` x `EDGE`."""
    whole = Image.fromarray(mask_HW.astype(np.float32))
    return np.asarray(whole.resize((EDGE, EDGE), Image.Resampling.BOX), dtype=np.float32)


def evened(small: Small) -> NDArray[np.float64]:
    """Each pixel's rank, -0.5..0.5: the same whatever rising curve a window or a vendor's processing puts over the picture."""
    counts = np.bincount(small.ravel(), minlength=256)
    ranks = (np.cumsum(counts) - counts / 2) / small.size - 0.5
    return np.asarray(ranks[small], dtype=np.float64)


def sign_code(small: Small) -> Codes:
    """Signs of the cosine coefficients, lowest frequencies in the first word."""
    signs = fft.dctn(evened(small), norm="ortho")[_TAKEN] > 0
    return np.packbits(signs, bitorder="little").view("<u8").astype(np.uint64)


def details(small: Small) -> NDArray[np.int8]:
    """What tells one patient from another; letters burned in do not outweigh it."""
    values = evened(small)
    fine = values - ndimage.uniform_filter(values, 7)
    bound = max(2.0 * float(np.abs(fine).mean()), 1e-9)
    return np.asarray(np.round(np.clip(fine / bound, -1, 1) * MAX_DETAIL), dtype=np.int8)


def symmetry(small: Small) -> float:
    """How well the left half mirrors the right one about the best of the middle columns, -1..1.

    Each row counts from its own mean: that a chest is dark above the belly says nothing of the view.
    """
    smooth = ndimage.gaussian_filter(evened(small), 1.5)[EDGE // 8 : EDGE - EDGE // 4]
    best = -1.0
    for axis in range(EDGE // 2 - EDGE // 8, EDGE // 2 + EDGE // 8 + 1):
        width = min(EDGE // 3, axis, EDGE - axis)
        left, right = smooth[:, axis - width : axis], smooth[:, axis : axis + width][:, ::-1]
        mean = (left.mean(axis=1, keepdims=True) + right.mean(axis=1, keepdims=True)) / 2
        one, other = left - mean, right - mean
        length = float(np.sqrt((one**2).sum() * (other**2).sum()))
        best = max(best, float((one * other).sum()) / length if length > 0 else 0.0)
    return best


def middle(small: Small) -> float:
    """How much brighter the middle of the chest is than the brighter of the fields beside it, in ranks -1..1: the mediastinum."""
    smooth = ndimage.gaussian_filter(evened(small), 1.0)[EDGE * 7 // 32 : EDGE * 19 // 32]
    best = -1.0
    for axis in range(EDGE // 2 - EDGE // 8, EDGE // 2 + EDGE // 8 + 1):
        centre = smooth[:, axis - 3 : axis + 3].mean()
        left, right = smooth[:, axis - 20 : axis - 8].mean(), smooth[:, axis + 8 : axis + 20].mean()
        best = max(best, float(min(centre - left, centre - right)))
    return best
