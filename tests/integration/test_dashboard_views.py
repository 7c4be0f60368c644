"""The views that dashboards read: what docs/dashboard-queries.md promises of them, on both databases."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ptx_node.__main__ import main
from ptx_node.db import schema, views
from ptx_node.db.session import open_engine
from ptx_node.db.tables import Table
from tests import week, year
from tests.conftest import PostgresServer
from tests.dashboard_document import DIALECTS, answer, examples, promised_columns

BOARDS = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
BEFORE = "0006"
"""The last revision without views."""
KINDS = {  # what SQLite gives for a type of PostgreSQL
    "bigint": {"integer"},
    "integer": {"integer"},
    "boolean": {"integer"},
    "double precision": {"real", "integer"},
    "text": {"text"},
    "date": {"text"},
    "timestamp with time zone": {"text"},
}
MANY = 100_000
NOT_TABLES = {"refused", "kept", "held", "named", "week", "shares", "s", "o"}
"""What plans of SQLite call scans of small tables and of parts of the query itself."""


@pytest.fixture(scope="module", params=DIALECTS)
def week_engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The small week in a database that was brought up by the revisions."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('week') / 'ptx.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database("week_of_views")
    engine = open_engine(url)
    schema.upgrade(engine)
    week.fill(engine)
    yield engine
    engine.dispose()


def columns(connection: Connection, view: str) -> list[tuple[str, str]]:
    query = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = :view ORDER BY ordinal_position"
    return [(name, kind) for name, kind in connection.execute(text(query), {"view": view})]


def test_no_column_of_a_view_changes_its_name_place_or_type(week_engine: Engine) -> None:
    """The document is the contract: change a view, and the version of all has to change."""
    promised = promised_columns()
    assert views.names() == list(promised)
    with week_engine.connect() as connection:
        for view, wanted in promised.items():
            if week_engine.dialect.name == "postgresql":
                assert wanted == columns(connection, view), view
                continue
            rows = connection.exec_driver_sql(f"SELECT * FROM {view}")
            assert [name for name, _ in wanted] == list(rows.keys()), view
            for name, kind in wanted:
                found = set(connection.exec_driver_sql(f"SELECT DISTINCT typeof({name}) FROM {view}").scalars())
                assert found <= {"null", *KINDS[kind]}, f"{view}.{name}"


def test_each_view_has_rows_and_an_example(week_engine: Engine) -> None:
    """A view that is empty here would prove nothing of itself."""
    asked = " ".join(sql for one in examples() for sql in one.sql.values())
    with week_engine.connect() as connection:
        for view in views.names():
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {view}").scalar_one() > 0, view
            assert f" {view} " in asked.replace("\n", " ") + " ", view


@pytest.mark.parametrize("number", range(len(examples())), ids=[one.title for one in examples()])
def test_an_example_query_gives_the_answer_that_the_document_prints(week_engine: Engine, number: int) -> None:
    example = examples()[number]
    with week_engine.connect() as connection:
        assert example.answer == answer(connection, example.sql[week_engine.dialect.name])


def test_no_view_tells_who_a_patient_is(week_engine: Engine) -> None:
    """Neither a number nor a name that stands anywhere in the tables, nor a UID, nor a column that is called so."""
    with week_engine.connect() as connection:
        for view in views.names():
            rows = connection.exec_driver_sql(f"SELECT * FROM {view}")
            assert not {name for name in rows.keys() if "patient" in name or "accession" in name or name.endswith("_uid")}  # noqa: SIM118 - a result's
            cells = {str(cell) for row in rows for cell in row}
            assert not [cell for cell in cells for secret in (week.PATIENT_NAME, week.PATIENT_ID, week.ACCESSION) if secret in cell], view
            assert not [cell for cell in cells if cell.startswith(("1.2.", "2.25."))], view


@pytest.mark.parametrize("week_engine", ["postgresql"], indirect=True)
def test_the_dashboards_of_grafana_get_answers(week_engine: Engine) -> None:
    """With the week as their time range; a curve needs a column `time`."""
    panels = [panel for board in BOARDS.glob("*.json") for panel in json.loads(board.read_text(encoding="utf-8"))["panels"]]
    asked = [(panel["title"], target) for panel in panels for target in panel["targets"] if "rawSql" in target]
    with week_engine.connect() as connection:
        for title, target in asked:
            sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '2026-11-02' AND '2026-11-09'", target["rawSql"])
            assert "$" not in sql, title
            rows = connection.exec_driver_sql(sql)
            if target["format"] == "time_series":
                assert "time" in rows.keys(), title  # noqa: SIM118 - a result's
            assert rows.all(), title
    assert len(asked) > 10


def test_an_older_database_gets_the_views_and_loses_them_again(database_url: str) -> None:
    engine = open_engine(database_url)
    schema.upgrade(engine, BEFORE)
    assert [] == inspect(engine).get_view_names()
    schema.upgrade(engine)
    assert sorted(views.names()) == sorted(inspect(engine).get_view_names())
    schema.downgrade(engine, BEFORE)
    assert [] == inspect(engine).get_view_names()
    schema.upgrade(engine)
    schema.require_latest(engine)
    engine.dispose()


def test_the_reader_role_reads_the_views_and_nothing_else(postgres: PostgresServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With the SQL that the command prints, run by psql, twice as after an upgrade."""
    url = postgres.new_database("reader_role")
    engine = open_engine(url)
    schema.upgrade(engine)
    week.fill(engine)
    assert main(["db", "reader-role", "ptx_dashboards"]) == 0
    printed = capsys.readouterr().out
    for _ in range(2):
        subprocess.run(
            [
                "psql",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--host=127.0.0.1",
                f"--port={postgres.port}",
                "--dbname=reader_role",
                postgres.user,
            ],
            input=printed,
            check=True,
            text=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
    reader = create_engine(url.replace(f"{postgres.user}@", "ptx_dashboards@"))
    for view in views.names():
        with reader.connect() as connection:
            assert connection.execute(text(f"SELECT count(*) FROM {view}")).scalar_one() > 0
    forbidden = [f"SELECT count(*) FROM {table}" for table in [*Table.metadata.tables, "alembic_version"]]
    forbidden += [f"DELETE FROM {view}" for view in views.names()]
    forbidden += [
        "CREATE TABLE mine (n int)",
        "CREATE TEMPORARY TABLE mine (n int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ]
    for statement in forbidden:
        with reader.connect() as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.commit()
            with pytest.raises(DBAPIError, match=r"permission denied|cannot delete"):
                connection.execute(text(statement))
    reader.dispose()
    engine.dispose()


@pytest.mark.parametrize("name", ["", "Dashboards", 'a"; DROP TABLE jobs; --', "pg_mine", "1a"])
def test_a_name_of_a_role_that_would_need_quotes_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "reader-role", name]) == 2
    assert capsys.readouterr().out == ""


