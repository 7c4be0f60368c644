"""Audit: the trail searched by kind, actor, object and day, without patients for auditors; a broken row is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ptx_node.dashboard import audit_page
from ptx_node.db import audit
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Role
from ptx_node.domain.audit import AuditKind, Event
from ptx_node.domain.audit_events import decision, looked
from tests.dashboard import Dashboard, serving
from tests.dashboard_rows import EVIL

UID = "1.2.826.0.1.3680043.10.1.77"


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with begin_write(sqlite_engine) as session:
        for number in range(70):
            audit.note(
                session, Event(AuditKind.RECEIPT, "peer CT_ER@10.0.0.7", {"study_instance_uid": f"{UID}.{number}", "outcome": "stored"})
            )
        audit.note(session, decision("user olaf", "suspend destination", destination="pacs", reason=EVIL))
        audit.note(session, looked("user vera", "study", [UID]))
    with serving(sqlite_engine, tmp_path) as running:
        yield running


def test_searched_by_kind_actor_object_and_day(dashboard: Dashboard) -> None:
    """Page after page, none twice; what is HTML in an event is text."""
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:

        def found(**asked: str) -> list[str]:
            answer = client.get("/api/v1/audit", params=asked)
            assert answer.status_code == 200, answer.text
            return [one["kind"] for one in answer.json()["events"]]

        assert ["look"] == found(kind="look")
        assert ["decision"] == found(actor="OLAF")
        assert ["look"] == found(object=f'"{UID}"')
        assert [] == found(kind="look", since=(now() + timedelta(days=2)).date().isoformat())
        assert ["look"] == found(kind="look", since=(now() - timedelta(days=1)).date().isoformat(), until="9000-12-31")
        seen, before = [], ""
        while True:
            told = client.get("/api/v1/audit", params={"kind": "receipt", "limit": "30", **({"before": before} if before else {})}).json()
            seen += [one["sequence"] for one in told["events"]]
            if told["before"] is None:
                break
            before = str(told["before"])
        assert (70, sorted(set(seen), reverse=True)) == (len(seen), seen)
        page = client.get("/audit?kind=decision").text
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
        for wrong in ("kind=all", "since=today", "before=0", "object=" + "x" * 300):
            assert client.get(f"/audit?{wrong}").status_code == 422, wrong


def test_an_auditor_sees_pseudonyms_and_no_times_of_images(dashboard: Dashboard) -> None:
    """Neither by looking nor by asking; deeds of people have their times."""
    with dashboard.person("audrey", Role.AUDITOR) as client:
        assert "1.2.826" not in client.get("/audit").text
        whole = client.get("/api/v1/audit?limit=500").text
        assert "1.2.826" not in whole
        assert "ID_0011fe81e" not in whole, "also what is no valid UID"
        told = client.get("/api/v1/audit?limit=500").json()["events"]
        assert {None} == {one["recorded_at"] for one in told if one["kind"] == "receipt"}
        assert None not in {one["recorded_at"] for one in told if one["kind"] in ("decision", "look")}
        (look,) = [one for one in told if one["kind"] == "look"]
        pseudonym = look["detail"]["study_instance_uids"][0]
        assert pseudonym.startswith("2.25.")
        assert [] == client.get("/api/v1/audit", params={"object": UID}).json()["events"]
        assert [look] == client.get("/api/v1/audit", params={"object": pseudonym}).json()["events"]
        today = client.get("/api/v1/audit", params={"since": (now() - timedelta(days=1)).date().isoformat()}).json()["events"]
        assert "receipt" not in {one["kind"] for one in today}
        assert len(today) >= 2


def test_the_chain_is_followed_and_the_first_broken_row_named(dashboard: Dashboard) -> None:
    """What was found is written into the trail; an earlier head is held against it."""
    with dashboard.person("audrey", Role.AUDITOR) as client:
        whole = client.post("/api/v1/audit/verify", json={}).json()
        assert (True, None) == (whole["intact"], whole["broken"])
        assert "none broken" in client.post("/audit/verify", data={"expect": whole["head"]}).text
        assert client.post("/audit/verify", data={"expect": "12:xyz"}).status_code == 422
        cut = client.post("/api/v1/audit/verify", json={"expect": f"99999:{'0' * 64}"}).json()
        assert "the trail was cut" in cut["broken"]["problem"]
        with audit_page._one_at_a_time:
            assert client.post("/api/v1/audit/verify", json={}).status_code == 429
        with dashboard.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER audit_events_no_update"))
            connection.execute(text("UPDATE audit_events SET body = '{}' WHERE sequence = 33"))
        page = client.post("/audit/verify", data={})
        assert "Row 33 is broken" in page.text
        assert client.get("/audit").status_code == 200
    assert [True, True, False, False] == [json.loads(body)["detail"]["intact"] for body in dashboard.trail("verification")]
    with begin_read(dashboard.engine) as session:
        broken = audit.verify(session).broken
    assert broken is not None
    assert broken.sequence == 33


def test_a_long_search_ends_and_goes_on(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many rows are looked at for one page; the next one begins there."""
    monkeypatch.setattr(audit_page, "MOST_ROWS", 40)
    monkeypatch.setattr(audit, "BATCH", 20)
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:
        first = client.get("/api/v1/audit", params={"object": f"{UID}.0"}).json()
        assert ([], 40) == (first["events"], first["looked_at"])
        second = client.get("/api/v1/audit", params={"object": f"{UID}.0", "before": str(first["before"])}).json()
        assert 1 == len(second["events"])
        assert "Older ones" in client.get(f"/audit?object={UID}.0").text
