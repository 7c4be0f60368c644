"""Pictures of every page for people to look at: PTX_SCREENSHOTS=/tmp/shots pytest tests/browser/test_screenshots.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import SHOTS, Hospital
from tests.browser.pages import PLACES, Place

pytestmark = pytest.mark.skipif(not SHOTS, reason="PTX_SCREENSHOTS names no folder")

WIDTHS = (1280, 360)


def shoot(page: Page, name: str) -> None:
    for theme in ("light", "dark"):
        for width in WIDTHS:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(150)
            page.screenshot(path=str(Path(SHOTS) / f"{name}-{theme}-{width}.png"), full_page=True)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_each_page(hospital: Hospital, browser: Browser, place: Place) -> None:
    page = browser.new_context().new_page() if place.visitor else hospital.page(browser).page
    page.set_viewport_size({"width": 1280, "height": 800})
    place.open(hospital, page)
    shoot(page, place.name)
    page.context.close()