def test_questions_that_are_limited_in_time_read_an_index(database_url: str) -> None:
    """On a year of 100,000 jobs no example reads a whole large table; SQLite, which plans by the form more than by the size, has fewer."""
    engine = open_engine(database_url)
    schema.upgrade(engine)
    year.fill(engine, MANY if engine.dialect.name == "postgresql" else MANY // 5)
    with engine.connect() as connection:
        large = set()
        if engine.dialect.name == "postgresql":  # a third as many pairs as jobs are still read whole, and rightly
            large = set(
                connection.exec_driver_sql(f"SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > {MANY // 2}").scalars()
            )
            assert {"jobs", "job_inputs", "instances", "findings", "examinations", "results", "deliveries", "unmatched"} == large
        for example in examples():
            sql = example.sql[engine.dialect.name]
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET random_page_cost = 1.1")  # as on any server without spinning disks
                plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}")]
                whole = [line for line in plan if (found := re.search(r"Seq Scan on (\w+)", line)) and found[1] in large]
            else:
                plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
                whole = [line for line in plan if re.fullmatch(r"SCAN (?!ptx_v1_)\w+", line) and line.split()[1] not in NOT_TABLES]
            assert not whole, f"{example.title}\n" + "\n".join(plan)
    engine.dispose()
