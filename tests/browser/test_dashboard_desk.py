"""The pages of those who decide and run, in a real browser: one key a decision, a replay, a suspended destination."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine

from ptx_node.dashboard.desk import Desk, DestinationFacts
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.tables import RadiologyReport, ReportLabelRow
from ptx_node.domain.access import Role
from tests.browser.conftest import Watched
from tests.dashboard import Dashboard, serving
from tests.dashboard_desk import CHEST, rule_book, stored_day
from tests.dashboard_review_rows import a_report, disagreements


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    stored_day(sqlite_engine, tmp_path, 8)
    with begin_write(sqlite_engine) as session:
        for number in range(3):
            a_report(session, number)
    disagreements(sqlite_engine, 1)
    pacs = DestinationFacts("dimse", "PACS@10.0.0.5:11112", ("seg", "sr"), 3600.0, lambda: "PACS@10.0.0.5:11112 answers C-ECHO")
    desk = Desk(rule_book=rule_book(tmp_path), destinations={"pacs": pacs}, exports=tmp_path / "exports")
    with serving(sqlite_engine, tmp_path, desk=desk) as running:
        yield running


def label_of(dashboard: Dashboard, report: int) -> str:
    with begin_read(dashboard.engine) as session:
        return session.get_one(ReportLabelRow, session.get_one(RadiologyReport, report).label_id).value


def opened(dashboard: Dashboard, browser: Browser) -> Watched:
    """A window of an administrator."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    secret = dashboard.session_of(dashboard.add("anna", Role.ADMINISTRATOR))
    context.add_cookies([{"name": "ptx-session", "value": secret, "url": dashboard.url}])
    return Watched(context.new_page())


def test_one_key_is_one_decision(dashboard: Dashboard, browser: Browser) -> None:
    """Not while somebody types a note, not with Control, and not when it is switched off, which is remembered."""
    watched = opened(dashboard, browser)
    page = watched.page
    page.goto(f"{dashboard.url}/review")
    expect(page.get_by_text("Report 3 of ris")).to_be_visible()
    watched.accessible()
    page.get_by_label("Note").fill("no clear line")
    page.locator("h1").click()
    page.keyboard.press("n")
    expect(page.get_by_text("Report 3 is decided")).to_be_visible()
    expect(page.get_by_text("Report 2 of ris")).to_be_visible()
    page.keyboard.press("s")
    expect(page.get_by_text("Report 1 of ris")).to_be_visible()
    page.get_by_label("one key decides").uncheck()
    page.keyboard.press("p")
    page.reload()
    expect(page.get_by_label("one key decides")).not_to_be_checked()
    assert ("negative", "positive", "positive") == tuple(label_of(dashboard, number) for number in (3, 2, 1))
    with begin_read(dashboard.engine) as session:
        assert session.query(ReportLabelRow).filter(ReportLabelRow.reviewer.is_not(None)).count() == 1
    page.get_by_role("link", name="Findings against the truth").click()
    expect(page.get_by_text("Is this finding right?")).to_be_visible()  # else the box of the page that is left would be ticked
    page.get_by_label("one key decides").check()
    watched.accessible()
    page.locator("h1").click()
    page.keyboard.press("x")
    expect(page.get_by_text("Nothing to decide")).to_be_visible()
    assert watched.errors == []
    assert watched.hosts == {urlsplit(dashboard.url).netloc}


def test_a_replay_and_a_suspended_destination(dashboard: Dashboard, browser: Browser) -> None:
    watched = opened(dashboard, browser)
    page = watched.page
    page.goto(f"{dashboard.url}/rules")
    page.get_by_label("Rules as in ptx.toml").fill(CHEST.replace('"DX"', '"CR"'))
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("8 of 8 studies would go another way")).to_be_visible()
    watched.accessible()
    page.get_by_role("link", name="Destinations").click()
    page.get_by_role("button", name="Test pacs").click()
    expect(page.get_by_text("answers C-ECHO")).to_be_visible()
    page.get_by_label("Why it is suspended").fill("moves")
    page.get_by_role("button", name="Suspend pacs").click()
    page.get_by_role("button", name="Resume pacs").click()
    expect(page.get_by_role("button", name="Suspend pacs")).to_be_visible()
    assert watched.errors == []
