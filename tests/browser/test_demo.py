"""`ptx demo` in a real browser, from the link that it prints to Ctrl-C: one running demonstration, all of it real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pydicom
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect
from pydicom.uid import JPEG2000Lossless
from sqlalchemy import select

from ptx_node.db.session import begin_read
from ptx_node.db.tables import RadiologyReport, ReportLabelRow
from ptx_node.demo.studies import FIRST_SEED, PATIENTS
from ptx_node.dicom.segmentation_masks import masks_of
from ptx_node.simulator import reports
from ptx_node.simulator.pacs import orthanc_program
from ptx_node.simulator.patient import draw_patient
from ptx_node.simulator.processes import port_answers
from ptx_node.simulator.ris import report_message, send_messages
from ptx_node.wiring import open_database
from tests.browser.conftest import SHOTS
from tests.browser.demo import NAME, PASSWORD, Demonstration, demonstration
from tests.browser.test_study import COLOUR, on_screen, placed, ready

BUSY_MS = 120_000
"""How long a page may take on a machine that does other things too."""

pytestmark = pytest.mark.skipif(orthanc_program() is None, reason="no Orthanc: sh deploy/debian-packages.sh test")


@pytest.fixture(scope="module")
def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """The demonstration after its day, whose printed link has made the first administrator in the browser."""
    with demonstration(tmp_path_factory.mktemp("demo")) as running:
        with running.window(browser, signed_in=False) as watched:
            page = watched.page
            page.goto(running.link)
            picture(page, "welcome")
            page.get_by_label("Name").fill(NAME)
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_label("The password again").fill(PASSWORD)
            page.get_by_role("button", name="Set the password and sign in").click()
            page.wait_for_url(f"{running.url}/")
            running.signed_in = page.context.storage_state()
        yield running


def picture(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"demo-{name}.png"), full_page=True)


def is_drawn(page: Page, mask: NDArray[np.bool_]) -> None:
    """Opaque and without its outline, the mask has its colour on the screen where the SEG says so, and nowhere else."""
    ready(page)
    seen = on_screen(page)[placed(page, mask.shape)]
    assert mask.any()
    np.testing.assert_array_equal((seen == COLOUR).all(axis=-1), mask)


def until(page: Page, what: Locator) -> None:
    """Load the page again, as people do, until it tells this."""
    for _ in range(120):
        if what.count():
            return
        page.wait_for_timeout(500)
        page.reload()
    pytest.fail(page.locator("main").inner_text())


def test_the_printed_link_makes_one_administrator_and_no_other(demo: Demonstration, browser: Browser) -> None:
    """Who has come by it sees that all is well and the day's twelve studies; a second time it opens nothing."""
    with demo.window(browser) as watched:
        page = watched.page
        page.goto(demo.url)
        expect(page.get_by_text("All is well.")).to_be_visible(timeout=BUSY_MS)
        expect(page.locator(".bar")).to_contain_text(f"{NAME} (administrator)")
        expect(page.locator("#hours canvas")).to_be_visible()
        picture(page, "now")
        page.get_by_role("link", name="Find").click()
        expect(page.get_by_role("heading", name="12 studies, the newest first")).to_be_visible()
        picture(page, "find")
    again = httpx.get(demo.link)
    assert (again.status_code, "password" in again.text.lower()) == (404, False), again.text


def test_an_accession_number_leads_to_the_mask_that_the_pacs_holds(demo: Demonstration, browser: Browser, tmp_path: Path) -> None:
    """What is drawn on the first radiograph of the day is the SEG in the PACS, pixel for pixel; what the model said stands beside."""
    sent = demo.sent("01")
    (mask,) = masks_of(demo.result(tmp_path, Modality="SEG", StudyInstanceUID=sent.StudyInstanceUID)).values()
    with demo.window(browser, viewport={"width": 1600, "height": 1000}) as watched:
        page = watched.page
        page.goto(f"{demo.url}/find")
        page.get_by_label("Accession number").fill(sent.AccessionNumber)
        page.get_by_role("button", name="Find").click()
        row = page.get_by_role("row").filter(has_text=sent.AccessionNumber)
        expect(row).to_have_count(1)
        expect(row).to_contain_text(sent.PatientID)
        row.get_by_role("link").click()
        expect(page.locator(".said")).to_contain_text("Positive: a pneumothorax is predicted", timeout=BUSY_MS)
        expect(page.locator(".said")).to_contain_text("radiology report")
        ready(page)
        picture(page, "study")
        height, width = mask.shape
        page.locator(".stage").evaluate(f"(box) => {{ box.style.height = '{height + 40}px'; box.style.width = '{width + 40}px'; }}")
        page.locator("#v-opacity").fill("100")
        page.locator("#v-canvas").focus()
        page.keyboard.press("1")
        page.keyboard.press("o")  # the outline lies on the border's pixels
        is_drawn(page, mask)


