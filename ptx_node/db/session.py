"""The engine, set up the same way in every process. Nothing is opened at import."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from ptx_node.db.audit import append_noted, begin_notes
from ptx_node.errors import DatabaseUnavailableError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_TIMEOUT_S = 30
QUERY_CANCELED = "57014"
"""PostgreSQL's SQLSTATE of a statement that its time limit or a person has ended."""


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def open_engine(url: str, *, pool_size: int = 5, query_timeout_s: float = 0) -> Engine:
    """An engine for SQLite (WAL, full sync, foreign keys) or PostgreSQL (psycopg).

    SQLite commits must survive power loss, because success is said after them: hence `synchronous=FULL`.
    A write transaction starts as `BEGIN IMMEDIATE` through `begin_write`, so that two writers wait and never deadlock.
    What a statement was given stands in no error: errors are logged, and reports and numbers of patients are among it.
    With `query_timeout_s` PostgreSQL ends each query of a transaction for reading after so long; 0: its own limit counts. SQLite has none.
    """
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            pool_size=pool_size,
            max_overflow=50,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True, connect_args={"connect_timeout": 10}, hide_parameters=True
    )
    if query_timeout_s:
        event.listen(engine, "begin", partial(_limit_reading, max(1, round(query_timeout_s * 1000))))
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's event below starts transactions, not the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA wal_autocheckpoint=2000")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    mode = "IMMEDIATE" if connection.get_execution_options().get("ptx_write") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {mode}")


def _limit_reading(limit_ms: int, connection: Any) -> None:
    """In the transaction: options of a connection may be refused by a pooler in between, and would replace those of the site's address."""
    if not connection.get_execution_options().get("ptx_write"):
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {limit_ms}")


@contextmanager
def begin_write(engine: Engine) -> Iterator[Session]:
    """A session in one write transaction, committed at the end, rolled back on any error.

    Events of the audit trail that are noted in it (`ptx_node.db.audit.note`) are appended last.

    Raises:
        DatabaseUnavailableError: the database cannot be reached or stayed locked; a retry may help.
    """
    with unavailable(), Session(engine.execution_options(ptx_write=True), expire_on_commit=False) as session, session.begin():
        begin_notes(session)
        yield session
        append_noted(session)


@contextmanager
def begin_read(engine: Engine) -> Iterator[Session]:
    """A session for reading, in one transaction.

    Raises:
        DatabaseUnavailableError: the database cannot be reached; a retry may help.
        QueryTimeoutError: a query took longer than this engine lets it.
    """
    with unavailable(), Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def begin_snapshot(engine: Engine) -> Iterator[Session]:
    """A session for reading, all of whose queries see the database as it was at the first one, however long it lasts.

    SQLite's write-ahead log gives that to every transaction; PostgreSQL is asked for it.

    Raises:
        DatabaseUnavailableError: the database cannot be reached; a retry may help.
    """
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with begin_read(engine.execution_options(**level)) as session:
        if engine.dialect.name == "postgresql":  # figures and images take minutes between two queries
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield session


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the drivers' errors of a database that is away into ours.

    Raises:
        DatabaseUnavailableError: the database cannot be reached; a retry may help.
        QueryTimeoutError: it ended a query that took too long.
    """
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == QUERY_CANCELED:
            raise QueryTimeoutError(f"the database ended a query before its end: {_line(error)}. Ask for less, or again later") from error
        raise DatabaseUnavailableError(
            f"the database does not answer: {_line(error)}. Check that it runs and that its disk has room"
        ) from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("the database is too slow: every connection of this process has been in use for too long") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailableError(f"the database connection was lost: {_line(error)}") from error
        if type(error) is DatabaseError:  # none of its kinds: SQLite's word for a file that is damaged or something else
            raise DatabaseUnavailableError(f"the database cannot be read: {_line(error)}. Restore it from a back-up") from error
        raise


def _line(error: DBAPIError) -> str:
    """What the driver said, which may be several lines, as one."""
    return " ".join(str(error.orig).split())
