"""ClaSegNet: a shared backbone and a decoder to a map of patch probabilities, from which the class follows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptx_node.model.network import PlainLayer, ResidualEncoder
from training.losses import log_any, log_none

if TYPE_CHECKING:
    from collections.abc import Sequence


class ClaSegNet(nn.Module):
    """One logit a patch; the image's logit is computed from them, without weights of its own.

    Args:
        backbone: depth of the residual encoder.
        decoder_channels: of the decoder steps, from the deepest; as many are used as lead from 1/32 to the patch's size.
        patch: edge of a patch in input pixels: 2, 4, 8 or 16.
        score: `noisy_or` (at least one patch) or `max` (the surest patch).
    """

    def __init__(self, backbone: str, decoder_channels: Sequence[int], patch: int, score: Literal["noisy_or", "max"]) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(backbone)
        self.score = score
        steps = 5 - int(math.log2(patch))
        skips = self.encoder.channels[-2::-1][:steps]
        inputs = (self.encoder.channels[-1], *decoder_channels[: steps - 1])
        self.blocks = nn.ModuleList(PlainLayer(*sizes) for sizes in zip(inputs, skips, decoder_channels[:steps], strict=True))
        self.head = nn.Conv2d(decoder_channels[steps - 1], 1, 1)
        # One patch in a hundred is air: from p = 0.5 everywhere the first steps would do nothing but lower all of them.
        nn.init.constant_(self.head.bias, -math.log(99))  # type: ignore[arg-type]  # a convolution with bias has one

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """(class logits of shape B, map logits): the map as patches when training, brought to the input's size when not."""
        features = self.encoder(image_B1HW)
        x_BCHW = features[-1]
        for block, skip in zip(self.blocks, features[-2::-1], strict=False):
            x_BCHW = block.convs(torch.cat([skip, block.upsample(x_BCHW)], dim=1))  # type: ignore[operator]  # PlainLayer's two halves
        map_B1hw = self.head(x_BCHW).float()
        logit_B = class_logit(map_B1hw, self.score)
        if self.training:
            return logit_B, map_B1hw
        return logit_B, functional.interpolate(map_B1hw, size=image_B1HW.shape[2:], mode="bilinear", align_corners=False)


def class_logit(map_B1hw: Tensor, score: Literal["noisy_or", "max"]) -> Tensor:
    """The image's logit from its patches' logits, in log space: ranks stay apart where the probability rounds to 1."""
    logits_BN = map_B1hw.flatten(1)
    return logits_BN.amax(dim=1) if score == "max" else log_any(logits_BN) - log_none(logits_BN)
