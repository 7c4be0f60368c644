"""The `ptx` command as a user meets it: one clear line and the right exit code, lists as JSON, results on files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from ptx_node.cli.app import main
from ptx_node.domain.finding import Laterality
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.patient import NOBODY, Size, Wishes
from ptx_node.simulator.studies import simulate, simulate_hand


@dataclass(frozen=True)
class Answer:
    """What one command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


Ptx = Callable[..., Answer]


def clear(side: Laterality | str) -> Wishes:
    """A patient of whom the shipped model should say the right thing."""
    return Wishes(laterality=side, size=Size.LARGE, confounders=frozenset())


@pytest.fixture
def ptx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ptx:
    """Runs a command in this process, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> Answer:
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def site(tmp_path: Path, ptx: Ptx) -> Path:
    """A folder with a fresh ptx.toml and an upgraded database."""
    assert 0 == ptx("init").returncode
    assert 0 == ptx("db", "upgrade").returncode
    return tmp_path


def test_init_writes_settings_that_pass_every_check(ptx: Ptx, site: Path) -> None:
    """What `ptx init` writes is valid as it stands: rules, models, database and destination."""
    answer = ptx("rules", "check", "--json")
    assert (0, []) == (answer.returncode, json.loads(answer.stdout)["problems"])
    checks = json.loads(ptx("doctor", "--json").stdout)
    assert [] == [one for one in checks if one["state"] == "failed"]
    assert {"home", "database", "broker", "dicom.peers", "model ptx-cxr-demo", "model ptx-ct-demo", "destination folder"} == {
        one["name"] for one in checks
    }


def test_init_never_writes_over_a_sites_settings(ptx: Ptx, site: Path) -> None:
    """A second `ptx init` leaves the file alone."""
    (site / "ptx.toml").write_text('[node]\nsite = "ours"\n')
    answer = ptx("init")
    assert (2, 1) == (answer.returncode, answer.stderr.count("\n"))
    assert "--force" in answer.stderr
    assert "ours" in (site / "ptx.toml").read_text()


@pytest.mark.parametrize(
    "command", [("jobs",), ("deliveries",), ("rules", "check"), ("models",), ("doctor",), ("status",), ("db", "current")]
)
def test_every_list_has_json(ptx: Ptx, site: Path, command: tuple[str, ...]) -> None:
    """What a person sees as a table, a program gets as JSON, on standard output alone."""
    json.loads(ptx(*command, "--json").stdout)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("no-such-command",), 2, "no-such-command"),
        (("jobs", "--limit", "x"), 2, "--limit"),
        (("status", "-c", "nowhere.toml"), 2, "ptx init"),
        (("send", "nowhere.dcm"), 2, "does not exist"),
        (("predict", "nowhere.dcm"), 2, "does not exist"),
        (("predict", "ptx.toml", "--model", "none"), 2, "ptx models"),
        (("jobs", "retry"), 2, "--all"),
        (("deliveries", "suspend", "nowhere", "--reason", "x"), 2, "no destination"),
        (("worker",), 2, "ptx up"),
        (("db", "downgrade", "nonsense"), 1, "nonsense"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(ptx: Ptx, site: Path, words: tuple[str, ...], code: int, says: str) -> None:
    """Exit code 2 for what was asked wrongly, 1 for what failed; no trace, one line."""
    answer = ptx(*words)
    assert (code, 1) == (answer.returncode, answer.stderr.strip().count("\n") + 1), answer.stderr
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr


def test_wrong_settings_name_the_place(ptx: Ptx, tmp_path: Path) -> None:
    """A typing error in ptx.toml is found at once and named."""
    (tmp_path / "ptx.toml").write_text("[dicom]\nprot = 11112\n")
    answer = ptx("status")
    assert 2 == answer.returncode
    assert "dicom.prot" in answer.stderr


def test_predict_reads_files_without_a_node(ptx: Ptx, tmp_path: Path) -> None:
    """One object an instance, with what issue and documentation promise; the results are on disk."""
    positive = simulate(tmp_path / "a", 9_200_001, site="toulouse", wishes=clear(Laterality.RIGHT))
    negative = simulate(tmp_path / "b", 9_200_002, site="siim", wishes=clear(NOBODY))
    hand = simulate_hand(tmp_path / "c", 9_200_003)
    (tmp_path / "text.dcm").write_text("not DICOM")
    answer = ptx("predict", *positive.paths, *negative.paths, *hand.paths, "text.dcm", "--out", "out", "--json")
    assert 0 == answer.returncode, answer.stderr
    rows = json.loads(answer.stdout)
    assert [(True, "positive", "right"), (True, "negative", None), (False, None, None), (False, None, None)] == [
        (row["eligible"], row["label"], row["laterality"]) for row in rows
    ]
    assert [None, None, "not_chest", "unreadable_header"] == [row["reason"] for row in rows]
    assert rows[0]["probability"] >= rows[0]["threshold"] > rows[1]["probability"]
    assert rows[0]["area_mm2"] > 0 == rows[1]["area_mm2"]
    assert {"name", "version", "weights_sha256", "device_uid"} == rows[0]["model"].keys()
    assert ["SEG", "SR", "OT"] == [pydicom.dcmread(tmp_path / path, stop_before_pixels=True).Modality for path in rows[0]["results"]]
    assert (2, 0, 0) == tuple(len(row["results"]) for row in rows[1:])


def test_predict_reads_a_ct_series_as_one(ptx: Ptx, tmp_path: Path) -> None:
    """Every slice of a series carries the series' finding and the same results."""
    protocol = Protocol(slices=20, slice_thickness_mm=5.0)
    study = simulate(tmp_path / "ct", 9_200_005, site="ct64", wishes=clear(Laterality.LEFT), protocol=protocol)
    rows = json.loads(ptx("predict", tmp_path / "ct", "--out", "out", "--json").stdout)
    assert sorted(study.sop_instance_uids) == sorted(row["sop_instance_uid"] for row in rows)
    assert [("positive", "left")] == list({(row["label"], row["laterality"]) for row in rows})
    assert rows[0]["volume_ml"] > 0
    assert rows[0]["area_mm2"] is None
    assert 1 == len({tuple(row["results"]) for row in rows})


def test_the_command_is_installed(tmp_path: Path) -> None:
    """`ptx` and `python -m ptx_node` are the same program."""
    ptx = Path(sys.executable).with_name("ptx")
    answers = [
        subprocess.run([*words, "--version"], capture_output=True, text=True, check=True)
        for words in ([ptx], [sys.executable, "-m", "ptx_node"])
    ]
    assert answers[0].stdout == answers[1].stdout != ""


def test_status_names_destinations_that_are_suspended_or_idle(site: Path, ptx: Ptx) -> None:
    """Where results go, and which of the destinations a person has stopped."""
    assert 0 == ptx("deliveries", "suspend", "folder", "--reason", "cleaning").returncode
    (folder,) = json.loads(ptx("status", "--json").stdout)["destinations"]
    assert ("folder", True, True, "cleaning") == (folder["destination"], folder["configured"], folder["suspended"], folder["reason"])
    assert 0 == ptx("deliveries", "resume", "folder").returncode
    (folder,) = json.loads(ptx("status", "--json").stdout)["destinations"]
    assert not folder["suspended"]
