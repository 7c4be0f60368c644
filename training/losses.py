"""What a network is trained to make small: each term for itself, and their weighted sum.

Everything is computed in float32 from logits. `known_B` says of which images the mask is known: the others have no pixel loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ptx_node.model.patch_network import log_any

if TYPE_CHECKING:
    from torch import Tensor

    from training.settings import Loss


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a batch.

    Attributes:
        label_B: float, 1 pneumothorax, 0 none.
        mask_B1HW: float, 0 or 1.
        known_B: bool, whether the mask is the truth (drawn by somebody, or empty because there is nothing).
    """

    label_B: Tensor
    mask_B1HW: Tensor
    known_B: Tensor


def total_loss(class_logit_B: Tensor, mask_logits_B1HW: Tensor | None, truth: Truth, weights: Loss) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and its terms (detached) by name for the log."""
    class_logit_B = class_logit_B.float()
    terms: dict[str, Tensor] = {}
    if weights.image:
        terms["image"] = functional.binary_cross_entropy_with_logits(class_logit_B, truth.label_B)
    if weights.cross_entropy:
        terms["cross_entropy"] = cross_entropy(class_logit_B, truth.label_B)
    if mask_logits_B1HW is not None:
        terms |= _pixel_terms(mask_logits_B1HW.float(), truth, weights)
    if weights.mil and mask_logits_B1HW is not None:
        terms["mil"] = multiple_instance(mask_logits_B1HW.float(), truth)
    total = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
    return total, {name: value.detach() for name, value in terms.items()}


def _pixel_terms(mask_logits_B1HW: Tensor, truth: Truth, weights: Loss) -> dict[str, Tensor]:
    """Of the images whose mask is known; images are weighted with 0 rather than left out, which keeps shapes static."""
    weight_B111 = truth.known_B.float()[:, None, None, None]
    count = truth.known_B.sum().clamp(min=1)
    terms = {}
    if weights.bce:
        each = functional.binary_cross_entropy_with_logits(mask_logits_B1HW, truth.mask_B1HW, reduction="none")
        terms["bce"] = (each * weight_B111).sum() / (count * truth.mask_B1HW[0].numel())
    if weights.dice or weights.jaccard:
        answer_B1HW = mask_logits_B1HW.sigmoid() * weight_B111
        mask_B1HW = truth.mask_B1HW * weight_B111
        if weights.dice:
            terms["dice"] = soft_dice(answer_B1HW, mask_B1HW)
        if weights.jaccard:
            terms["jaccard"] = soft_jaccard(answer_B1HW, mask_B1HW)
    if weights.lovasz:
        each_B = lovasz_hinge(mask_logits_B1HW, truth.mask_B1HW)
        terms["lovasz"] = (each_B * truth.known_B).sum() / count
    return terms


def soft_dice(answer_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """1 - Dice of probabilities over the whole batch, with one pixel added above and below: 0 when both are empty."""
    return 1 - (2 * (answer_B1HW * mask_B1HW).sum() + 1) / (answer_B1HW.sum() + mask_B1HW.sum() + 1)


def soft_jaccard(answer_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """1 - intersection over union of probabilities over the whole batch, smoothed as `soft_dice`."""
    both = (answer_B1HW * mask_B1HW).sum()
    return 1 - (both + 1) / (answer_B1HW.sum() + mask_B1HW.sum() - both + 1)


def lovasz_hinge(mask_logits_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """The Lovasz extension of the Jaccard loss of each image at its hinge errors, shape B (Berman, Triki, Blaschko 2018).

    Errors are sorted from the worst; each weighs what the Jaccard loss grows by when its pixel joins the wrong ones. For an image
    without mask that is the worst pixel alone.
    """
    logits_BN, mask_BN = mask_logits_B1HW.flatten(1), mask_B1HW.flatten(1)
    errors_BN, order_BN = (1 - logits_BN * (2 * mask_BN - 1)).sort(dim=1, descending=True)
    sorted_BN = mask_BN.gather(1, order_BN)
    total_B1 = sorted_BN.sum(dim=1, keepdim=True)
    intersection_BN = total_B1 - sorted_BN.cumsum(dim=1)
    union_BN = total_B1 + (1 - sorted_BN).cumsum(dim=1)
    jaccard_BN = 1 - intersection_BN / union_BN
    grows_BN = torch.diff(jaccard_BN, dim=1, prepend=torch.zeros_like(total_B1))
    return (errors_BN.relu() * grows_BN).sum(dim=1)


def cross_entropy(class_logit_B: Tensor, label_B: Tensor) -> Tensor:
    """Of the softmax over (none, pneumothorax), given the difference of their logits."""
    logits_B2 = torch.stack([torch.zeros_like(class_logit_B), class_logit_B], dim=1)
    return functional.cross_entropy(logits_B2, label_B.long())


def multiple_instance(patch_logits_B1HW: Tensor, truth: Truth) -> Tensor:
    """Minus the log likelihood of each image under its patches' probabilities p, a patch, averaged over the batch.

    Positive with mask: product of p over the mask's patches times product of (1 - p) over the others. Positive without mask: at least
    one patch, 1 - product of (1 - p). Negative: product of (1 - p). A patch is the mask's where half of it is covered, and the most
    covered one always is. Logs throughout: thousands of factors would underflow.
    """
    logits_BN = patch_logits_B1HW.flatten(1)
    share_B1HW = functional.adaptive_avg_pool2d(truth.mask_B1HW, (patch_logits_B1HW.shape[-2], patch_logits_B1HW.shape[-1]))
    share_BN = share_B1HW.flatten(1)
    threshold_B1 = share_BN.amax(dim=1, keepdim=True).clamp(min=1e-6, max=0.5)
    patches_BN = (share_BN >= threshold_B1).float()
    with_mask_B = functional.binary_cross_entropy_with_logits(logits_BN, patches_BN, reduction="none").sum(dim=1)
    without_mask_B = -log_any(logits_BN)
    drawn_B = truth.known_B | (truth.label_B < 0.5)
    return (torch.where(drawn_B, with_mask_B, without_mask_B) / logits_BN.shape[1]).mean()
