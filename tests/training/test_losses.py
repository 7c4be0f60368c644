"""Losses against other definitions of the same thing."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from ptx_node.model.patch_network import log_any
from training.losses import Truth, cross_entropy, lovasz_hinge, multiple_instance, soft_dice, soft_jaccard, total_loss
from training.settings import Loss


def by_levels(errors: list[float], mask: list[int]) -> float:
    """The Lovasz extension as Choquet's integral: the Jaccard loss of the pixels above a level, added up over all levels."""
    total, below = 0.0, 0.0
    for level in sorted({error for error in errors if error > 0}):
        wrong = {pixel for pixel, error in enumerate(errors) if error >= level}
        truth = {pixel for pixel, value in enumerate(mask) if value}
        total += (level - below) * len(wrong) / len(truth | wrong)
        below = level
    return total


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_lovasz_hinge_is_the_integral_of_the_jaccard_loss_over_levels(share: float) -> None:
    torch.manual_seed(int(share * 10))
    logits, mask = 2 * torch.randn(5, 1, 6, 7), (torch.rand(5, 1, 6, 7) < share).float()
    expected = [
        by_levels((1 - one.flatten() * (2 * true.flatten() - 1)).tolist(), true.flatten().int().tolist())
        for one, true in zip(logits, mask, strict=True)
    ]
    torch.testing.assert_close(torch.tensor(expected), lovasz_hinge(logits, mask), atol=1e-4, rtol=1e-4)


def test_lovasz_hinge_is_each_images_own() -> None:
    """One image of the batch does not change the loss of another."""
    torch.manual_seed(1)
    logits, mask = torch.randn(3, 1, 8, 8), (torch.rand(3, 1, 8, 8) < 0.3).float()
    torch.testing.assert_close(lovasz_hinge(logits, mask)[1:2], lovasz_hinge(logits[1:2], mask[1:2]))


def truth(label: list[float], mask: torch.Tensor, known: list[bool]) -> Truth:
    return Truth(torch.tensor(label), mask, torch.tensor(known))


def test_the_likelihood_of_patches_is_the_product_of_its_factors() -> None:
    """With mask, without, and negative; half-covered patches belong to the mask, and the most covered one always does."""
    torch.manual_seed(2)
    logits = torch.randn(4, 1, 2, 3, dtype=torch.float64)
    mask = torch.zeros(4, 1, 4, 6, dtype=torch.float64)
    mask[0, 0, :2, :3] = 1  # the first patch wholly, the second by half
    mask[1, 0, 3, 5] = 1  # a quarter of the last patch
    p = logits.flatten(1).sigmoid()
    likelihood = [
        p[0, 0] * p[0, 1] * (1 - p[0, 2:]).prod(),
        p[1, 5] * (1 - p[1, :5]).prod(),
        1 - (1 - p[2]).prod(),
        (1 - p[3]).prod(),
    ]
    expected = -torch.stack(likelihood).log().sum() / 4 / 6
    found = multiple_instance(logits, truth([1.0, 1.0, 1.0, 0.0], mask, [True, True, False, False]))
    torch.testing.assert_close(expected, found)


@pytest.mark.parametrize("level", [-80.0, -12.0, 0.0, 12.0, 80.0])
def test_thousands_of_patches_neither_underflow_nor_stop_learning(level: float) -> None:
    logits = torch.full((3, 1, 128, 128), level, requires_grad=True)
    mask = torch.zeros(3, 1, 512, 512)
    mask[0, 0, 100:140, 100:140] = 1
    loss = multiple_instance(logits, truth([1.0, 1.0, 0.0], mask, [True, False, True]))
    loss.backward()
    assert logits.grad is not None
    assert math.isfinite(loss.item())
    assert bool(torch.isfinite(logits.grad).all())
    if level < 0:
        assert logits.grad[1].max() < 0, "a positive image without mask does not raise its patches"


def test_at_least_one_patch_keeps_its_digits_at_both_ends() -> None:
    """Against the same in double precision, from e^-30 to nearly certain."""
    for level in (-30.0, -5.0, -0.5, 3.0):
        p = torch.full((6,), level, dtype=torch.float64).sigmoid()
        expected = torch.log(-torch.expm1(torch.log1p(-p).sum()))
        assert expected.item() == pytest.approx(log_any(torch.full((1, 6), level)).item(), rel=1e-4)


def test_softmax_over_two_classes_is_the_sigmoid_of_the_difference() -> None:
    logit, label = torch.tensor([-2.0, 0.3, 4.0]), torch.tensor([1.0, 0.0, 1.0])
    torch.testing.assert_close(functional.binary_cross_entropy_with_logits(logit, label), cross_entropy(logit, label))


def test_soft_overlap_is_the_overlap_for_sure_answers() -> None:
    """Three pixels said, two of them true, of four true: Dice 4/7, Jaccard 2/5, each with one pixel of smoothing."""
    answer, mask = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    answer[0, 0, 0, :3] = 1
    mask[0, 0, 0, 1:] = mask[1, 0, 0, 0] = 1
    assert 1 - (4 + 1) / (7 + 1) == pytest.approx(soft_dice(answer, mask).item())
    assert 1 - (2 + 1) / (5 + 1) == pytest.approx(soft_jaccard(answer, mask).item())
    assert 0 == soft_dice(answer * 0, mask * 0) == soft_jaccard(answer * 0, mask * 0)


@pytest.mark.parametrize("term", ["bce", "dice", "jaccard", "lovasz"])
def test_a_positive_without_a_drawn_mask_has_no_pixel_loss(term: str) -> None:
    """What the network says of its pixels changes nothing, and the others weigh as if they were alone."""
    torch.manual_seed(3)
    logits, mask = torch.randn(3, 1, 8, 8), (torch.rand(3, 1, 8, 8) < 0.3).float()
    mask[2] = 0
    weights = Loss(**{term: 1.0})
    first = total_loss(torch.zeros(3), logits, truth([1.0, 0.0, 1.0], mask, [True, True, False]), weights)[0]
    logits[2] += 7
    again = total_loss(torch.zeros(3), logits, truth([1.0, 0.0, 1.0], mask, [True, True, False]), weights)[0]
    alone = total_loss(torch.zeros(2), logits[:2], truth([1.0, 0.0], mask[:2], [True, True]), weights)[0]
    torch.testing.assert_close(first, again)
    torch.testing.assert_close(alone, again)


def test_the_total_is_the_weighted_sum_of_its_terms() -> None:
    torch.manual_seed(4)
    weights = Loss(bce=3, dice=1, image=0.1, lovasz=0.5, jaccard=2)
    mask = (torch.rand(2, 1, 8, 8) < 0.3).float()
    total, terms = total_loss(torch.randn(2), torch.randn(2, 1, 8, 8), truth([1.0, 0.0], mask, [True, True]), weights)
    assert {"bce", "dice", "image", "lovasz", "jaccard"} == set(terms)
    assert total.item() == pytest.approx(sum(getattr(weights, name) * value.item() for name, value in terms.items()), rel=1e-5)
