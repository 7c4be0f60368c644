"""The audit trail on both databases: it only grows, it breaks where somebody touched it, and nothing acknowledged is missing."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from ptx_node.db import audit, audit_search, housekeeping, schema
from ptx_node.db.audit import Segment, Verdict
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import AuditEvent, DestinationState, Instance
from ptx_node.domain.audit import NODE, START, AuditKind, Broken, Entry, Event, Link, canonical_json, chain
from tests.conftest import PostgresServer

COLUMNS = "sequence, recorded_at, kind, body, sha256"
ROOT = Path(__file__).resolve().parents[2]


def some(count: int, kind: AuditKind = AuditKind.LABEL) -> list[Event]:
    return [Event(kind, NODE, {"number": number}) for number in range(count)]


def write(engine: Engine, events: Sequence[Event]) -> None:
    with begin_write(engine) as session:
        audit.note(session, *events)


def verify(engine: Engine, *anchors: Link) -> Verdict:
    with begin_read(engine) as session:
        return audit.verify(session, anchors)


def entries(engine: Engine) -> list[Entry]:
    with begin_read(engine) as session:
        return list(audit.entries(session))


def run_sql(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def behind_the_triggers(engine: Engine, *statements: str) -> None:
    """What somebody does who owns the database and takes the triggers away first."""
    if engine.dialect.name == "sqlite":
        triggers = [f"DROP TRIGGER audit_events_{name}" for name in ("no_update", "no_delete", "append")]
    else:
        triggers = ["ALTER TABLE audit_events DISABLE TRIGGER ALL"]
    run_sql(engine, *triggers, *statements)


def test_events_become_a_chain_from_the_first_row(engine: Engine) -> None:
    assert Verdict(0, START, None, None, None) == verify(engine)
    write(engine, some(3))
    write(engine, some(2, AuditKind.EXPORT))
    rows = entries(engine)
    assert [1, 2, 3, 4, 5] == [one.sequence for one in rows]
    assert ["label"] * 3 + ["export"] * 2 == [one.kind for one in rows]
    verdict = verify(engine)
    assert (5, rows[-1].link, None) == (verdict.rows, verdict.head, verdict.broken)
    with begin_read(engine) as session:
        assert rows[-1].link == audit.head(session)


def test_what_is_stored_is_what_was_hashed(engine: Engine) -> None:
    """The database gives back the same text and the same time, to the microsecond."""
    write(engine, some(1))
    (row,) = entries(engine)
    assert row.sha256 == hashlib.sha256(row.body.encode("ascii")).hexdigest()
    assert row.recorded_at is not None
    assert json.loads(row.body)["recorded_at"] == row.recorded_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert abs(now() - row.recorded_at) < timedelta(minutes=1)


def test_an_event_comes_and_goes_with_its_transaction(engine: Engine) -> None:

    def change() -> None:
        with begin_write(engine) as session:
            audit.note(session, *some(1))
            raise RuntimeError("something else failed later")

    with pytest.raises(RuntimeError, match="later"):
        change()
    assert entries(engine) == []


def test_what_cannot_be_audited_is_not_done(engine: Engine) -> None:
    """An event that cannot be written takes the state change with it."""

    def change() -> None:
        with begin_write(engine) as session:
            session.add(DestinationState(name="pacs", suspended=True, reason="", changed_at=now()))
            audit.note(session, Event(AuditKind.DECISION, NODE, {"value": float("nan")}))

    with pytest.raises(ValueError, match="JSON"):
        change()
    with begin_read(engine) as session:
        assert session.scalars(select(DestinationState)).all() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET body = 'x' WHERE sequence = 2",
        "UPDATE audit_events SET sequence = sequence + 10",
        "DELETE FROM audit_events WHERE sequence = 3",
        "DELETE FROM audit_events",
    ],
)
@pytest.mark.parametrize("made_by", ["metadata", "revisions"])
def test_the_database_refuses_to_change_or_remove_a_row(database_url: str, statement: str, made_by: str) -> None:
    engine = open_engine(database_url)
    if made_by == "revisions":
        schema.upgrade(engine)
    else:
        AuditEvent.metadata.create_all(engine)
    write(engine, some(3))
    with pytest.raises(IntegrityError, match="append-only"):
        run_sql(engine, statement)
    assert (3, None) == (verify(engine).rows, verify(engine).broken)
    engine.dispose()


@pytest.fixture
def postgres_engine(postgres: PostgresServer) -> Iterator[Engine]:
    """A database with every table, on PostgreSQL only."""
    engine = open_engine(postgres.new_database("audit"))
    AuditEvent.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_postgresql_refuses_truncate_and_a_session_that_silences_triggers(postgres_engine: Engine) -> None:
    engine = postgres_engine
    write(engine, some(2))
    for statement in ("TRUNCATE audit_events", "SET session_replication_role = replica; DELETE FROM audit_events"):
        with pytest.raises(IntegrityError, match="append-only"):
            run_sql(engine, statement)
    assert 2 == verify(engine).rows


def test_a_process_that_falls_silent_does_not_hold_the_chain_for_ever(postgres_engine: Engine) -> None:
    """PostgreSQL ends its session, and only that transaction has such a limit."""
    with postgres_engine.connect() as connection:
        with connection.begin():
            audit.append(connection, some(1))
            assert f"{audit.HELD_S}s" == connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
        assert "0" == connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()


def test_sqlite_refuses_to_replace_a_row_and_to_leave_a_gap(sqlite_engine: Engine) -> None:
    """INSERT OR REPLACE takes a row away without a DELETE."""
    write(sqlite_engine, some(2))
    for sequence in (1, 2, 9):
        values = f"({sequence}, '2026-01-01 00:00:00.000000', 'label', '{{}}', 'x')"
        with pytest.raises(IntegrityError, match="append-only"):
            run_sql(sqlite_engine, f"INSERT OR REPLACE INTO audit_events ({COLUMNS}) VALUES {values}")
    assert (2, None) == (verify(sqlite_engine).rows, verify(sqlite_engine).broken)


TAMPERING = {
    "a field of the content": (
        4,
        "content or its hash",
        ["UPDATE audit_events SET body = replace(body, '\"number\":3', '\"number\":8') WHERE sequence = 4"],
    ),
    "the hash": (4, "content or its hash", [f"UPDATE audit_events SET sha256 = '{'a' * 64}' WHERE sequence = 4"]),
    "the kind's column": (2, "columns were changed", ["UPDATE audit_events SET kind = 'login' WHERE sequence = 2"]),
    "the time's column": (2, "columns were changed", ["UPDATE audit_events SET recorded_at = '2020-01-01 00:00:00+00' WHERE sequence = 2"]),
    "a row in the middle is deleted": (3, "row 3 is missing", ["DELETE FROM audit_events WHERE sequence = 3"]),
    "the first rows are deleted": (1, "row 1 is missing", ["DELETE FROM audit_events WHERE sequence <= 2"]),
    "a row is deleted and the gap closed": (
        3,
        "it was moved",
        ["DELETE FROM audit_events WHERE sequence = 3"]
        + [f"UPDATE audit_events SET sequence = {number} WHERE sequence = {number + 1}" for number in (3, 4, 5)],
    ),
    "two rows change places": (
        2,
        "it was moved",
        [f"UPDATE audit_events SET sequence = {new} WHERE sequence = {old}" for old, new in ((2, 99), (5, 2), (99, 5))],
    ),
    "a row is put in": (
        3,
        "it was moved",
        [f"UPDATE audit_events SET sequence = {number + 1} WHERE sequence = {number}" for number in (6, 5, 4, 3)]
        + [f"INSERT INTO audit_events ({COLUMNS}) SELECT 3, recorded_at, kind, body, sha256 FROM audit_events WHERE sequence = 2"],
    ),
    "a row is put in before the first": (
        0,
        "put in",
        [f"INSERT INTO audit_events ({COLUMNS}) SELECT 0, recorded_at, kind, body, sha256 FROM audit_events WHERE sequence = 2"],
    ),
    "a number is changed": (6, "row 6 is missing", ["UPDATE audit_events SET sequence = 7 WHERE sequence = 6"]),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_what_is_done_behind_the_triggers_is_found_and_its_row_named(engine: Engine, what: str) -> None:
    sequence, problem, statements = TAMPERING[what]
    write(engine, some(6))
    behind_the_triggers(engine, *statements)
    broken = verify(engine).broken
    assert broken is not None
    assert sequence == broken.sequence
    assert problem in broken.problem


@pytest.mark.parametrize("value", ["x'00ff'", "'yesterday'", "7"])
@pytest.mark.parametrize("column", ["recorded_at", "kind", "body", "sha256"])
def test_values_of_another_type_are_a_broken_row_and_not_an_error(sqlite_engine: Engine, column: str, value: str) -> None:
    """SQLite lets anything into a column."""
    write(sqlite_engine, some(3))
    behind_the_triggers(sqlite_engine, f"UPDATE audit_events SET {column} = {value} WHERE sequence = 2")
    broken = verify(sqlite_engine).broken
    assert broken is not None
    assert 2 == broken.sequence


def test_a_row_that_is_hashed_again_breaks_the_next_one(engine: Engine) -> None:
    """Whoever makes one row consistent has the chain against them."""
    write(engine, some(4))
    row = entries(engine)[1]
    body = row.body.replace('"number":1', '"number":7')
    behind_the_triggers(
        engine, f"UPDATE audit_events SET body = '{body}', sha256 = '{hashlib.sha256(body.encode()).hexdigest()}' WHERE sequence = 2"
    )
    broken = verify(engine).broken
    assert broken is not None
    assert 3 == broken.sequence
    assert "row before it, was replaced" in broken.problem


def test_a_rehashed_row_with_nonsense_is_named(engine: Engine) -> None:
    write(engine, some(2))
    nonsense = "[" * 50_000
    behind_the_triggers(
        engine,
        f"UPDATE audit_events SET body = '{nonsense}', sha256 = '{hashlib.sha256(nonsense.encode()).hexdigest()}' WHERE sequence = 2",
    )
    assert Broken(2, "its content is not a JSON object") == verify(engine).broken


def test_a_cut_or_rewritten_trail_is_found_by_an_anchor_kept_elsewhere(engine: Engine) -> None:
    """What no chain can show by itself."""
    write(engine, some(5))
    rows = entries(engine)
    anchor = rows[-1].link
    assert verify(engine, rows[2].link, anchor).broken is None
    behind_the_triggers(engine, "DELETE FROM audit_events WHERE sequence >= 4")
    assert verify(engine).broken is None
    cut = verify(engine, anchor)
    assert cut.broken is not None
    assert (4, 3) == (cut.broken.sequence, cut.head.sequence)
    assert "ends with row 3, and had 5" in cut.broken.problem
    forged = chain(rows[2].link, some(2, AuditKind.EXPORT), now())
    with engine.begin() as connection:
        connection.execute(
            insert(AuditEvent),
            [{"sequence": e.sequence, "recorded_at": e.recorded_at, "kind": e.kind, "body": e.body, "sha256": e.sha256} for e in forged],
        )
    assert verify(engine).broken is None
    rewritten = verify(engine, anchor).broken
    assert rewritten is not None
    assert 5 == rewritten.sequence
    assert "rewritten" in rewritten.problem


def test_a_segment_holds_every_row_of_its_time_without_a_gap(engine: Engine) -> None:
    """Also when a clock was set back in between: a segment is a chain."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    last = START
    with begin_write(engine) as session:
        for minutes in (0, 10, 20, 5, 30, 40):
            (entry,) = chain(last, some(1, AuditKind.LABEL if minutes % 20 else AuditKind.EXPORT), start + timedelta(minutes=minutes))
            values = {"recorded_at": entry.recorded_at, "kind": entry.kind, "body": entry.body, "sha256": entry.sha256}
            session.execute(insert(AuditEvent).values(sequence=entry.sequence, **values))
            last = entry.link
    with begin_read(engine) as session:
        part = audit.segment(session, start + timedelta(minutes=10), start + timedelta(minutes=40))
        assert Segment(2, 5) == part
        assert part is not None
        assert [2, 3, 4, 5] == [one.sequence for one in audit.entries(session, part)]
        assert [3] == [one.sequence for one in audit.entries(session, part, kinds=[AuditKind.EXPORT])]
        assert [5, 4] == [one.sequence for one in audit.newest(session, part, kinds=(), limit=2)]
        assert Segment(1, 6) == audit.segment(session, None, None)
        assert audit.segment(session, start + timedelta(days=1), None) is None
        # a page finds the same along the index of time, and kinds each by itself
        near = audit_search.stretch(session, start + timedelta(minutes=10), start + timedelta(minutes=40))
        assert near == part
        assert [6, 3] == [one.sequence for one in audit_search.newest(session, Segment(1, 6), kinds={AuditKind.EXPORT}, limit=2)]
        assert [6, 5, 4] == [one.sequence for one in audit_search.newest(session, Segment(1, 6), kinds=set(AuditKind), limit=3)]
        assert Segment(1, 6) == audit_search.stretch(session, None, None)
        assert audit_search.stretch(session, start + timedelta(days=1), None) is None