def test_from_sign_in_to_a_ct_by_keyboard_alone(demo: Demonstration, browser: Browser, tmp_path: Path) -> None:
    """No mouse: a name and a password, the accession number, the slice on which most is drawn as the SEG has it, and out again."""
    sent = demo.sent("10")
    masks = masks_of(demo.result(tmp_path, Modality="SEG", StudyInstanceUID=sent.StudyInstanceUID))
    with demo.window(browser, signed_in=False) as watched:
        page = watched.page

        def to(name: str) -> None:
            for _ in range(80):
                page.keyboard.press("Tab")
                one = "document.activeElement"
                if page.evaluate(f"{one}.id || {one}.ariaLabel || {one}.textContent.trim()") == name:
                    return
            pytest.fail(f"{name} is not reached by Tab")

        page.goto(demo.url)
        page.keyboard.type(NAME)
        to("password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{demo.url}/")
        to("Find")
        page.keyboard.press("Enter")
        page.wait_for_url("**/find")
        to("q")
        page.keyboard.type(sent.AccessionNumber)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**q={sent.AccessionNumber}**")
        to(page.get_by_role("link", name="Timeline of study").get_attribute("aria-label") or "")
        page.keyboard.press("Enter")
        ready(page)
        to("v-canvas")
        for key in "1og":
            page.keyboard.press(key)
        to("v-opacity")
        page.keyboard.press("End")
        is_drawn(page, max(masks.values(), key=np.count_nonzero))
        expect(page.locator("#v-state")).to_contain_text("mm²")
        picture(page, "ct")
        page.keyboard.press("Home")
        page.goto(demo.url)
        to("Sign out")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=BUSY_MS)


def test_performance_leads_to_the_days_of_the_simulated_patients(demo: Demonstration, browser: Browser) -> None:
    """They were examined long before the usual days: the page says when, and there has the figures that the terminal has."""
    (printed,) = re.findall(r"radiographs against the CT reports of the day: (.*?);", " ".join(demo.printed.split()))
    with demo.window(browser) as watched:
        page = watched.page
        page.goto(f"{demo.url}/performance")
        page.get_by_role("link", name="Show the days until then").click(timeout=BUSY_MS)
        expect(page.get_by_text("Simulated patients only.")).to_be_visible(timeout=BUSY_MS)
        cells = page.locator(".cross td:not(.unseen)").evaluate_all("(all) => all.map((one) => one.innerText.replace('\\n', ' '))")
        picture(page, "performance")
    assert sorted(cells) == sorted(printed.split(", "))


def test_a_corrected_report_in_doubt_is_decided_by_one_key(demo: Demonstration, browser: Browser) -> None:
    """The day leaves nothing in doubt: its RIS sends a correction that denies a large one only, and what a person says of it counts."""
    patient = draw_patient(FIRST_SEED + 2, PATIENTS[2][2])
    words = replace(
        reports.write(patient, language="en", seed=FIRST_SEED + 2), status="corrected", text="CT chest: no large right pneumothorax."
    )
    with demo.window(browser) as watched:
        page = watched.page
        page.goto(f"{demo.url}/review")
        expect(page.get_by_text("No label is in doubt.")).to_be_visible()
        assert send_messages([report_message(patient, words, control_id="DOUBT")], demo.settings.hl7.port) == ["AA"]
        until(page, page.get_by_role("heading", name="What does this report say?"))
        expect(page.locator(".report")).to_contain_text("no large right pneumothorax")
        expect(page.locator("mark.evidence")).to_be_visible()
        picture(page, "review")
        page.keyboard.press("r")
        expect(page.get_by_role("status")).to_contain_text("is decided", timeout=BUSY_MS)
        expect(page.get_by_text("No label is in doubt.")).to_be_visible()
    engine = open_database(demo.settings)
    with begin_read(engine) as session:
        (label,) = session.scalars(
            select(ReportLabelRow)
            .join(RadiologyReport, RadiologyReport.label_id == ReportLabelRow.id)
            .where(ReportLabelRow.reviewer.is_not(None))
        )
    engine.dispose()
    assert (label.value, label.laterality, label.reviewer) == ("positive", "right", f"user {NAME}")


