"""Looks at all images of several data sets in a few processes. Memory stays flat: small pictures go to a file, pixels nowhere."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.errors import UsageError
from training.stats.facts import Image
from training.stats.fingerprint import EDGE, WORDS
from training.stats.observe import Seen, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training.records import DataSet, Record

CHUNK = 16
WAITING = 8
"""So many chunks are on their way at a time."""


class Mean:
    """A mean of small pictures that grows, without keeping them."""

    def __init__(self) -> None:
        self.total = np.zeros((EDGE, EDGE))
        self.count = 0

    def add(self, small: NDArray[np.uint8] | NDArray[np.float32]) -> None:
        """One more."""
        self.total += small
        self.count += 1

    @property
    def value(self) -> NDArray[np.float64]:
        """Zeros of nothing."""
        return self.total / max(self.count, 1)


@dataclass(frozen=True)
class Gathered:
    """All images of all sets, in their order.

    Attributes:
        smalls_NHW, details_NHW, codes_NW: of `fingerprint.Fingerprint`, by `Image.row`; zeros where the pixels cannot be read. The
            first two are files that go with this object.
        pictures, masks: set -> mean small picture (0..255), and mean small mask (0..1) of the images that have one.
    """

    data_sets: Mapping[str, DataSet]
    images: tuple[Image, ...] = field(repr=False)
    smalls_NHW: NDArray[np.uint8] = field(repr=False)
    details_NHW: NDArray[np.int8] = field(repr=False)
    codes_NW: NDArray[np.uint64] = field(repr=False)
    pictures: Mapping[str, Mean] = field(repr=False)
    masks: Mapping[str, Mean] = field(repr=False)
    _folder: tempfile.TemporaryDirectory[str] = field(repr=False)

    def of(self, name: str) -> list[Image]:
        """The images of one set."""
        return [image for image in self.images if image.data_set == name]


def gather(data_sets: Mapping[str, DataSet], *, processes: int = 2, progress: Callable[[int, int], None] | None = None) -> Gathered:
    """Facts of every record of every set, by the name that the report gives it; `progress` is called with (done, all).

    Raises:
        UsageError: the sets hold no image, or a process ended, as for want of memory.
    """
    records = [(name, record) for name, one in data_sets.items() for record in one.records]
    if not records:
        raise UsageError("no image to look at: " + "; ".join(f"{name}: {len(one.problems)} problems" for name, one in data_sets.items()))
    folder = tempfile.TemporaryDirectory(prefix="ptx-stats-")
    shape = len(records), EDGE, EDGE
    smalls = np.memmap(Path(folder.name) / "smalls", dtype=np.uint8, mode="w+", shape=shape)
    details = np.memmap(Path(folder.name) / "details", dtype=np.int8, mode="w+", shape=shape)
    codes = np.zeros((len(records), WORDS), dtype=np.uint64)
    pictures = {name: Mean() for name in data_sets}
    masks = {name: Mean() for name in data_sets}
    images = []
    for row, ((name, record), seen) in enumerate(zip(records, _seen([one for _, one in records], processes), strict=True)):
        images.append(Image(name, record, seen.facts, row))
        if seen.print is not None:
            smalls[row], details[row], codes[row] = seen.print.small, seen.print.details, seen.print.code
            pictures[name].add(seen.print.small)
        if seen.mask is not None:
            masks[name].add(seen.mask)
        if progress is not None:
            progress(row + 1, len(records))
    return Gathered(data_sets, tuple(images), smalls, details, codes, pictures, masks, folder)


def _seen(records: Sequence[Record], processes: int) -> Iterator[Seen]:
    """In the order of the records; one process looks at them itself."""
    if processes <= 1 or len(records) <= CHUNK:
        yield from map(observe, records)
        return
    chunks = (records[start : start + CHUNK] for start in range(0, len(records), CHUNK))
    context = multiprocessing.get_context("spawn")  # nothing of this process is to be copied: it may hold threads
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        waiting = deque(pool.submit(_look, chunk) for chunk in islice(chunks, WAITING))
        try:
            while waiting:
                seen = waiting.popleft().result()
                waiting.extend(pool.submit(_look, chunk) for chunk in islice(chunks, 1))
                yield from seen
        except BrokenProcessPool as error:
            raise UsageError("a process that reads images ended, perhaps for want of memory: try --processes 1") from error


def _look(records: Sequence[Record]) -> list[Seen]:
    return [observe(record) for record in records]
