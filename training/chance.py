"""Chance for augmentation: all of it from one generator on the CPU, so that a step is repeated exactly wherever it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Generator, Tensor


def uniform(rng: Generator, count: int, low: float, high: float) -> Tensor:
    """So many numbers between the two, on the CPU."""
    return low + (high - low) * torch.rand(count, generator=rng)


def noise_like(images_B1HW: Tensor, rng: Generator) -> Tensor:
    """Standard normal noise; on another device from a generator there, seeded by this one."""
    if images_B1HW.device.type == "cpu":
        return torch.randn(images_B1HW.shape, generator=rng)
    there = torch.Generator(images_B1HW.device)
    there.manual_seed(int(torch.randint(2**62, (), generator=rng)))
    return torch.randn(images_B1HW.shape, generator=there, device=images_B1HW.device)
