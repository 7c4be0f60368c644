"""Decoded, letterboxed arrays of a data set on disk, so that an epoch reads memory maps and not DICOM.

Built by several processes, resumable after a kill, and found again at once: the folder's name is a digest of what goes into the arrays.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.format import open_memmap

from ptx_node.errors import InputError, UsageError
from ptx_node.model.preprocess import HU_RANGE, Letterbox, radiograph_input, shrink, slice_input
from training.datasets import NODE, Handling, read
from training.records import Problem, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Reads = Literal["radiograph", "ct"]
VERSION = 3
CHUNK = 24
"""Records that a process takes at a time: neighbours, so that a CT series' mask is opened once."""
TODO, DONE, FAILED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays of records that could be read, in their order.

    Attributes:
        images_NHW: squares; radiographs uint8 0..255 (float16 0..1 with 16 bits), CT int16 HU within `HU_RANGE`; black or air in
            the padding.
        masks_NHW: uint8 0/1; all 0 where the record has no mask.
        boxes: where each picture lies in its square.
        problems: records that could not be read; they are not in `records`.
    """

    records: tuple[Record, ...] = field(repr=False)
    images_NHW: NDArray[Any] = field(repr=False)
    masks_NHW: NDArray[np.uint8] = field(repr=False)
    boxes: tuple[Letterbox, ...] = field(repr=False)
    problems: tuple[Problem, ...]
    reads: Reads
    size: int
    folder: Path

    def __len__(self) -> int:
        return len(self.records)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the arrays again instead of being sent their content."""
        return _mapped, (self.records, self.boxes, self.problems, self.reads, self.size, self.folder)

    def image(self, index: int) -> NDArray[np.float32]:
        """The square, 0..1: brightness, or `HU_RANGE`."""
        stored_HW = self.images_NHW[index].astype(np.float32)
        if self.reads == "ct":
            return np.asarray((stored_HW - HU_RANGE[0]) / (HU_RANGE[1] - HU_RANGE[0]), dtype=np.float32)
        return np.asarray(stored_HW / np.float32(255) if self.images_NHW.dtype == np.uint8 else stored_HW, dtype=np.float32)

    def mask(self, index: int) -> NDArray[np.uint8]:
        """The square's mask, 0/1."""
        return np.asarray(self.masks_NHW[index])

    def box(self, index: int) -> Letterbox:
        """Where the picture lies in the square."""
        return self.boxes[index]

    def label(self, index: int) -> int | None:
        """1, 0, or None where the set does not say."""
        return self.records[index].label

    def network_input(self, index: int) -> NDArray[np.float32]:
        """What the node would give the network for this picture, from the prepared pixels."""
        window = self.boxes[index].window
        if self.reads == "ct":
            return slice_input(np.ascontiguousarray(self.images_NHW[index][window]), self.size)[0]
        return radiograph_input(np.ascontiguousarray(self.image(index)[window]), self.size)[0]


def prepare(
    records: Sequence[Record],
    folder: Path,
    *,
    size: int,
    reads: Reads = "radiograph",
    handling: Handling = NODE,
    processes: int = 2,
) -> Prepared:
    """Read every record once into arrays below `folder`; the same records, files and handling are found again at once.

    Label and what else is known of a patient are not in the digest: changing them costs nothing.

    Raises:
        UsageError: no record at all, or none that can be read.
    """
    if not records:
        raise UsageError("there is no record to prepare: look at the data set's problems with `python -m training stats`")
    place = folder / digest(records, size=size, reads=reads, handling=handling)[:24]
    if not (place / "index.json").is_file():
        _build(list(records), _Task(place, size, reads, handling), processes)
    index = json.loads((place / "index.json").read_text("utf-8"))
    kept = tuple(record for record, state in zip(records, index["states"], strict=True) if state == DONE)
    if not kept:
        raise UsageError(f"none of {len(records)} images can be read; the first: {index['reasons'][0]}")
    boxes = tuple(Letterbox.fit((rows, columns), size) for rows, columns in index["sources"])
    failed = [record for record, state in zip(records, index["states"], strict=True) if state == FAILED]
    problems = tuple(Problem(record.path, None, reason) for record, reason in zip(failed, index["reasons"], strict=True))
    return _mapped(kept, boxes, problems, reads, size, place)


def _mapped(
    records: tuple[Record, ...], boxes: tuple[Letterbox, ...], problems: tuple[Problem, ...], reads: Reads, size: int, place: Path
) -> Prepared:
    """With the arrays of a whole folder."""
    images, masks = (np.load(place / f"{name}.npy", mmap_mode="r")[: len(records)] for name in ("images", "masks"))
    return Prepared(records, images, masks, boxes, problems, reads, size, place)


def digest(records: Sequence[Record], *, size: int, reads: str, handling: Handling) -> str:
    """SHA-256 over everything that the arrays depend on.

    A file counts by its name, size and time of change, not by its folder: a set that was moved is found again.
    """
    total = hashlib.sha256(json.dumps([VERSION, size, reads, handling.to_json()], sort_keys=True).encode())
    known: dict[str, str] = {}
    for record in records:
        runs = [words for words in record.masks if words.startswith("rle:")]
        files = [str(record.path), *(words.partition(":")[2] for words in record.masks if not words.startswith("rle:"))]
        for name in files:
            if name not in known:
                known[name] = _stamp(Path(name))
        said = [record.image_id, record.slice_index, record.masked, runs, [known[name] for name in files]]
        total.update(json.dumps(said).encode())
    return total.hexdigest()


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{path.name} missing"
    return f"{path.name} {found.st_size} {found.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process needs beside its records."""

    place: Path
    size: int
    reads: Reads
    handling: Handling


