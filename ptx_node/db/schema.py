"""The database's schema over time: where it stands, and how it is brought to this version (Alembic)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ptx_node.db.session import unavailable
from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

LOCK_KEY = 0x707478


def revisions_folder() -> Path:
    """The folder `alembic/` of the source tree, or where the wheel put it.

    Raises:
        PtxError: it is in neither place.
    """
    for folder in (Path(__file__).resolve().parents[2] / "alembic", Path(sys.prefix) / "share" / "ptx-node" / "alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise PtxError("the folder `alembic` with the database revisions is missing from this installation: install ptx-node again")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions_folder()).replace("%", "%%"))
    return config


def latest() -> str:
    """The newest revision that this version of ptx-node knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with unavailable(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to `revision`; nothing happens when it is there already. Two at once wait for each other."""
    _run(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the database back to `revision` (`base` empties it)."""
    _run(engine, lambda config: command.downgrade(config, revision))


def _run(engine: Engine, step: Callable[[Config], None]) -> None:
    with unavailable(), engine.execution_options(ptx_write=True).connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        if engine.dialect.name != "postgresql":
            step(config)
            connection.commit()
            return
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK_KEY})")
        connection.commit()
        try:
            step(config)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK_KEY})")
            connection.commit()


def require_latest(engine: Engine) -> None:
    """Refuse to work on a database of another version.

    Raises:
        PtxError: it is older (upgrade it) or newer (this program is too old).
    """
    found = current(engine)
    if found != latest():
        raise PtxError(f"the database is at revision {found or 'none'}, this version needs {latest()}: run `ptx db upgrade`")
