"""The file store: what is said to be stored has survived fsync of the file, the rename, and fsync of the folder.

Names below the folder are chosen by the callers from checked values; nothing here looks into the bytes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ptx_node.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator

INCOMING = "incoming"
"""Folder of temporary files, on the same file system as everything else in the store."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is durably in the store; `path` is relative to the store's folder, with `/`."""

    path: str
    size_bytes: int
    sha256: str


class FileStore:
    """Files below one folder, written aside and renamed into place.

    Args:
        folder: made when missing.
        watermark_bytes: nothing new is begun while less room than this is left.
    """

    def __init__(self, folder: Path, *, watermark_bytes: int) -> None:
        self.folder = folder
        self.watermark_bytes = watermark_bytes
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count()
        self._root = str(folder)
        make_folder(folder / INCOMING)

    def path(self, relative: str) -> Path:
        """Where a stored file lies on disk.

        Raises:
            ValueError: the name would leave the store's folder.
        """
        return Path(self._name(relative))

    def _name(self, relative: str) -> str:
        parts = relative.split("/")
        if not all(parts) or ".." in parts or "." in parts:
            raise ValueError(f"{relative!r} is not a name inside the store")
        return f"{self._root}/{relative}"

    def writer(self) -> StoreWriter:
        """Begin one file.

        Raises:
            StorageFullError: less room than the watermark is left, or none at all.
        """
        self._check_room()
        # pid beside a random prefix: a forked child shares the prefix with its parent
        name = f"{self._root}/{INCOMING}/{self._prefix}-{os.getpid()}-{next(self._numbers)}.part"
        with room_errors():
            return StoreWriter(self, name)

    def put(self, relative_path: str, data: bytes) -> Stored:
        """Write one whole file; an older one of the same name is replaced in one step.

        Raises:
            StorageFullError: less room than the watermark is left, or it ran out while writing.
        """
        writer = self.writer()
        try:
            writer.write(data)
            return writer.finish(relative_path)
        finally:
            writer.discard()

    def move(self, relative_path: str, new_path: str) -> None:
        """Give a stored file another name, durably (an older one of the new name is replaced)."""
        source, target = self.path(relative_path), self.path(new_path)
        make_folder(target.parent)
        source.rename(target)
        fsync_folder(str(target.parent))
        fsync_folder(str(source.parent))

    def remove(self, relative_path: str) -> None:
        """Forget a stored file; one that is not there is no error."""
        self.path(relative_path).unlink(missing_ok=True)

    def _check_room(self) -> None:
        room = os.statvfs(self._root)
        free_bytes = room.f_bavail * room.f_frsize
        if free_bytes < self.watermark_bytes:
            raise StorageFullError(
                f"{free_bytes} bytes are left and the watermark is {self.watermark_bytes}: make room or lower store.watermark_bytes"
            )


class StoreWriter:
    """One file on its way into the store. `finish` or `discard` ends it; `discard` after `finish` does nothing."""

    __slots__ = ("_digest", "_fd", "_name", "_store", "size_bytes")

    def __init__(self, store: FileStore, name: str) -> None:
        self._store = store
        self._name = name
        self._digest = hashlib.sha256()
        self._fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        self.size_bytes = 0

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append bytes.

        Raises:
            StorageFullError: the disk has no room left.
        """
        size = memoryview(chunk).nbytes
        try:
            done = os.write(self._fd, chunk)
            while done < size:
                done += os.write(self._fd, memoryview(chunk)[done:])
        except OSError as error:
            raise_if_full(error)
            raise
        self._digest.update(chunk)
        self.size_bytes += size

    @property
    def temporary_name(self) -> str:
        """Where the bytes are until `finish`: for a second look at a header before it is decided."""
        return self._name

    @property
    def sha256(self) -> str:
        """Digest of what was written so far, hexadecimal."""
        return self._digest.hexdigest()

    def finish(self, relative_path: str) -> Stored:
        """Make the file durable under its name: fsync, rename, fsync of the folder (and of folders made for it).

        Raises:
            StorageFullError: the disk has no room left.
        """
        target = self._store._name(relative_path)  # noqa: SLF001 - one mechanism in two classes
        folder = target.rpartition("/")[0]
        with room_errors():
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
            try:
                os.rename(self._name, target)  # noqa: PTH104 - the hot path
            except FileNotFoundError:
                make_folder(Path(folder))
                os.rename(self._name, target)  # noqa: PTH104
            self._name = ""
            fsync_folder(folder)
        return Stored(relative_path, self.size_bytes, self._digest.hexdigest())

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._name)  # noqa: PTH108 - the hot path
            self._name = ""


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each made durable in its own parent."""
    missing = [folder] if not folder.is_dir() else []
    while missing and not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        fsync_folder(str(one.parent))


def fsync_folder(name: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def raise_if_full(error: OSError) -> None:
    """Turn the system's "no space left" into ours.

    Raises:
        StorageFullError: the error says that there is no room.
    """
    if error.errno in _NO_ROOM:
        raise StorageFullError(f"the store's disk is full: {error.strerror}") from error


@contextlib.contextmanager
def room_errors() -> Iterator[None]:
    """Raise "no space left" as ours inside the block."""
    try:
        yield
    except OSError as error:
        raise_if_full(error)
        raise
