"""The node verifies its own trail: what is new at once, what is old within a walk, and what was cut off; metrics and status say it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.dashboard.health import Probe, router
from ptx_node.db import audit, audit_checks, views
from ptx_node.db.audit_tables import AuditCheck
from ptx_node.db.session import begin_read, begin_write, open_engine
from ptx_node.db.tables import Table
from ptx_node.domain.audit import NODE, AuditKind, Event
from ptx_node.pipeline.audit_watch import WALK_EVERY, look


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The tables and views on each database."""
    engine = open_engine(database_url)
    Table.metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in views.create(engine.dialect.name):
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()


def write(engine: Engine, count: int) -> None:
    with begin_write(engine) as session:
        audit.note(session, *(Event(AuditKind.LABEL, NODE, {"number": number}) for number in range(count)))


def behind_the_triggers(engine: Engine, *statements: str) -> None:
    """What somebody does who owns the database and takes the triggers away."""
    triggers = [f"DROP TRIGGER IF EXISTS audit_events_{name}" for name in ("no_update", "no_delete", "append")]
    with engine.begin() as connection:
        for one in [*(triggers if engine.dialect.name == "sqlite" else ["ALTER TABLE audit_events DISABLE TRIGGER ALL"]), *statements]:
            connection.exec_driver_sql(one)


def a_day_later(engine: Engine) -> None:
    with begin_write(engine) as session:
        session.get_one(AuditCheck, audit_checks.THE_ROW).pass_began_at -= WALK_EVERY


def looks(engine: Engine, count: int, *, rows: int) -> int | None:
    """So many looks; the broken row as the last one knows it."""
    for _ in range(count):
        found = look(engine, rows=rows)
    return found.broken_sequence


def test_a_whole_trail_stays_whole_while_it_grows(engine: Engine) -> None:
    """In steps smaller than what is there, and with rows that come in between."""
    assert None is looks(engine, 2, rows=10)
    write(engine, 25)
    assert None is looks(engine, 1, rows=10)
    write(engine, 4)
    assert None is looks(engine, 4, rows=10)
    with begin_read(engine) as session:
        checked, end = audit_checks.last(session), audit.head(session)
    assert checked is not None
    assert end == checked.head
    assert checked.passed_at is not None


def test_an_old_row_that_was_changed_is_found_by_the_next_days_walk(engine: Engine) -> None:
    write(engine, 25)
    assert None is looks(engine, 4, rows=10)
    behind_the_triggers(engine, "UPDATE audit_events SET body = replace(body, '\"number\":11', '\"number\":12') WHERE sequence = 12")
    assert None is looks(engine, 3, rows=10)  # the walk of today has passed it
    a_day_later(engine)
    assert 12 == looks(engine, 2, rows=10)
    write(engine, 3)
    assert 12 == looks(engine, 5, rows=10)


def test_a_new_row_that_was_changed_is_found_at_the_next_look_and_is_told_in_the_trail_once(engine: Engine) -> None:
    write(engine, 5)
    looks(engine, 1, rows=10)
    write(engine, 3)
    behind_the_triggers(engine, "UPDATE audit_events SET kind = 'export' WHERE sequence = 7")
    assert 7 == looks(engine, 3, rows=10)
    with begin_read(engine) as session:
        told = [json.loads(one.body) for one in audit.entries(session, kinds=["verification"])]
    assert [{"what": "audit trail", "intact": False, "broken_sequence": 7}] == [one["detail"] for one in told]


@pytest.mark.parametrize("then", [0, 4])
def test_an_end_that_was_cut_off_is_found_at_once_also_when_it_grew_again(engine: Engine, then: int) -> None:
    write(engine, 8)
    looks(engine, 1, rows=10)
    behind_the_triggers(engine, "DELETE FROM audit_events WHERE sequence > 6")
    if then:
        write(engine, then)
    assert 8 == looks(engine, 1, rows=10)


@pytest.mark.parametrize(("first", "last"), [(4, 4), (4, 30)])
def test_rows_that_were_taken_out_are_found_also_where_the_gap_is_longer_than_a_look(engine: Engine, first: int, last: int) -> None:
    write(engine, 40)
    behind_the_triggers(engine, f"DELETE FROM audit_events WHERE sequence BETWEEN {first} AND {last}")
    assert first == looks(engine, 5, rows=10)


def test_a_row_before_the_first_is_found(engine: Engine) -> None:
    write(engine, 3)
    columns = "recorded_at, kind, body, sha256"
    behind_the_triggers(engine, f"INSERT INTO audit_events (sequence, {columns}) SELECT 0, {columns} FROM audit_events WHERE sequence = 1")
    assert 0 == looks(engine, 2, rows=10)


def test_a_trail_that_was_put_right_is_whole_again_after_a_whole_walk(engine: Engine) -> None:
    """And not before: that the row is past the walk's place says nothing."""
    write(engine, 30)
    behind_the_triggers(engine, "UPDATE audit_events SET kind = 'export' WHERE sequence = 25")
    assert 25 == looks(engine, 6, rows=10)
    behind_the_triggers(engine, "UPDATE audit_events SET kind = 'label' WHERE sequence = 25")
    assert 25 == looks(engine, 1, rows=10)
    assert None is looks(engine, 4, rows=10)


def test_a_second_process_that_looked_meanwhile_counts(engine: Engine) -> None:
    write(engine, 3)
    with begin_read(engine) as session:
        before = audit_checks.last(session)
    found = look(engine)
    with begin_write(engine) as session:
        assert not audit_checks.keep(session, before, found)
        assert audit_checks.keep(session, found, found)


def test_metrics_and_status_say_how_the_trail_stands(engine: Engine, tmp_path: Path) -> None:
    app = FastAPI()
    probe = Probe(engine, (), tmp_path, 0, lambda: None)
    app.include_router(router(probe, Exporter(engine, Watched((), tmp_path, 0))))
    asked = TestClient(app)
    assert {"state": "not verified yet"} == asked.get("/statusz").json()["audit_trail"]
    assert "ptx_audit_intact" not in asked.get("/metrics").text
    write(engine, 4)
    found = look(engine)
    told = asked.get("/statusz").json()["audit_trail"]
    assert ("intact", 4, found.checked_at.isoformat()) == (told["state"], told["verified_rows"], told["verified_at"])
    metrics = asked.get("/metrics").text
    assert "ptx_audit_intact 1.0" in metrics
    assert "ptx_audit_verified_rows 4.0" in metrics
    assert found.passed_at is not None
    assert abs(found.passed_at - found.checked_at) < timedelta(seconds=1)
    behind_the_triggers(engine, "UPDATE audit_events SET kind = 'export' WHERE sequence = 4")
    a_day_later(engine)
    look(engine)
    assert "broken at row 4: see ptx audit verify" == asked.get("/statusz").json()["audit_trail"]["state"]
    assert "ptx_audit_intact 0.0" in asked.get("/metrics").text
