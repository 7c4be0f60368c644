"""From probabilities and masks to a finding: the decision rule, regions too small, side of the patient, area and volume."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from ptx_node.domain.finding import Laterality
from ptx_node.model.preprocess import to_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ptx_node.model.metadata import Decision
    from ptx_node.model.preprocess import Letterbox

SMALL_SIDE = 0.1
"""Part of the whole mask under which a side is taken for spill over the midline."""
SURELY_NOT = -30.0
"""Logit of what was dropped."""
MASK_PIXELS = 32
"""A picture whose class comes from its mask is as sure as this many pixels of the network's grid are."""


def drop_small(logits_ZHW: torch.Tensor, decision: Decision) -> torch.Tensor:
    """Logits on the network's grid without the connected regions under `min_pixels`; changed in place.

    Pixels touch by an edge or corner; in CT regions go on through neighbouring slices.
    """
    over = (logits_ZHW > logit(decision.pixel_threshold)).numpy()
    labels, count = ndimage.label(over, structure=np.ones((3, 3, 3)))
    if count:
        sizes = np.bincount(labels.ravel())
        sizes[0] = decision.min_pixels
        logits_ZHW[torch.from_numpy((sizes < decision.min_pixels)[labels])] = SURELY_NOT
    return logits_ZHW


def source_masks(logits_ZHW: torch.Tensor, box: Letterbox, decision: Decision) -> NDArray[np.bool_]:
    """Masks on the source grid, of shape (slices, rows, columns): logits are interpolated, then compared."""
    masks_ZHW = np.zeros((logits_ZHW.shape[0], *box.source), dtype=np.bool_)
    limit = logit(decision.pixel_threshold)
    for index, logits_HW in enumerate(logits_ZHW):
        if logits_HW.max() > limit:
            masks_ZHW[index] = (to_source(logits_HW, box) > limit).numpy()
    return masks_ZHW


def class_probabilities(probabilities_Z: NDArray[np.float64], logits_ZHW: torch.Tensor, decision: Decision) -> NDArray[np.float64]:
    """The probability of each slice: as the network's class answer has it, or the 32nd largest of its pixels' (`class_from`)."""
    if decision.class_from == "image":
        return probabilities_Z
    flat = logits_ZHW.flatten(1)
    count = min(MASK_PIXELS, flat.shape[1])
    return np.asarray(flat.topk(count, dim=1).values[:, -1].double().sigmoid().numpy(), dtype=np.float64)


def logit(probability: float) -> float:
    """The logit of a probability, kept finite."""
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def series_probability(slices_Z: NDArray[np.float64], slice_spacing_mm: float | None, smooth_mm: float) -> float:
    """Largest running mean of the slices' probabilities over `smooth_mm` of the patient; single slices count less.

    Without a known slice distance the mean goes over three slices.
    """
    count = 3 if slice_spacing_mm is None else max(1, round(smooth_mm / slice_spacing_mm))
    count = min(count, slices_Z.size)
    if count <= 1:
        return float(slices_Z.max())
    return float(np.convolve(slices_Z, np.ones(count) / count, mode="valid").max())


def columns_to_left(patient_orientation: Sequence[str]) -> bool | None:
    """Whether a growing column index moves to the patient's left; None where the rows do that (a picture lying on its side).

    Patient Orientation (0020,0020) gives the direction of a row first, then that of a column (PS3.3 C.7.6.1.1.1). Without it a
    frontal radiograph is taken to be displayed as usual, the patient's right on the left, PA and AP alike.
    """
    first, second = ((*patient_orientation, "", "")[index][:1].upper() for index in (0, 1))
    if first in {"L", "R"}:
        return first == "L"
    return None if second in {"L", "R"} else True


def side_of_mask(
    mask_HW: NDArray[np.generic], patient_orientation: Sequence[str] = (), *, to_left: bool | None = None
) -> Laterality | None:
    """Side of the patient on which a frontal picture's mask lies, by the picture's middle; weights are allowed as mask.

    Args:
        mask_HW: mask, or number of marked voxels of each pixel of an axial stack.
        patient_orientation: of a radiograph.
        to_left: of a CT, whether columns grow to the patient's left.
    """
    growing = columns_to_left(patient_orientation) if to_left is None else to_left
    if growing is None:
        along = mask_HW.sum(axis=1, dtype=np.float64)
        growing = patient_orientation[1][:1].upper() == "L"
    else:
        along = mask_HW.sum(axis=0, dtype=np.float64)
    total = float(along.sum())
    if total == 0:
        return None
    weights = np.clip(along.size / 2 - np.arange(along.size), 0, 1)  # a middle column counts half to each side
    low = float((along * weights).sum()) / total
    if min(low, 1 - low) >= SMALL_SIDE:
        return Laterality.BILATERAL
    is_low = low > 0.5  # noqa: PLR2004 - the larger part
    return Laterality.RIGHT if is_low == growing else Laterality.LEFT


def area_mm2(mask_HW: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float]) -> float:
    """Area of a mask in the plane that the spacing refers to."""
    return float(np.count_nonzero(mask_HW)) * pixel_spacing_mm[0] * pixel_spacing_mm[1]


def volume_ml(mask_ZHW: NDArray[np.bool_], pixel_spacing_mm: tuple[float, float], slice_spacing_mm: float) -> float:
    """Volume of a mask whose slices follow each other at this distance along their normal."""
    return float(np.count_nonzero(mask_ZHW)) * pixel_spacing_mm[0] * pixel_spacing_mm[1] * slice_spacing_mm / 1000
