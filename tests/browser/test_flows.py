"""What people do on the pages of a filled dashboard: look on, settle, send again, decide beside the picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from ptx_node.db import watching
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import Delivery, DestinationState, RadiologyReport, ReportLabelRow, Result
from ptx_node.domain.access import Role
from tests.browser.conftest import SHOTS, Hospital, Watched
from tests.dashboard import serving


def until(page: Page, text: str, *, there: bool = True) -> None:
    """Let the page's own clock run until it has asked again and tells this, or no longer does."""
    told = page.locator("#live-summary")
    for _ in range(40):
        page.clock.fast_forward(5_000)
        page.wait_for_timeout(250)
        if (text in told.inner_text()) is there:
            return
    pytest.fail(f"{text!r}: {told.inner_text()}")


def suspend(hospital: Hospital, reason: str) -> None:
    with begin_write(hospital.dashboard.engine) as session:
        row = session.get(DestinationState, "pacs")
        if row is None:
            row = DestinationState(name="pacs", suspended=True, reason=reason, changed_at=now(), failures=0, retry_at=None)
            session.add(row)
        row.suspended, row.reason = bool(reason), reason


def test_now_asks_again_by_itself_until_it_is_paused(hospital: Hospital, browser: Browser) -> None:
    """Nothing is loaded anew: what changed is put in, told to screen readers, not while paused; silence of the server is told."""
    watched = hospital.page(browser)
    page = watched.page
    page.clock.install()
    page.goto(hospital.dashboard.url)
    page.evaluate("window.still = true")
    suspend(hospital, "simulated repair")
    until(page, "pacs is suspended: simulated repair")
    expect(page.locator("#ears")).to_contain_text("simulated repair")
    expect(page.locator("#hours canvas")).to_be_visible()
    page.get_by_role("button", name="Pause updates").click()
    suspend(hospital, "")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(60_000)
    page.wait_for_timeout(250)
    assert asked == []
    page.get_by_role("button", name="Pause updates").click()
    until(page, "simulated repair", there=False)
    assert asked
    assert page.evaluate("window.still"), "the page was loaded anew"
    assert watched.errors == []
    page.route("**/now/live", lambda route: route.abort())
    page.clock.fast_forward(5_000)
    expect(page.get_by_text("the dashboard does not answer")).to_be_visible()
    page.unroute("**/now/live")
    page.clock.fast_forward(5_000)
    expect(page.get_by_text("the dashboard does not answer")).to_be_hidden()
    page.context.close()


def test_performance_of_the_model_that_is_chosen(hospital: Hospital, browser: Browser) -> None:
    """The figures come by themselves; curve, band, table and watches are drawn of the one model, then of the other."""
    watched = hospital.page(browser)
    page = watched.page
    page.goto(f"{hospital.dashboard.url}/performance")
    expect(page.get_by_role("heading", name="ROC of simulated-cxr")).to_be_visible(timeout=180_000)
    curve = page.get_by_role("img", name="ROC curve. AUC 0.9")
    expect(curve).to_be_visible()
    assert curve.locator("polyline.s1").count() == curve.locator("polygon.b1").count() == 1
    cells = [
        int(one) for one in page.locator(".cross td:not(.unseen)").evaluate_all("(all) => all.map((one) => parseInt(one.textContent))")
    ]
    row = page.get_by_role("row").filter(has=page.get_by_text("simulated-cxr", exact=False)).first
    assert sum(cells) == int(row.get_by_role("cell").nth(0).inner_text().replace("\u202f", ""))
    for heading in ("Wrong answers", "Missed, of those with a pneumothorax", "False alarms, of those without"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    assert page.get_by_role("img", name="CUSUM of").count() == 3
    assert page.locator(".forest").count() > 4
    page.get_by_role("link", name="simulated-ct").click()
    expect(page.get_by_role("heading", name="ROC of simulated-ct")).to_be_visible()
    page.get_by_label("Examined from").fill("2020-01-01")
    page.get_by_label("to", exact=True).fill("2020-02-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No model has read an image of these days.")).to_be_visible(timeout=180_000)
    assert watched.errors == []
    page.context.close()


