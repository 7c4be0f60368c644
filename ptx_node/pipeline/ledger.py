"""Commits received instances to the database, several associations of a process in one transaction.

Who gets the lock commits everybody's rows (leader); the others find their answer there (followers). Alone, an
association commits at once: no timer, no thread in between. No row is visible, and no success said, before the commit.
With the rows come their events of the audit trail: nothing is acknowledged that the trail does not have.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from ptx_node.db import audit
from ptx_node.db.session import unavailable
from ptx_node.db.tables import Conflict, Instance, Refusal
from ptx_node.domain.audit_events import receipt, refused_at_the_door
from ptx_node.domain.study import Via
from ptx_node.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Table
    from sqlalchemy.sql.dml import Insert

    from ptx_node.domain.audit import Event

BATCH = 200
"""Rows in one transaction at most."""


_WRITTEN = frozenset(
    column.name
    for column in Instance.__table__.c
    if column.name not in ("id", "routed_at", "route_outcome", "route_detail", "registered_at", "patient_identifier_id")
)
"""What the receiver knows of an instance; the rest of the row is later stages'."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says of a SOP Instance UID after the commit: which bytes, where they lie, since when, through which door."""

    sha256: str
    path: str
    received_at: datetime
    via: str


@dataclass(slots=True)
class _Ticket:
    row: Mapping[str, Any]
    known: Known | None = None
    error: DatabaseUnavailableError | None = None


