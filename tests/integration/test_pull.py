"""`ptx pull`: as a person uses it, against an Orthanc."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ptx_node.cli.app import main
from ptx_node.db.session import open_engine
from ptx_node.settings import load
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.wiring.doctor import examine
from ptx_node.wiring.node import open_database
from ptx_node.wiring.retrieval import in_the_background
from tests.archives import fill, hospital, stored
from tests.factories import Place

ONE, THREE, FOUR = (Place(number).uid(1) for number in (1, 3, 4))
Ptx = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def archive_pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with running_pacs(tmp_path_factory.mktemp("pacs") / "pacs", extra={"DicomAlwaysAllowGet": True}) as pacs:
        fill(pacs, hospital())
        yield pacs


@pytest.fixture
def ptx(archive_pacs: Pacs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ptx:
    """Run `ptx pull … --json` on a site of its own; exit code and what it printed."""
    config = tmp_path / "ptx.toml"
    text = f"""
[node]
home = "home"
time_zone = "Europe/Paris"

[[archives]]
name = "pacs"
type = "dimse"
host = "127.0.0.1"
port = {archive_pacs.dicom_port}
called_ae = "PACS"
studies_per_minute = 6000

[[archives]]
name = "web"
type = "dicomweb"
url = "{archive_pacs.dicomweb_url}"
studies_per_minute = 6000
window = "WINDOW"
"""
    config.write_text(text.replace("WINDOW", ""))
    assert 0 == main(["db", "upgrade", "-c", str(config)])

    def run(*words: str, window: str = "", as_json: bool = True) -> tuple[int, Any]:
        config.write_text(text.replace("WINDOW", window))
        capsys.readouterr()
        code = main(["pull", "-c", str(config), *words, *(["--json"] if as_json else [])])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if as_json and printed.out else printed.out + printed.err

    return run


def instances(tmp_path: Path) -> list[str]:
    engine = open_engine(f"sqlite:///{tmp_path / 'home' / 'ptx.db'}")
    try:
        return sorted(one.study_instance_uid for one in stored(engine))
    finally:
        engine.dispose()


@pytest.mark.parametrize("archive", ["pacs", "web"])
def test_a_study_is_pulled(ptx: Ptx, tmp_path: Path, archive: str) -> None:
    code, answer = ptx("--archive", archive, "--study", ONE)
    assert (0, ["done"], 0) == (code, [one["state"] for one in answer["studies"]], answer["waiting"])
    assert [ONE] * 6 == instances(tmp_path)
    assert main(["audit", "verify", "-c", str(tmp_path / "ptx.toml")]) == 0
    assert 0 == ptx("--archive", archive, "--study", ONE)[0], "again is no error"
    assert [ONE] * 6 == instances(tmp_path)


def test_a_dry_run_fetches_nothing(ptx: Ptx, tmp_path: Path) -> None:
    code, answer = ptx("--archive", "pacs", "--since", "2026-03-01", "--until", "2026-03-02", "--modality", "CT,CR", "--dry-run")
    assert (0, {ONE, THREE}) == (code, {one["study_instance_uid"] for one in answer})
    assert [] == instances(tmp_path)


def test_a_period_is_pulled_by_modality(ptx: Ptx, tmp_path: Path) -> None:
    """The radiograph of the study with the CT is not asked for."""
    assert 0 == ptx("--archive", "pacs", "--until", "2026-03-02", "--modality", "CT,CR")[0]
    assert [ONE] * 5 + [THREE] == instances(tmp_path)


def test_one_number_of_two_patients_is_asked_about(ptx: Ptx, tmp_path: Path) -> None:
    code, said = ptx("--archive", "pacs", "--patient", "P-0001", as_json=False)
    assert 2 == code
    assert "several issuers" in said
    assert 0 == ptx("--archive", "pacs", "--patient", "P-0001", "--issuer", "EXAMPLE")[0]
    assert {ONE} == set(instances(tmp_path))


def test_nothing_that_matches_is_told(ptx: Ptx) -> None:
    code, said = ptx("--archive", "pacs", "--accession", "none", as_json=False)
    assert 1 == code
    assert "no study" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--study", ONE), "--archive"),
        (("--archive", "none", "--study", ONE), "pacs, web"),
        (("--archive", "pacs"), "which studies"),
        (("--archive", "pacs", "--patient", "*"), "wild card"),
        (("--archive", "pacs", "--since", "yesterday"), "2026-03-01"),
    ],
)
def test_what_is_asked_wrongly_says_how(ptx: Ptx, words: tuple[str, ...], told: str) -> None:
    code, said = ptx(*words, as_json=False)
    assert 2 == code
    assert told in said


def test_outside_the_window_studies_wait_and_now_does_not(ptx: Ptx, tmp_path: Path) -> None:
    """A window of one minute, twelve hours from the present."""
    later = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(hours=12)
    window = f"{later:%H:%M}-{later + timedelta(minutes=1):%H:%M}"
    code, answer = ptx("--archive", "web", "--study", FOUR, window=window)
    assert (0, 1, ["waiting"]) == (code, answer["waiting"], [one["state"] for one in answer["studies"]])
    assert answer["window_opens_at"] is not None
    assert [] == instances(tmp_path)
    code, said = ptx("--archive", "web", "--study", FOUR, window=window, as_json=False)
    assert "which opens at" in said
    assert 0 == ptx("--archive", "web", "--study", FOUR, "--now", window=window)[0]
    assert [FOUR] == instances(tmp_path)


def test_a_running_node_goes_on_with_what_waits(ptx: Ptx, tmp_path: Path) -> None:
    """What a pull left over for the window is fetched by the scheduler's own look."""
    later = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(hours=12)
    assert 0 == ptx("--archive", "web", "--study", FOUR, window=f"{later:%H:%M}-{later + timedelta(minutes=1):%H:%M}")[0]
    config = tmp_path / "ptx.toml"
    for window, expected in ((f"{later:%H:%M}-{later + timedelta(minutes=1):%H:%M}", []), ("", [FOUR])):
        config.write_text(re.sub(r'window = "[^"]*"', f'window = "{window}"', config.read_text()))
        settings = load(config)
        engine = open_database(settings)
        for _, look, _ in in_the_background(settings, engine, threading.Event()):
            look()
        engine.dispose()
        assert expected == instances(tmp_path)


def test_the_doctor_asks_the_archives(ptx: Ptx, tmp_path: Path) -> None:
    """One that answers, and, told apart, one that does not."""
    config = tmp_path / "ptx.toml"
    config.write_text(config.read_text().replace("/dicom-web", "/nowhere"))
    checks = {check.name: check for check in examine(load(config))}
    assert "ok" == checks["archive pacs"].state
    assert ("failed", True) == (checks["archive web"].state, "404" in checks["archive web"].detail)


def test_a_window_that_is_none_is_found_at_once(ptx: Ptx) -> None:
    for window in ("22:00", "22:00-25:00", "22:00-22:00"):
        assert 2 == ptx("--archive", "web", "--study", ONE, window=window, as_json=False)[0]
