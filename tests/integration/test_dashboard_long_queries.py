"""A query of a page that would not end is ended by PostgreSQL: the page says so, and the next one is answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from ptx_node.db import schema
from ptx_node.db.session import open_engine
from ptx_node.domain.access import Role
from ptx_node.simulator.processes import free_port, port_answers, running
from tests.conftest import PostgresServer
from tests.dashboard import serving
from tests.dashboard_rows import a_day

SAID = "This took too long"


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.new_database("long_queries")
    postgres.drop_database("long_queries")


@contextmanager
def nobody_reads(url: str, table: str) -> Iterator[None]:
    """A question to this table has no end while the block runs."""
    other = create_engine(url)
    with other.begin() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield
    other.dispose()


def test_a_page_says_that_it_took_too_long_and_the_next_is_answered(database: str, tmp_path: Path) -> None:
    engine = open_engine(database, pool_size=1, query_timeout_s=2)
    schema.upgrade(engine)
    a_day(engine, 5)
    with serving(engine, tmp_path) as dashboard, dashboard.person("anna", Role.ADMINISTRATOR) as client:
        assert client.get("/find").status_code == 200
        with nobody_reads(database, "instances"):
            page, told = client.get("/find"), client.get("/api/v1/studies")
            assert client.get("/people").status_code == 200
        assert (503, "10", True) == (page.status_code, page.headers["retry-after"], SAID in page.text)
        assert "dashboard.query_timeout_s" in page.text
        for secret in ("Traceback", "does not answer", "long_queries", "SELECT", "psycopg"):
            assert secret not in page.text + told.text, secret
        assert (503, True) == (told.status_code, "longer for this than a page may take" in told.json()["detail"])
        assert [200, 200] == [client.get(path).status_code for path in ("/find", "/api/v1/studies")]
    engine.dispose()


def test_the_setting_reaches_the_dashboards_process(database: str, tmp_path: Path) -> None:
    engine = open_engine(database)
    schema.upgrade(engine)
    engine.dispose()
    port = free_port()
    config = tmp_path / "ptx.toml"
    tables = (f'[database]\nurl = "{database}"', '[node]\nhome = "home"', f"[dashboard]\nport = {port}\nquery_timeout_s = 2")
    config.write_text("\n".join(tables), encoding="utf-8")
    command = [sys.executable, "-m", "ptx_node", "dashboard", "-c", str(config)]
    cookies = {"ptx-session": "x"}
    with (
        running(command, log=tmp_path / "log", ready=lambda: port_answers(port)),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, timeout=60) as client,
    ):
        with nobody_reads(database, "web_sessions"):
            answer = client.get("/find")
        assert (503, True) == (answer.status_code, SAID in answer.text)
        assert [303, "/sign-in?next=/find"] == [client.get("/find").status_code, client.get("/find").headers["location"]]
    assert "the database ended a query before its end" in (tmp_path / "log").read_text(encoding="utf-8")
