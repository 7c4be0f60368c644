"""Performance: the page's figures are the export's, whatever names the headers hold, and no page waits for them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from ptx_node.dashboard import performance_page
from ptx_node.dashboard.computing import Computing
from ptx_node.db import schema
from ptx_node.db.session import begin_snapshot, open_engine
from ptx_node.domain.access import Role
from ptx_node.domain.promise import Promise
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.domain.reading import TruthKind
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.settings import DatabaseSettings, ExportSettings, NodeSettings, PromisedSettings, Settings
from ptx_node.validation.package import Request
from ptx_node.validation.performance import Asked, performance
from ptx_node.wiring.export import run_export
from tests.case_database import DAY, PERIOD, SECOND, SECRET, Hospital
from tests.dashboard import Dashboard, serving
from tests.dashboard_rows import EVIL
from tests.long_work import killed, left_in, slow, wrong

PROMISE = Promise(sensitivity=0.95, disagreement_rate=0.02)
ADDRESS = f"since={PERIOD.since}&until={PERIOD.until}"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Of the newest revision, as an export demands."""
    made = open_engine(database_url)
    schema.upgrade(made)
    yield made
    made.dispose()


@pytest.fixture
def hospital(engine: Engine, tmp_path: Path) -> Hospital:
    """Two models on the same images, the second worse; makers and rooms with names that would run as scripts."""
    made = Hospital(engine, tmp_path / "files")
    for number in range(24):
        day, ill = DAY + timedelta(days=number), number % 3 == 0
        image = made.image(f"MRN{number:03}", day=day)
        about = {"examination": {"manufacturer": EVIL, "view_position": "AP" if number % 2 else "PA"}}
        for place, model in enumerate((("ptx-cxr", EVIL, "ab" * 32), SECOND)):
            called = ill != (number % (11 - 4 * place) == 0)
            job = made.job([image], model=f"m{place}")
            made.finding(job, image, outcome="positive" if called else "negative", model=model, **about)
        made.told("Left pneumothorax." if ill else "No pneumothorax.", f"MRN{number:03}", day=day)
    reconcile(engine)
    return made


