"""Exports: asked for on the page, built in the background one at a time, outliving a restart, fetched whole, verified byte by byte."""

from __future__ import annotations

import io
import json
import multiprocessing
import shutil
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ptx_node.dashboard.desk import Desk
from ptx_node.db import exports, housekeeping, schema
from ptx_node.db.export_tables import ExportRow
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.domain.access import Role
from ptx_node.errors import UsageError
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.settings import Settings, load
from ptx_node.simulator.processes import wait_until
from ptx_node.validation import bag
from ptx_node.wiring import export_folder
from ptx_node.wiring.doctor import examine
from ptx_node.wiring.export_folder import exports_folder
from ptx_node.wiring.export_worker import request_of, working
from tests.case_database import DAY, Hospital
from tests.cohort_members import build, fill
from tests.dashboard import Dashboard, serving

ASKED = {"since": "2026-03-01", "until": "2026-03-31", "name": "auditors"}
REQUEST = {**ASKED, "truth": "report", "identified": False, "with_images": False, "with_report_text": False}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    """A node with a few patients and a dashboard that builds packages."""
    monkeypatch.setenv("PTX_EXPORT__SECRET", "a secret of at least 32 bytes, for tests")
    url = f"sqlite:///{tmp_path / 'ptx.db'}"
    config = tmp_path / "ptx.toml"
    config.write_text(f'[node]\nhome = "home"\ntime_zone = "Europe/Paris"\n[database]\nurl = "{url}"\n[store]\nwatermark_bytes = 0\n')
    engine = open_engine(url)
    schema.upgrade(engine)
    hospital = Hospital(engine, tmp_path)
    for number in range(6):
        hospital.read(f"MRN{number:05}", day=DAY + timedelta(days=number), outcome="positive" if number % 2 else "negative")
        hospital.told("Left pneumothorax." if number % 2 else "No pneumothorax.", f"MRN{number:05}", day=DAY + timedelta(days=number))
    reconcile(engine)
    settings = load(config)
    with serving(engine, tmp_path, desk=Desk(exports=exports_folder(settings))) as running, working(settings, engine):
        yield running


def rows(dashboard: Dashboard) -> list[ExportRow]:
    with begin_read(dashboard.engine) as session:
        return list(exports.listed(session, 10))


def test_a_package_is_built_fetched_and_verified(site: Dashboard) -> None:
    """The zip file holds every byte of the package; a byte that is changed is named; who asked and who fetched stands in the trail."""
    with site.person("audrey", Role.AUDITOR) as client:
        assert client.post("/exports", data=ASKED).status_code == 303
        wait_until(lambda: rows(site)[0].state in ("done", "failed"), what="the package", timeout_s=200)
        (row,) = client.get("/api/v1/exports").json()
        assert ("done", "", True, 6) == (row["state"], row["error"], row["there"], row["counts"]["cases"])
        answer = client.get("/exports/1/package.zip")
        folder = site.parts.desk.exports
        assert folder is not None
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            assert packed.testzip() is None
            held = {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}
        files = [path for path in (folder / "1").rglob("*") if path.is_file()]
        assert held == {path.relative_to(folder / "1").as_posix(): path.read_bytes() for path in files}
        assert bag.bag_digest(folder / "1") == row["package_sha256"]
        assert client.post("/exports/1/verify").status_code == 303
        wait_until(lambda: rows(site)[0].verified_at is not None, what="the verification", timeout_s=100)
        assert "every byte" in client.get("/exports/live").text
        with (folder / "1" / "data" / "cases.csv").open("ab") as file:
            file.write(b"x")
        assert client.post("/api/v1/exports/1/verify").status_code == 202
        wait_until(lambda: bool(rows(site)[0].problems), what="the second verification", timeout_s=100)
        assert "data/cases.csv" in client.get("/exports").text
    told = [json.loads(body) for body in site.trail("decision")]
    assert [("user audrey", "ask for an export"), ("user audrey", "fetch export")] == [
        (one["actor"], one["detail"]["what"]) for one in told if "export" in one["detail"]
    ]
    assert ["user audrey"] == [json.loads(body)["actor"] for body in site.trail("export")]


