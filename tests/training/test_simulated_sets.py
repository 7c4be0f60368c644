"""Simulated data sets are read by the loaders of the real formats, and their truth agrees with their files."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ptx_node.errors import UsageError
from training.__main__ import main
from training.datasets import open_data_set, read
from training.datasets.siim import open_folder
from training.simulate import Order, part_of, simulate
from training.simulated_patient import in_halves


def order(out: Path, site: str, masks: str, **changes) -> Order:
    values = {"rows": 128, "first_seed": 300_000, "positives": 0.6} | changes
    return Order(site=site, out=out, masks=masks, **values)


def truth(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "patients.csv").open(newline="") as file:
        return {row["image_id"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def siim(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("siim")
    assert 0 == main(
        ["simulate", "--site", "siim", "--patients", "10", "--out", str(folder), "--rows", "128", "--seed", "3", "--processes", "1"]
    )
    return folder


def test_a_simulated_siim_set_is_read_by_the_siim_loader_with_its_truth(siim):
    data_set = open_data_set("siim", siim)
    assert () == data_set.problems
    assert 10 == len(data_set.records) == len({record.patient_id for record in data_set.records})
    known = truth(siim)
    for record in data_set.records:
        row = known[record.image_id]
        image, mask = read(record)
        assert (128, 128) == image.shape == mask.shape
        assert bool(record.label) == mask.any() == (float(row["mask_share"]) > 0)
        assert record.label <= int(row["label"])
        assert float(row["mask_share"]) == pytest.approx(mask.mean(), abs=1e-6)
        assert ("siim", row["size"], row["tube"] == "1", True) == (record.site, record.size, record.tube, record.simulated)
        assert (row["sex"], row["patient_id"]) == (record.sex, record.patient_id)
        assert 1.2 * image.std() > 0.1
    assert {0, 1} == {record.label for record in data_set.records}


def test_a_simulated_siim_set_has_the_layout_and_the_heading_of_the_real_one(siim):
    lines = (siim / "train-rle.csv").read_text().splitlines()
    assert "ImageId, EncodedPixels" == lines[0]
    assert all(", " in line for line in lines)
    path = next((siim / "dicom-images-train").rglob("*.dcm"))
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    assert [ds.StudyInstanceUID, ds.SeriesInstanceUID, f"{ds.SOPInstanceUID}.dcm"] == list(
        path.relative_to(siim / "dicom-images-train").parts
    )
    assert "SIMULATED" in str(ds)


def test_a_second_run_writes_only_what_is_missing(siim):
    before = {path: path.stat().st_mtime_ns for path in siim.rglob("*.dcm")}
    table = (siim / "train-rle.csv").read_text()
    first = order(siim, "siim", "rle", positives=0.5)
    lost = next(path for path in before if truth(siim)[path.stem]["seed"] == "300004")
    part_of(first, 300_004).unlink()
    lost.unlink()
    simulate(first, 10, processes=1)
    after = {path: path.stat().st_mtime_ns for path in siim.rglob("*.dcm")}
    assert before.keys() == after.keys()
    assert {lost} == {path for path in after if after[path] != before[path]}
    assert table == (siim / "train-rle.csv").read_text()


def test_a_folder_with_another_set_is_refused(siim):
    with pytest.raises(UsageError, match="holds a set of another order"):
        simulate(order(siim, "siim", "rle", rows=64), 10)


def test_sites_and_masks_that_do_not_exist_are_refused(tmp_path, capsys):
    assert 2 == main(["simulate", "--site", "mars", "--patients", "1", "--out", str(tmp_path)])
    assert "no simulated site 'mars': there are " in capsys.readouterr().err
    assert 2 == main(["simulate", "--site", "toulouse", "--patients", "1", "--out", str(tmp_path), "--masks", "nifti"])
    assert "can be rle or seg, not nifti" in capsys.readouterr().err


def test_a_bilateral_mask_is_written_in_one_part_a_side_and_nothing_is_lost():
    mask = np.zeros((20, 30), bool)
    mask[2:6, 3:8] = mask[9:12, 5:6] = mask[4:15, 20:26] = True
    left, right = in_halves(mask)
    np.testing.assert_array_equal(mask, left | right)
    assert not (left & right).any()
    assert left[:, 15:].sum() == right[:, :15].sum() == 0
    assert [] == in_halves(np.zeros((4, 4), bool))


def test_another_site_becomes_dicom_with_seg(tmp_path):
    simulate(order(tmp_path, "toulouse", "seg"), 4, processes=1)
    data_set = open_data_set("dicom_seg", tmp_path)
    assert () == data_set.problems
    assert 4 == len(data_set.records)
    for record in data_set.records:
        image, mask = read(record)
        row = truth(tmp_path)[record.image_id]
        assert image.shape == mask.shape
        assert float(row["mask_share"]) == pytest.approx(mask.mean(), abs=1e-6)
        assert "toulouse" == record.site
    assert 2 <= sum(bool(record.masks) for record in data_set.records)


@pytest.mark.parametrize("masks", ["seg", "nifti"])
def test_simulated_ct_slices_are_labelled_by_their_masks(tmp_path, masks):
    simulate(order(tmp_path, "ct64", masks, rows=64, positives=1.0, slice_mm=20.0), 1, processes=1)
    simulate(order(tmp_path / "none", "ct64", masks, rows=64, positives=0.0, slice_mm=40.0), 1, processes=1)
    data_set = open_data_set("ct_folder", tmp_path)
    assert () == data_set.problems
    labels = Counter(record.label for record in data_set.records if record.series_id in truth(tmp_path))
    assert {0, 1} == set(labels)
    drawn = [read(record)[1].mean() for record in data_set.records if record.series_id in truth(tmp_path)]
    assert float(next(iter(truth(tmp_path).values()))["mask_share"]) == pytest.approx(np.mean(drawn), abs=1e-6)
    none = open_data_set("ct_folder", tmp_path / "none")
    assert {0} == {record.label for record in none.records}
    assert all(record.masked for record in none.records)


def test_the_truth_of_a_set_does_not_hide_a_file_that_lost_its_row(siim, tmp_path):
    table = tmp_path / "less.csv"
    table.write_text("\n".join((siim / "train-rle.csv").read_text().splitlines()[:-1]) + "\n")
    assert any("has no row" in problem.reason for problem in open_folder(siim, table=table).problems)


def test_patients_lie_as_asked_and_an_order_without_postures_reads_as_before(tmp_path):
    bed = ("bedside_ap", "supine")
    simulate(order(tmp_path / "bed", "siim", "rle", postures=bed), 6, processes=1)
    assert set(bed) == {row["posture"] for row in truth(tmp_path / "bed").values()}
    assert "postures" not in order(tmp_path, "siim", "rle").to_json()
    with pytest.raises(UsageError, match="another order"):
        simulate(order(tmp_path / "bed", "siim", "rle"), 6, processes=1)


def test_pneumothoraces_are_of_the_sizes_that_were_asked_for(tmp_path):
    simulate(order(tmp_path, "siim", "rle", positives=1.0, sizes=("occult", "small")), 6, processes=1)
    assert {"occult", "small"} == {row["size"] for row in truth(tmp_path).values()}