def test_verification_reads_a_long_trail_in_flat_memory(sqlite_engine: Engine) -> None:
    for _ in range(6):
        write(sqlite_engine, some(audit.BATCH))
    verify(sqlite_engine)  # what is loaded once is loaded
    tracemalloc.start()
    verdict = verify(sqlite_engine)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (6 * audit.BATCH, None) == (verdict.rows, verdict.broken)
    assert peak < 6_000_000, f"{peak / 1e6:.1f} MB for {verdict.rows} rows"


def test_housekeeping_forgets_nothing_of_the_trail(engine: Engine) -> None:
    write(engine, some(2))
    with begin_write(engine) as session:
        housekeeping.forget(session, now=now() + timedelta(days=4000))
    assert 2 == verify(engine).rows


def _append_much(url: str, name: str, times: int) -> None:
    engine = open_engine(url)

    def go(thread: int) -> None:
        for number in range(times):
            write(engine, [Event(AuditKind.LABEL, f"{name}/{thread}", {"number": number}), Event(AuditKind.LABEL, "second", {})])

    threads = [threading.Thread(target=go, args=(thread,)) for thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()


def test_processes_and_threads_that_append_at_once_make_one_chain(engine: Engine, database_url: str) -> None:
    """No event is lost or doubled, each writer's are in its order, and those of one transaction stand together."""
    fresh, times = multiprocessing.get_context("spawn"), 15
    writers = [fresh.Process(target=_append_much, args=(database_url, f"writer {number}", times)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert 0 == writer.exitcode
    said = [json.loads(one.body) for one in entries(engine)]
    assert (2 * 2 * 2 * times, None) == (verify(engine).rows, verify(engine).broken)
    for name in {one["actor"] for one in said if one["actor"] != "second"}:
        assert list(range(times)) == [one["detail"]["number"] for one in said if one["actor"] == name]
    assert all(one["actor"] == "second" for one in said[1::2])


RECEIVER = """
import sys, time
from ptx_node.db.session import open_engine
from ptx_node.pipeline.ledger import Ledger
from tests.bench.audit import row
import threading
ledger = Ledger(open_engine(sys.argv[1]), lambda: None)
def receive():
    while True:
        one = row()
        ledger.record(one)
        sys.stdout.write(one["sop_instance_uid"] + "\\n")
        sys.stdout.flush()
for _ in range(3):
    threading.Thread(target=receive, daemon=True).start()
time.sleep(60)
"""


def test_a_killed_receiver_leaves_a_row_for_all_that_it_acknowledged(engine: Engine, database_url: str) -> None:
    """Instances and receipts are the same set, and what was said to be safe is in both."""
    acknowledged: set[str] = set()
    for lines in (40, 25):
        command = [sys.executable, "-c", RECEIVER, database_url]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert process.stdout is not None
        acknowledged |= {process.stdout.readline().strip() for _ in range(lines)}
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")}
        process.wait(30)
    with begin_read(engine) as session:
        stored = sorted(session.scalars(select(Instance.sop_instance_uid)))
    receipts = sorted(json.loads(one.body)["detail"]["sop_instance_uid"] for one in entries(engine))
    assert stored == receipts
    assert len(acknowledged) >= 65
    assert acknowledged <= set(stored)
    assert verify(engine).broken is None


def test_canonical_json_knows_no_order_of_keys() -> None:
    assert '{"a":{"x":1,"y":"\\u00e9"},"b":[2]}' == canonical_json({"b": [2], "a": {"y": "é", "x": 1}})