def test_a_build_that_is_killed_is_said_and_leaves_nothing(site: Dashboard) -> None:
    with site.person("audrey", Role.AUDITOR) as client:
        client.post("/exports", data=ASKED)
        wait_until(lambda: bool(multiprocessing.active_children()), what="the process", timeout_s=30)
        for child in multiprocessing.active_children():
            child.kill()
        wait_until(lambda: rows(site)[0].state == "failed", what="the word of it", timeout_s=60)
        assert "its process ended with -9" in client.get("/exports/live").text
        assert client.get("/exports/1/package.zip").status_code == 404
    folder = site.parts.desk.exports
    assert folder is not None
    assert not list(folder.glob("*"))


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    """Nobody works here: what is asked for waits."""
    with serving(sqlite_engine, tmp_path, desk=Desk(exports=tmp_path / "exports")) as running:
        yield running


def test_what_may_not_be_asked_for(dashboard: Dashboard) -> None:
    """Contradictions are said; an auditor neither asks for nor fetches patients' own numbers; no path leads elsewhere."""
    with dashboard.person("audrey", Role.AUDITOR) as client, dashboard.person("anna", Role.ADMINISTRATOR) as other:
        for wrong, status in (
            ({"since": "2026-04-01"}, 400),
            ({"with_report_text": "true"}, 400),
            ({"identified": "true"}, 403),
            ({"name": "../x"}, 422),
            ({"since": "yesterday"}, 422),
            ({"truth": "mine"}, 422),
        ):
            assert client.post("/exports", data=ASKED | wrong).status_code == status, wrong
        assert other.post("/exports", data=ASKED | {"identified": "true", "with_images": "true"}).status_code == 400
        assert other.post("/exports", data=ASKED | {"identified": "true"}).status_code == 303
        assert client.get("/exports/1/package.zip").status_code == 404, "not there yet"
        with begin_write(dashboard.engine) as session:
            exports.claim(session, now())
            exports.built(session, 1, "0" * 64, {}, now())
        folder = dashboard.parts.desk.exports
        assert folder is not None
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "bagit.txt").write_text("x")
        (folder / "1" / "link").symlink_to("/etc/passwd")
        assert client.get("/exports/1/package.zip").status_code == 403
        packed = other.get("/exports/1/package.zip")
        assert ["ptx-export-1/bagit.txt"] == zipfile.ZipFile(io.BytesIO(packed.content)).namelist()
        assert client.get("/exports/..%2f1/package.zip").status_code in (404, 422)
        assert client.post("/exports/99/verify").status_code == 400


def test_a_cohort_is_asked_for_by_its_name(dashboard: Dashboard) -> None:
    """A complete one, without days of its own; the row keeps it with the stated prevalence, and what the worker reads is the same."""
    fill(dashboard.engine, dashboard.parts.node.store_folder)
    build(dashboard.engine)
    with dashboard.person("audrey", Role.AUDITOR) as client:
        assert "<option>even</option>" in client.get("/exports").text
        for wrong in (
            {"cohort": "odd"},
            {},
            {"cohort": "even", "since": "2026-03-01"},
            {"since": "2026-03-01"},
            {"cohort": "even", "truth": "reader"},
        ):
            assert client.post("/exports", data=wrong).status_code == 400, wrong
        assert client.post("/exports", data={"cohort": "even", "prevalence": "2"}).status_code == 422
        assert client.post("/exports", data={"cohort": "even", "prevalence": "0.05", "since": "", "until": ""}).status_code == 303
        assert client.post("/api/v1/exports", json={"cohort": "even"}).status_code == 202
        assert "cohort even, 2026-03-02 to 2026-04-01" in client.get("/exports/live").text
    second, first = (request_of(one.request, "Europe/Paris") for one in rows(dashboard))
    assert (("even", 0.05), ("even", None)) == ((first.cohort, first.prevalence), (second.cohort, second.prevalence))
    assert (None, "") == (request_of(REQUEST, "UTC").prevalence, request_of(REQUEST, "UTC").cohort), "rows of an earlier version"


