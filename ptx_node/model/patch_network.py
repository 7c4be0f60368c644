"""A network that answers by patches: one logit a patch, and the image's logit computed from them (as ClaSegNet's)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptx_node.model.network import PlainLayer, ResidualEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

NEAR, NEARER = -math.log(2), -1e-6
"""Logs of a probability of no patch at all, above which log(1 - p) is computed in another form."""


class PatchNet(nn.Module):
    """As it answers; `training.networks.clasegnet` trains it.

    Args:
        backbone: depth of the residual encoder.
        decoder_channels: of the decoder steps, from the deepest; as many are used as lead from 1/32 to the patch's size.
        patch: edge of a patch in input pixels: 2, 4, 8 or 16.
        score: `noisy_or` (at least one patch) or `max` (the surest patch).

    Raises:
        ValueError: an option that there is not.
    """

    def __init__(self, backbone: str, decoder_channels: Sequence[int], patch: int, score: Literal["noisy_or", "max"]) -> None:
        super().__init__()
        if patch not in {2, 4, 8, 16} or score not in {"noisy_or", "max"}:
            raise ValueError(f"patch {patch!r} or score {score!r}")
        self.encoder = ResidualEncoder(backbone)
        self.score = score
        steps = 5 - int(math.log2(patch))
        skips = self.encoder.channels[-2::-1][:steps]
        inputs = (self.encoder.channels[-1], *decoder_channels[: steps - 1])
        self.blocks = nn.ModuleList(PlainLayer(*sizes) for sizes in zip(inputs, skips, decoder_channels[:steps], strict=True))
        self.head = nn.Conv2d(decoder_channels[steps - 1], 1, 1)

    def patches(self, image_B1HW: Tensor) -> Tensor:
        """Logits of the patches, (B, 1, H / patch, W / patch)."""
        return self._map(self.encoder(image_B1HW))

    def _map(self, features: Sequence[Tensor]) -> Tensor:
        x_BCHW = features[-1]
        for block, skip in zip(self.blocks, features[-2::-1], strict=False):
            x_BCHW = block.convs(torch.cat([skip, block.upsample(x_BCHW)], dim=1))  # type: ignore[operator]  # PlainLayer's two halves
        logits_B1hw: Tensor = self.head(x_BCHW).float()
        return logits_B1hw

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """(class logits of shape B, mask logits of shape B1HW): the map of patches brought to the input's size."""
        return self.answer(self.encoder(image_B1HW))

    def answer(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What `forward` gives, from the encoder's outputs, the first of which has half the input's size."""
        map_B1hw = self._map(features)
        size = [2 * edge for edge in features[0].shape[2:]]
        mask_logits_B1HW = functional.interpolate(map_B1hw, size=size, mode="bilinear", align_corners=False)
        return class_logit(map_B1hw, self.score), mask_logits_B1HW


def class_logit(map_B1hw: Tensor, score: Literal["noisy_or", "max"]) -> Tensor:
    """Of the surest patch, or of the noisy-or in log space: ranks stay apart where the probability rounds to 1."""
    logits_BN = map_B1hw.flatten(1)
    return logits_BN.amax(dim=1) if score == "max" else log_any(logits_BN) - log_none(logits_BN)


def log_none(logits_BN: Tensor) -> Tensor:
    """Log of the product of (1 - p), shape B; below 0."""
    return -functional.softplus(logits_BN).sum(dim=1)


def log_any(logits_BN: Tensor) -> Tensor:
    """Log of 1 - product of (1 - p): the noisy-or, shape B, exact near 0 and near 1, and so are its gradients."""
    none_B = log_none(logits_BN)
    # log(1 - e^x) for x < 0: two forms, each where it keeps its digits (Maechler 2012), and the sum of p where that is all there is.
    # Each form gets only what it can bear: what `where` does not choose must be finite too, or the gradient is not.
    near_B, far_B = none_B.clamp(min=NEAR, max=NEARER), none_B.clamp(max=NEAR)
    either_B = torch.where(none_B > NEAR, (-torch.expm1(near_B)).log(), torch.log1p(-far_B.exp()))
    return torch.where(none_B > NEARER, functional.logsigmoid(logits_BN).logsumexp(dim=1), either_B)