@pytest.fixture
def dashboard(engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with serving(engine, tmp_path) as running:
        parts = running.parts
        running.shell.inside.state.parts = replace(
            parts, node=replace(parts.node, export_names=Pseudonyms(SECRET), smallest_cell=3, promise=PROMISE)
        )
        yield running


def figures(client: httpx.Client, address: str = ADDRESS) -> dict[str, Any]:
    """Ask until they are there."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        answer = client.get(f"/api/v1/performance?{address}")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        if not told["working"]:
            return told
        time.sleep(0.1)
    raise AssertionError("no figures within two minutes")


def test_the_figures_of_the_page_are_those_of_an_export_of_the_period(hospital: Hospital, dashboard: Dashboard, tmp_path: Path) -> None:
    """To the last digit, for both models and what compares them; the page writes what the tree holds, and no name as markup."""
    viewer = dashboard.person("anna", Role.VIEWER)
    first = viewer.get(f"/performance?{ADDRESS}")
    assert "being made" in first.text
    assert 'hx-trigger="every 2s"' in first.text
    told = figures(viewer)
    assert told["problem"] == ""
    if hospital.engine.dialect.name == "postgresql":  # a whole export of the same rows would only take its time again
        with begin_snapshot(hospital.engine) as session:
            asked = Asked(PERIOD, TruthKind.REPORT, Pseudonyms(SECRET), 3, PROMISE, simulated_site=True)
            (tmp_path / "table").mkdir()
            assert performance(session, asked, tmp_path / "table")["figures"] == told["figures"]
        return
    settings = Settings(
        node=NodeSettings(home=tmp_path / "home", site="SIMULATED", time_zone=PERIOD.zone.key),
        database=DatabaseSettings(url=hospital.engine.url.render_as_string(hide_password=False)),
        export=ExportSettings(secret=SECRET.decode(), smallest_cell=3),
        promised=PromisedSettings(**asdict(PROMISE)),
    )
    package = tmp_path / "package"
    run_export(settings, Request(PERIOD.since, PERIOD.until, "", PERIOD.zone.key, TruthKind.REPORT), package, actor="test")
    written = json.loads((package / "data" / "metrics.json").read_text())
    assert written["analysis"] == told["figures"]["analysis"]
    assert written["models"] == told["figures"]["models"]
    assert written["comparisons"] == told["figures"]["comparisons"]
    assert written["made_of"] == told["figures"]["made_of"]
    assert json.loads((package / "data" / "flow.json").read_text()) == told["flow"]
    for key, model in written["models"].items():
        shown = viewer.get(f"/performance?{ADDRESS}&model={key}").text
        table = {name: one["value"] for name, one in model["answers"]["table"].items()}
        drawn = {words.replace(" ", "_"): int(count) for count, words in re.findall(r">(\d+)<small>(\w+ \w+)</small>", shown)}
        assert drawn == table
        assert f"AUC {model['discrimination']['auc']['value']:.3f}" in shown
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert" in shown
        assert "hx-trigger" not in shown
        assert ("Promised: at most 5.0 %" in shown, "Promised: at most 2.0 %" in shown) == (True, True)
    assert len(written["models"]) == 2
    assert written["models"]["m1"]["counts"]["counted"]["value"] == 24


def test_an_empty_period_leads_to_the_newest_day_and_no_auditor_to_a_day(sqlite_engine: Engine, tmp_path: Path) -> None:
    hospital = Hospital(sqlite_engine, tmp_path / "files")
    hospital.read("MRN1")
    with serving(sqlite_engine, tmp_path) as dashboard:
        viewer, auditor = dashboard.person("vera", Role.VIEWER), dashboard.person("anna", Role.AUDITOR)
        empty = "since=2019-01-01&until=2019-02-01&truth=reader"
        assert figures(viewer, empty)["figures"]["models"] == {}
        (link,) = re.findall(r'href="(/performance\?until[^"]+)"', viewer.get(f"/performance?{empty}").text)
        address = link.replace("&amp;", "&").removeprefix("/performance?")
        assert address == f"until={DAY}&truth=reader"
        assert figures(viewer, address)["figures"]["models"] != {}
        assert "No model has read" not in viewer.get(f"/performance?{address}").text
        assert str(DAY) not in auditor.get(f"/performance?{empty}").text


def test_a_simulated_site_says_so_of_images_that_do_not(sqlite_engine: Engine, tmp_path: Path) -> None:
    """As an export of it does."""
    hospital = Hospital(sqlite_engine, tmp_path / "files")
    hospital.read("MRN1")
    with serving(sqlite_engine, tmp_path) as dashboard:
        parts = dashboard.parts
        for site, said in (("NORTH", False), ("SIMULATED HOSPITAL", True)):
            dashboard.shell.inside.state.parts = replace(parts, node=replace(parts.node, site=site))
            viewer = dashboard.person(site[:5].lower(), Role.VIEWER)
            assert figures(viewer, f"{ADDRESS}&truth={'reader' if said else 'report'}")["figures"]["analysis"]["simulated"] is said


def test_without_rows_without_truth_and_with_one_class_the_page_says_so(sqlite_engine: Engine, tmp_path: Path) -> None:
    hospital = Hospital(sqlite_engine, tmp_path / "files")
    with serving(sqlite_engine, tmp_path) as dashboard:
        viewer = dashboard.person("anna", Role.AUDITOR)
        assert figures(viewer)["figures"]["models"] == {}
        assert "No model has read an image of these days." in viewer.get(f"/performance?{ADDRESS}").text
        assert "The newest" not in viewer.get(f"/performance?{ADDRESS}").text
        hospital.read("MRN1")
        hospital.told("Left pneumothorax.", "MRN1")
        reconcile(sqlite_engine)
        told = figures(viewer, f"{ADDRESS}&truth=reader")
        assert told["figures"]["models"]["m1"]["counts"]["counted"]["value"] == 0
        page = viewer.get(f"/performance?{ADDRESS}&truth=reader").text
        assert "No case counts: no answer has a truth yet." in page
        one_class = f"since={DAY}&until={PERIOD.until}"
        assert figures(viewer, one_class)["figures"]["models"]["m1"]["discrimination"]["auc"]["value"] is None
        page = viewer.get(f"/performance?{one_class}&model=nothing").text
        assert "there are 1 and 0" in page
        assert "Fewer than 10 patients" in page
        for wrong in ("since=tomorrow", "since=2026-03-02&until=2026-03-01", "truth=nobody", "since=9999-12-31", "model=" + "x" * 50):
            assert viewer.get(f"/performance?{wrong}").status_code == 422, wrong
        assert "2026" in viewer.get("/performance").text


def test_a_machine_without_the_libraries_says_so_in_words(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance_page, "NEEDED", ("scipy", "a_library_of_nobody"))
    with serving(sqlite_engine, tmp_path) as dashboard:
        answer = dashboard.person("anna", Role.VIEWER).get("/performance")
        assert answer.status_code == 503
        assert "a_library_of_nobody" in answer.text
        assert "ptx-node[export]" in answer.text


def settled(computing: Computing, key: str, work: Any = slow, *arguments: Any, signature: int = 1) -> Any:
    until = time.monotonic() + 60
    while (answer := computing.ask(key, signature, work, *arguments)).working:
        assert time.monotonic() < until
        time.sleep(0.02)
    return answer


def test_what_takes_long_holds_nobody_up_and_leaves_nothing_behind() -> None:
    computing = Computing(longest_s=60, waiting=1)
    assert computing.ask("first", 1, slow, 1).working
    assert computing.ask("second", 1, slow, 0).working
    refused = computing.ask("third", 1, slow, 0)
    assert not refused.working
    assert "Ask again" in refused.problem
    assert [settled(computing, name).value for name in ("first", "second")] == ["done"] * 2
    assert settled(computing, "words", wrong).problem == "said in words"
    assert "ended" in settled(computing, "killed", killed).problem
    folder = settled(computing, "folder", left_in).value
    assert not Path(folder).exists()
    assert settled(computing, "folder", left_in, signature=2).value == folder, "rows that come do not start it again at once"
    assert "not ready within" in settled(Computing(longest_s=0.2), "late", slow, 600).problem