def test_an_old_package_is_removed_and_its_row_says_so(dashboard: Dashboard, tmp_path: Path) -> None:
    """Not one that was verified since, nor one that is being verified; what a kill left is taken at the next look; the trail tells it."""
    settings = Settings(node={"home": tmp_path}, export={"keep_days": 30})
    built, later = now() - timedelta(days=31), now() - timedelta(days=2)
    with begin_write(dashboard.engine) as session:
        numbers = [exports.ask(session, REQUEST, by="user anna", now=built) for _ in range(4)]
    for number in numbers:
        with begin_write(dashboard.engine) as session:
            exports.claim(session, built)
            exports.built(session, number, f"{number}" * 64, {"cases": 3, "patients": 2, "images": 0}, built)
        (tmp_path / "exports" / str(number) / "data").mkdir(parents=True)
        (tmp_path / "exports" / str(number) / "data" / "cases.csv").write_text("x" * 1000)
    (tmp_path / "exports" / "notes").mkdir()
    with begin_write(dashboard.engine) as session:
        exports.verified(session, numbers[2], [], later)
        exports.ask_verification(session, numbers[3])
    assert (4, 4000) == export_folder.size_bytes(settings)
    assert any(one.name == "exports" and one.detail.startswith("packages: 4") for one in examine(settings))
    with begin_write(dashboard.engine) as session:
        housekeeping.forget(session, now=now(), exports_kept=export_folder.kept(settings))
    shutil.rmtree(tmp_path / "exports" / "1")
    export_folder.remove_given_up(settings, dashboard.engine)
    assert ["3", "4", "notes"] == sorted(path.name for path in (tmp_path / "exports").iterdir())
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:
        told = {one["number"]: one for one in client.get("/api/v1/exports").json()}
        assert [True, True, False, False] == [told[number]["removed_at"] is not None for number in numbers]
        assert {"cases": 3, "patients": 2, "images": 0} == told[numbers[0]]["counts"], "what it was stays"
        assert 2 == client.get("/exports").text.count("removed")
        gone = client.get("/exports/2/package.zip")
        assert (410, True) == (gone.status_code, "was removed on" in gone.text)
        assert client.post("/exports/2/verify").status_code == 400
    removed = [json.loads(body) for body in dashboard.trail("decision") if "remove export" in body]
    assert [("node", 1, "1" * 64), ("node", 2, "2" * 64)] == [
        (one["actor"], one["detail"]["export"], one["detail"]["package_sha256"]) for one in removed
    ]
    with begin_write(dashboard.engine) as session:
        housekeeping.forget(session, now=now() + timedelta(days=4000), exports_kept=export_folder.kept(Settings(export={"keep_days": 0})))
    assert {"3", "4"} < {path.name for path in (tmp_path / "exports").iterdir()}


def test_one_that_takes_every_process_along_fails_and_the_next_has_its_turn(engine: Engine) -> None:
    """As one for which memory does not suffice: the whole dashboard is killed with it, and must not begin it for ever."""
    moment = now()
    with begin_write(engine) as session:
        first, second = (exports.ask(session, REQUEST, by="user anna", now=moment) for _ in range(2))
    begun = []
    for _ in range(5):
        moment += 2 * exports.LEASE
        with begin_write(engine) as session:
            row = exports.claim(session, moment)
            begun.append(row and row.id)
    assert [first] * 4 + [second] == begun
    with begin_read(engine) as session:
        row = session.get_one(ExportRow, first)
        assert ("lost again and again" in str(row.error), {}) == (True, row.counts)


def test_one_at_a_time_and_none_is_forgotten(engine: Engine) -> None:
    """On both databases: a second one waits; whose process is gone is begun anew; one that has ended is not failed afterwards."""
    moment = now()
    with begin_write(engine) as session:
        first, second = (exports.ask(session, REQUEST, by="user anna", now=moment) for _ in range(2))
    with begin_write(engine) as session:
        taken = exports.claim(session, moment)
        assert taken is not None
        assert taken.id == first
    with begin_write(engine) as session:
        assert exports.claim(session, moment + timedelta(seconds=30)) is None
        exports.renew(session, first, moment + timedelta(seconds=30))
        assert exports.claim(session, moment + timedelta(seconds=80)) is None
    with begin_write(engine) as session:
        again = exports.claim(session, moment + timedelta(seconds=120))
        assert again is not None
        assert again.id == first
        exports.built(session, first, "a" * 64, {"cases": 3}, moment)
        exports.failed(session, first, "too late", moment)
    with begin_write(engine) as session:
        assert ("done", None) == (session.get_one(ExportRow, first).state, session.get_one(ExportRow, first).error)
        other = exports.claim(session, moment)
        assert other is not None
        assert other.id == second
        with pytest.raises(UsageError, match="no finished export"):
            exports.ask_verification(session, second)
    assert date(2026, 3, 1) == request_of(REQUEST, "Europe/Paris").since
