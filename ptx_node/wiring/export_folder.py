"""The folder of packages that were asked for on the dashboard: where it is, how large, and that what has been given up is gone."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from ptx_node.db import exports
from ptx_node.db.session import begin_read
from ptx_node.log import get

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.settings import Settings

log = get(__name__)

FOLDER = "exports"


def exports_folder(settings: Settings) -> Path:
    """Where the packages lie: each in a folder of its number."""
    return settings.home / FOLDER


def kept(settings: Settings) -> timedelta | None:
    """How long a package stays; None: for ever."""
    return timedelta(days=settings.export.keep_days) if settings.export.keep_days else None


def remove_given_up(settings: Settings, engine: Engine) -> None:
    """Remove the folders of packages whose rows say that they are removed: what a kill left is taken at the next look."""
    folder = exports_folder(settings)
    there = {int(path.name): path for path in (folder.iterdir() if folder.is_dir() else ()) if path.name.isdecimal()}
    with begin_read(engine) as session:
        given_up = exports.removed_among(session, there.keys())
    for number in given_up:
        shutil.rmtree(there[number], ignore_errors=True)  # what stays is tried again at the next look
        log.info("an old export was removed", export=number, gone=not there[number].exists())


def size_bytes(settings: Settings) -> tuple[int, int]:
    """How many packages lie in the folder, and how many bytes all its files have."""
    folder = exports_folder(settings)
    if not folder.is_dir():
        return 0, 0
    count = sum(path.name.isdecimal() for path in folder.iterdir())
    return count, sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
