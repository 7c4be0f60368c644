"""A real Chromium, Debian's, headless; and what every test of a page asks of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import select

from ptx_node.db import users
from ptx_node.db.session import begin_read, open_engine
from ptx_node.db.tables import Table, TruthRow
from ptx_node.domain.access import Role
from ptx_node.domain.pseudonym import Pseudonyms
from tests.dashboard import Dashboard, serving
from tests.dashboard_pictures import read_by_nobody, read_by_the_models
from tests.dashboard_weeks import weeks
from tests.dashboard_weeks_desk import desk, files, left_behind
from tests.read_study import ReadStudy

SHOTS = os.environ.get("PTX_SCREENSHOTS", "")
"""A folder for pictures that people look at."""
AXE = Path(__file__).with_name("axe-4.14.1.min.js")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: sh deploy/debian-packages.sh test")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium's own sandbox refuses root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=120_000)
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a page did that a person does not see."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(90_000)
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc or urlsplit(request.url).scheme))

    def accessible(self) -> None:
        """axe-core finds nothing serious, and no page is wider than its window."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        bad = [
            (one["id"], [node["html"][:160] for node in one["nodes"]])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert bad == [], self.page.url
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} scrolls sideways by {wide}"


@dataclass(frozen=True)
class Hospital:
    """The dashboard of a SIMULATED hospital after nine weeks, with a radiograph and a CT series that can be opened."""

    dashboard: Dashboard
    radiograph: ReadStudy
    ct: ReadStudy
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> int:
        """The number of what a reader drew on the radiograph."""
        with begin_read(self.dashboard.engine) as session:
            return session.scalars(select(TruthRow.id).order_by(TruthRow.id)).first() or 0

    def page(self, browser: Browser, name: str = "anna", role: Role = Role.ADMINISTRATOR, **context: Any) -> Watched:
        """A window of somebody who is signed in; the same name is the same person."""
        if name not in self.secrets:
            with begin_read(self.dashboard.engine) as session:
                known = users.find(session, name)
            self.secrets[name] = self.dashboard.session_of(known.id if known else self.dashboard.add(name, role))
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        made.add_cookies([{"name": "ptx-session", "value": self.secrets[name], "url": self.dashboard.url}])
        return Watched(made.new_page())


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """One for all tests that change nothing which others look at; with PTX_SCREENSHOTS its pictures are the models' own."""
    folder = tmp_path_factory.mktemp("hospital")
    (store := folder / "store").mkdir()
    (place := folder / "files").mkdir()
    engine = open_engine(f"sqlite:///{folder / 'ptx.db'}")
    Table.metadata.create_all(engine)
    weeks(engine)
    files(engine, store)
    radiograph, ct = (read_by_the_models if SHOTS else read_by_nobody)(engine, store, place)
    left_behind(engine)
    with serving(engine, store, destinations=("pacs", "research"), desk=desk(folder, store)) as running:
        parts = running.parts
        running.shell.inside.state.parts = replace(
            parts, node=replace(parts.node, export_names=Pseudonyms(b"k" * 32), watermark_bytes=2_000_000_000)
        )
        yield Hospital(running, radiograph, ct)
    engine.dispose()
