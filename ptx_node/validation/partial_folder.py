"""A folder that is there as whole or not at all: written beside its place as `NAME.partial`, made durable, then given its name."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError, writing_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".partial"
MARK = "bagit.txt"
"""The first file of a package: a folder without it is not one that an export left."""


@contextmanager
def whole_or_nothing(target: Path) -> Iterator[Path]:
    """The folder to write into; at the end of the block it becomes `target`, after an error it is removed.

    What a killed run left is removed first. Files are made durable by the block, folders here.

    Raises:
        UsageError: the target is there and not empty, another run writes it now, or the folder cannot be written.
        StorageFullError: no room is left; nothing stays.
    """
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise UsageError(f"{target} is there already and not empty. Give a new folder: a package is never changed")
    partial = target.with_name(target.name + SUFFIX)
    with writing_below(partial):
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _take(partial, lock)
        try:
            with writing_below(partial):
                (partial / MARK).touch()
                yield partial
                _sync_folders(partial)
                partial.rename(target)
                _sync(target.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(lock)


def _take(partial: Path, lock: int) -> None:
    """Be the only one, and begin with nothing."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UsageError(f"{partial} is being written by another export") from error
    left = list(partial.iterdir())
    if left and not (partial / MARK).is_file():
        raise UsageError(f"{partial} is there and no export has left it. Remove it, or give another folder")
    for path in sorted(left, key=lambda one: one.name == MARK):  # the mark last, so that a second kill leaves a marked folder
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync_folders(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        _sync(place)


def _sync(folder: Path | str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
