"""How large each half of the chest is on CT, from Hounsfield units alone: what a pneumothorax is a share of.

No network: air inside the body, large connected parts, parted into two sides, vessels closed. What is not aerated (effusion, a dense
consolidation at the wall) is not counted, so that a share beside much fluid is too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ptx_node.domain.finding import Laterality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GRID_MM = 3.0
"""Everything is done on blocks of about this edge: a hemithorax is some litres."""
BODY_HU = -300
AIR_HU = -320
"""Mean of a block under which it is lung or pleural air."""
SMALL = 0.10
"""Parts of the air under this share of the largest are no lung: stomach, bowel, air under the skin."""
SIDE_SHARE = 0.08
"""A part is a side's seed from this share of all air: a collapsed lung with much pleural air around it is still far more."""
MOST_EROSION_MM = 24.0
APART = 0.25
"""Two seeds are two sides if their middles are so far apart, as a share of the body's width; else they are lobes of one lung."""
CORE_MM = 6.0
GAS_HU = -940
"""Small parts that hang on by less than twice `CORE_MM` and are nothing but gas are the stomach's or the bowel's. (A pocket of pleural
air that goes the same way is counted again with the mask that shows it.)"""
CLOSED_MM = 6.0
"""Half the width of vessels and fissures that are counted to the lung around them."""


@dataclass(frozen=True, slots=True)
class Hemithoraces:
    """Both sides on the coarse grid.

    Attributes:
        sides_ZHW: 0 outside, 1 the patient's right, 2 the left.
        voxel_ml: volume of one block.
        factors: source voxels of one block along (slices, rows, columns).
    """

    sides_ZHW: NDArray[np.uint8]
    voxel_ml: float
    factors: tuple[int, int, int]

    def volume_ml(self, side: Laterality) -> float:
        """Volume of one side, 0 where it was not found."""
        return float(np.count_nonzero(self.sides_ZHW == _NUMBERS[side])) * self.voxel_ml


_NUMBERS = {Laterality.RIGHT: 1, Laterality.LEFT: 2}


def hemithoraces(hu_ZHW: NDArray[np.int16], spacing_mm: Sequence[float], *, to_left: bool = True) -> Hemithoraces:
    """Both halves of the chest.

    Args:
        hu_ZHW: axial slices.
        spacing_mm: between slices, rows and columns.
        to_left: whether columns grow to the patient's left.
    """
    factors = tuple(max(1, round(GRID_MM / step)) for step in spacing_mm)
    coarse_mm = np.array([step * factor for step, factor in zip(spacing_mm, factors, strict=True)])
    small_ZHW = _blocks(hu_ZHW, factors)
    body_ZHW = _body(small_ZHW)
    air_ZHW = _without_bubbles(_large_parts(body_ZHW & (small_ZHW < AIR_HU)), small_ZHW, coarse_mm)
    width = np.ptp(np.flatnonzero(body_ZHW.any(axis=(0, 1)))) if body_ZHW.any() else 0
    seeds_ZHW = _seeds(air_ZHW, coarse_mm, apart=APART * float(width), to_left=to_left)
    sides_ZHW = np.zeros(air_ZHW.shape, dtype=np.uint8)
    if seeds_ZHW.any():
        nearest = _nearest(seeds_ZHW, coarse_mm)
        for number in (1, 2):
            part = air_ZHW & (nearest == number)
            if part.any():
                sides_ZHW[_closed(part, coarse_mm) & body_ZHW & (sides_ZHW == 0)] = number
    return Hemithoraces(sides_ZHW, float(coarse_mm.prod()) / 1000, (factors[0], factors[1], factors[2]))


def hemithorax_shares(
    hu_ZHW: NDArray[np.int16], masks: Sequence[NDArray[np.bool_]], spacing_mm: Sequence[float], *, to_left: bool = True
) -> list[dict[Laterality, float]]:
    """Percent of each hemithorax that each mask takes; a side that was not found is left out.

    Args:
        hu_ZHW: axial slices.
        masks: pleural air, on the same grid.
        spacing_mm: between slices, rows and columns.
        to_left: whether columns grow to the patient's left.
    """
    chest = hemithoraces(hu_ZHW, spacing_mm, to_left=to_left)
    if not chest.sides_ZHW.any():
        return [{} for _ in masks]
    nearest = _nearest(chest.sides_ZHW, np.array([step * factor for step, factor in zip(spacing_mm, chest.factors, strict=True)]))
    shares = []
    for mask_ZHW in masks:
        air_ZHW = _blocks(mask_ZHW, chest.factors)
        of_side = {}
        for side, number in _NUMBERS.items():
            inside = chest.sides_ZHW == number
            air = float(air_ZHW[nearest == number].sum())
            outside = float(air_ZHW[(nearest == number) & ~inside].sum())
            if inside.any():
                of_side[side] = 100 * air / (float(np.count_nonzero(inside)) + outside)
        shares.append(of_side)
    return shares


