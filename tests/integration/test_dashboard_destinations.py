"""Destinations: what waits, a test over the line within seconds, suspended and resumed by a person, certificates before they end."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from sqlalchemy import Engine

from ptx_node.dashboard.desk import Desk
from ptx_node.db.session import now
from ptx_node.domain.access import Role
from ptx_node.settings import DicomwebDestination, DimseDestination, FolderDestination, NodeSettings, Settings, TlsFiles
from ptx_node.wiring.desk import destination_facts
from tests.authority import Authority
from tests.dashboard import Dashboard, serving
from tests.dashboard_rows import EVIL, a_day


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[tuple[int, Authority]]:
    """A DICOM application behind TLS that answers C-ECHO."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("pacs")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ae: Any = AE("PACS")
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_ECHO, lambda _: 0)])
    yield server.server_address[1], authority
    server.shutdown()


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path, peer: tuple[int, Authority]) -> Iterator[Dashboard]:
    a_day(sqlite_engine, 14)
    port, authority = peer
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    quiet = silent.getsockname()[1]
    settings = Settings(node=NodeSettings(home=tmp_path / "home"))
    trusted = TlsFiles(trusted=authority.certificate)
    configured = (
        DimseDestination(name="pacs", type="dimse", host="127.0.0.1", port=port, called_ae="PACS", tls=trusted),
        DimseDestination(name="research", type="dimse", host="127.0.0.1", port=quiet, called_ae="X", timeout_s=0.5),
        DicomwebDestination(name="web", type="dicomweb", url=f"http://127.0.0.1:{quiet}", timeout_s=0.5),
        FolderDestination(name="disk", type="folder", folder=Path("out")),
        DimseDestination(
            name="broken", type="dimse", host="127.0.0.1", port=port, called_ae="PACS", tls=TlsFiles(trusted=tmp_path / "gone.pem")
        ),
    )
    desk = Desk(destinations={one.name: destination_facts(one, settings) for one in configured})
    with serving(sqlite_engine, tmp_path, desk=desk) as running:
        yield running
    silent.close()


def test_a_test_says_within_seconds_who_answers(dashboard: Dashboard) -> None:
    """Over TLS with the day on which its certificate ends; a peer that is silent, a folder, a file that is gone."""
    with dashboard.person("olaf", Role.OPERATOR) as client:
        told = client.post("/api/v1/destinations/pacs/test").json()
        assert (True, True) == (told["answers"], told["said"].endswith("answers C-ECHO")), told
        assert ("theirs", "wait") == (told["certificate"]["what"], told["certificate"]["mood"])
        assert (now() + timedelta(days=1)).isoformat() < told["certificate"]["ends_at"] < (now() + timedelta(days=3)).isoformat()
        for name, answers in (("research", False), ("web", False), ("disk", True), ("broken", False)):
            tested = client.post(f"/destinations/{name}/test", timeout=60)  # the node gives up long before
            assert tested.status_code == 200
            assert ('class="notice good"' in tested.text) is answers, name
        assert client.post("/destinations/nobody/test").status_code == 404
        assert client.post("/api/v1/destinations/..%2f/test").status_code == 404


def test_suspended_with_a_reason_and_resumed(dashboard: Dashboard) -> None:
    """It stands on the page, escaped, and in the trail with who did it; without a reason nothing happens."""
    with dashboard.person("olaf", Role.OPERATOR) as client:
        assert client.post("/destinations/pacs/suspend", data={"reason": " "}).status_code == 400
        assert client.post("/api/v1/destinations/pacs/suspend", json={"reason": ""}).status_code == 422
        page = client.post("/destinations/pacs/suspend", data={"reason": EVIL})
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;" in page.text
        assert client.get("/api/v1/destinations").json()[3]["suspended"] is True
        assert client.post("/api/v1/destinations/pacs/resume").json()["suspended"] is False
    told = [json.loads(body) for body in dashboard.trail("decision")]
    assert [("user olaf", "suspend destination", "pacs"), ("user olaf", "resume destination", "pacs")] == [
        (one["actor"], one["detail"]["what"], one["detail"]["destination"]) for one in told if "destination" in one["detail"]
    ]


def test_what_waits_and_what_ends_is_there_for_everybody(dashboard: Dashboard) -> None:
    """Without the buttons for those who may not press them."""
    with dashboard.person("vera", Role.VIEWER) as client:
        page = client.get("/destinations").text
        told = {one["name"]: one for one in client.get("/api/v1/destinations").json()}
    assert "Suspend" not in page
    assert "The oldest has waited" in page
    moved = told["research"]
    assert (True, "moves to a new server") == (moved["suspended"], moved["reason"])
    assert moved["counts"]["waiting"] > 0
    (trusted,) = told["pacs"]["certificates"]
    assert ("whom we trust", "wait") == (trusted["what"], trusted["mood"])
    assert "cannot be used" in page
    assert "gone.pem" in told["broken"]["certificates"][0]["problem"]
