"""The engine keeps its promises on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.pool import QueuePool

from ptx_node.db.session import begin_read, begin_snapshot, begin_write, now, open_engine
from ptx_node.db.tables import DestinationState
from ptx_node.errors import DatabaseUnavailableError, QueryTimeoutError
from tests.conftest import PostgresServer


def test_times_come_back_aware_and_equal(engine: Engine) -> None:
    """A UTC time survives the database with its zone."""
    moment = datetime(2026, 3, 29, 1, 30, 15, 123456, tzinfo=UTC)
    with begin_write(engine) as session:
        session.add(DestinationState(name="pacs", suspended=True, reason="test", changed_at=moment))
    with begin_read(engine) as session:
        assert moment == session.scalars(select(DestinationState.changed_at)).one()


def test_naive_time_is_refused(engine: Engine) -> None:
    """A time without zone never reaches the database."""
    with pytest.raises(StatementError, match="naive"), begin_write(engine) as session:
        session.add(DestinationState(name="pacs", suspended=True, reason="", changed_at=now().replace(tzinfo=None)))


def test_sqlite_commits_survive_power_loss(sqlite_engine: Engine) -> None:
    """Success is said after a commit: it must be synced, not only handed to the kernel."""
    with sqlite_engine.connect() as connection:
        assert (
            connection.execute(text("PRAGMA synchronous")).scalar(),
            connection.execute(text("PRAGMA journal_mode")).scalar(),
        ) == (2, "wal")


def test_unreachable_database_is_retryable() -> None:
    """A database that is away is told from one that refuses the statement."""
    engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailableError) as told, begin_read(engine) as session:
        session.execute(text("SELECT 1"))
    assert "\n" not in str(told.value)


def test_no_error_tells_what_a_statement_was_given(engine: Engine) -> None:
    """Errors are logged with their trace, and reports and numbers of patients are among what is written."""
    with pytest.raises(DBAPIError) as told, engine.connect() as connection:
        connection.execute(text("INSERT INTO no_such_table VALUES (:patient)"), {"patient": "MRN4711"})
    with pytest.raises(StatementError) as beside, begin_write(engine) as session:
        session.add(DestinationState(name="MRN4711", suspended=True, reason="", changed_at=now().replace(tzinfo=None)))
    assert "MRN4711" not in f"{told.value} {beside.value}"


def test_a_process_that_waits_for_its_own_connections_may_try_again() -> None:
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with begin_read(engine) as first:
        first.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailableError, match="too slow"), begin_read(engine) as second:
            second.execute(text("SELECT 1"))


def test_a_damaged_database_is_named_as_such(tmp_path: Path) -> None:
    """What lies in the file's place is no database: nothing is promised, and a person reads what to do."""
    (tmp_path / "ptx.db").write_bytes(b"no database at all" * 300)
    engine = open_engine(f"sqlite:///{tmp_path / 'ptx.db'}")
    with pytest.raises(DatabaseUnavailableError, match="back-up"), begin_write(engine) as session:
        session.execute(text("SELECT 1"))


def test_a_snapshot_outlives_a_servers_patience_with_idle_transactions(postgres: PostgresServer) -> None:
    """Managed servers set one: an export computes for minutes between two queries, and nothing of it waits for a lock."""
    url = f"{postgres.new_database('patience')}?options=-c%20idle_in_transaction_session_timeout%3D100"
    engine = open_engine(url)
    try:
        with begin_snapshot(engine) as session:
            assert "0" == session.scalar(text("SHOW idle_in_transaction_session_timeout"))
        with begin_read(engine) as session:
            assert "100ms" == session.scalar(text("SHOW idle_in_transaction_session_timeout"))
    finally:
        engine.dispose()


def test_a_limit_ends_what_reads_and_nothing_that_writes(postgres: PostgresServer) -> None:
    """Whatever else the address asks of the server is kept, and an engine from the same address has no limit."""
    url = f"{postgres.new_database('limit')}?options=-c%20lock_timeout%3D70s"
    engine = open_engine(url, query_timeout_s=0.5)
    other = open_engine(engine.url.render_as_string(hide_password=False))
    try:
        with pytest.raises(QueryTimeoutError, match="statement timeout"), begin_read(engine) as session:
            session.execute(text("SELECT pg_sleep(3600)"))
        with begin_read(engine) as session:
            assert ("500ms", "70s") == tuple(session.scalar(text(f"SHOW {name}_timeout")) for name in ("statement", "lock"))
        with begin_write(engine) as session:
            assert "0" == session.scalar(text("SHOW statement_timeout"))
        with begin_snapshot(other) as session:
            assert "0" == session.scalar(text("SHOW statement_timeout"))
    finally:
        engine.dispose()
        other.dispose()
