"""What training looks at after every epoch: quick figures on the validation part. The full judgement is `training.evaluate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ptx_node.validation.statistics import roc_auc
from training.augment import unchanged
from training.losses import Truth, total_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from training.batches import Pool
    from training.settings import Settings


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one network on one part.

    Attributes:
        loss: the training loss, without augmentation.
        auc: of the class answer; of the surest pixel where no class is trained.
        accuracy: of the class at 0.5.
        dice: mean of images, 1 if answer and mask are both empty, 0 if only one is; pixels above 0.5.
        dice_positive: mean of images with a mask alone.
        empty_wrong: share of images without mask whose answer is not empty.
    """

    loss: float
    auc: float
    accuracy: float
    dice: float
    dice_positive: float
    empty_wrong: float
    images: int

    def value(self, by: Literal["loss", "auc", "dice", "auc_dice"]) -> float:
        """One number, larger is better; what cannot be computed counts 0."""
        if by == "loss":
            return -self.loss
        auc, positive = np.nan_to_num([self.auc, self.dice_positive])
        return float({"auc": auc, "dice": np.nan_to_num(self.dice), "auc_dice": (auc + positive) / 2}[by])

    def to_json(self) -> dict[str, float | int | None]:
        """Rounded; None for what cannot be computed."""
        return {name: None if value != value else round(value, 5) for name, value in asdict(self).items()}  # noqa: PLR0124 - NaN differs from itself


def figures_of(network: nn.Module, pool: Pool, indices: NDArray[np.int64], settings: Settings, *, half: bool) -> Figures:
    """Figures of a network in evaluation mode, on the device where its weights lie."""
    device = next(network.parameters()).device
    size, scores, labels, each = settings.optimiser.batch, list[float](), list[float](), list[list[float]]()
    losses, known = 0.0, list[bool]()
    for start in range(0, len(indices), size):
        pictures, truth = pool.take(indices[start : start + size], device)
        inputs, mask_B1HW = unchanged(pictures, settings.reads, settings.data.answered)
        truth = Truth(truth.label_B, mask_B1HW, truth.known_B)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            class_logit_B, mask_logits_B1HW = network(inputs.contiguous(memory_format=torch.channels_last))
        with torch.inference_mode():
            losses += float(total_loss(class_logit_B, mask_logits_B1HW, truth, settings.loss)[0]) * len(truth.label_B)
        if mask_logits_B1HW is not None:
            each += _overlaps(mask_logits_B1HW > 0, mask_B1HW > 0).tolist()
            if not settings.loss.classes:
                class_logit_B = mask_logits_B1HW.amax(dim=(1, 2, 3))
        scores += class_logit_B.float().tolist()
        labels += truth.label_B.tolist()
        known += truth.known_B.tolist()
    return _summary(
        losses / max(1, len(indices)), np.array(scores), np.array(labels) > 0.5, np.array(each)[np.array(known)] if each else None
    )


def _overlaps(answer_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """(B, 3): pixels of the answer, of the mask, of both."""
    return torch.stack([one.sum(dim=(1, 2, 3)) for one in (answer_B1HW, mask_B1HW, answer_B1HW & mask_B1HW)], dim=1)


def _summary(loss: float, score_N: NDArray[np.float64], positive_N: NDArray[np.bool_], pixels_N3: NDArray[np.float64] | None) -> Figures:
    dice = dice_positive = empty_wrong = float("nan")
    if pixels_N3 is not None and len(pixels_N3):
        answer_N, mask_N, both_N = pixels_N3.T
        total_N = answer_N + mask_N
        dice_N = np.where(total_N > 0, 2 * both_N / np.maximum(total_N, 1), 1.0)
        dice = float(dice_N.mean())
        dice_positive = float(dice_N[mask_N > 0].mean()) if (mask_N > 0).any() else float("nan")
        empty_wrong = float((answer_N[mask_N == 0] > 0).mean()) if (mask_N == 0).any() else float("nan")
    accuracy = float(((score_N >= 0) == positive_N).mean())
    return Figures(loss, float(roc_auc(positive_N, score_N)), accuracy, dice, dice_positive, empty_wrong, len(score_N))
