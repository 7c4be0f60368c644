"""Several ways of one computation timed in turn, so that a noisy machine is unjust to all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.finding import ModelIdentity
from ptx_node.model.bundle import Bundle
from ptx_node.model.metadata import Decision
from ptx_node.model.network import PneumothoraxNet

DECODER = (256, 128, 64, 32, 16)
SIZE = 512


def timed(ways: Mapping[str, Callable[[], object]], rounds: int, *, wait: Callable[[], object] = lambda: None) -> dict[str, np.ndarray]:
    """Seconds of each way in each round; each runs twice unmeasured first, and the one that begins changes with the round.

    Args:
        ways: what is measured, by name.
        rounds: how often.
        wait: returns when the device has finished what it was given.
    """
    names = list(ways)
    for name in names * 2:
        ways[name]()
    wait()
    seconds = {name: np.zeros(rounds) for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            begun = time.perf_counter()
            ways[name]()
            wait()
            seconds[name][number] = time.perf_counter() - begun
    return seconds


def ratio(seconds: np.ndarray, peer: np.ndarray) -> float:
    """How many times the peer's time: the median over rounds, each compared with the peer in the same round."""
    return float(np.median(seconds / peer))


def resnet34() -> PneumothoraxNet:
    """The joint U-Net that radiographs are read with. Weights drawn from a seed: a forward pass takes as long with any."""
    torch.manual_seed(0)
    network = PneumothoraxNet("resnet34", DECODER)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def bundle_of(network: nn.Module, size: int = SIZE) -> Bundle:
    """A bundle around a network that was never saved."""
    identity = ModelIdentity("benchmark", "resnet34", "0", "0" * 64, "2.25.1")
    return Bundle(identity, "radiograph", Requirements(reads="radiograph"), size, Decision(0.5, 0.5, 1), network)