class Ledger:
    """The instances table as the receiver sees it. Shared by the association threads of one process.

    Args:
        engine: opened in this process.
        committed: called after each commit that added rows.
    """

    def __init__(self, engine: Engine, committed: Callable[[], None]) -> None:
        self._engine = engine
        self._write = engine.execution_options(ptx_write=True)
        self._committed = committed
        self._waiting: deque[_Ticket] = deque()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._insert = RawInsert(engine, Instance.__table__, "sop_instance_uid")  # type: ignore[arg-type]
        self._known = select(Instance.sop_instance_uid, Instance.sha256, Instance.path, Instance.received_at, Instance.via).where(
            Instance.sop_instance_uid.in_(bindparam("uids", expanding=True))
        )

    def record(self, row: Mapping[str, Any]) -> Known:
        """Commit one instance unless its UID is there already; returns what the table holds for the UID now.

        Raises:
            DatabaseUnavailableError: nothing was promised; the same instance may be sent again.
        """
        ticket = _Ticket(row)
        self._waiting.append(ticket)
        with self._lock:
            if ticket.known is None and ticket.error is None:
                self._lead()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.known is not None
        return ticket.known

    def _lead(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
        try:
            self._commit(batch)
        except DatabaseUnavailableError as error:
            for ticket in batch:
                ticket.error = error
        except SQLAlchemyError:
            for ticket in batch:
                self._commit_alone(ticket)

    def _commit_alone(self, ticket: _Ticket) -> None:
        """A row that the database will not have must not fail its neighbours."""
        try:
            self._commit([ticket])
        except DatabaseUnavailableError as error:
            ticket.error = error
        except SQLAlchemyError as error:
            ticket.error = _refusal(error)

    def _commit(self, batch: Sequence[_Ticket]) -> None:
        may_be_stale = self._connection is not None
        try:
            new, known = self._transaction(batch)
        except DatabaseUnavailableError:
            if not may_be_stale:
                raise
            # the server may only have restarted since the last commit; the insert is harmless when repeated
            new, known = self._transaction(batch, repeated=True)
        for ticket in batch:
            ticket.known = known.get(ticket.row["sop_instance_uid"]) or _as_known(ticket.row)
        if new:
            self._committed()

    def _transaction(self, batch: Sequence[_Ticket], *, repeated: bool = False) -> tuple[int, dict[str, Known]]:
        """Insert and commit; returns how many rows are new to the rules, and, unless all are new, what the table holds.

        `repeated`: the same batch was tried before, and nobody knows whether it was committed.
        """
        given = 0
        try:
            with unavailable():
                if self._connection is None:
                    self._connection = self._write.connect()
                with self._connection.begin():
                    new = self._insert(self._connection, [ticket.row for ticket in batch])
                    known: dict[str, Known] = {}
                    if new != len(batch):
                        uids = [ticket.row["sop_instance_uid"] for ticket in batch]
                        found = self._connection.execute(self._known, {"uids": uids})
                        known = {uid: Known(sha256, path, received_at, via) for uid, sha256, path, received_at, via in found}
                        given = _give_to_rules(self._connection, [ticket.row for ticket in batch], known)
                    events = _receipts(batch, known)
                    committed_before = repeated and not new and any(event.detail["outcome"] == "stored" for event in events)
                    if events and not committed_before:
                        audit.append(self._connection, events)
        except (DatabaseUnavailableError, SQLAlchemyError):
            self._forget_connection()
            raise
        return new + given, known

    def _forget_connection(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def record_conflict(self, row: Mapping[str, Any], conflict: Mapping[str, Any]) -> None:
        """Commit that other bytes came under a known UID; the same ones again are one conflict, and another event.

        Args:
            row: the instance as it would have been recorded.
            conflict: the row of the conflict.

        Raises:
            DatabaseUnavailableError: nothing was recorded.
        """
        with _refused(), self._write.begin() as connection:
            connection.execute(_insert_new(self._engine, Conflict.__table__, "sop_instance_uid", "sha256"), conflict)  # type: ignore[arg-type]
            audit.append(connection, [receipt(row, "kept_aside", stored_sha256=conflict["stored_sha256"])])

    def record_refusal(self, row: Mapping[str, Any]) -> None:
        """Commit a refusal.

        Raises:
            DatabaseUnavailableError: nothing was recorded.
        """
        with _refused(), self._write.begin() as connection:
            connection.execute(insert(Refusal), row)
            audit.append(connection, [refused_at_the_door(row)])


@contextmanager
def _refused() -> Iterator[None]:
    try:
        with unavailable():
            yield
    except SQLAlchemyError as error:
        raise _refusal(error) from error


def _refusal(error: SQLAlchemyError) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(f"the database refused the row: {type(error).__name__}")


def _give_to_rules(connection: Connection, rows: Sequence[Mapping[str, Any]], known: Mapping[str, Known]) -> int:
    """What the node had fetched from an archive is now sent to it: from now on it is the sender's, and rules read it. How many."""
    fetched = {uid for uid, one in known.items() if one.via == Via.RETRIEVE}
    sent = [row for row in rows if row["via"] != Via.RETRIEVE and row["sop_instance_uid"] in fetched]
    for row in sent:
        origin = {name: row[name] for name in ("via", "source", "calling_ae", "called_ae", "peer_address")}
        unrouted = {"routed_at": None, "route_outcome": None, "route_detail": None}
        mine = update(Instance).where(Instance.sop_instance_uid == row["sop_instance_uid"])
        connection.execute(mine.values(**origin, **unrouted))
    return len(sent)


def _as_known(row: Mapping[str, Any]) -> Known:
    return Known(row["sha256"], row["path"], row["received_at"], row["via"])


def _receipts(batch: Sequence[_Ticket], known: Mapping[str, Known]) -> list[Event]:
    """The events of what is acknowledged now; other bytes under a known UID are not, and get theirs when they are kept aside."""
    events = []
    for row in (ticket.row for ticket in batch):
        found = known.get(row["sop_instance_uid"])
        if found is None or found == _as_known(row):
            events.append(receipt(row, "stored"))
        elif found.sha256 == row["sha256"]:
            events.append(receipt(row, "already_stored"))
    return events


class RawInsert:
    """Inserts rows unless their unique columns are there, with SQL compiled once: half the cost of a commit on SQLite."""

    def __init__(self, engine: Engine, table: Table, *unique: str) -> None:
        values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.c if column.name in _WRITTEN}
        compiled = _insert_new(engine, table, *unique).values(values).compile(engine)
        self._sql = str(compiled)
        self._positions = compiled.positiontup
        self._processors = [(c.name, process) for c in table.c if (process := c.type.bind_processor(engine.dialect))]

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert; returns how many rows were new."""
        processed = [{**row, **{name: process(row[name]) for name, process in self._processors if name in row}} for row in rows]
        if self._positions is None:
            return connection.exec_driver_sql(self._sql, processed).rowcount
        return connection.exec_driver_sql(self._sql, [tuple(row[name] for name in self._positions) for row in processed]).rowcount


def _insert_new(engine: Engine, table: Table, *unique: str) -> Insert:
    build = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    return build(table).on_conflict_do_nothing(index_elements=list(unique))
