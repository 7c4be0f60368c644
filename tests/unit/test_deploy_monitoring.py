"""Alert rules and Grafana dashboards: Prometheus's own tool accepts them, and every metric that they name exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine

from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.db import audit_checks, schema
from ptx_node.db.session import begin_write, now, open_engine
from ptx_node.db.tables import AuditEvent, Heartbeat
from tests import week
from tests.promql import BOARDS, DEPLOY, PROMETHEUS, expressions

SUFFIXES = ("_bucket", "_count", "_sum", "_total")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="Debian's package prometheus is not installed")


def promtool(*words: str | Path, cwd: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False, timeout=60, cwd=cwd)


@needs_promtool
def test_alert_rules_do_what_their_tests_say() -> None:
    assert promtool("check", "rules", "ptx.rules.yml").returncode == 0
    outcome = promtool("test", "rules", "ptx.rules.test.yml")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@needs_promtool
def test_the_scrape_configuration_is_valid(tmp_path: Path) -> None:
    """With a token where the file says that one is."""
    token = tmp_path / "token"
    token.write_text("t", encoding="ascii")
    config = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8").replace("/run/secrets/metrics_token", str(token))
    (tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    shutil.copy(PROMETHEUS / "ptx.rules.yml", tmp_path)
    outcome = promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@needs_promtool
def test_every_expression_is_promql(tmp_path: Path) -> None:
    content = {
        "groups": [{"name": "all", "rules": [{"record": f"r{number}", "expr": one} for number, (_, one) in enumerate(expressions())]}]
    }
    (tmp_path / "all.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    outcome = promtool("check", "rules", "all.yml", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert len(expressions()) > 40


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of what the exporter tells of a node in which something of everything is."""
    folder = tmp_path_factory.mktemp("exported")
    engine = open_engine(f"sqlite:///{folder / 'ptx.db'}")
    schema.upgrade(engine)
    week.fill(engine)
    _alive(engine)
    exporter = Exporter(engine, Watched(("pacs",), folder, 1))
    text = exporter.text().decode()
    engine.dispose()
    return set(re.findall(r"^# TYPE (\w+) ", text, flags=re.MULTILINE))


def _alive(engine: Engine) -> None:
    gpus = [{"utilisation": 0.1, "memory_used_bytes": 1, "memory_bytes": 2}]
    with begin_write(engine) as session:
        session.add(Heartbeat(process="w", role="worker", host="h", pid=1, started_at=now(), beat_at=now(), detail={"gpus": gpus}))
        audit_checks.keep(session, None, audit_checks.begin(now()))
        session.add(AuditEvent(sequence=1, recorded_at=now(), kind="receipt", body="{}", sha256="0" * 64))


def test_every_metric_that_is_named_exists(exported: set[str]) -> None:
    for where, expression in expressions():
        for name in set(re.findall(r"\bptx_\w+", expression)):
            family = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
            assert exported & {name, family, f"{family}_total"}, f"{where}: {name}"


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_asks_sources_that_are_provisioned(board: Path) -> None:
    content = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/ptx.yaml").read_text(encoding="utf-8"))
    known = {(one["type"], one["uid"]) for one in content["datasources"]}
    made = json.loads(board.read_text(encoding="utf-8"))
    assert made["uid"] == board.stem
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(numbers) == len(set(numbers)) > 10
    for panel in made["panels"]:
        assert {"title", "type", "targets", "gridPos", "fieldConfig"} <= panel.keys()
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert (target["datasource"]["type"], target["datasource"]["uid"]) in known, panel["title"]
            assert ("expr" in target) == (target["datasource"]["type"] == "prometheus")
    places = [(cell["x"], cell["y"]) for cell in (panel["gridPos"] for panel in made["panels"])]
    assert len(places) == len(set(places))


def test_the_compose_file_of_monitoring_is_valid_and_hardened() -> None:
    path = DEPLOY / "monitoring.yaml"
    check = Path(sys.executable).with_name("check-jsonschema")
    outcome = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert outcome.returncode == 0, outcome.stdout
    for name, service in yaml.safe_load(path.read_text(encoding="utf-8"))["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "latest" not in service["image"], name
