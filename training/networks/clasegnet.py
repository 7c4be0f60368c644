"""ClaSegNet: a shared backbone and a decoder to a map of patch probabilities, from which the class follows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from ptx_node.model.patch_network import PatchNet, class_logit

if TYPE_CHECKING:
    from collections.abc import Sequence


class ClaSegNet(PatchNet):
    """The node's network of patches, which gives its map as it is while it is trained."""

    def __init__(self, backbone: str, decoder_channels: Sequence[int], patch: int, score: Literal["noisy_or", "max"]) -> None:
        super().__init__(backbone, decoder_channels, patch, score)
        # One patch in a hundred is air: from p = 0.5 everywhere the first steps would do nothing but lower all of them.
        nn.init.constant_(self.head.bias, -math.log(99))  # type: ignore[arg-type]  # a convolution with bias has one

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """(class logits of shape B, map logits): the map as patches when training, brought to the input's size when not."""
        if not self.training:
            return super().forward(image_B1HW)
        map_B1hw = self.patches(image_B1HW)
        return class_logit(map_B1hw, self.score), map_B1hw
