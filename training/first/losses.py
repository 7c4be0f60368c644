"""What the network is trained to make small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def joint_loss(class_logit_B: Tensor, mask_logits_B1HW: Tensor, mask_B1HW: Tensor) -> tuple[Tensor, dict[str, float]]:
    """3 x pixel BCE + soft Dice over the batch + 0.3 x image BCE; the parts are returned for the log."""
    present_B = (mask_B1HW.amax(dim=(1, 2, 3)) > 0.5).float()
    pixel = functional.binary_cross_entropy_with_logits(mask_logits_B1HW.float(), mask_B1HW)
    probability = mask_logits_B1HW.float().sigmoid()
    dice = 1 - (2 * (probability * mask_B1HW).sum() + 1) / (probability.sum() + mask_B1HW.sum() + 1)
    image = functional.binary_cross_entropy_with_logits(class_logit_B.float(), present_B)
    return 3 * pixel + dice + 0.3 * image, {"pixel": pixel.item(), "dice": dice.item(), "class": image.item()}
