"""Every page of the dashboard by name: where it is, and when it is whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect

from ptx_node.db.assessments import disagreements
from ptx_node.db.session import begin_read
from tests.dashboard_weeks_desk import RULES

if TYPE_CHECKING:
    from tests.browser.conftest import Hospital


def _charted(page: Page) -> None:
    expect(page.locator("#hours canvas")).to_be_visible()


def _drawn(page: Page) -> None:
    page.locator('#v-canvas[data-ready]:not([data-ready=""])').wait_for()


def _computed(page: Page) -> None:
    """The figures come of themselves, from a process that makes them."""
    expect(page.get_by_role("heading", name="Subgroups")).to_be_visible(timeout=180_000)
    expect(page.locator("#making")).to_have_count(0)


def _replayed(page: Page) -> None:
    page.get_by_label("Rules as in ptx.toml").fill(RULES.replace('["CR", "DX"]', '["CR"]'))
    page.get_by_role("spinbutton", name="Newest studies").fill("12")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("studies would go another way")).to_be_visible()


def _missed(hospital: Hospital) -> str:
    """The newest finding that missed something: what the model drew on made-up rows has no file, and Chromium would tell of that."""
    with begin_read(hospital.dashboard.engine) as session:
        one = next(one for one in disagreements(session, 500) if one.label == "positive")
    return f"/review/findings?finding={one.finding_id}"


def _searched(page: Page) -> None:
    expect(page.locator("tbody tr").first).to_be_visible()


@dataclass(frozen=True)
class Place:
    """One page."""

    name: str
    address: str | Callable[[Hospital], str]
    whole: Callable[[Page], None] = lambda _: None
    visitor: bool = False
    status: int = 200

    def open(self, hospital: Hospital, page: Page) -> None:
        """Go there and wait until it is whole."""
        address = self.address if isinstance(self.address, str) else self.address(hospital)
        answer = page.goto(hospital.dashboard.url + address)
        assert answer is not None
        assert answer.status == self.status, f"{self.name}: {answer.status}"
        self.whole(page)


PLACES = (
    Place("now", "/", _charted),
    Place("find", "/find", _searched),
    Place("nothing-found", "/find?q=NOBODY"),
    Place("study-radiograph", lambda hospital: f"/studies/{hospital.radiograph.number}", _drawn),
    Place("study-ct", lambda hospital: f"/studies/{hospital.ct.number}", _drawn),
    Place("performance", "/performance", _computed),
    Place("drift", "/drift"),
    Place("review-labels", "/review"),
    Place("review-findings", _missed),
    Place("rules", "/rules"),
    Place("replay", "/rules", _replayed),
    Place("destinations", "/destinations"),
    Place("models", "/models"),
    Place("exports", "/exports"),
    Place("audit", "/audit", _searched),
    Place("people", "/people"),
    Place("account", "/account"),
    Place("not-there", "/studies/99999999", status=404),
    Place("sign-in", "/sign-in", visitor=True),
)
