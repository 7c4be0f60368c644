"""`/livez`, `/readyz`, `/statusz` and `/metrics`: who asks is told the truth, and no more than they may know."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from ptx_node.dashboard.app import create_app
from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.dashboard.health import Probe, page, router
from ptx_node.dashboard.pages import PAGES
from ptx_node.dashboard.parts import NodeFacts, Parts, Terms
from ptx_node.db import api_tokens, schema
from ptx_node.db.session import begin_write, now, open_engine
from ptx_node.domain.access import Permission
from ptx_node.settings import Settings
from ptx_node.wiring.monitoring import make_exporter, make_probe
from tests import week


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'week.db'}")
    schema.upgrade(engine)
    week.fill(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def probe(engine: Engine, tmp_path: Path, redis_url: str) -> Probe:
    """With a real Redis behind it."""
    settings = Settings.model_validate({"node": {"home": tmp_path}, "broker": {"url": redis_url}, "store": {"watermark_bytes": 1}})
    return replace(make_probe(settings, engine), destinations=("pacs",))


def client(probe: Probe) -> TestClient:
    def token(request: Request) -> None:
        if request.headers.get("authorization") != "Bearer t":
            raise HTTPException(401, "a token is needed")

    app = FastAPI()
    exporter = Exporter(probe.engine, Watched(probe.destinations, probe.folder, probe.watermark_bytes))
    app.include_router(router(probe, exporter, monitoring=[Depends(token)]))
    return TestClient(app)


TOKEN = {"Authorization": "Bearer t"}


def test_a_node_that_is_well_says_so_to_anybody(probe: Probe) -> None:
    asked = client(probe)
    assert {"status": "ok"} == asked.get("/livez").json()
    ready = asked.get("/readyz")
    assert (200, {"status": "ok", "checks": {"database": "ok", "disk": "ok", "broker": "ok"}}) == (ready.status_code, ready.json())
    assert "no-store" == ready.headers["cache-control"]


def test_figures_are_for_those_with_a_token(probe: Probe) -> None:
    asked = client(probe)
    for path in ("/metrics", "/statusz"):
        assert 401 == asked.get(path).status_code
        assert 200 == asked.get(path, headers=TOKEN).status_code
    metrics = asked.get("/metrics", headers=TOKEN)
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert 'ptx_deliveries_waiting{destination="research"} 3.0' in metrics.text


def test_the_status_tells_how_the_node_stands_and_of_no_patient(probe: Probe) -> None:
    text = client(probe).get("/statusz", headers=TOKEN).text
    told = json.loads(text)
    assert {"job": 2, "delivery": 4} == {
        kind: sum(one["count"] for one in told["waiting"] if one["kind"] == kind) for kind in ("job", "delivery")
    }
    assert {"decode_failed": 2, "out_of_memory": 1} == told["jobs_quarantined"]
    for secret in (week.PATIENT_NAME, week.PATIENT_ID, week.ACCESSION, "1.2."):
        assert secret not in text


def test_without_its_broker_a_node_is_ready_but_degraded(probe: Probe, tmp_path: Path) -> None:
    """Nothing is lost and nothing refused: work waits in the rows."""
    settings = Settings.model_validate({"node": {"home": tmp_path}, "broker": {"url": "redis://127.0.0.1:1/0"}})
    ready = client(replace(probe, ask_broker=make_probe(settings, probe.engine).ask_broker)).get("/readyz")
    assert (200, "degraded", "degraded") == (ready.status_code, ready.json()["status"], ready.json()["checks"]["broker"])


def test_without_room_a_node_is_not_ready(probe: Probe) -> None:
    ready = client(replace(probe, watermark_bytes=sys.maxsize)).get("/readyz")
    assert (503, "failed") == (ready.status_code, ready.json()["checks"]["disk"])
    gone = client(replace(probe, folder=probe.folder / "gone")).get("/readyz")
    assert (503, "failed") == (gone.status_code, gone.json()["checks"]["disk"])


def test_without_its_database_a_node_lives_and_is_not_ready(probe: Probe, tmp_path: Path) -> None:
    away = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    asked = client(replace(probe, engine=away))
    assert 200 == asked.get("/livez").status_code
    ready = asked.get("/readyz")
    assert (503, {"database": "failed", "disk": "ok", "broker": "ok"}) == (ready.status_code, ready.json()["checks"])
    assert "127.0.0.1" not in ready.text
    assert 200 == asked.get("/statusz", headers=TOKEN).status_code
    assert "ptx_database_up 0.0" in asked.get("/metrics", headers=TOKEN).text


def test_a_database_of_another_version_is_not_ready(probe: Probe, database_url: str) -> None:
    """Before its views, of which the exporter asks, on both databases."""
    older = open_engine(database_url)
    schema.upgrade(older, "0006")
    asked = client(replace(probe, engine=older))
    assert 503 == asked.get("/readyz").status_code
    assert "ptx_database_up 0.0" in asked.get("/metrics", headers=TOKEN).text
    assert "waiting" not in asked.get("/statusz", headers=TOKEN).json()
    older.dispose()


def test_the_settings_make_an_exporter(engine: Engine, tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "node": {"home": tmp_path / "home"},
            "destinations": [{"name": "pacs", "type": "folder", "folder": "out"}],
            "store": {"watermark_bytes": 5},
            "notifications": {"receivers": [{"name": "chat", "type": "webhook", "url": "https://chat.example.org", "secret": "s" * 32}]},
        }
    )
    text = make_exporter(settings, engine).text().decode()
    assert "ptx_disk_watermark_bytes 5.0" in text
    assert 'ptx_deliveries_failed{destination="pacs"} 1.0' in text
    assert 'ptx_notices_waiting{receiver="chat"} 0.0' in text


def test_in_the_dashboard_a_token_with_its_scope_opens_them(engine: Engine, probe: Probe, tmp_path: Path) -> None:
    """As the dashboard mounts them: every route has said who may call it, or the application would not be made."""
    node = NodeFacts("SIMULATED HOSPITAL", ZoneInfo("UTC"), tmp_path, 1, (), None)
    exporter = Exporter(engine, Watched((), tmp_path, 1))
    parts = Parts(engine, node, Terms("http://127.0.0.1", frozenset({"127.0.0.1"})))
    asked = TestClient(create_app(parts, (*PAGES, page(probe, exporter))), base_url="http://127.0.0.1", follow_redirects=False)
    with begin_write(engine) as session:
        token = api_tokens.add(session, "prometheus", [Permission.METRICS], life=timedelta(days=1), by="test", now=now())
        other = api_tokens.add(session, "pacs", [Permission.STOW], life=timedelta(days=1), by="test", now=now())
    for path in ("/metrics", "/statusz"):
        assert 200 == asked.get(path, headers={"Authorization": f"Bearer {token}"}).status_code
        assert asked.get(path, headers={"Authorization": f"Bearer {other}"}).status_code in (401, 403)
        assert asked.get(path).status_code in (303, 401)
    for path in ("/livez", "/readyz"):
        assert 200 == asked.get(path, headers={"Host": "10.2.3.4:8044"}).status_code
    assert 200 == asked.get("/metrics", headers={"Host": "dashboard:8044", "Authorization": f"Bearer {token}"}).status_code
    assert 421 == asked.get("/sign-in", headers={"Host": "dashboard:8044"}).status_code