def test_an_alarm_is_settled_by_keyboard_alone(hospital: Hospital, browser: Browser) -> None:
    """From the first page to the row of settled ones, with no mouse."""
    watched = hospital.page(browser)
    page = watched.page
    page.goto(hospital.dashboard.url)

    def to(name: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            one = "document.activeElement"
            if page.evaluate(f"{one}.ariaLabel || {one}.id || {one}.textContent.trim()") == name:
                return
        pytest.fail(f"{name} is not reached by Tab")

    to("Drift")
    page.keyboard.press("Enter")
    page.wait_for_url("**/drift")
    with begin_read(hospital.dashboard.engine) as session:
        first = next(one.id for one in watching.alarms(session) if one.acknowledged_at is None)
    to(f"Settle alarm {first}")
    page.keyboard.press("Space")
    to("outcome")
    page.keyboard.press("n")  # as a person chooses in a list: by a letter
    page.keyboard.press("n")
    to("note")
    page.keyboard.type("the intensive care has new detectors")
    to("Settle")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"Alarm {first} is settled")
    with begin_read(hospital.dashboard.engine) as session:
        (settled,) = (one for one in watching.alarms(session) if one.id == first)
    assert (settled.acknowledged_by, settled.note) == ("user anna", "the intensive care has new detectors")
    expect(page.locator(".plot").first).to_be_visible()
    assert watched.errors == []
    page.context.close()


def test_a_delivery_that_was_given_up_is_sent_again(hospital: Hospital, browser: Browser) -> None:
    """It is ticked already; an operator gives the reason, and it waits for its turn anew."""
    with begin_read(hospital.dashboard.engine) as session:
        refused = session.scalars(select(Delivery).where(Delivery.state == "failed").order_by(Delivery.id)).first()
        assert refused is not None
        study = session.get_one(Result, refused.result_id).study_instance_uid
    watched = hospital.page(browser, "bruno", Role.OPERATOR)
    page = watched.page
    page.goto(f"{hospital.dashboard.url}/studies/{study}")
    row = page.get_by_role("row").filter(has=page.get_by_text("given up")).first
    expect(row.get_by_role("checkbox")).to_be_checked()
    page.locator("#why-send").fill("the archive has room again")
    page.get_by_role("button", name="Send the chosen ones again").click()
    expect(page.get_by_role("row").filter(has=page.get_by_text("given up"))).to_have_count(0)
    expect(page.get_by_text("waiting").first).to_be_visible()
    with begin_read(hospital.dashboard.engine) as session:
        assert session.get_one(Delivery, refused.id).state == "waiting"
    bodies = [json.loads(body) for body in hospital.dashboard.trail("decision")]
    assert any("the archive has room again" in json.dumps(body) for body in bodies)
    assert watched.errors == []
    page.context.close()


def test_a_report_is_decided_beside_its_picture(hospital: Hospital, browser: Browser) -> None:
    """Keys on the picture are the picture's; anywhere else the same key decides."""
    watched = hospital.page(browser, "chloe", Role.REVIEWER)
    page = watched.page
    page.goto(f"{hospital.dashboard.url}/review")
    page.locator('#v-canvas[data-ready="0"]').wait_for()
    expect(page.locator("mark.evidence")).to_be_visible()
    report = int(page.locator("form.decide").get_attribute("action").rpartition("/")[2])  # type: ignore[union-attr]
    page.locator("#v-canvas").focus()
    page.keyboard.press("b")
    expect(page.get_by_label("Window")).to_have_value("")
    assert "done=" not in page.url
    page.locator("h1").click()
    page.keyboard.press("b")
    page.wait_for_url(f"**done={report}**")
    with begin_read(hospital.dashboard.engine) as session:
        label = session.get_one(ReportLabelRow, session.get_one(RadiologyReport, report).label_id)
    assert (label.value, label.laterality, label.reviewer) == ("positive", "bilateral", "user chloe")
    assert watched.errors == []
    page.context.close()


def test_a_database_that_is_away_is_told_on_a_page(browser: Browser, tmp_path: Path) -> None:
    engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with serving(engine, tmp_path) as dashboard:
        context = browser.new_context(viewport={"width": 360, "height": 800}, color_scheme="dark")
        context.add_cookies([{"name": "ptx-session", "value": "x", "url": dashboard.url}])
        watched = Watched(context.new_page())
        watched.page.goto(dashboard.url)
        expect(watched.page.get_by_role("heading", level=1)).to_contain_text("database")
        watched.accessible()
        if SHOTS:
            watched.page.screenshot(path=str(Path(SHOTS) / "database-away-dark-360.png"))
        assert [one for one in watched.errors if "503" not in one] == []
        context.close()
