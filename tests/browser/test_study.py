"""A study on the screen: a simulated patient read by the shipped model, the drawn mask pixel for pixel, and a CT series by keys."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Instance, Result, TruthRow
from ptx_node.demo.studies import PATIENTS
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.segmentation_masks import masks_of
from ptx_node.domain.access import Role
from ptx_node.simulator.studies import simulate
from tests.browser.conftest import SHOTS, Hospital, Watched
from tests.dashboard import Dashboard, serving
from tests.dashboard_pictures import shipped
from tests.factories import as_file, ct_series
from tests.findings import finding, picture
from tests.read_study import store_study

SEED = 9_000_006
"""A simulated patient with a pneumothorax on the left, of a site that exports 8 bits, 1024 by 1024."""
COLOUR, HAND = (255, 138, 0), (64, 200, 255)
"""Of the model's mask and of a reader's."""


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with serving(sqlite_engine, tmp_path / "store", destinations=("pacs",)) as running:
        yield running


def opened(dashboard: Dashboard, browser: Browser, study: int, **context: object) -> Watched:
    secret = dashboard.session_of(dashboard.add("olga", Role.OPERATOR))
    made = browser.new_context(**{"viewport": {"width": 1600, "height": 1000}, **context})  # type: ignore[arg-type]
    made.add_cookies([{"name": "ptx-session", "value": secret, "url": dashboard.url}])
    watched = Watched(made.new_page())
    watched.page.goto(f"{dashboard.url}/studies/{study}")
    ready(watched.page)
    return watched


def ready(page: Page, place: str = "") -> None:
    """The picture (of this place), its mask and its outline are drawn."""
    name = f'[data-ready="{place}"]' if place else '[data-ready]:not([data-ready=""])'
    page.locator(f"#v-canvas{name}").wait_for()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def on_screen(page: Page) -> NDArray[np.uint8]:
    """The canvas as it is seen, of shape (rows, columns, 3)."""
    address = page.locator("#v-canvas").evaluate("(canvas) => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def placed(page: Page, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Where the picture lies on a canvas that shows it one to one."""
    data = page.locator("#v-canvas").evaluate("(canvas) => [canvas.dataset.zoom, canvas.dataset.x, canvas.dataset.y]")
    zoom, left, top = (float(one) for one in data)
    assert zoom == 1
    assert min(left, top) >= 0, "the canvas is smaller than the picture"
    return slice(int(top), int(top) + shape[0]), slice(int(left), int(left) + shape[1])


def test_the_drawn_mask_is_the_segmentation_pixel_for_pixel(dashboard: Dashboard, browser: Browser, tmp_path: Path) -> None:
    """One to one and opaque: every pixel of the SEG has the mask's colour and no other has; without it the greys are the model's."""
    simulated = simulate(tmp_path / "simulated", SEED, site="siim", wishes=PATIENTS[5][2])
    study = store_study(
        dashboard.engine, dashboard.parts.node.store_folder, [path.read_bytes() for path in simulated.paths], shipped("ptx-cxr-demo")
    )
    assert "seg" in study.results, "the shipped model finds this patient"
    with begin_read(dashboard.engine) as session:
        folder = dashboard.parts.node.store_folder
        seg, image = session.get_one(Result, study.results["seg"]).path, session.get_one(Instance, study.images[0]).path
    (mask,) = masks_of(folder / seg).values()
    shown = read_radiograph(folder / image).image_HW

    watched = opened(dashboard, browser, study.number)
    page = watched.page
    expect(page.locator(".stage .mark")).to_have_text("AI result – research use")  # noqa: RUF001 - as the page has it
    watched.accessible()
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "study-radiograph.png"))

    page.locator(".stage").evaluate("(box) => { box.style.height = '1080px'; }")
    page.locator("#v-opacity").fill("100")
    canvas = page.locator("#v-canvas")
    canvas.focus()
    page.keyboard.press("1")
    page.keyboard.press("o")  # the outline lies on the border's pixels
    ready(page)
    seen = on_screen(page)[placed(page, mask.shape)]
    np.testing.assert_array_equal((seen == COLOUR).all(axis=-1), mask)

    page.keyboard.press("m")
    for key in "ccb":
        page.keyboard.press(key)
    ready(page)
    low, high = (float(one) for one in canvas.evaluate("(canvas) => [canvas.dataset.low, canvas.dataset.high]"))
    assert high - low < 65535 * 0.85
    assert (high + low) / 2 < 65535 * 0.49
    seen = on_screen(page)[placed(page, mask.shape)]
    wanted = np.clip((shown.astype(np.float64) * 65535 - low) / (high - low), 0, 1) * 255
    assert np.abs(seen.astype(np.float64) - wanted[..., None]).max() <= 1
    expect(page.get_by_label("Window")).to_have_value("")
    assert watched.errors == []
    assert watched.hosts == {urlsplit(dashboard.url).netloc}


