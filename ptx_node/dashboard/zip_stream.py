"""A folder as a zip file that is made while it is sent: no copy of it lies anywhere, and memory holds one piece at a time."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 1 << 18
PACKED = frozenset({".csv", ".json", ".jsonl", ".txt", ".html", ".svg", ".md", ".xml"})


class _Pipe:
    """What the zip file is written to: it only ever goes on, and is emptied after each piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def zipped(folder: Path, name: str) -> Iterator[bytes]:
    """The files below `folder`, in order, under `name/`. Links are left out."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w") as made:
        for path in sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()):
            told = zipfile.ZipInfo.from_file(path, f"{name}/{path.relative_to(folder).as_posix()}", strict_timestamps=False)
            told.compress_type = zipfile.ZIP_DEFLATED if path.suffix in PACKED else zipfile.ZIP_STORED
            with path.open("rb") as source, made.open(told, "w", force_zip64=True) as target:
                while piece := source.read(PIECE):
                    target.write(piece)
                    yield pipe.taken()
            yield pipe.taken()
    yield pipe.taken()
