"""Triggers that refuse to change or take away rows of a table, on both databases: what an application may do is append."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import DDL, event

if TYPE_CHECKING:
    from sqlalchemy import FromClause


def statements(table: str, key: str, dialect: str) -> tuple[str, ...]:
    """The SQL that makes `table`, numbered by `key` from 1 without a gap, append-only.

    SQLite's `INSERT OR REPLACE` takes a row away without a DELETE; there, only the next number may be inserted. PostgreSQL
    needs no such rule (the primary key refuses, and ON CONFLICT DO UPDATE is an UPDATE), but has TRUNCATE, and a session
    setting that silences ordinary triggers: hence ENABLE ALWAYS.
    """
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        next_number = f"(SELECT coalesce(max({key}), 0) + 1 FROM {table})"  # noqa: S608 - names from our code
        return (
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_append BEFORE INSERT ON {table} WHEN NEW.{key} <> {next_number} {refuse}",
        )
    name = f"{table}_append_only"
    refuse = f"BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'restrict_violation'; END"
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {refuse} $$",
        f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    )


def undo(table: str, dialect: str) -> tuple[str, ...]:
    """What is left to drop when the table is gone: SQLite's triggers go with it."""
    return () if dialect == "sqlite" else (f"DROP FUNCTION {table}_append_only()",)


def guard(table: FromClause, key: str) -> None:
    """Make `table` append-only whenever it is created by its metadata, as the revision does it."""
    for dialect in ("sqlite", "postgresql"):
        for statement in statements(str(table), key, dialect):
            event.listen(table, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]
        for statement in undo(str(table), dialect):
            event.listen(table, "after_drop", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]