def test_a_series_by_keys_and_a_slice_that_is_gone(dashboard: Dashboard, browser: Browser) -> None:
    """Slices, presets and masks by keyboard at 360 pixels in the dark; what can no longer be read is said on the picture."""
    slices = ct_series(12)
    study = store_study(
        dashboard.engine, dashboard.parts.node.store_folder, [as_file(one) for one in slices], lambda _: (finding(slices), picture(slices))
    )
    watched = opened(dashboard, browser, study.number, viewport={"width": 360, "height": 800}, color_scheme="dark")
    page = watched.page
    watched.accessible()
    page.locator("#v-canvas").focus()
    page.keyboard.press("Home")
    ready(page, "0")
    expect(page.locator("#v-state")).to_contain_text("slice 1 of 12")
    expect(page.locator("#v-state")).to_contain_text("nothing drawn here")
    page.keyboard.press("PageDown")
    ready(page, "1")
    expect(page.locator("#v-state")).to_contain_text("mm²")
    page.keyboard.press("t")
    expect(page.locator("#v-state")).to_contain_text("Window 400 HU, level 40 HU")
    page.keyboard.press("l")
    expect(page.locator("#v-state")).to_contain_text("Window 1500 HU")
    page.get_by_text("Structured report ", exact=False).last.click()
    expect(page.locator(".tree")).to_contain_text("Imaging Measurement Report")
    watched.accessible()
    assert watched.errors == []
    with begin_read(dashboard.engine) as session:
        (dashboard.parts.node.store_folder / session.get_one(Instance, study.images[-1]).path).unlink()
    page.locator("#v-canvas").focus()
    page.keyboard.press("End")
    expect(page.locator("#v-problem")).to_contain_text("no longer in the store")
    page.keyboard.press("Home")
    ready(page, "0")
    expect(page.locator("#v-problem")).to_be_hidden()


def test_a_reader_is_drawn_beside_the_model(hospital: Hospital, browser: Browser) -> None:
    """Found by accession number; each in a colour of its own and switched by itself, pixel for pixel, and told in figures too."""
    with begin_read(hospital.dashboard.engine) as session:
        accession_number = session.get_one(Instance, hospital.radiograph.images[0]).accession_number
    watched = hospital.page(browser, viewport={"width": 1600, "height": 1000})
    page = watched.page
    page.goto(f"{hospital.dashboard.url}/find")
    page.get_by_label("Accession number").fill(accession_number)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=f"Timeline of study {hospital.radiograph.number}", exact=True).click()
    ready(page)
    expect(page.get_by_label("Mask of a reader")).to_have_value(str(hospital.reading))
    expect(page.locator(".said")).to_contain_text("Drawn by Reader Rita")
    expect(page.locator(".said")).to_contain_text("Dice 0.")
    expect(page.locator("#v-state")).to_contain_text("by hand")
    page.locator("#v-opacity").fill("100")
    page.locator("#v-canvas").focus()
    page.keyboard.press("1")

    def drawn(*keys: str) -> NDArray[np.uint8]:
        for key in keys:
            page.keyboard.press(key)
        ready(page)
        return on_screen(page)[placed(page, by_hand.shape)]

    with begin_read(hospital.dashboard.engine) as session:
        folder = hospital.dashboard.parts.node.store_folder
        seg, hand = session.get_one(Result, hospital.radiograph.results["seg"]).path, session.get_one(TruthRow, hospital.reading).path
    assert hand
    (by_model,), (by_hand,) = masks_of(folder / seg).values(), masks_of(folder / hand).values()
    both = drawn("o", "j", "h")  # no outlines, which lie on the border's pixels; the reader's mask too
    np.testing.assert_array_equal((both == COLOUR).all(axis=-1), by_model)
    np.testing.assert_array_equal((both == HAND).all(axis=-1), by_hand & ~by_model)
    only = drawn("m")
    np.testing.assert_array_equal((only == HAND).all(axis=-1), by_hand)
    assert not (only == COLOUR).all(axis=-1).any()
    page.get_by_label("Mask of a reader").select_option("none")
    expect(page.locator("#v-state")).not_to_contain_text("by hand")
    ready(page)
    assert not (drawn() == HAND).all(axis=-1).any()
    assert watched.errors == []
    page.context.close()
