"""A bad day for the dashboard: hostile texts, addresses and bodies, a database that goes, two people at once. In words, never a trace."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import Engine, create_engine, delete, func, select, text, update
from sqlalchemy.orm import Session

from ptx_node.dashboard.computing import Computing
from ptx_node.dashboard.entry import ANYBODY, declared
from ptx_node.dashboard.parts import Oidc
from ptx_node.dashboard.shell import MOST_BODY_BYTES
from ptx_node.db import login_attempts, users
from ptx_node.db.access_tables import LoginAttempts, User, WebSession
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import Delivery, ExaminationRow, Instance, JobInput, Table
from ptx_node.domain.access import Role
from ptx_node.errors import UsageError
from ptx_node.simulator.processes import wait_until
from tests.conftest import PostgresServer
from tests.dashboard import PASSWORD, Dashboard, serving
from tests.dashboard_rows import a_day
from tests.dashboard_site import Site, a_site
from tests.long_work import faulty, slow

HOSTILE = "\"><script>alert(1)</script>'>"
WRITTEN_BY_OTHERS = {
    "deliveries": ("destination", "status", "error"),
    "destination_states": ("reason",),
    "examinations": ("modality", "patient_sex", "view_position", "manufacturer", "manufacturer_model_name", "station_name"),
    "exports": ("asked_by", "step", "error"),
    "findings": ("detail", "model_manufacturer", "model_name", "model_version"),
    "heartbeats": ("host",),
    "instances": ("modality", "patient_id", "issuer_of_patient_id", "accession_number", "calling_ae", "called_ae", "peer_address"),
    "jobs": ("rule", "model", "detail"),
    "radiology_reports": ("source", "modality", "procedure_code", "procedure_text"),
    "refusals": ("reason", "detail", "calling_ae", "peer_address"),
    "report_labels": ("rule", "note", "reviewer"),
    "thresholds": ("note", "decided_by"),
    "users": ("created_by",),
    "watch_alarms": ("name", "words", "model_name", "model_version", "note", "acknowledged_by"),
    "web_sessions": ("address",),
}
"""Texts that come from images, messages, peers and people, by table."""


@pytest.fixture
def site(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Site]:
    with a_site(sqlite_engine, tmp_path, text=HOSTILE) as running:
        yield running


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with serving(sqlite_engine, tmp_path) as running:
        yield running


def looked_at(site: Site) -> dict[str, list[str]]:
    """Every address that shows something, by route, filled in with what is there."""
    studies = (site.radiograph, site.volume, site.unread)
    values: dict[str, list[Any]] = {
        "study": [one.number for one in studies],
        "image": [number for one in studies for number in one.images[:1]],
        "result": [number for one in studies for number in one.results.values()],
        "reading": [1],
        "report": [site.report],
        "finding": [site.contradicted, site.radiograph.finding],
        "number": [site.package],
    }
    found = {}
    for route in site.dashboard.shell.inside.router.routes:
        assert isinstance(route, APIRoute)
        if "GET" in (route.methods or ()) and declared(route) != ANYBODY:
            addresses = [route.path]
            for name in re.findall(r"{(\w+)}", route.path):
                addresses = [one.replace(f"{{{name}}}", str(value)) for one in addresses for value in values[name]]
            found[route.path] = addresses
    found["/review/findings"].append(f"/review/findings?finding={site.contradicted}")
    found["/find"] += [f"/find?q={HOSTILE}", "/find?state=quarantined&outcome=positive"]
    found["/audit"].append(f"/audit?object={HOSTILE}&actor={HOSTILE}")
    return found


class Harmless(HTMLParser):
    """Remembers what of a page would run, or leads elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        ours = (told.get("src") or "").startswith("/static/")
        if (tag == "script" and not ours) or any(name.startswith("on") for name in told) or (tag in ("base", "iframe", "object", "embed")):
            self.found.append(f"{tag} {attrs}")
        for name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
            address = told.get(name)
            if (address is not None and not address.startswith(("/", "#", "?"))) or (address or "").startswith("//"):
                self.found.append(f"{tag} {name}={address}")


