"""A real Prometheus scrapes a node, evaluates its alerts, and answers every question of the dashboards."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from fastapi import FastAPI
from sqlalchemy import Engine

from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.dashboard.health import Probe, router
from ptx_node.db import audit_checks, schema
from ptx_node.db.session import begin_write, now, open_engine
from ptx_node.db.tables import AuditEvent, Heartbeat, Refusal
from ptx_node.simulator.processes import free_port, port_answers, running, wait_until
from tests import week
from tests.notice_rows import add_notice
from tests.promql import PROMETHEUS, expressions

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="Debian's package prometheus is not installed")


@contextmanager
def served(engine: Engine, folder: Path) -> Iterator[int]:
    """The routes of monitoring on a port, while the block runs; counters begin with the week."""
    moment = [week.MONDAY]

    def clock() -> Any:
        moment[0] += timedelta(minutes=5)
        return moment[0]

    app = FastAPI()
    watched = Watched(("pacs",), folder, 1, receivers=("it",))
    app.include_router(router(Probe(engine, ("pacs",), folder, 1, lambda: None), Exporter(engine, watched, clock)))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, name="monitoring", daemon=True)
    thread.start()
    try:
        wait_until(lambda: port_answers(port), what="the node's metrics", timeout_s=60)
        yield port
    finally:
        server.should_exit = True
        thread.join(20)


def test_a_prometheus_of_its_own_scrapes_alerts_and_answers(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'ptx.db'}")
    schema.upgrade(engine)
    week.fill(engine)
    with begin_write(engine) as session:
        gpus = [{"utilisation": 0.5, "memory_used_bytes": 1, "memory_bytes": 2}]
        beats = {"started_at": now(), "beat_at": now() + timedelta(days=1)}
        session.add(AuditEvent(sequence=1, recorded_at=now(), kind="receipt", body="{}", sha256="0" * 64))
        audit_checks.keep(session, None, replace(audit_checks.begin(now()), passed_at=now()))
        texts = dict.fromkeys(("sop_instance_uid", "sop_class_uid", "status", "detail", "via", "calling_ae", "peer_address"), "")
        session.add(Refusal(**texts, reason="storage_full", refused_at=week.MONDAY + timedelta(minutes=20)))
        for state, later in (("waiting", timedelta(days=7)), ("given_up", timedelta())):
            add_notice(session, "it", state, queued_at=week.MONDAY - timedelta(hours=2), deadline_at=week.MONDAY + later)
        session.add(Heartbeat(process="w", role="worker-infer", host="h", pid=1, detail={"gpus": gpus}, **beats))
    with served(engine, tmp_path) as node:
        content = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
        content["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        [job] = content["scrape_configs"]
        del job["authorization"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{node}"]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
        shutil.copy(PROMETHEUS / "ptx.rules.yml", tmp_path)
        port = free_port()
        words = [
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (
            running(["prometheus", *words], log=tmp_path / "prometheus.log", ready=lambda: port_answers(port)),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as prometheus,
        ):

            def ask(expression: str) -> list[Any]:
                answer = prometheus.get("/api/v1/query", params={"query": expression})
                assert answer.status_code == 200, f"{expression}: {answer.text}"
                found: list[Any] = answer.json()["data"]["result"]
                return found

            wait_until(lambda: bool(ask('ALERTS{alertname="PtxJobsQuarantined", alertstate="firing"}')), what="an alert", timeout_s=90)
            for alert, state in (("PtxNoticesGivenUp", "firing"), ("PtxNoticesWait", "pending")):
                told = f'ALERTS{{alertname="{alert}", alertstate="{state}", receiver="it"}}'
                wait_until(lambda told=told: bool(ask(told)), what=told, timeout_s=90)
            wait_until(lambda: bool(ask("rate(ptx_findings_total[1m]) > 0")), what="a rate", timeout_s=90)
            assert [1.0] == [float(one["value"][1]) for one in ask("ptx_database_up")]
            silent = [where for where, expression in expressions() if not ask(expression) and not where.startswith("Ptx")]
            assert [] == silent
    engine.dispose()