def _blocks(array_ZHW: NDArray[np.generic], factors: Sequence[int]) -> NDArray[np.float32]:
    """Means over blocks; what does not fill a block at the far ends is cut off, but never a whole axis."""
    shape = [max(1, length // factor) for length, factor in zip(array_ZHW.shape, factors, strict=True)]
    steps = [min(length, factor) for length, factor in zip(array_ZHW.shape, factors, strict=True)]
    out = np.empty(shape, dtype=np.float32)
    for z in range(shape[0]):
        slab = array_ZHW[z * steps[0] : (z + 1) * steps[0], : shape[1] * steps[1], : shape[2] * steps[2]]
        out[z] = slab.reshape(slab.shape[0], shape[1], steps[1], shape[2], steps[2]).mean(axis=(0, 2, 4), dtype=np.float32)
    return out


def _body(hu_ZHW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest dense part of each slice with its holes: the couch and the arms beside the body fall away."""
    body_ZHW = np.zeros(hu_ZHW.shape, dtype=bool)
    for index, hu_HW in enumerate(hu_ZHW):
        labels, count = ndimage.label(hu_HW > BODY_HU)
        if count:
            filled = [ndimage.binary_fill_holes(labels == one) for one in np.argsort(np.bincount(labels.ravel())[1:])[::-1][:2] + 1]
            body_ZHW[index] = max(filled, key=np.count_nonzero)
    return body_ZHW


def _large_parts(air_ZHW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(air_ZHW)
    if not count:
        return air_ZHW
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= SMALL * sizes.max())[labels])


def _without_bubbles(air_ZHW: NDArray[np.bool_], hu_ZHW: NDArray[np.float32], voxel_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The stomach lies against the lung with nothing but the dome between, which a block's mean does not show everywhere."""
    labels, count = ndimage.label(ndimage.distance_transform_edt(air_ZHW, sampling=voxel_mm) > CORE_MM)
    if count < 2:  # noqa: PLR2004 - nothing hangs on anything
        return air_ZHW
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    gas = (ndimage.mean(hu_ZHW, labels, numbers) < GAS_HU) & (sizes < SIDE_SHARE * sizes.sum())
    places = ndimage.distance_transform_edt(labels == 0, sampling=voxel_mm, return_distances=False, return_indices=True)
    return np.asarray(air_ZHW & ~np.concatenate([[False], gas])[labels[tuple(places)]])


def _seeds(air_ZHW: NDArray[np.bool_], voxel_mm: NDArray[np.float64], *, apart: float, to_left: bool) -> NDArray[np.uint8]:
    """The cores of the two sides: the air is made thinner from all sides until the trachea and the front junction part it.

    Where it never parts, all of it is one side: that on which most of it lies.
    """
    total = int(np.count_nonzero(air_ZHW))
    seeds = np.zeros(air_ZHW.shape, dtype=np.uint8)
    if not total:
        return seeds
    depth = ndimage.distance_transform_edt(air_ZHW, sampling=voxel_mm)
    right, left = (1, 2) if to_left else (2, 1)
    for erosion_mm in np.arange(0.0, MOST_EROSION_MM + 1, GRID_MM):
        labels, _ = ndimage.label(depth > erosion_mm)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        large = np.flatnonzero(sizes >= SIDE_SHARE * total)
        middles = {int(one): float(np.nonzero(labels == one)[2].mean()) for one in large}
        if middles and max(middles.values()) - min(middles.values()) >= apart > 0:
            border = (min(middles.values()) + max(middles.values())) / 2
            for one, middle in middles.items():
                seeds[labels == one] = right if middle < border else left
            return seeds
        if not large.size:
            break
    seeds[air_ZHW] = right if float(np.nonzero(air_ZHW)[2].mean()) < air_ZHW.shape[2] / 2 else left
    return seeds


def _nearest(sides_ZHW: NDArray[np.uint8], voxel_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """For every block the number of the side that is nearest to it."""
    places = ndimage.distance_transform_edt(sides_ZHW == 0, sampling=voxel_mm, return_distances=False, return_indices=True)
    return np.asarray(sides_ZHW[tuple(places)])


def _closed(part_ZHW: NDArray[np.bool_], voxel_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Without the gaps of vessels and fissures, and without holes in its slices."""
    margin = [int(np.ceil(CLOSED_MM / step)) + 1 for step in voxel_mm]
    padded = np.pad(part_ZHW, [(one, one) for one in margin], mode="edge")
    grown = ndimage.distance_transform_edt(~padded, sampling=voxel_mm) <= CLOSED_MM
    shrunk = ndimage.distance_transform_edt(grown, sampling=voxel_mm) > CLOSED_MM
    inner = shrunk[tuple(slice(one, -one) for one in margin)] | part_ZHW
    return np.stack([ndimage.binary_fill_holes(one) for one in inner])
