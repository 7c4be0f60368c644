"""What the network saw of an image, as one short vector: kept by the watch over drift, and never used for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ptx_node.model.preprocess import HU_RANGE

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

LUNG_HU = (-930.0, -500.0)
"""Aerated lung: above the air around the patient and its noise, below fat."""


def embedding_of(
    features_ZC: NDArray[np.float32], inputs_ZHW: torch.Tensor, reads: Literal["radiograph", "ct"]
) -> NDArray[np.float16] | None:
    """One vector of an image: of a radiograph its features, of a CT series the mean over its slices, each by its share of lung.

    How far a series reaches into neck and belly is its protocol's and its patient's affair: slices without lung would make every
    whole-body CT unlike a chest's. A series without any lung, as one whose numbers are no Hounsfield units, counts with all its slices.

    Args:
        features_ZC: the encoder's deepest features, averaged over each picture.
        inputs_ZHW: the pictures as the network took them.
        reads: what the model reads.

    Returns:
        Shape C; None where a feature is not finite in half precision.
    """
    mean_C = features_ZC.mean(axis=0, dtype=np.float64) if reads == "radiograph" else _by_lung(features_ZC, inputs_ZHW)
    with np.errstate(over="ignore"):
        half_C = mean_C.astype(np.float16)
    return half_C if np.isfinite(half_C).all() else None


def _by_lung(features_ZC: NDArray[np.float32], inputs_ZHW: torch.Tensor) -> NDArray[np.float64]:
    least, most = HU_RANGE
    low, high = ((hu - least) * 2 / (most - least) - 1 for hu in LUNG_HU)
    share_Z = np.array([float(((one > low) & (one < high)).float().mean()) for one in inputs_ZHW])
    return np.average(features_ZC.astype(np.float64), axis=0, weights=share_Z if share_Z.any() else None)
