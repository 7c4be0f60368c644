"""Finds all pairs of pictures that are alike among a hundred thousand: codes first, then the details of those few that are left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.stats.fingerprint import BITS, PLACES, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from training.stats.fingerprint import Codes

RADIUS = 10
"""Bits of the first word, the perceptual hash, in which near duplicates may differ (Hamming distance)."""
RADIUS_ALL = 34
"""The same for all words together."""
ALIKE = 0.88
"""Correlation of details from which on two pictures are called near duplicates. Other simulated patients reach 0.81."""
BLOCK = 64
"""Rows of the comparison at a time: memory stays flat."""
PAIRS = 2048
MIRROR = np.array(
    [sum(1 << bit for bit, (_, v) in enumerate(PLACES[word * BITS : (word + 1) * BITS]) if v % 2) for word in range(WORDS)], dtype=np.uint64
)
"""The bits that change when a picture is mirrored left to right."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that are alike, by their rows; `how` is `same`, `inverted`, `mirrored` or `mirrored and inverted`."""

    first: int
    second: int
    bits: int
    correlation: float
    how: str


def near_pairs(codes_NW: Codes, details_NHW: NDArray[np.int8], rows_N: NDArray[np.int64]) -> list[Pair]:
    """All pairs with near codes and the same details, in order; of each pair the way in which they agree best.

    `rows_N` is the place in `details_NHW` of each code; pairs are given by it.
    """
    best: dict[tuple[int, int], Pair] = {}
    for mirrored, inverted, places, bits in _near_codes(codes_NW):
        how = " and ".join(word for word, applies in (("mirrored", mirrored), ("inverted", inverted)) if applies) or "same"
        for start in range(0, len(places), PAIRS):
            some = rows_N[places[start : start + PAIRS]]
            agreement = _correlations(details_NHW, some, mirrored=mirrored) * (-1 if inverted else 1)
            for index in np.flatnonzero(agreement >= ALIKE).tolist():
                first, second = (int(place) for place in some[index])
                pair = Pair(first, second, int(bits[start + index]), round(float(agreement[index]), 4), how)
                if (first, second) not in best or best[first, second].correlation < pair.correlation:
                    best[first, second] = pair
    return [best[key] for key in sorted(best)]


def _near_codes(codes_NW: Codes) -> Iterator[tuple[bool, bool, NDArray[np.int64], NDArray[np.uint8]]]:
    """(mirrored, inverted, pairs of rows with first < second, differing bits of the first word), block after block."""
    first_N = np.ascontiguousarray(codes_NW[:, 0])
    for start in range(0, len(codes_NW), BLOCK):
        rows = first_N[start : start + BLOCK, None]
        for mirrored in (False, True):
            bits_BN = np.bitwise_count(rows ^ (MIRROR[0] if mirrored else np.uint64(0)) ^ first_N[None, start:])
            # At most RADIUS bits, or all but so many, in one comparison of bytes: small numbers wrap to large ones.
            near = np.flatnonzero(bits_BN - np.uint8(RADIUS + 1) >= BITS - 2 * RADIUS - 1)
            places = np.stack(np.divmod(near, bits_BN.shape[1]), axis=1)
            bits = bits_BN.ravel()[near]
            for inverted in (False, True):
                kept = (places[:, 1] > places[:, 0]) & ((bits > RADIUS) == inverted)
                some, of_some = places[kept] + start, bits[kept]
                whole = _all_bits(codes_NW, some, mirrored=mirrored)
                close = whole >= BITS * WORDS - RADIUS_ALL if inverted else whole <= RADIUS_ALL
                if close.any():
                    yield mirrored, inverted, some[close], BITS - of_some[close] if inverted else of_some[close]


def _all_bits(codes_NW: Codes, places: NDArray[np.int64], *, mirrored: bool) -> NDArray[np.int64]:
    turned = MIRROR if mirrored else np.zeros_like(MIRROR)
    return np.asarray(np.bitwise_count(codes_NW[places[:, 0]] ^ turned ^ codes_NW[places[:, 1]]).sum(axis=1, dtype=np.int64))


def _correlations(details_NHW: NDArray[np.int8], places: NDArray[np.int64], *, mirrored: bool) -> NDArray[np.float64]:
    one = details_NHW[places[:, 0]].astype(np.float32)
    other = details_NHW[places[:, 1]].astype(np.float32)
    if mirrored:
        other = other[:, :, ::-1]
    one, other = one.reshape(len(one), -1), np.ascontiguousarray(other).reshape(len(other), -1)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(np.einsum("ij,ij->i", one, other) / np.maximum(lengths, 1e-6), dtype=np.float64)
