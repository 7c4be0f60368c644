"""The state of a run on disk: written whole or not at all, so that a kill or a full disk leaves the last good one."""

from __future__ import annotations

import io
import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as save_tensors

from ptx_node.errors import ConfigurationError, StorageFullError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

LAST = "last.pt"
LOG = "log.jsonl"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint.

    Raises:
        StorageFullError: it could not be written; the one before is untouched.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(folder / LAST, buffer.getvalue())


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The run's last checkpoint.

    Raises:
        ConfigurationError: none, or not readable.
    """
    try:
        state = torch.load(folder / LAST, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise ConfigurationError(f"{folder / LAST}: no checkpoint to resume from ({str(error)[:200]}). Start without --resume") from error
    return dict(state)


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Weights as a safetensors file.

    Raises:
        StorageFullError: it could not be written; the file before is untouched.
    """
    write_whole(
        path, save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, metadata={"format": "pt"})
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write beside, sync, rename: after a kill at any moment the file is the old or the new one.

    Raises:
        StorageFullError: no room, or the disk refused.
    """
    beside = path.with_name(f"{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StorageFullError(
            f"{path} ({len(data) / 1e6:.0f} MB) could not be written: {error.strerror}. The last good one is kept: free space, then resume"
        ) from error


class Log:
    """`log.jsonl`: one JSON object a line, flushed as it is written.

    Args:
        resumed_at: step of the checkpoint that the run goes on from; later lines are dropped, since their steps come again.
    """

    def __init__(self, folder: Path, resumed_at: int | None) -> None:
        path = folder / LOG
        kept = ""
        if resumed_at is not None and path.exists():
            kept = "".join(f"{line}\n" for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= resumed_at)
        path.write_text(kept, encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def write(self, **entry: object) -> None:
        """Add a line; it has a `step`.

        Raises:
            StorageFullError: no room.
        """
        try:
            print(json.dumps(entry), file=self._file, flush=True)
        except OSError as error:
            raise StorageFullError(f"{self._file.name}: {error.strerror}. Free space, then --resume") from error

    def close(self) -> None:
        """No more lines."""
        self._file.close()


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that a kill cut off
