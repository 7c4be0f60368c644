"""Clears what a killed receiver left behind: temporary files, and files whose row was never committed.

Nothing that was acknowledged is ever touched: an acknowledged instance has a row. An orphan was never acknowledged, so
its sender still has it and sends it again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node import log
from ptx_node.db.session import begin_read
from ptx_node.db.tables import Conflict, Instance, Result
from ptx_node.pipeline.store import INCOMING, fsync_folder, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.pipeline.store import FileStore

logger = log.get(__name__)

OLD_S = 3600.0
"""What is older than this is not on its way any more."""
SWEPT = ("instances", "conflicts")
TRASH = "trash"


def sweep_store(engine: Engine, store: FileStore, *, old_s: float = OLD_S) -> int:
    """Remove leftovers older than `old_s` seconds; returns how many. Safe beside running receivers.

    An orphan is moved aside before it is removed. Should a sender have put the same name there in between (its inode
    is another one), the file goes back; so it does after a crash of this function, when a row names it by then.

    Raises:
        DatabaseUnavailableError: nothing more was removed.
    """
    removed = 0
    before = time.time() - old_s
    for path in _older(store.folder / INCOMING, before):
        path.unlink(missing_ok=True)
        removed += 1
    trash = store.folder / TRASH
    make_folder(trash)
    for path in sorted(trash.iterdir()):
        _end(engine, store, path, path.name.replace("~", "/"))
    for kind in SWEPT:
        for path in _older(store.folder / kind, before):
            removed += _remove_orphan(engine, store, path)
    if removed:
        logger.info("store swept", removed=removed)
    return removed


def _older(folder: Path, before: float) -> Iterator[Path]:
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            if path.is_file() and path.stat().st_mtime < before:
                yield path
        except FileNotFoundError:
            continue


def _remove_orphan(engine: Engine, store: FileStore, path: Path) -> int:
    relative = path.relative_to(store.folder).as_posix()
    if _has_row(engine, relative):
        return 0
    aside = store.folder / TRASH / relative.replace("/", "~")
    try:
        inode = path.stat().st_ino
        path.rename(aside)
    except FileNotFoundError:
        return 0
    if aside.stat().st_ino != inode:
        _put_back(store, aside, relative)
        return 0
    return _end(engine, store, aside, relative)


def _end(engine: Engine, store: FileStore, aside: Path, relative: str) -> int:
    """Remove a file that was moved aside, unless a row names it now and its place is empty."""
    if _has_row(engine, relative) and not store.path(relative).exists():
        _put_back(store, aside, relative)
        return 0
    aside.unlink(missing_ok=True)
    return 1


def _put_back(store: FileStore, aside: Path, relative: str) -> None:
    target = store.path(relative)
    aside.rename(target)
    fsync_folder(str(target.parent))


def _has_row(engine: Engine, relative: str) -> bool:
    with begin_read(engine) as session:
        return any(
            session.scalar(select(table.id).where(table.path == relative).limit(1)) is not None for table in (Instance, Conflict, Result)
        )
