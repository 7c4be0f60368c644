"""The network: MONAI's FlexibleUNet with a residual encoder, and a classification head on the encoder's last features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.networks.nets.flexible_unet import FlexibleUNet
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class PneumothoraxNet(nn.Module):
    """Joint probability and mask: one logit an image, one logit a pixel.

    Args:
        backbone: name of a residual encoder of MONAI's FlexibleUNet, such as `resnet10`.
        decoder_channels: output channels of the five decoder steps, from the deepest.
        dropout: before the classification layer; matters in training only.
    """

    def __init__(self, backbone: str, decoder_channels: Sequence[int], dropout: float = 0.2) -> None:
        super().__init__()
        unet = FlexibleUNet(
            in_channels=1, out_channels=1, backbone=backbone, pretrained=False, decoder_channels=tuple(decoder_channels), spatial_dims=2
        )
        self.encoder, self.decoder, self.segmentation_head = unet.encoder, unet.decoder, unet.segmentation_head
        self.skip_connect = unet.skip_connect
        with torch.no_grad():
            channels = next(f.shape[1] for f in reversed(self.encoder(torch.zeros(2, 1, 64, 64))) if f is not None)
        self.classification_head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * channels, 1))

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """(class logits of shape B, mask logits of shape B1HW); height and width are multiples of 32."""
        features = self.encoder(image_B1HW)
        deepest = features[-1]
        pooled = torch.cat([deepest.mean(dim=(2, 3)), deepest.amax(dim=(2, 3))], dim=1)
        class_logit_B = self.classification_head(pooled).squeeze(1)
        mask_logits_B1HW = self.segmentation_head(self.decoder(features, self.skip_connect))
        return class_logit_B, mask_logits_B1HW