def _build(records: list[Record], task: _Task, processes: int) -> None:
    """Fill the arrays, beginning where an earlier call was killed; the index is written last and says that they are whole.

    A second caller waits for the first.
    """
    task.place.mkdir(parents=True, exist_ok=True)
    with (task.place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (task.place / "index.json").is_file():
            return
        todo = _open_places(task, len(records))
        chunks = [todo[first : first + CHUNK] for first in range(0, len(todo), CHUNK)]
        reasons: dict[int, str] = {}
        if processes < 2 or len(chunks) < 2:
            for chunk in chunks:
                reasons |= _fill(task, chunk, [records[index] for index in chunk])
        else:
            # Not forked: the caller may already run torch's threads, whose locks a fork would copy as they are.
            with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
                for found in pool.map(_fill, [task] * len(chunks), chunks, [[records[index] for index in chunk] for chunk in chunks]):
                    reasons |= found
        _finish(task.place, reasons)


def _open_places(task: _Task, count: int) -> list[int]:
    """Places that still have to be read; the arrays are made where they are not there yet."""
    square = (count, task.size, task.size)
    kind = np.int16 if task.reads == "ct" else (np.float16 if task.handling.bits == 16 else np.uint8)
    if (task.place / "closing").exists():  # killed while gaps were closed: rows stand in places that are not their own
        (task.place / "states.npy").unlink(missing_ok=True)
    wanted: tuple[tuple[str, tuple[int, ...], Any], ...] = (
        *(("images.npy", square, kind), ("masks.npy", square, np.uint8)),
        *(("sources.npy", (count, 2), np.int32), ("states.npy", (count,), np.uint8)),
    )
    for name, shape, dtype in wanted:
        if not (task.place / name).is_file():
            open_memmap(task.place / f".{name}", mode="w+", dtype=dtype, shape=shape).flush()
            (task.place / f".{name}").rename(task.place / name)
    (task.place / "closing").unlink(missing_ok=True)
    found: list[int] = np.flatnonzero(np.load(task.place / "states.npy") != DONE).tolist()
    return found  # what failed is tried again, so that its reason is told again


def _quiet() -> None:
    """One thread a process, behind everything else on this machine."""
    import torch  # noqa: PLC0415 - in the new process only

    torch.set_num_threads(1)
    os.nice(5)


def _fill(task: _Task, places: list[int], records: list[Record]) -> dict[int, str]:
    """Read these records into the arrays; why some cannot be, by place."""
    images, masks, states, sources = (
        np.load(task.place / f"{name}.npy", mmap_mode="r+") for name in ("images", "masks", "states", "sources")
    )
    reasons = {}
    for index, record in zip(places, records, strict=True):
        try:
            picture_HW, mask_HW = read(record, task.handling)
        except InputError as error:
            states[index], reasons[index] = FAILED, f"{record.image_id}: {error.detail}"
            continue
        images[index], masks[index], box = _square(task, picture_HW, mask_HW)
        sources[index] = box.source
        states[index] = DONE
    return reasons


def _square(task: _Task, picture_HW: NDArray[Any], mask_HW: NDArray[np.bool_] | None) -> tuple[NDArray[Any], NDArray[np.uint8], Letterbox]:
    box = Letterbox.fit((picture_HW.shape[0], picture_HW.shape[1]), task.size)
    mask = np.zeros((task.size, task.size), dtype=np.uint8)
    if mask_HW is not None and mask_HW.any():
        mask[box.window] = shrink(mask_HW.astype(np.float32), box.scaled) >= 0.5
    if task.reads == "ct":
        # Clipped before it shrinks, as the node does: what is denser than soft tissue must not bleed into its neighbours.
        clipped_HW = np.clip(picture_HW.astype(np.float32), *HU_RANGE)
        image = np.full((task.size, task.size), HU_RANGE[0], dtype=np.int16)
        image[box.window] = np.round(shrink(clipped_HW, box.scaled))
        return image, mask, box
    small_HW = np.clip(shrink(picture_HW.astype(np.float32), box.scaled), 0, 1)
    square = np.zeros((task.size, task.size), dtype=np.float16 if task.handling.bits == 16 else np.uint8)
    square[box.window] = small_HW if task.handling.bits == 16 else np.round(small_HW * 255)
    return square, mask, box


def _finish(place: Path, reasons: dict[int, str]) -> None:
    """Close the gaps that unreadable records left, then write the index."""
    states, sources = np.load(place / "states.npy"), np.load(place / "sources.npy")
    kept = np.flatnonzero(states == DONE)
    if kept.size < states.size:
        (place / "closing").touch()
        for name in ("images", "masks"):
            array = np.load(place / f"{name}.npy", mmap_mode="r+")
            for target, source in enumerate(kept):
                if target != source:
                    array[target] = array[source]
            array.flush()
    index = {"states": states.tolist(), "sources": sources[kept].tolist(), "reasons": [reasons[key] for key in sorted(reasons)]}
    (place / ".index.json").write_text(json.dumps(index), "utf-8")
    (place / ".index.json").rename(place / "index.json")
    (place / "closing").unlink(missing_ok=True)