def test_no_text_of_an_image_a_peer_or_a_person_runs_on_any_page(site: Site) -> None:
    """Every text of the images and of the rows is hostile; every page is a page, and what runs on it is ours."""
    with begin_write(site.dashboard.engine) as session:
        for table, columns in WRITTEN_BY_OTHERS.items():
            session.execute(update(Table.metadata.tables[table]).values(dict.fromkeys(columns, HOSTILE)))
    shown = 0
    with site.dashboard.person("rosa", Role.ADMINISTRATOR) as client:
        for route, addresses in looked_at(site).items():
            for address in addresses:
                answer = client.get(address)
                kind = answer.headers.get("content-type", "")
                assert answer.status_code < 500, (address, answer.text)
                assert answer.headers["x-content-type-options"] == "nosniff", address
                if kind.startswith("text/html"):
                    page = Harmless()
                    page.feed(answer.text)
                    assert page.found == [], address
                    shown += "&lt;script&gt;" in answer.text
                else:
                    assert route.startswith("/api/") or kind.startswith(("text/csv", "application/zip")), (address, kind)
    assert shown >= 12, "the texts are on the pages, as texts"


def test_a_session_is_its_own_and_no_others(dashboard: Dashboard) -> None:
    """One's own sessions are listed and ended, by page and by API; another's stay, and a cookie that was signed out opens nothing."""
    anna, bert = dashboard.add("anna", Role.VIEWER), dashboard.add("bert", Role.VIEWER)
    dashboard.session_of(anna)
    with dashboard.signed_in(anna) as mine, dashboard.signed_in(bert) as theirs:
        told = mine.get("/api/v1/account").json()
        assert ("anna", "viewer", "local", 2) == (told["name"], told["role"], told["source"], len(told["sessions"]))
        assert [True, False] == sorted((one["this"] for one in told["sessions"]), reverse=True)
        assert mine.post("/api/v1/account/sign-out-elsewhere").status_code == 204
        assert len(mine.get("/api/v1/account").json()["sessions"]) == 1
        dashboard.session_of(anna)
        assert mine.post("/account/sign-out-elsewhere").status_code == 303
        assert len(mine.get("/api/v1/account").json()["sessions"]) == 1
        assert theirs.get("/api/v1/account").json()["name"] == "bert"
        secret = mine.cookies["ptx-session"]
        assert mine.post("/sign-out").status_code == 303
        assert theirs.get("/").status_code == 200
    with dashboard.visitor(cookies={"ptx-session": secret}) as again:
        assert again.get("/api/v1/account").status_code == 401
    with begin_read(dashboard.engine) as session:
        assert 1 == session.scalar(select(func.count()).where(WebSession.ended_at.is_(None)))


def test_a_password_is_changed_through_the_api_with_the_old_one(dashboard: Dashboard) -> None:
    """As on the page: the answer's cookie is a new session, all others end; a wrong old one, or a bad new one, changes nothing."""
    anna = dashboard.add("anna", Role.VIEWER, PASSWORD)
    with dashboard.signed_in(anna) as mine:
        for old, new, status in (("wrong", "another four words", 403), (PASSWORD, "short", 400)):
            assert status == mine.post("/api/v1/account/password", json={"old": old, "password": new}).status_code
        before, *_ = (one.value for one in mine.cookies.jar)
        changed = mine.post("/api/v1/account/password", json={"old": PASSWORD, "password": "another four words"})
        assert (204, b"") == (changed.status_code, changed.content)
        after = changed.cookies["ptx-session"]
        assert after != before
    with dashboard.visitor(cookies={"ptx-session": after}) as anew:
        assert anew.get("/api/v1/account").json()["name"] == "anna"
    with dashboard.visitor(cookies={"ptx-session": before}) as gone:
        assert gone.get("/api/v1/account").status_code == 401
    assert dashboard.sign_in("anna", "another four words").status_code == 303


def test_a_proxys_own_password_does_not_hide_a_session(dashboard: Dashboard) -> None:
    """A proxy in front that asks for names by Basic passes them on: what counts here is our cookie."""
    with dashboard.person("anna", Role.VIEWER) as client:
        client.headers["authorization"] = "Basic YW5uYTp4"
        assert client.get("/find").status_code == 200
        client.headers["authorization"] = "Bearer ptx_wrong"
        assert client.get("/find").status_code == 401, "who shows a token is that program, or nobody"


