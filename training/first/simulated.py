"""Simulated patients for the demonstration models: drawn in processes of their own while training runs, kept in memory."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

SIDES = (Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL)


@dataclass(frozen=True, slots=True)
class Example:
    """One simulated picture before display (radiograph: mm of water; CT: Hounsfield units), and its exact mask, packed."""

    picture_HW: NDArray[np.float16]
    packed_mask: NDArray[np.uint8]
    positive: bool

    def mask_HW(self) -> NDArray[np.bool_]:
        """The mask, unpacked."""
        rows, columns = self.picture_HW.shape
        return np.unpackbits(self.packed_mask, count=rows * columns).reshape(rows, columns).astype(bool)


def pack(picture_HW: NDArray[np.generic], mask_HW: NDArray[np.bool_]) -> Example:
    """An example as it is kept."""
    return Example(picture_HW.astype(np.float16), np.packbits(mask_HW), bool(mask_HW.any()))


def side_of(seed: int) -> Laterality | None:
    """Half of the seeds have no pneumothorax; of the others one in ten is bilateral."""
    rng = np.random.default_rng([seed, 7])
    if rng.random() < 0.5:
        return None
    return SIDES[int(rng.choice(3, p=(0.45, 0.45, 0.1)))]


def lower_priority() -> None:
    """Run drawing behind everything else on this machine."""
    os.nice(5)


class Pool:
    """Examples that grow in number while they are used, up to `limit`."""

    def __init__(self, draw: Callable[[int], list[Example]], first_seed: int, limit: int, processes: int = 1) -> None:
        self.examples: list[Example] = []
        self._draw, self._seed, self._limit = draw, first_seed, limit
        # Not forked: this process already runs torch's threads, whose locks a fork would copy as they are.
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(processes, mp_context=context, initializer=lower_priority)
        self._running: set[Future[list[Example]]] = set()

    def grow(self, at_least: int = 0) -> None:
        """Take what was drawn meanwhile, order more, and wait if there are fewer than `at_least`."""
        while True:
            done = {future for future in self._running if future.done()}
            for future in done:
                self.examples.extend(future.result())
            self._running -= done
            while len(self._running) < 4 and len(self.examples) + 8 * len(self._running) < self._limit:
                self._running.add(self._executor.submit(draw_range, self._draw, range(self._seed, self._seed + 8)))
                self._seed += 8
            if len(self.examples) >= at_least or not self._running:
                return
            wait(self._running, return_when=FIRST_COMPLETED)

    def sample(self, rng: np.random.Generator, count: int) -> Iterator[Example]:
        """So many examples at random, with repetition."""
        for index in rng.integers(0, len(self.examples), count):
            yield self.examples[index]

    def close(self) -> None:
        """End the drawing processes."""
        self._executor.shutdown(cancel_futures=True)


def draw_range(draw: Callable[[int], list[Example]], seeds: range) -> list[Example]:
    """Examples of several seeds; runs in a process of the pool."""
    return [example for seed in seeds for example in draw(seed)]
