"""Pictures of every page for people to look at, and those of docs/images, into the folder that PTX_SCREENSHOTS names.

The hospital is SIMULATED, its radiograph and its CT are read by the demonstration's models.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import SHOTS, Hospital
from tests.browser.pages import PLACES, Place

pytestmark = pytest.mark.skipif(not SHOTS, reason="PTX_SCREENSHOTS names no folder")

WIDTHS = (1280, 360)
IN_THE_README = {"now": 900, "study-radiograph": 1000, "performance": 1180}
"""Pages of which a JPEG of so many pixels' height is made for docs/images."""


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
    if place.name in IN_THE_README:
        page.set_viewport_size({"width": 1280, "height": IN_THE_README[place.name]})
        page.wait_for_timeout(150)
        page.screenshot(path=str(Path(SHOTS) / f"dashboard-{place.name}.jpg"), type="jpeg", quality=80)
    shoot(page, place.name)
    page.context.close()