def raw(dashboard: Dashboard, request: bytes) -> bytes:
    """What the server says to these bytes, which no client would send."""
    with socket.create_connection(("127.0.0.1", int(dashboard.url.rpartition(":")[2])), timeout=30) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_no_path_however_written_leads_to_a_file(site: Site) -> None:
    """As bytes on the line, since a client would tidy them up."""
    secret = site.dashboard.session_of(site.dashboard.add("olga", Role.ADMINISTRATOR))
    for path in (
        "/static/../app.py",
        "/static/vendor/../../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/style.css%00.py",
        "//etc/passwd",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/exports/../../ptx.db/package.zip",
        "/exports/1%2f../package.zip",
        f"/api/v1/studies/{site.radiograph.number}/results/..%2f..%2fptx.db/file",
        "/welcome/../account",
    ):
        cookie = f"Cookie: ptx-session={secret}\r\n"
        answer = raw(site.dashboard, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookie}Connection: close\r\n\r\n".encode())
        status = int(answer.split(b" ", 2)[1])
        assert status in (400, 404, 422), (path, answer[:200])
        for words in (b"root:", b"SQLite format", b"def create_app", b"Traceback", b"Account of"):
            assert words not in answer, (path, words)
    for line in (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n", b"GET / HTTP/1.1\r\nHost: evil.example\r\n"):
        assert b" 421 " in raw(site.dashboard, line + b"Connection: close\r\n\r\n")[:20]


def test_numbers_days_and_texts_that_no_database_holds(engine: Engine, tmp_path: Path) -> None:
    """On both databases 4xx in words: beyond 64 bits, before the calendar, a NUL in a path, a form, a body, digits without end."""
    with a_site(engine, tmp_path) as site:
        headers = {"Authorization": f"Bearer {site.token}"}
        with site.dashboard.visitor(headers=headers) as client:
            large, study = "9" * 30, site.radiograph.number
            for path in (
                "/audit?since=0001-01-01",
                "/audit?until=9999-12-31",
                f"/audit?before={large}",
                "/find?since=0001-01-01",
                "/performance?since=0001-01-01",
                f"/find?before={large}",
                f"/review?report={large}",
                f"/exports/{large}/package.zip",
                f"/studies/{study}/images/{large}/pixels",
                "/studies/%00",
                "/studies/1%00",
            ):
                for address in (path, f"/api/v1{path}"):
                    answer = client.get(address)
                    assert 400 <= answer.status_code < 500 or "/api/v1/find" in address, (address, answer.text)
            for path, form in {
                "/people/link": {"name": "\0"},
                "/people/role": {"name": "anna\0", "role": "viewer"},
                "/people/revoke": {"name": "\0"},
                f"/studies/{study}/deliveries/send-again": {"reason": "x", "delivery": large},
                f"/models/proposals/{large}/apply": {"note": "x"},
                "/rules/replay": {"text": f"a = {'9' * 5000}", "studies": "5"},
                "/drift/acknowledge": {"alarm": str(site.alarm), "outcome": "no_cause", "note": "\0"},
            }.items():
                answer = client.post(path, data=form)
                assert answer.status_code in (400, 404, 422), (path, answer.text)
            for path, body in {
                "/destinations/pacs/suspend": {"reason": "full\0"},
                "/models/ptx-cxr-demo/threshold": {"value": 0.5, "note": "\0"},
                f"/review/labels/{site.report}": {"label": "positive", "note": "\0"},
            }.items():
                answer = client.post(f"/api/v1{path}", json=body)
                assert answer.status_code in ((201, 200) if engine.dialect.name == "sqlite" else (422,)), (path, answer.text)
            for path, body in {
                "/rules/check": {"text": f"a = {'9' * 5000}"},
                "/exports": {"since": "0001-01-01", "until": "2026-01-01"},
                "/users": {"name": "\0", "role": "viewer"},
                "/tokens": {"name": "\0", "scopes": ["status"]},
            }.items():
                assert client.post(f"/api/v1{path}", json=body).status_code in (400, 422), path
            surrogate = client.post(
                "/api/v1/destinations/pacs/suspend", content=b'{"reason": "\\ud800"}', headers={"content-type": "application/json"}
            )
            assert surrogate.status_code == 422


@pytest.mark.parametrize("path", ["/sign-in", "/welcome/none", "/people/add", "/api/v1/users"])
def test_a_body_without_end_is_refused_where_it_is_too_long(dashboard: Dashboard, path: str) -> None:
    """It tells no length, so that it is found out while it comes: 413, from anybody, and no fault in the log."""
    with dashboard.person("anna", Role.ADMINISTRATOR) as client:
        for kind in ("application/x-www-form-urlencoded", "application/json"):
            del client.headers["x-csrf-token"]
            client.headers["x-csrf-token"] = "x"
            sent = iter([b"a" * 50_000] * (2 * MOST_BODY_BYTES // 50_000))
            answer = client.post(path, content=sent, headers={"content-type": kind})
            assert answer.status_code in (403, 413, 422), (kind, answer.text)
        client.headers.pop("x-csrf-token")
        answer = client.post(path, content=iter([b"a" * 50_000] * 40), headers={"content-type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 413
        assert f"{MOST_BODY_BYTES} bytes" in answer.text


def test_a_study_that_goes_while_it_is_open_takes_every_address_with_it(site: Site) -> None:
    """Pictures, masks, tree, file and actions of a page that is still open: 404 in words. Other studies stay."""
    study = site.radiograph
    with site.dashboard.person("olga", Role.OPERATOR) as client:
        page = client.get(f"/studies/{study.number}")
        assert page.status_code == 200
        with begin_read(site.dashboard.engine) as session:
            delivery = session.scalars(select(Delivery.id).where(Delivery.job_id == study.job)).first()
        with begin_write(site.dashboard.engine) as session:
            session.execute(delete(ExaminationRow).where(ExaminationRow.instance_id.in_(study.images)))
            session.execute(delete(JobInput).where(JobInput.instance_id.in_(study.images)))
            session.execute(delete(Instance).where(Instance.id.in_(study.images)))
        address = f"/api/v1/studies/{study.number}"
        for rest in (
            "",
            "/contents",
            f"/images/{study.images[0]}/pixels",
            f"/results/{study.results['seg']}/drawn",
            f"/results/{study.results['seg']}/masks/{study.images[0]}",
            f"/results/{study.results['sr']}/tree",
            f"/results/{study.results['sr']}/file",
        ):
            answer = client.get(address + rest)
            assert (404, True) == (answer.status_code, "nothing of this study is here" in answer.json()["detail"]), rest
        for rest in (f"/jobs/{study.job}/retry", f"/jobs/{study.job}/supersede", f"/deliveries/{delivery}/send-again"):
            assert client.post(address + rest, json={"reason": "x"}).status_code == 404, rest
        gone = client.get(f"/studies/{study.number}")
        assert (404, True) == (gone.status_code, "nothing of this study is here" in gone.text)
        assert client.get(f"/studies/{site.volume.number}").status_code == 200


def test_a_database_that_goes_and_comes_is_said_on_a_page(postgres: PostgresServer, tmp_path: Path) -> None:
    """While people are signed in: every page says so, without a trace or an address; once it is back they go on, still signed in."""
    url = postgres.new_database("goes_and_comes")
    engine, admin = open_engine(url), create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    Table.metadata.create_all(engine)
    a_day(engine, 5)
    with serving(engine, tmp_path) as dashboard, dashboard.person("anna", Role.ADMINISTRATOR) as client:
        assert client.get("/find").status_code == 200
        try:
            with admin.connect() as connection:
                connection.execute(text("ALTER DATABASE goes_and_comes WITH ALLOW_CONNECTIONS false"))
                connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'goes_and_comes'"))
            for path in ("/", "/now/live", "/find", "/studies/1", "/review", "/audit", "/people", "/account", "/destinations"):
                answer = client.get(path)
                assert (503, True) == (answer.status_code, "The database does not answer" in answer.text), path
                for secret in ("Traceback", "goes_and_comes", str(postgres.port), "psycopg"):
                    assert secret not in answer.text, (path, secret)
            told = client.get("/api/v1/studies")
            assert (503, "10") == (told.status_code, told.headers["retry-after"])
            assert client.post("/people/add", data={"name": "bert", "role": "viewer"}).status_code == 503
        finally:
            with admin.connect() as connection:
                connection.execute(text("ALTER DATABASE goes_and_comes WITH ALLOW_CONNECTIONS true"))
        assert client.get("/find").status_code == 200
        assert "bert" not in client.get("/people").text
    engine.dispose()
    admin.dispose()


def test_another_thing_that_is_away_is_not_called_the_database(sqlite_engine: Engine, tmp_path: Path) -> None:
    """An OpenID provider that does not answer has the page say that, and not that the database is gone."""
    provider = Oidc("http://127.0.0.1:1", "ptx", None, ("openid",), "name", "roles", {}, "the hospital")
    with serving(sqlite_engine, tmp_path, oidc=provider) as dashboard, dashboard.visitor() as client:
        answer = client.get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "The OpenID provider does not answer" in answer.text
    assert "database" not in answer.text


def test_a_silent_database_does_not_make_the_process_look_dead(tmp_path: Path) -> None:
    """It takes connections and says nothing, so that every thread of the server waits for it: the process still says that it lives."""
    from ptx_node.dashboard.exporter import Exporter, Watched  # noqa: PLC0415
    from ptx_node.dashboard.health import Probe, page  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        engine = open_engine(f"postgresql+psycopg://nobody@127.0.0.1:{silent.getsockname()[1]}/none", pool_size=60)
        probe = Probe(engine, (), tmp_path, 1, lambda: None)
        health = page(probe, Exporter(engine, Watched((), tmp_path, 1)))
        here = serving(engine, tmp_path, more_pages=(health,))
        with here as dashboard, dashboard.visitor(cookies={"ptx-session": "x"}) as client, ThreadPoolExecutor(60) as people:
            asked = [people.submit(client.get, "/") for _ in range(60)]
            wait_until(lambda: sum(thread.name.startswith("AnyIO worker") for thread in threading.enumerate()) >= 40, what="a full house")
            alive = client.get("/livez", timeout=5)
            assert (200, {"status": "ok"}) == (alive.status_code, alive.json())
            silent.close()
            assert {503} == {one.result().status_code for one in asked}
    engine.dispose()


def at_once(*acts: Callable[[Session], object], engine: Engine) -> list[str]:
    """What became of things that people do at the same moment, each in a transaction: "done", or the error's words."""
    start = threading.Barrier(len(acts))

    def one(act: Callable[[Session], object]) -> str:
        start.wait(30)
        try:
            with begin_write(engine) as session:
                act(session)
        except UsageError as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(len(acts)) as people:
        return list(people.map(one, acts))


def test_two_administrators_cannot_remove_each_other_at_once(engine: Engine) -> None:
    """On both databases: one of them stays, whoever comes first."""

    def remove(name: str) -> Callable[[Session], object]:
        return lambda session: users.disable(session, name, by="test", now=now())

    for number in range(5):
        names = (f"anna-{number}", f"bert-{number}")
        with begin_write(engine) as session:
            session.execute(update(User).values(disabled_at=now()))
            for name in names:
                users.add(session, name, Role.ADMINISTRATOR, by="test", now=now())
        said = at_once(*map(remove, names), engine=engine)
        assert sorted(one == "done" for one in said) == [False, True], said
        with begin_read(engine) as session:
            assert session.scalar(select(func.count()).where(User.disabled_at.is_(None))) == 1


def test_the_same_thing_written_twice_at_once_is_a_conflict_and_no_fault(engine: Engine, tmp_path: Path) -> None:
    """Two administrators add the same person: one does, the other is told, on both databases."""
    with serving(engine, tmp_path) as dashboard, dashboard.person("anna", Role.ADMINISTRATOR) as client:
        for number in range(4):
            body = {"name": f"new-{number}", "role": "viewer"}
            with ThreadPoolExecutor(4) as people:
                answers = list(people.map(lambda _, body=body: client.post("/api/v1/users", json=body).status_code, range(4)))  # type: ignore[misc]
            assert (1, set()) == (answers.count(201), set(answers) - {201, 400, 409}), answers


def test_signing_in_twice_at_once_waits_for_nobody_who_waits(engine: Engine) -> None:
    """A try that begins and one that succeeds lock the same two rows in the same order, whatever their names hash to."""
    for number in range(4):
        name, address = f"anna-{number}", f"10.0.0.{number}"

        def begin(session: Session, name: str = name, address: str = address) -> None:
            login_attempts.try_begins(session, name, address, now=now())

        def succeed(session: Session, name: str = name, address: str = address) -> None:
            login_attempts.try_succeeded(session, name, address)

        with begin_write(engine) as session:
            begin(session)
        assert ["done"] * 4 == at_once(begin, succeed, begin, succeed, engine=engine)


def test_an_address_that_is_blocked_fills_no_table_with_names(engine: Engine) -> None:
    with begin_write(engine) as session:
        for number in range(60):
            login_attempts.try_begins(session, f"name-{number}", "10.0.0.1", now=now())
    with begin_read(engine) as session:
        assert session.scalar(select(func.count()).select_from(LoginAttempts)) == 1 + login_attempts.ADDRESS.free


def test_an_auditor_finds_no_day_of_a_study_by_asking(site: Site) -> None:
    """Times are left out of what an auditor is shown: then a filter by day must not tell them either."""
    with site.dashboard.person("audrey", Role.AUDITOR) as client:
        assert client.get("/find").status_code == 200
        for path in ("/find", "/find/studies.csv", "/api/v1/studies", "/api/v1/studies.csv"):
            for name in ("since", "until"):
                assert client.get(f"{path}?{name}=2026-03-01").status_code == 403, path
        assert 'name="since"' not in client.get("/find").text
    with site.dashboard.person("vera-2", Role.VIEWER) as client:
        assert 'name="since"' in client.get("/find").text


def test_a_fault_in_figures_is_told_without_what_it_was_about() -> None:
    """An error that nobody foresaw may hold a patient's number: people read where to look, and the next one who asks is served."""
    computing = Computing(longest_s=60, waiting=0)
    assert computing.ask("faulty", 1, faulty, "MRN 4711").working
    assert "Ask again" in computing.ask("other", 1, slow, 0).problem

    def answer() -> Any:
        found = computing.ask("faulty", 1, faulty, "MRN 4711")
        return None if found.working else found

    wait_until(lambda: answer() is not None, what="an answer", timeout_s=60)
    assert "log says why" in answer().problem
    assert "4711" not in answer().problem
    assert computing.ask("other", 1, slow, 0).working
    wait_until(lambda: computing.ask("other", 1, slow, 0).value == "done", what="the next one", timeout_s=60)


def test_refused_questions_are_not_remembered() -> None:
    """Whoever asks for ever other periods while one is worked on takes no memory."""
    computing = Computing(longest_s=60, waiting=0)
    computing.ask("slow", 1, slow, 1)
    for number in range(1000):
        assert computing.ask(number, 1, slow, 0).problem
    assert len(computing._held) == 1
    wait_until(lambda: computing.ask("slow", 1, slow, 1).value == "done", what="the one", timeout_s=60)


def test_every_error_of_the_api_is_words_in_json(dashboard: Dashboard) -> None:
    """Of the shell around the application too."""
    ours = f"Host: 127.0.0.1\r\nContent-Length: {2 * MOST_BODY_BYTES}\r\n"
    for headers, status in (("Host: evil.example\r\n", 421), ("Host: localhost\r\nOrigin: https://evil.example\r\n", 403), (ours, 413)):
        answer = raw(dashboard, f"POST /api/v1/users HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (str(status).encode(), b"application/json" in head) == (head.split(b" ")[1], True)
        assert isinstance(json.loads(body)["detail"], str)


class Nonsense(BaseHTTPRequestHandler):
    """An OpenID provider out of order: `answers` by the end of the address."""

    answers: ClassVar[dict[str, object]] = {}

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        said = next((value for end, value in self.answers.items() if self.path.endswith(end)), {})
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_provider_that_answers_nonsense_is_refused_in_words(sqlite_engine: Engine, tmp_path: Path) -> None:
    """Whatever its description, its token, its keys or its user info are: 403 or 503, nobody comes in, and the next try is a new one."""
    with HTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        issuer = f"http://127.0.0.1:{server.server_port}"
        good = {"issuer": issuer} | {name: f"{issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        provider = Oidc(issuer, "ptx", None, ("openid",), "name", "roles", {}, "the hospital")
        with serving(sqlite_engine, tmp_path, oidc=provider) as dashboard, dashboard.visitor() as client:
            for described in ([1], b"<html>", {}, {"issuer": issuer}, good | {"jwks_uri": 5}):
                Nonsense.answers = {"openid-configuration": described}
                answer = client.get("/sign-in/oidc")
                assert (503, True) == (answer.status_code, "OpenID provider" in answer.text), described
            signed = {"id_token": "a.b.c", "access_token": "a"}
            for token, keys in (
                *((one, {"keys": []}) for one in ([1], "x", None, b"<html>", {}, {"id_token": 5, "access_token": "a"})),
                *((signed, one) for one in ({"keys": []}, {"keys": [1]}, {"keys": [{"kty": "RSA"}]}, [1], {"keys": "x"})),
            ):
                Nonsense.answers = {"openid-configuration": good, "token_endpoint": token, "jwks_uri": keys}
                state = parse_qs(urlsplit(client.get("/sign-in/oidc").headers["location"]).query)["state"][0]
                answer = client.get("/sign-in/oidc/callback", params={"state": state, "code": "c"})
                assert (403, True) == (answer.status_code, "did not succeed" in answer.text), (token, keys)
        server.shutdown()
    with begin_read(sqlite_engine) as session:
        assert session.scalar(select(func.count()).select_from(WebSession)) == 0
