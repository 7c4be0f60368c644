"""The revisions of `alembic/` lead to exactly the tables that the code expects, and back, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from ptx_node.db import schema
from ptx_node.db.session import open_engine
from ptx_node.db.tables import Table
from ptx_node.errors import PtxError


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_upgrade_gives_the_tables_of_the_code(empty: Engine) -> None:
    """No table, column, index or constraint of the code is missing from the revisions, and none is left over."""
    schema.upgrade(empty)
    with empty.connect() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Table.metadata)
    assert schema.latest() == schema.current(empty)


def test_downgrade_to_base_empties_the_database(empty: Engine) -> None:
    """Every revision can be taken back."""
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    assert {"alembic_version"} == set(inspect(empty).get_table_names())
    schema.upgrade(empty)
    schema.require_latest(empty)


def test_old_database_is_refused_with_the_command_to_run(empty: Engine) -> None:
    """Nobody works on tables of another version."""
    with pytest.raises(PtxError, match="ptx db upgrade"):
        schema.require_latest(empty)
