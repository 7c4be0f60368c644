"""Splits: by patient, alike in all parts, drawn once, and never leaking."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ptx_node.errors import UsageError
from tests.training.real_formats import write_siim
from training.__main__ import main
from training.records import Record
from training.splits import PARTS, LeakError, check_leaks, draw, load


def people(count: int = 400, seed: int = 3) -> list[Record]:
    """Patients with one to five images; a fifth is positive; two sites."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        positive = int(rng.random() < 0.2)
        for image in range(int(rng.integers(1, 6))):
            image_id = f"{number:04d}.{image}"
            label = positive if image == 0 else 0
            site = "a" if number % 4 else "b"
            records.append(Record(image_id, f"P{number:04d}", Path(f"{image_id}.dcm"), label, site=site))
    return records


def test_no_patient_is_divided_and_every_part_has_its_share_of_each_stratum():
    records = people()
    split = draw("one", records, shares=(0.6, 0.2, 0.2))
    parts = split.divide(records)
    assert len(records) == sum(map(len, parts.values()))
    for part, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
        assert share == pytest.approx(len(parts[part]) / len(records), abs=0.02)
        for name, value in (("label", 1), ("site", "b")):
            total = sum(getattr(record, name) == value for record in records)
            inside = sum(getattr(record, name) == value for record in parts[part])
            assert share == pytest.approx(inside / total, abs=0.04), (part, name)


def test_the_same_seed_draws_the_same_split_whatever_the_order_of_the_records():
    records = people()
    assert draw("one", records).digest == draw("one", records[::-1]).digest
    assert draw("one", records).digest != draw("one", records, seed=2).digest


def test_images_that_must_stay_together_bring_their_patients_into_one_part():
    records = people(60)
    groups = [[f"{number:04d}.0", f"{number + 1:04d}.0", f"{number + 30:04d}.0"] for number in range(0, 20, 2)]
    split = draw("one", records, together=groups)
    for group in groups:
        assert 1 == len({split.of(f"P{image[:4]}") for image in group})
    with pytest.raises(UsageError, match=r"not in the data set: 9999\.0"):
        draw("one", records, together=[["0000.0", "9999.0"]])


def test_a_split_comes_back_from_its_file_and_an_edited_file_is_refused(tmp_path):
    records, path = people(), tmp_path / "splits" / "one.json"
    split = draw("one", records)
    split.save(path)
    assert split == load(path)
    assert split.digest == load(path).digest
    content = json.loads(path.read_text())
    first = next(patient for patient, part in content["patients"].items() if part == "test")
    content["patients"][first] = "train"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="edited after it was drawn"):
        load(path)
    path.write_text("{}")
    with pytest.raises(UsageError, match="cannot be read as a split"):
        load(path)


def test_a_split_that_is_there_stays(tmp_path):
    path = tmp_path / "one.json"
    draw("one", people()).save(path)
    before = path.read_bytes()
    draw("one", people()).save(path)
    with pytest.raises(UsageError, match="holds another split, which stays"):
        draw("one", people(), seed=2).save(path)
    assert before == path.read_bytes()


def test_a_patient_on_both_sides_is_refused_with_patient_and_files():
    left, right = (Record(f"i{n}", "P7", Path(f"folder/{n}.dcm"), 1) for n in (1, 2))
    with pytest.raises(LeakError, match=r"same patient .*P7 \(train: folder/1.dcm, test: folder/2.dcm\)"):
        check_leaks({"train": [left], "test": [right]})
    check_leaks({"train": [left, right], "test": []})


def test_one_image_under_two_patients_is_a_leak_too():
    one, same = (Record("i1", patient, Path(f"{patient}.dcm"), 1) for patient in "AB")
    with pytest.raises(LeakError, match="same image stands on both sides: i1"):
        check_leaks({"train": [one], "validation": [same]})
    one, same = (Record(f"i{patient}", patient, Path("x.dcm"), 1) for patient in "AB")
    with pytest.raises(LeakError, match="same file"):
        check_leaks({"train": [one], "validation": [same]})


def test_one_simulated_person_at_two_sites_is_a_leak():
    one, same = (Record(site, site, Path(f"{site}.dcm"), 1, simulated=True, extra={"seed": "7"}) for site in ("siim", "toulouse"))
    with pytest.raises(LeakError, match=r"same simulated patient .*seed 7 \(train: siim.dcm, test: toulouse.dcm\)"):
        check_leaks({"train": [one], "test": [same]})


def test_an_unknown_patient_is_not_silently_trained_on():
    with pytest.raises(UsageError, match="does not know patient stranger"):
        draw("one", people()).divide([Record("x", "stranger", Path("x"), 0)])


def test_the_command_splits_a_data_set_once(tmp_path, capsys):
    write_siim(tmp_path, [(n, "-1" if n % 3 else "5 5") for n in range(2, 30)] + [(99, "-1")], files=range(2, 30))
    arguments = ["split", "--data", f"siim:{tmp_path}", "--out", str(tmp_path / "one.json"), "--shares", "0.5", "0.25", "0.25"]
    assert 0 == main(arguments)
    told = capsys.readouterr()
    assert "no DICOM file for" in told.err
    split = load(tmp_path / "one.json")
    assert split.digest in told.out
    assert {"train": 7, "validation": 4, "test": 3} == dict(Counter(split.part_of.values()))
    assert 0 == main(arguments)
    assert 2 == main([*arguments, "--seed", "9"])
    assert "holds another split" in capsys.readouterr().err
