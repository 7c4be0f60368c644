"""Every page of a filled dashboard: for everybody's eyes and hands, quiet, and without a request to anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from ptx_node.dashboard.pages import PAGES
from tests.browser.conftest import Hospital, Watched
from tests.browser.pages import PLACES, Place

IN_THE_TAB_ORDER = """() => {
  const asked = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const all = [...document.querySelectorAll(asked)].filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }));
  window.wanted = all;
  window.seen = new Set();
  window.unseen = [];
  document.addEventListener("focusin", (event) => {
    window.seen.add(event.target);
    const style = getComputedStyle(event.target);
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) window.unseen.push(event.target.outerHTML.slice(0, 120));
  });
  return all.length;
}"""
NOT_REACHED = "() => window.wanted.filter((one) => !window.seen.has(one)).map((one) => one.outerHTML.slice(0, 120))"


@pytest.fixture(scope="module")
def signed_in(hospital: Hospital, browser: Browser) -> Iterator[Watched]:
    """One window for all pages, of somebody who may do everything."""
    watched = hospital.page(browser)
    yield watched
    watched.page.context.close()


@dataclass(frozen=True)
class Opened:
    """A page in its window, wide and light, as it came."""

    watched: Watched
    place: Place


@pytest.fixture(scope="module", params=PLACES, ids=lambda place: place.name)
def opened(request: pytest.FixtureRequest, hospital: Hospital, browser: Browser, signed_in: Watched) -> Iterator[Opened]:
    """Each page is opened once for all that is asked of it."""
    place: Place = request.param
    one = Watched(browser.new_context().new_page()) if place.visitor else signed_in
    one.errors.clear()
    one.hosts.clear()
    one.page.set_viewport_size({"width": 1280, "height": 800})
    one.page.emulate_media(color_scheme="light")
    place.open(hospital, one.page)
    yield Opened(one, place)
    if place.visitor:
        one.page.context.close()


def of_no_concern(error: str, place: Place) -> bool:
    """Chromium writes an answer that is no success into its console; a page that tells of one is such an answer."""
    return place.status >= 400 and f"status of {place.status}" in error


def test_every_page_of_the_menu_is_looked_at() -> None:
    """A page that is new has its place in the list that these tests go through."""
    named = {place.address for place in PLACES if isinstance(place.address, str)}
    assert {page.path for page in PAGES if page.menu} <= named


def test_light_and_wide_dark_and_narrow(hospital: Hospital, opened: Opened) -> None:
    """axe-core finds nothing serious, at 360 pixels too nothing scrolls sideways, the console is empty, nobody else is asked."""
    watched, page = opened.watched, opened.watched.page
    watched.accessible()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 800})
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(14, 21, 26)"
    watched.accessible()
    assert [one for one in watched.errors if not of_no_concern(one, opened.place)] == []
    assert watched.hosts == {urlsplit(hospital.dashboard.url).netloc}


def test_everything_is_reached_by_tab_and_seen(opened: Opened) -> None:
    """Whatever can be clicked has the focus once while Tab is pressed, with a frame around it; nothing keeps the focus for itself."""
    page = opened.watched.page
    count = page.evaluate(IN_THE_TAB_ORDER)
    assert count > 1
    for _ in range(count + 40):  # fields of dates have parts
        page.keyboard.press("Tab")
    assert page.evaluate(NOT_REACHED) == []
    assert page.evaluate("window.unseen") == []
