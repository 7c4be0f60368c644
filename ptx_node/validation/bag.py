"""A folder as a bag (RFC 8493, BagIt 1.0): its manifests are written here, and every byte is held against them.

The bag is written once, as whole, in one way: SHA-256, lines sorted by path, LF at their end. What differs is a problem, also where the RFC
would allow it: a flipped byte is found wherever it lies. Folders may come from anybody: no link is followed, nothing outside is opened.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
BAGIT, INFO, MANIFEST, TAG_MANIFEST = "bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"
TAG_FILES = (BAGIT, INFO, MANIFEST)
PAYLOAD = "data"

MOST_PROBLEMS = 1000
"""A folder with more of them is no bag of ours; who made it shall not keep us busy."""
LONGEST_LINE = 4200
"""A hash, two blanks and the longest path of Linux."""
CHUNK = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  (\S(?:.*\S)?)\n")
_OXUM = re.compile(rb"^Payload-Oxum: (\d{1,18})\.(\d{1,18})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is not as the bag says; `path` is within the bag, printable."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Count:
    """What a payload holds."""

    files: int
    size_bytes: int


def write_bag(folder: Path, info: Mapping[str, str]) -> str:
    """Make a bag of a folder whose `data` is complete; every file is durable afterwards.

    Args:
        folder: with `data/`, and with `bagit.txt` or without.
        info: further lines of bag-info.txt, in order; values of one line.

    Returns:
        The bag's digest: SHA-256 of tagmanifest-sha256.txt, hexadecimal. It stands for every byte.

    Raises:
        OSError: as the file system has it.
    """
    count, size = 0, 0
    with (folder / MANIFEST).open("w", encoding="utf-8", newline="\n") as manifest:
        for path in _files_below(folder, PAYLOAD):
            digest, length = _hashed(folder / path, sync=True)
            manifest.write(f"{digest}  {_encoded(path)}\n")
            count, size = count + 1, size + length
    lines = {**info, "Payload-Oxum": f"{size}.{count}"}
    (folder / BAGIT).write_bytes(DECLARATION)
    (folder / INFO).write_bytes("".join(f"{name}: {' '.join(value.split())}\n" for name, value in lines.items()).encode())
    tags = "".join(f"{_hashed(folder / name, sync=True)[0]}  {name}\n" for name in sorted(TAG_FILES))
    (folder / TAG_MANIFEST).write_bytes(tags.encode())
    return _hashed(folder / TAG_MANIFEST, sync=True)[0]


def bag_digest(folder: Path) -> str:
    """What `write_bag` returned for this bag."""
    return _hashed(folder / TAG_MANIFEST)[0]


def problems(folder: Path) -> list[Problem]:
    """Everything that is not as the manifests say, at most `MOST_PROBLEMS`; empty when every byte is as it was written.

    Raises:
        UsageError: the folder is no bag: it has no bagit.txt.
    """
    if not _is_file(folder / BAGIT) or folder.is_symlink():
        raise UsageError(f"{folder} is no package: it has no {BAGIT}. Give the folder that `ptx export` made")
    return list(islice(_problems(folder), MOST_PROBLEMS))


def info_of(folder: Path) -> dict[str, str]:
    """The lines of bag-info.txt; for a bag that `problems` found whole."""
    lines = (line.partition(": ") for line in (folder / INFO).read_text(encoding="utf-8").splitlines())
    return {name: value for name, _, value in lines}


def _problems(folder: Path) -> Iterator[Problem]:
    known: set[str] = {TAG_MANIFEST}
    if not _is_file(folder / TAG_MANIFEST):
        yield Problem(TAG_MANIFEST, "is missing")
    else:
        yield from _compared(folder, TAG_MANIFEST, known)
        yield from (Problem(TAG_MANIFEST, f"does not name {name}") for name in TAG_FILES if name not in known)
    if (folder / BAGIT).stat().st_size != len(DECLARATION) or (folder / BAGIT).read_bytes() != DECLARATION:
        yield Problem(BAGIT, "is not the declaration of BagIt 1.0")
    payload: set[str] = set()
    size = 0
    if not _is_file(folder / MANIFEST):
        yield Problem(MANIFEST, "is missing")
    else:
        yield from _compared(folder, MANIFEST, payload)
    for path, entry in _walk(folder, ""):
        if entry is not None and entry.is_file(follow_symlinks=False):
            size += entry.stat(follow_symlinks=False).st_size if path in payload else 0
            if path not in known and path not in payload and path not in TAG_FILES:
                yield Problem(_shown(path), "is in no manifest: it was added")
        elif entry is None:
            yield Problem(_shown(path), "an empty folder, or one that cannot be read, which the package did not have")
        else:
            yield Problem(_shown(path), "is no ordinary file: a link, or something else that was added")
    yield from _sum_problems(folder, Count(len(payload), size))


def _sum_problems(folder: Path, found: Count) -> Iterator[Problem]:
    stated = _OXUM.search((folder / INFO).read_bytes()[: 1 << 16]) if _is_file(folder / INFO) else None
    if stated is None:
        yield Problem(INFO, "does not say how many files and bytes there are (Payload-Oxum)")
    elif (int(stated[1]), int(stated[2])) != (found.size_bytes, found.files):
        yield Problem(INFO, f"says {stated[2].decode()} files of {stated[1].decode()} bytes; there are {found.files} of {found.size_bytes}")


def _compared(folder: Path, name: str, known: set[str]) -> Iterator[Problem]:
    """Each line of a manifest against its file; files that are there are added to `known`."""
    before = ""
    with (folder / name).open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(LONGEST_LINE), ""), 1):
            match = _LINE.fullmatch(line)
            path = _decoded(match[2]) if match else ""
            if match is None or path <= before or not _within(path, payload=name == MANIFEST):
                yield Problem(name, f"line {number} is not one of a manifest, out of order, or names a file outside")
                if match is None:
                    return  # what follows cannot be told from it
                continue
            before = path
            problem = _file_problem(folder, path, match[1])
            if problem != "is missing":
                known.add(path)
            if problem:
                yield Problem(_shown(path), problem)


def _file_problem(folder: Path, path: str, expected: str) -> str:
    """What is wrong with a file; empty where nothing is. No part of the path may be a link."""
    place = folder
    try:
        for part in path.split("/"):
            place = place / part
            if place.is_symlink():
                return "is, or lies below, a link"
        if not _is_file(place):
            return "is missing"
        found, _ = _hashed(place)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if found == expected else "was changed: its bytes are not those of the manifest"


def _within(path: str, *, payload: bool) -> bool:
    parts = path.split("/")
    inside = all(part not in {"", ".", ".."} for part in parts) and "\0" not in path
    return inside and ((parts[0] == PAYLOAD and len(parts) > 1) if payload else path in TAG_FILES)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _files_below(folder: Path, top: str) -> list[str]:
    return sorted(path for path, entry in _walk(folder, top) if entry is not None)


def _walk(folder: Path, below: str) -> Iterator[tuple[str, os.DirEntry[str] | None]]:
    """Every path that is no folder, without following links; a folder without any as itself with None. In no order."""
    waiting = [below]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(folder / here) as found:
                entries = list(found)
        except OSError:
            entries = []
        if not entries:
            yield here or ".", None
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            else:
                yield path, entry


def _hashed(path: Path, *, sync: bool = False) -> tuple[str, int]:
    """SHA-256 and length; with `sync` the file is durable afterwards."""
    digest, length = hashlib.sha256(), 0
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        while chunk := os.read(fd, CHUNK):
            digest.update(chunk)
            length += len(chunk)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    return digest.hexdigest(), length


def _encoded(path: str) -> str:
    """RFC 8493, 2.1.3: line breaks and percent signs are written as such."""
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def _decoded(path: str) -> str:
    return path.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def _shown(path: str) -> str:
    """Printable, whatever bytes a name has."""
    return path.encode("utf-8", "backslashreplace").decode().encode("unicode_escape").decode("ascii")
