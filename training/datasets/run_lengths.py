"""Run-length masks as SIIM-ACR writes them: column after column, each start counted from the end of the last run, from 0.

The text is `start length start length …`; `-1` says that there is no mask.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Runs = NDArray[np.int64]

EMPTY = "-1"


def parse(text: str, shape: tuple[int, int]) -> Runs:
    """Runs as (first, end) places of the picture read column after column, end excluded.

    Raises:
        ValueError: the reason, for a person: not numbers, an odd count, a run of no length, past the picture.
    """
    words = text.split()
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        wrong = next(word for word in words if not word.lstrip("-").isdigit())
        raise ValueError(f"the run lengths hold '{wrong[:40]}', which is no whole number") from None
    if not numbers or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers cannot be pairs of start and length")
    pairs = np.array(numbers, dtype=np.int64).reshape(-1, 2)
    if (pairs[:, 1] < 1).any() or (pairs[:, 0] < 0).any():
        place = int(np.argmax((pairs[:, 1] < 1) | (pairs[:, 0] < 0)))
        raise ValueError(f"run {place + 1} is '{pairs[place, 0]} {pairs[place, 1]}': a start is 0 or more, a length 1 or more")
    ends = np.cumsum(pairs.sum(axis=1))
    if ends[-1] > shape[0] * shape[1]:
        raise ValueError(f"the runs end at pixel {ends[-1]}, but the picture of {shape[0]} x {shape[1]} has {shape[0] * shape[1]}")
    return np.stack([ends - pairs[:, 1], ends], axis=1)


def overlap(one: Runs, other: Runs) -> bool:
    """Whether two masks share a pixel."""
    both = np.concatenate([one, other])
    both = both[np.argsort(both[:, 0], kind="stable")]
    return any(first[1] > second[0] for first, second in pairwise(both.tolist()))


def decode(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of this shape (rows, columns).

    Raises:
        ValueError: as `parse`.
    """
    steps = np.zeros(shape[0] * shape[1] + 1, dtype=np.int32)
    for first, end in parse(text, shape).tolist():
        steps[first] += 1
        steps[end] -= 1
    flat = np.cumsum(steps[:-1]) > 0
    return np.ascontiguousarray(flat.reshape(shape[1], shape[0]).T)


def encode(mask_HW: NDArray[np.bool_]) -> str:
    """The text of a mask; `-1` for an empty one."""
    flat = np.concatenate([[False], np.asarray(mask_HW, dtype=bool).T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2)
    if not edges.size:
        return EMPTY
    lengths = edges[:, 1] - edges[:, 0]
    starts = edges[:, 0] - np.concatenate([[0], edges[:-1, 1]])
    return " ".join(f"{start} {length}" for start, length in zip(starts.tolist(), lengths.tolist(), strict=True))
