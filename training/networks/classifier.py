"""The thesis's network: a ResNet that says present or absent, without a mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptx_node.model.network import ResidualEncoder


class Classifier(nn.Module):
    """Encoder, mean and largest feature, dropout, two logits whose softmax is the answer.

    Args:
        backbone: depth of the residual encoder, such as `resnet34`.
        dropout: before the last layer.
    """

    def __init__(self, backbone: str, dropout: float) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(backbone)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * self.encoder.channels[-1], 2))

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, None]:
        """(logit of pneumothorax of shape B, no mask). The logit is the difference of the two: its sigmoid is the softmax."""
        deepest = self.encoder(image_B1HW)[-1]
        logits_B2 = self.head(torch.cat([deepest.mean(dim=(2, 3)), deepest.amax(dim=(2, 3))], dim=1))
        return logits_B2[:, 1] - logits_B2[:, 0], None
