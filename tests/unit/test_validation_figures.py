"""Pictures and report of a validation: the same bytes each time, nothing loaded from anywhere, names of any kind shown as names."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ptx_node.validation.figures import draw, pictures, save
from ptx_node.validation.flow import Flow, Left, Step
from ptx_node.validation.metrics import Analysis, canonical, compute
from ptx_node.validation.report import write
from tests.validation_cases import Columns, chosen, in_order, made_up, together

HOSTILE = '<script>alert("x")</script>'
FACTS = {"node_version": "0.1.0", "site": "Hôpital Général d'Évry", "period": "2025-03 to 2025-06", "models": ["chest 1"], HOSTILE: HOSTILE}
KINDS = ("calibration", "decision", "roc", "subgroups", "table", "thresholds", "time")


def flow_of(metrics: dict[str, Any], words: str = "radiographs received") -> Flow:
    counts = next(iter(metrics["models"].values()))["counts"] if metrics["models"] else {"rows": {"value": 0}, "counted": {"value": 0}}
    rows, counted = counts["rows"]["value"], counts["counted"]["value"]
    left = (Left("no_report_that_day", "no CT report of that day", rows - counted),)
    return Flow(
        (Step("received", words, rows, left), Step("counted", "with answer and truth", counted)), (Step("all", "counted", counted),)
    )


def figured(cases: Columns, **settings: Any) -> dict[str, Any]:
    return compute(cases, in_order(cases), Analysis(resamples=30, **settings))


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    return figured(made_up(300), simulated=True)


@pytest.fixture(scope="module")
def made(metrics):
    return pictures(metrics, flow_of(metrics))


@pytest.fixture(scope="module")
def written(metrics, made, tmp_path_factory):
    flow = flow_of(metrics)
    return write(metrics, flow, list(flow.steps[0].left), FACTS, tmp_path_factory.mktemp("report"), made)


@pytest.fixture(scope="module")
def page(written) -> str:
    return written[0].read_text(encoding="utf-8")


class Parts(HTMLParser):
    """Tags of a page with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text.append(data)

    @classmethod
    def of(cls, page: str) -> Parts:
        parts = cls()
        parts.feed(page)
        return parts


def test_every_kind_of_picture_is_there_as_svg_and_png(made, tmp_path):
    paths = save(made, tmp_path / "figures")
    names = {"flow", *(f"m1-{kind}" for kind in KINDS)}
    assert {f"{name}.{suffix}" for name in names for suffix in ("svg", "png")} == {path.name for path in paths}
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.size > (600, 400)
        else:
            assert ET.fromstring(path.read_text()).tag.endswith("svg")


def test_the_same_figures_give_the_same_bytes_from_memory_and_from_the_file(metrics, made, written, tmp_path):
    read = json.loads(canonical(metrics))
    again = pictures(read, flow_of(read))
    assert [(one.name, one.svg, one.png, one.words) for one in made] == [(one.name, one.svg, one.png, one.words) for one in again]
    flow = flow_of(read)
    second = write(read, flow, list(flow.steps[0].left), FACTS, tmp_path, again)
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in second]


def test_pictures_of_simulated_cases_say_so_and_others_do_not(metrics, made):
    honest = {**metrics, "analysis": {**metrics["analysis"], "simulated": False}}
    without = {one.name: one for one in pictures(honest, flow_of(metrics))}
    for one in made:
        strip = ink_of(one.png)
        assert strip > 300, one.name
        assert ink_of(without[one.name].png) == 0, one.name


