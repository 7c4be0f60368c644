"""`ptx simulate` as a person runs it: files that hold together with their truth, and a contact sheet."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from ptx_node.cli.app import main
from ptx_node.errors import StorageFullError, writing_below
from ptx_node.simulator.sheet import AIR


def truth_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients of two sites, all with a pneumothorax, with CT and French reports."""
    folder = tmp_path_factory.mktemp("simulated") / "hospital"
    words = ["simulate", "--out", str(folder), "--site", "toulouse", "--site", "bedside", "--patients", "2", "--seed", "40"]
    assert 0 == main([*words, "--positives", "1", "--ct", "--reports", "fr", "--rows", "64", "--slices", "5", "--processes", "1"])
    return folder


def test_every_line_of_the_truth_names_files_that_are_there_and_are_what_it_says(hospital: Path) -> None:
    rows = truth_of(hospital)
    assert [("toulouse", "radiograph"), ("ct64", "ct"), ("bedside", "radiograph"), ("ct64", "ct")] == [
        (row["site"], row["kind"]) for row in rows
    ]
    for row in rows:
        place = hospital / row["files"]
        files = sorted(place.glob("*.dcm")) if place.is_dir() else [place]
        assert int(row["instances"]) == len(files)
        headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in files]
        assert {(row["study_instance_uid"], row["patient_id"])} == {(ds.StudyInstanceUID, ds.PatientID) for ds in headers}
        assert "1" == row["pneumothorax"]
        assert (row["kind"] == "ct") <= (row["posture"] == "supine")
        assert row["laterality"] in {"left", "right", "bilateral"}


def test_masks_have_the_grid_and_the_size_that_the_truth_tells(hospital: Path) -> None:
    for row in truth_of(hospital):
        if row["kind"] == "ct":
            mask = np.load(hospital / row["mask"])["mask_ZHW"]
            assert int(row["instances"]) == mask.shape[0]
            assert 0 < float(row["volume_ml"])
        else:
            mask = np.asarray(Image.open(hospital / row["mask"]))
            ds = pydicom.dcmread(hospital / row["files"])
            assert (ds.Rows, ds.Columns) == mask.shape
            assert {0, 255} >= set(np.unique(mask).tolist())
            assert 0 < float(row["area_mm2"])
        assert mask.any()


def test_reports_belong_to_the_ct_in_the_language_asked_for(hospital: Path) -> None:
    radiographs, scans = ([row for row in truth_of(hospital) if row["kind"] == kind] for kind in ("radiograph", "ct"))
    assert {""} == {row["report"] for row in radiographs}
    for row in scans:
        assert "report-fr.txt" == Path(row["report"]).name
        assert "thora" in (hospital / row["report"]).read_text(encoding="utf-8").lower()
        assert row["report_label"] in {"positive", "uncertain", "negative"}


def test_the_same_seed_gives_the_same_folder(tmp_path: Path) -> None:
    """However many processes share the work."""
    for processes in ("1", "2"):
        words = ["--site", "siim", "--site", "bedside", "--patients", "2", "--rows", "96", "--processes", processes]
        assert 0 == main(["simulate", "--out", str(tmp_path / processes), *words])
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_a_folder_with_an_earlier_truth_is_left_as_it_is(hospital: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(hospital)
    assert 2 == main(["simulate", "--out", str(hospital), "--patients", "1", "--rows", "64"])
    assert "truth.csv exists" in capsys.readouterr().err
    assert before == digests(hospital)


def test_the_contact_sheet_outlines_air_only_where_asked(tmp_path: Path) -> None:
    """A positive patient with and without outlines: outlined pixels have the colour of the outline."""
    found = []
    for name, words in (("plain", []), ("outlined", ["--masks"])):
        path = tmp_path / f"{name}.png"
        assert 0 == main(["simulate", "--sheet", str(path), "--site", "siim", "--patients", "1", "--positives", "1", *words])
        picture = np.asarray(Image.open(path).convert("RGB")).astype(int)[: -36 - 52]
        found.append(int((np.abs(picture - AIR).max(axis=2) < 40).sum()))
    assert 0 == found[0]
    assert 100 < found[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--out FOLDER"),
        (["--out", "a", "--sheet", "b.png"], "--out FOLDER"),
        (["--out", "a", "--site", "lyon"], "siim, toulouse, bedside, ct64"),
        (["--sheet", "b.png", "--site", "ct64"], "shows radiographs"),
        (["--sheet", "b.jpg"], "ends in .png"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [str(tmp_path / word) if word in {"a", "b.png", "b.jpg"} else word for word in words]
    assert 2 == main(["simulate", *words])
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_one_line_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    for words in (["--out", str(tmp_path / "file" / "out"), "--processes", "1"], ["--sheet", str(tmp_path / "file" / "sheet.png")]):
        assert 2 == main(["simulate", "--site", "siim", "--patients", "1", "--rows", "64", *words])
        told = capsys.readouterr().err
        assert "file" in told
        assert "cannot be written" in told
        assert "internal error" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_as_such() -> None:
    def fill() -> None:
        with writing_below(Path("patients")), Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    with pytest.raises(StorageFullError, match="patients: no space is left"):
        fill()
