"""Models: what is here and intact, and a site's own threshold: proposed from its truth, applied by an administrator who says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ptx_node.dashboard.desk import Desk
from ptx_node.db import thresholds
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import FindingRow
from ptx_node.db.thresholds import Action
from ptx_node.domain.access import Role
from ptx_node.settings import Settings
from ptx_node.wiring.desk import cards
from ptx_node.wiring.models import SHIPPED
from tests.dashboard import Dashboard, serving
from tests.dashboard_rows import EVIL, a_day

CXR, CT = "ptx-cxr-demo", "ptx-ct-demo"


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    """Two real bundles, one of which somebody has altered."""
    a_day(sqlite_engine, 4)
    for name in (CXR, CT):
        shutil.copytree(SHIPPED / name, tmp_path / name)
    (tmp_path / CXR / "docs" / "README.md").write_text(f"# Card\n{EVIL}", encoding="utf-8")
    weights = next((tmp_path / CT / "models").iterdir())
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    settings = Settings(models={name: tmp_path / name for name in (CXR, CT)})
    with serving(sqlite_engine, tmp_path, desk=Desk(models=lambda: cards(settings))) as running:
        yield running


def test_cards_hashes_and_what_is_not_intact(dashboard: Dashboard) -> None:
    with dashboard.person("audrey", Role.AUDITOR) as client:
        page = client.get("/models").text
        told = {one["name"]: one for one in client.get("/api/v1/models").json()}
    assert (True, False) == (told[CXR]["intact"], told[CT]["intact"])
    assert "altered or cut" in told[CT]["problem"]
    assert told[CXR]["weights_sha256"] in page
    assert told[CXR]["threshold"] == told[CXR]["in_force"]
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "Propose" not in page, "only administrators have the forms"


def test_a_threshold_is_set_and_withdrawn_with_a_reason(dashboard: Dashboard) -> None:
    """It counts at once, its history stays, the trail names who; for a broken model, without a reason, out of range: nothing."""
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:
        assert client.post(f"/models/{CXR}/withdraw", data={"note": "x"}).status_code == 400
        for wrong in ({"value": "1.5", "note": "x"}, {"value": "nan", "note": "x"}, {"value": "0.5", "note": ""}, {"value": "0.5"}):
            assert client.post(f"/models/{CXR}/threshold", data=wrong).status_code == 422, wrong
        assert client.post(f"/models/{CXR}/threshold", data={"value": "0.5", "note": " "}).status_code == 400
        assert client.post(f"/models/{CT}/threshold", data={"value": "0.5", "note": "x"}).status_code == 400
        assert client.post("/models/nobody/threshold", data={"value": "0.5", "note": "x"}).status_code == 404
        assert client.post(f"/models/{CXR}/threshold", data={"value": "0.25", "note": EVIL}).status_code == 200
        page = client.get("/models").text
        assert "this site&#39;s own" in page
        assert "<script>alert" not in page
        assert {0.25} == {one["in_force"] for one in client.get("/api/v1/models").json() if one["name"] == CXR}
        assert client.post(f"/api/v1/models/{CXR}/withdraw", json={"note": "enough"}).status_code == 201
        assert [("withdrawn", "enough"), ("applied", EVIL)] == [
            (one["action"], one["note"]) for one in client.get("/api/v1/thresholds").json()
        ]
    told = [json.loads(body) for body in dashboard.trail("decision")]
    whats = [(one["actor"], one["detail"]["what"]) for one in told if "threshold" in one["detail"]["what"]]
    assert [("user anna", "threshold applied"), ("user anna", "threshold withdrawn")] == whats


def test_a_proposal_changes_nothing_until_it_is_applied(dashboard: Dashboard) -> None:
    """Too few cases propose nothing; one that proposes is applied once it fits the weights."""
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:
        few = client.post(f"/api/v1/models/{CXR}/proposals", json={"aim": "sensitivity", "at_least": 0.95}).json()
        assert few["value"] is None
        assert "proposes nothing" in client.post(f"/models/{CXR}/propose", data={"aim": "youden"}).text
        refused = client.post(f"/models/proposals/{few['number']}/apply", data={"note": "agreed"})
        assert (400, True) == (refused.status_code, "too few cases" in refused.text)
        weights = next(one["weights_sha256"] for one in client.get("/api/v1/models").json() if one["name"] == CXR)
        with begin_write(dashboard.engine) as session:
            numbers = [
                thresholds.record(
                    session, Action.PROPOSED, model=CXR, weights_sha256=of, value=0.4, decided_by="x", now=now(), evidence={"patients": 90}
                )
                for of in (weights, "0" * 64)
            ]
        assert "Apply proposal" in client.get("/models").text
        assert client.post(f"/api/v1/proposals/{numbers[1]}/apply", json={"note": "agreed"}).status_code == 400
        assert client.post(f"/models/proposals/{numbers[0]}/apply", data={"note": "agreed with Dr Example"}).status_code == 200
        for number in (0, -1, 2**70):
            assert client.post(f"/api/v1/proposals/{number}/apply", json={"note": "x"}).status_code == 422
    with begin_read(dashboard.engine) as session:
        assert thresholds.in_force(session) == {weights: 0.4}
        assert session.query(FindingRow).count() == 4, "what was found stays"
