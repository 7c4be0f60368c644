"""Prepared pictures of one or several data sets as one pool, and which of them each step sees.

Which images step n holds depends on the seed and on a small `Position` alone, so that a resumed run goes on exactly where it was.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from ptx_node.errors import ConfigurationError
from training.augment import Pictures, augmented
from training.losses import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from ptx_node.model.preprocess import Letterbox
    from training.records import Record
    from training.settings import Settings

LOOK_AHEAD = 16
"""Batches under way at once, where threads prepare them."""


class Prepared(Protocol):
    """What `training.prepared` gives: arrays on disk, aligned with records."""

    @property
    def images_NHW(self) -> NDArray[Any]:
        """Squares: uint8 0..255 or float16 0..1 for radiographs, int16 Hounsfield units for CT."""

    @property
    def masks_NHW(self) -> NDArray[np.uint8]:
        """0 or 1."""

    @property
    def boxes(self) -> Sequence[Letterbox]:
        """Where each picture lies in its square."""

    @property
    def records(self) -> Sequence[Record]:
        """Whose it is."""


class Pool:
    """Pictures whose label is known, of all data sets given.

    Args:
        parts: prepared data sets, all of one edge.
    """

    def __init__(self, parts: Sequence[Prepared]) -> None:
        self._parts = parts
        rows = [(part, row) for part, one in enumerate(parts) for row, record in enumerate(one.records) if record.label is not None]
        self.places_N2 = np.array(rows, dtype=np.int64).reshape(-1, 2)
        self.records = [parts[part].records[row] for part, row in rows]
        self.label_N = np.array([record.label for record in self.records], dtype=np.int64)
        self.known_N = np.array([record.masked or record.label == 0 for record in self.records], dtype=bool)

    def __len__(self) -> int:
        return len(self.records)

    def take(self, indices: NDArray[np.int64], device: torch.device) -> tuple[Pictures, Truth]:
        """Pictures as they are kept, on the device; the truth's masks are the kept ones."""
        images, masks, windows = [], [], []
        for part, row in self.places_N2[indices]:
            one = self._parts[part]
            images.append(torch.from_numpy(np.array(one.images_NHW[row])))
            masks.append(torch.from_numpy(np.array(one.masks_NHW[row])))
            windows.append(_edges(one.boxes[row]))
        scale = 255 if images[0].dtype == torch.uint8 else 1
        images_BHW = _to(torch.stack(images), device).float() / scale
        masks_BHW = _to(torch.stack(masks), device).float()
        label_B = torch.from_numpy(self.label_N[indices]).float().to(device)
        known_B = torch.from_numpy(self.known_N[indices]).to(device)
        return Pictures(images_BHW, masks_BHW, torch.tensor(windows)), Truth(label_B, masks_BHW[:, None], known_B)

    def limited(self, *, seed: int, most: int, balanced: bool) -> NDArray[np.int64]:
        """Indices that a part uses: all, or so many drawn by the seed, or as many negatives as positives."""
        order = np.random.default_rng([seed, 11]).permutation(len(self))
        if balanced:
            positive, negative = order[self.label_N[order] == 1], order[self.label_N[order] == 0]
            each = min(len(positive), len(negative), most // 2 if most else len(self))
            return np.sort(np.concatenate([positive[:each], negative[:each]]))
        return np.sort(order[: most or len(self)])


@dataclass(slots=True)
class Position:
    """How many positives, negatives, or images of any kind were shown so far, and how many steps were made."""

    step: int = 0
    positives: int = 0
    negatives: int = 0
    images: int = 0


class Order:
    """Which images a step sees. Every image of a kind comes once before any comes twice."""

    def __init__(self, label_N: NDArray[np.int64], indices: NDArray[np.int64], *, seed: int, batch: int) -> None:
        self._seed, self._batch = seed, batch
        self._kinds = {0: indices, 1: indices[label_N[indices] == 1], 2: indices[label_N[indices] == 0]}
        self._shuffled: dict[tuple[int, int], NDArray[np.int64]] = {}

    def check(self, *, both: bool) -> None:
        """Refuse to start without enough images.

        Raises:
            ConfigurationError: no images, or of one kind only where a positive rate asks for both.
        """
        positives, negatives = len(self._kinds[1]), len(self._kinds[2])
        if not len(self._kinds[0]) or (both and not (positives and negatives)):
            raise ConfigurationError(f"{positives} positive and {negatives} negative images to train on: both kinds are needed")

    def next(self, position: Position, positive_rate: float | None) -> tuple[NDArray[np.int64], Position]:
        """Indices of the next step, and the position after it."""
        if positive_rate is None:
            images = self._run(0, position.images, self._batch)
            return images, Position(position.step + 1, position.positives, position.negatives, position.images + self._batch)
        chance = np.random.default_rng([self._seed, 12, position.step]).random()
        positives = int(np.clip(np.floor(positive_rate * self._batch + chance), 0, self._batch))
        negatives = self._batch - positives
        both = np.concatenate([self._run(1, position.positives, positives), self._run(2, position.negatives, negatives)])
        return both, Position(position.step + 1, position.positives + positives, position.negatives + negatives, position.images)

    def _run(self, kind: int, start: int, count: int) -> NDArray[np.int64]:
        """The images `start` to `start + count` of an endless row of shuffled rounds."""
        size = len(self._kinds[kind])
        return np.array([self._round(kind, place // size)[place % size] for place in range(start, start + count)], dtype=np.int64)

    def _round(self, kind: int, number: int) -> NDArray[np.int64]:
        if (kind, number) not in self._shuffled:
            self._shuffled = {key: value for key, value in self._shuffled.items() if key[0] != kind or key[1] == number - 1}
            self._shuffled[kind, number] = np.random.default_rng([self._seed, 13, kind, number]).permutation(self._kinds[kind])
        return self._shuffled[kind, number]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees, ready for the network."""

    inputs_B1HW: Tensor
    truth: Truth
    after: Position


def batches(
    pool: Pool,
    order: Order,
    settings: Settings,
    position: Position,
    rate: Callable[[int], float | None],
    device: torch.device,
    *,
    threads: int,
) -> Generator[Batch]:
    """Endless batches from a position on. `rate(step)` is the share of positives; threads prepare ahead, 0 for none."""

    def make(indices: NDArray[np.int64], after: Position) -> Batch:
        pictures, truth = pool.take(indices, device)
        rng = torch.Generator().manual_seed(
            int(np.random.SeedSequence([settings.seed, 14, after.step]).generate_state(1, np.uint64)[0] >> 1)
        )
        inputs_B1HW, mask_B1HW = augmented(pictures, settings.augment, settings.reads, settings.data.size, rng)
        # A crop may have cut the pneumothorax off: then there is none in the picture.
        had_B, has_B = truth.mask_B1HW.amax((1, 2, 3)), mask_B1HW.amax((1, 2, 3))
        label_B = torch.where((had_B > 0) & (has_B == 0), torch.zeros_like(truth.label_B), truth.label_B)
        inputs_B1HW = inputs_B1HW.contiguous(memory_format=torch.channels_last)
        return Batch(inputs_B1HW, Truth(label_B, mask_B1HW, truth.known_B), after)

    if not threads:
        while True:
            indices, position = order.next(position, rate(position.step))
            yield make(indices, position)
    with ThreadPoolExecutor(threads) as executor:
        ahead: list[Future[Batch]] = []
        try:
            while True:
                while len(ahead) < LOOK_AHEAD:
                    indices, position = order.next(position, rate(position.step))
                    ahead.append(executor.submit(make, indices, position))
                yield ahead.pop(0).result()
        finally:
            for future in ahead:
                future.cancel()


def _edges(box: Letterbox) -> tuple[float, float, float, float]:
    rows, columns = box.window
    return tuple(edge / box.size * 2 - 1 for edge in (rows.start, rows.stop, columns.start, columns.stop))


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