def test_a_changed_rule_is_replayed_over_the_day(demo: Demonstration, browser: Browser) -> None:
    """Without DX in its rule nobody reads a DX study, nor says of one why it is not read; the day stays as it was."""
    folders = [one.name for one in (demo.home / "modality").iterdir()]
    digital = [name for name in folders if demo.sent(name).Modality == "DX"]
    were_read = [name for name in digital if int(name) <= len(PATIENTS)]
    assert 0 < len(were_read) < len(digital)
    with demo.window(browser) as watched:
        page = watched.page
        page.goto(f"{demo.url}/rules")
        today = page.locator("section[aria-labelledby=h-today]")
        before = today.inner_text()
        box = page.get_by_label("Rules as in ptx.toml")
        box.fill(box.input_value().replace('any_of = ["CR", "DX"]', 'any_of = ["CR"]'))
        page.get_by_role("button", name="Replay").click()
        expect(page.get_by_role("status")).to_have_text(f"{len(digital)} of {len(folders)} studies would go another way", timeout=BUSY_MS)
        rows = page.get_by_role("region", name="What would be different").get_by_role("row").filter(has_text="DX from")
        expect(rows.filter(has_text="nobody reads it")).to_have_count(len(digital))
        expect(rows.filter(has_text="would no longer read it")).to_have_count(len(were_read))
        expect(rows.filter(has_text="does not read it would go to nobody")).to_have_count(len(digital) - len(were_read))
        picture(page, "rules")
        page.reload()
        assert today.inner_text() == before


def test_the_dark_stays_over_every_page(demo: Demonstration, browser: Browser) -> None:
    """Chosen once, in a browser that prefers the light: pages are dark from their first moment on, and can be read."""
    with demo.window(browser, color_scheme="light") as watched:
        page = watched.page
        page.goto(demo.url)
        page.get_by_label("Colours").select_option("dark")
        for path in ("/", "/find", "/studies/1", "/rules", "/destinations"):
            page.goto(f"{demo.url}{path}")
            assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(14, 21, 26)", path
            watched.accessible()
            if path == "/studies/1":
                ready(page)
                picture(page, "dark")
        page.get_by_label("Colours").select_option("auto")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != "rgb(14, 21, 26)"


def test_a_delivery_that_failed_is_sent_again(demo: Demonstration, browser: Browser, tmp_path: Path) -> None:
    """Its PACS is switched off, comes back with a setting that refuses the result, which is given up; mended, it has it again."""
    study: Any = demo.sent("06").StudyInstanceUID
    asked = {"Modality": "SEG", "StudyInstanceUID": study}
    held = pydicom.dcmread(demo.result(tmp_path, **asked))
    (instance,) = demo.in_pacs(**asked)
    httpx.delete(f"{demo.pacs_url}/instances/{instance['ID']}").raise_for_status()
    demo.stop_pacs()
    with demo.window(browser) as watched:
        page = watched.page
        row = page.get_by_role("row").filter(has_text="Segmentation")

        def send_again(reason: str) -> None:
            expect(row.get_by_role("checkbox")).to_be_checked()
            page.locator("#why-send").fill(reason)
            page.get_by_role("button", name="Send the chosen ones again").click()

        page.goto(f"{demo.url}/studies/{study}")
        row.get_by_role("checkbox").check()
        send_again("somebody has deleted it in the PACS")
        until(page, row.filter(has_text="does not answer"))
        picture(page, "waiting")
        page.goto(demo.url)
        until(page, page.locator("#live-summary").filter(has_text="pacs"))
        picture(page, "now-without-pacs")
        page.goto(f"{demo.url}/studies/{study}")
        with demo.pacs_again(AcceptedTransferSyntaxes=[str(JPEG2000Lossless)]):
            until(page, row.filter(has_text="given up"))
            expect(row).to_contain_text("accepts none of what was proposed")
            picture(page, "given-up")
            assert demo.in_pacs(**asked) == []
        with demo.pacs_again():
            send_again("the PACS takes it again")
            until(page, row.filter(has_text="committed"))
            assert pydicom.dcmread(demo.result(tmp_path, **asked)) == held
        page.goto(demo.url)
        expect(page.get_by_text("All is well.")).to_be_visible(timeout=BUSY_MS)


def test_ctrl_c_ends_all_of_it(demo: Demonstration) -> None:
    """The last: it ends without a complaint, with every process that it has started, and nothing listens any more."""
    assert len(demo.processes()) > 6
    demo.interrupt()
    assert (demo.exit_code, demo.left) == (0, [])
    ports = (demo.settings.dashboard.port, demo.settings.dicom.port, demo.settings.hl7.port)
    assert not any(map(port_answers, ports))
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(demo.home) in " ".join(one.info["cmdline"] or ())]
    said = (demo.home.parent / "terminal").read_text(encoding="utf-8")
    assert said == demo.printed
