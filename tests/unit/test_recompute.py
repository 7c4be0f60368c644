"""Figures of a package are computed again from its cases: what was changed shows, what was not does not."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ptx_node.cli.app import app
from ptx_node.errors import UsageError
from ptx_node.validation.metrics import Analysis
from ptx_node.validation.recompute import differences
from tests.validation_cases import made_up, write


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    write(folder, made_up(150), Analysis(resamples=20))
    return folder


@pytest.fixture
def package(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "package"))


def changed(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_nobody_touched_is_the_same_to_the_last_digit(package):
    assert [] == differences(package)


def test_the_payload_of_a_bag_is_found(package, tmp_path_factory):
    outside = tmp_path_factory.mktemp("bag")
    package.rename(outside / "data")
    assert [] == differences(outside)


def test_one_digit_of_one_case_shows(package):
    """Even the last one of a probability, which hardly moves any figure."""
    path = package / "cases.csv"
    row = path.read_text().splitlines()[7].split(",")
    place = next(number for number, cell in enumerate(row) if cell.startswith("0.") and len(cell) > 10)
    changed(path, row[place], repr(math.nextafter(float(row[place]), 1.0)))
    assert "made_of.cases.sha256" in {one.path for one in differences(package)}


def test_a_truth_that_was_turned_shows_in_its_figures(package):
    path = package / "cases.csv"
    row = next(line for line in path.read_text().splitlines() if ",negative,0," in line)
    changed(path, row, row.replace(",negative,0,", ",positive,1,"))
    paths = {one.path for one in differences(package)}
    assert "models.m1.counts.with.value" in paths
    assert "models.m1.discrimination.auc.value" in paths
    assert "models.m1.over_time.table" in paths  # which the two tables now tell differently


def test_one_digit_of_one_figure_shows(package):
    path = package / "metrics.json"
    tree = json.loads(path.read_text())
    value = tree["models"]["m1"]["discrimination"]["auc"]["low"]
    changed(path, f'"low": {value!r}', f'"low": {value + 1e-15!r}')
    found = differences(package)
    assert len(found) == 1
    assert found[0].computed == value != found[0].recorded


def test_another_spelling_of_the_same_figures_shows(package):
    changed(package / "metrics.json", '"seed": 1,', '"seed":  1,')
    (one,) = differences(package)
    assert "(spelling)" == one.path


def test_a_figure_that_was_added_or_taken_away_shows(package):
    path = package / "metrics.json"
    tree = json.loads(path.read_text())
    tree["models"]["m1"]["extra"] = 1
    del tree["models"]["m1"]["side"]
    path.write_text(json.dumps(tree))
    assert {"models.m1.extra", "models.m1.side"} <= {one.path for one in differences(package)}


def test_other_library_versions_are_named_first_as_what_they_are(package):
    path = package / "metrics.json"
    tree = json.loads(path.read_text())
    changed(path, f'"numpy": "{tree["libraries"]["numpy"]}"', '"numpy": "1.0.0"')
    (one,) = differences(package)
    assert one.explains
    assert "made with 1.0.0" in str(one)


def test_another_library_alone_is_no_wrong_figure_to_the_command(package):
    path = package / "metrics.json"
    version = json.loads(path.read_text())["libraries"]["python"]
    changed(path, f'"python": "{version}"', '"python": "3.99.0"')
    told = CliRunner().invoke(app, ["export", "recompute", str(package)])
    assert (0, True) == (told.exit_code, "made with 3.99.0" in told.output)
    changed(path, '"hits": ', '"hits": 1')
    assert 1 == CliRunner().invoke(app, ["export", "recompute", str(package)]).exit_code


@pytest.mark.parametrize("name", ["cases.csv", "over_time.csv", "metrics.json"])
def test_a_missing_file_is_named(package, name):
    (package / name).unlink()
    with pytest.raises(UsageError, match=name):
        differences(package)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"analysis": 3}', "\x00", '{"analysis": {"seed": 1}}'])
def test_figures_that_are_none_are_refused_in_one_line(package, content):
    (package / "metrics.json").write_text(content)
    with pytest.raises(UsageError, match=r"analysis|cannot be read"):
        differences(package)
