"""The dashboard as a person meets it: from the first administrator's link to a study's timeline, by keyboard alone too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine

from ptx_node.db import users
from ptx_node.db.session import begin_write, now
from ptx_node.domain.access import Role
from tests.browser.conftest import Watched
from tests.dashboard import PASSWORD, Dashboard, serving
from tests.dashboard_rows import EVIL, a_day, a_study
from tests.factories import as_file, dx

SHOTS = os.environ.get("PTX_SCREENSHOTS", "")


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    image = as_file(dx())
    for number in (*range(len(a_day(sqlite_engine))), 900):
        (tmp_path / f"{number}.dcm").write_bytes(image)
    with serving(sqlite_engine, tmp_path, destinations=("pacs", "research")) as running:
        yield running


def shoot(watched: Watched, name: str) -> None:
    """A picture for people to look at, where PTX_SCREENSHOTS names a folder."""
    if SHOTS:
        watched.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_from_the_first_link_to_a_timeline(dashboard: Dashboard, browser: Browser) -> None:
    """Link, sign-out, sign-in, Now, live, Find, timeline, people: no error, no request elsewhere, nothing that axe calls serious."""
    with begin_write(dashboard.engine) as session:
        secret = users.first_link(session, by="node", now=now())
    watched = Watched(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())
    page = watched.page
    page.goto(f"{dashboard.url}/welcome/{secret}")
    watched.accessible()
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The password again").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    expect(page.locator("#hours canvas")).to_be_visible()
    watched.accessible()
    shoot(watched, "now")

    page.get_by_role("button", name="Sign out").click()
    watched.accessible()
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    with begin_write(dashboard.engine) as session:
        a_study(session, 900, now(), accession="LIVE1")
    expect(page.locator("#hours-table")).to_have_count(1)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when a person comes back to the tab
    expect(page.get_by_role("row", name="CXR_BEDSIDE")).to_be_visible()

    page.get_by_role("link", name="Find").click()
    page.get_by_label("Accession number").fill("LIVE1")
    page.get_by_role("button", name="Find").click()
    assert "q=LIVE1" in page.url
    watched.accessible()
    page.get_by_role("link", name="Timeline of study").click()
    expect(page.get_by_text("results written")).to_be_visible()
    expect(page.get_by_text("AI result").first).to_be_visible()
    watched.accessible()
    shoot(watched, "study")

    page.goto(f"{dashboard.url}/find?q=A000003")
    expect(page.get_by_role("cell", name=EVIL)).to_be_visible()
    page.goto(f"{dashboard.url}/people")
    watched.accessible()
    page.get_by_label("Name").first.fill("bert")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#once")).to_contain_text("/welcome/")
    assert watched.errors == []
    assert watched.hosts == {urlsplit(dashboard.url).netloc}


def test_dark_and_wide(dashboard: Dashboard, browser: Browser) -> None:
    """Dark as the system says, light when a person says so, and that is remembered; a wide screen is used."""
    secret = dashboard.session_of(dashboard.add("anna", Role.ADMINISTRATOR))
    context = browser.new_context(viewport={"width": 1920, "height": 1000}, color_scheme="dark")
    context.add_cookies([{"name": "ptx-session", "value": secret, "url": dashboard.url}])
    watched = Watched(context.new_page())
    page = watched.page

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    for path in ("/", "/find", "/studies/4", "/people", "/account"):
        page.goto(dashboard.url + path)
        watched.accessible()
        shoot(watched, f"dark1920{path.replace('/', '_')}")
    assert ground() == "rgb(14, 21, 26)"
    page.get_by_label("Colours").select_option("light")
    assert ground() == "rgb(244, 246, 248)"
    page.reload()
    assert ground() == "rgb(244, 246, 248)"
    assert watched.errors == []


def test_by_keyboard_alone(dashboard: Dashboard, browser: Browser) -> None:
    """Tab and Enter: skip link, menu, search, timeline; what has the focus is seen."""
    secret = dashboard.session_of(dashboard.add("anna", Role.VIEWER))
    context = browser.new_context()
    context.add_cookies([{"name": "ptx-session", "value": secret, "url": dashboard.url}])
    page = Watched(context.new_page()).page
    page.goto(dashboard.url)

    def press_until(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            text = page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id")
            if text == name:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", name
                return
        pytest.fail(f"{name} is not reached by Tab")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.goto(dashboard.url)
    press_until("Find")
    page.keyboard.press("Enter")
    page.wait_for_url("**/find")
    press_until("q")
    page.keyboard.type("A000010")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=A000010**")
    press_until("11")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Study 11")).to_be_visible()