def ink_of(png: bytes) -> int:
    """Pixels of the colour of the warning in the foot's right half."""
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    foot = pixels[-44:, pixels.shape[1] // 2 :]
    return int((np.abs(foot - np.array([0xD5, 0x5E, 0x00])).max(axis=2) < 20).sum())


def test_every_picture_tells_its_numbers_in_words(made):
    for one in made:
        assert re.search(r"\d", one.words)
        assert len(one.alternative) > 40


def test_the_page_forbids_scripts_and_loads_nothing(page):
    parts = Parts.of(page)
    (policy,) = (of["content"] for tag, of in parts.tags if tag == "meta" and of.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}'" in policy
    tags = {tag for tag, _ in parts.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for _, of in parts.tags:
        assert not [name for name in of if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            value = of.get(name)
            assert value is None or value.startswith(("data:image/svg+xml;base64,", "#")), value
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_pictures_in_the_page_load_nothing_either(made):
    for one in made:
        for element in ET.fromstring(one.svg.decode()).iter():
            for name, value in element.attrib.items():
                if name.endswith("href"):
                    assert value.startswith("#")
            assert not element.tag.endswith(("script", "foreignObject", "image"))


def test_links_of_the_page_lead_somewhere_and_every_picture_has_words(page):
    parts = Parts.of(page)
    anchors = [of["id"] for _, of in parts.tags if "id" in of]
    assert len(anchors) == len(set(anchors))
    assert {of["href"] for tag, of in parts.tags if tag == "a"} <= {f"#{one}" for one in anchors}
    assert all(of["alt"] for tag, of in parts.tags if tag == "img")
    assert sum(tag == "caption" for tag, _ in parts.tags) == sum(tag == "table" for tag, _ in parts.tags)
    assert all(of.get("scope") in {"col", "row"} for tag, of in parts.tags if tag == "th")


def test_the_page_tells_the_main_figures_and_where_they_stand(page, metrics):
    text = "".join(Parts.of(page).text).replace("\N{NO-BREAK SPACE}", " ")
    m1 = metrics["models"]["m1"]
    for one in (m1["discrimination"]["auc"], m1["answers"]["sensitivity"]["wilson"], m1["answers"]["specificity"]["wilson"]):
        assert f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" in text
        assert one["id"] in text
    for one in m1["subgroups"]["withheld"]:
        assert f"{one['attribute']} {one['value']}" in text
    for words in ("Research software, not a medical device", "SIMULATED", "Hôpital Général d'Évry", "Société Radiée", "Begg and Greenes"):
        assert words in text


def test_hostile_names_are_names(tmp_path):
    cases = made_up(200)
    cases["manufacturer"] = np.where(cases["sex"] == "F", HOSTILE, "x" * 300)
    cases["device"] = np.where(cases["sex"] == "F", r"$\frac{1}{0}$", "\u202etfel ot thgir\x00\x07 ½ 日本\n")
    cases["model"][:] = f"{HOSTILE}&amp; <b>é"
    found = figured(cases)
    flow = flow_of(found, words=f"{HOSTILE} {'y' * 400}")
    paths = write(found, flow, [Left(HOSTILE, "", 3)], FACTS | {"site": HOSTILE * 50}, tmp_path)
    page = paths[0].read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page
    assert "script" not in {tag for tag, _ in Parts.of(page).tags}
    assert paths[1].read_bytes().startswith(b"%PDF-")


def test_the_pdf_has_its_fonts_its_title_and_no_hour(written):
    data = written[1].read_bytes()
    assert b"DejaVuSans" in data
    assert b"/Title" in data
    assert b"D:20000101" in data
    assert data.rstrip().endswith(b"%%EOF")
    assert not re.search(rb"/(JavaScript|JS|OpenAction|Launch|URI|EmbeddedFile)\b", data)


@pytest.mark.parametrize("which", ["nobody", "without truth", "positives only", "repeating", "two models"])
def test_a_report_is_made_of_whatever_cases_there_are(which, made, tmp_path):
    every = made_up(120)
    cases = {
        "nobody": chosen(every, np.arange(0)),
        "without truth": chosen(every, every["exclusion"] == "no_report_that_day"),
        "positives only": chosen(every, every["truth"] == 1),
        "repeating": made_up(120, images_a_patient=4),
        "two models": together(every, {**every, "model": np.full(120, "other 2")}),
    }[which]
    found = figured(cases)
    few = which not in {"repeating", "two models"}
    page = write(found, flow_of(found), [], {}, tmp_path, None if few else made)[0].read_text(encoding="utf-8")
    assert "Research software" in page
    for text in (">None<", "nan", ">{", "undefined"):
        assert text not in re.sub(r'src="[^"]*"', "", page)


def test_a_flow_chart_of_many_reasons_and_long_words_still_tells_each_in_words(tmp_path):
    left = tuple(Left(f"reason_{place}", f"reason number {place} " + "of many words " * 6, 1 + place) for place in range(30))
    total = sum(one.count for one in left)
    flow = Flow(
        (Step("a", "everybody", total + 5, left), Step("b", "counted", 5)), tuple(Step(str(end), f"end {end}", 1) for end in range(5))
    )
    svg, png = draw(figured(chosen(made_up(5), np.arange(0))), flow, tmp_path)
    assert ("flow.svg", "flow.png") == (svg.name, png.name)
    (picture,) = pictures(figured(chosen(made_up(5), np.arange(0))), flow)
    assert all(f"reason number {place} " in picture.alternative for place in range(30))
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.size[1] < 4000
