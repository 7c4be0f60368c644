"""The case table of a period, on both databases: who is in it, by what name, why somebody does not count, and that the counts add up."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import Engine

from ptx_node.domain.radiology_report import Examination, ReportStatus
from ptx_node.validation.case_columns import COLUMNS
from ptx_node.validation.case_table import read_cases
from tests.case_database import DAY, FIRST, SECOND, Hospital, identified


@pytest.fixture
def hospital(engine: Engine, tmp_path: Path) -> Hospital:
    return Hospital(engine, tmp_path)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def exclusions(folder: Path) -> dict[str, int]:
    found = Counter[str]()
    for row in lines(folder / "exclusions.csv"):
        found[row["reason"]] += int(row["count"])
    return dict(found)


def test_an_answer_against_its_report(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read(laterality="left", area_mm2=1234.5)
    hospital.told("Left pneumothorax.")
    table = hospital.export(tmp_path / "out", identified())
    (row,) = lines(tmp_path / "out" / "cases.csv")
    assert [one.name for one in COLUMNS] == list(row)
    expected = {
        "case_id": "1.8.1",
        "patient": "1^^^hospital",
        "study": "1.9.1",
        "model": "ptx-cxr 1.0 abababababab",
        "kind": "radiograph",
        "examined_on": "2026-03-02",
        "sex": "F",
        "age_band": "60-69",
        "device": "ROOM1",
        "source": "routine",
        "rule": "chest",
        "outcome": "positive",
        "probability": repr(0.9 + 0.0001234567),
        "laterality": "left",
        "area": "1234.5",
        "volume": "",
        "truth_kind": "report",
        "report": "ris:R1",
        "label": "positive",
        "truth": "1",
        "label_version": "test 1",
        "label_doubtful": "0",
        "span_sha256": hashlib.sha256(b"pneumothorax").hexdigest(),
        "interval_min": "240.0",
        "agreement": "true_positive",
        "exclusion": "",
    }
    assert expected == {name: row[name] for name in expected}
    assert (1, 1, 1, 0, ("ptx-cxr 1.0 abababababab",)) == (
        table.rows,
        table.patients,
        table.counted_patients,
        table.simulated,
        table.models,
    )
    assert [1, 1, 1, 1, 1] == [step.count for step in table.flow.steps]
    assert [1, 0, 0, 0] == [end.count for end in table.flow.ends]
    assert read_cases(tmp_path / "out" / "cases.csv")["probability"].tolist() == [0.9 + 0.0001234567]


def test_nothing_of_the_site_is_in_a_table_under_pseudonyms(hospital: Hospital, tmp_path: Path) -> None:
    for number in ("1", "MRN-77"):
        hospital.read(number, image={"accession_number": "ACC-5", "issuer_of_patient_id": ""})
        hospital.told("Left pneumothorax.", number)
    hospital.export(tmp_path / "out")
    text = (tmp_path / "out" / "cases.csv").read_text() + str(parquet.read_table(tmp_path / "out" / "cases.parquet").to_pylist())
    for name in ("1.8.", "1.9.", "MRN-77", "hospital", "2026-03-02", "ROOM1", "ris", "R1", "ACC-5"):
        assert name not in text.replace("2.25.", "")
    rows = lines(tmp_path / "out" / "cases.csv")
    assert sorted(row["case_id"] for row in rows) == [row["case_id"] for row in rows]
    assert {"2.25."} == {row["case_id"][:5] for row in rows}
    assert {64} == {len(row["span_sha256"]) for row in rows}
    assert hashlib.sha256(b"pneumothorax").hexdigest() not in text
    assert {"D"} == {row["device"][0] for row in rows}


def test_merged_numbers_are_one_patient_with_one_shift_of_dates(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read("1")
    hospital.read("2", day=DAY + timedelta(days=10))
    hospital.read("3")
    hospital.merge("1", "2")
    hospital.export(tmp_path / "merged")
    rows = lines(tmp_path / "merged" / "cases.csv")
    (number,) = [name for name, count in Counter(row["patient"] for row in rows).items() if count == 2]
    first, second = sorted(date.fromisoformat(row["examined_on"]) for row in rows if row["patient"] == number)
    assert timedelta(days=10) == second - first
    hospital.export(tmp_path / "by name", identified())
    assert {"2^^^hospital": 2, "3^^^hospital": 1} == Counter(row["patient"] for row in lines(tmp_path / "by name" / "cases.csv"))


def test_images_without_a_number_are_of_different_patients(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read("")
    hospital.read("")
    assert 2 == hospital.export(tmp_path / "out").patients
    assert {"patient_unknown": 2} == exclusions(tmp_path / "out")


def test_a_corrected_report_decides_and_the_superseded_pair_counts_no_more(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read()
    hospital.told("Left pneumothorax.")
    assert [1, 0, 0, 0] == [end.count for end in hospital.export(tmp_path / "before").flow.ends]
    hospital.told("No pneumothorax.", external_id="R1", status=ReportStatus.CORRECTED)
    assert [0, 1, 0, 0] == [end.count for end in hospital.export(tmp_path / "after").flow.ends]


def test_two_models_have_a_row_and_a_flow_each(hospital: Hospital, tmp_path: Path) -> None:
    image = hospital.image()
    for model, outcome in ((FIRST, "positive"), (SECOND, "negative")):
        hospital.finding(hospital.job([image], model=model[1]), image, model=model, outcome=outcome)
    hospital.told("Left pneumothorax.")
    table = hospital.export(tmp_path / "out")
    rows = lines(tmp_path / "out" / "cases.csv")
    assert 1 == len({row["case_id"] for row in rows})
    assert ["ptx-cxr 1.0 abababababab", "ptx-cxr 2.0 cdcdcdcdcdcd"] == [row["model"] for row in rows] == list(table.models)
    assert [[1, 0, 0, 0], [0, 0, 1, 0]] == [[end.count for end in table.flows[one].ends] for one in table.models]
    assert [1, 0, 1, 0] == [end.count for end in table.flow.ends]


def test_a_second_reading_of_the_same_image_by_the_same_model_counts_for_nothing(hospital: Hospital, tmp_path: Path) -> None:
    image = hospital.image(modality="CT", study_instance_uid="1.9.ct", series_instance_uid="1.7.ct")
    for generation in (1, 2):
        hospital.finding(hospital.job([image], generation=generation), image)
    hospital.told("Left pneumothorax.", hour=8)
    table = hospital.export(tmp_path / "out")
    first, second = lines(tmp_path / "out" / "cases.csv")
    assert (["ct", "ct"], ["", "read_again"]) == ([first["kind"], second["kind"]], [first["exclusion"], second["exclusion"]])
    assert first["case_id"] == second["case_id"]
    assert 1 == table.flow.steps[-1].count


def test_several_reports_of_one_ct_the_one_that_names_a_pneumothorax_counts(hospital: Hospital, tmp_path: Path) -> None:
    image = hospital.image(modality="CT", study_instance_uid="1.9.ct", accession_number="A7")
    hospital.finding(hospital.job([image]), image)
    for text in ("No pneumothorax.", "Left pneumothorax.", "Liver."):
        hospital.told(text, examination=Examination("", "1.9.ct", "CT", "", "CT chest"))
    hospital.export(tmp_path / "out")
    (row,) = lines(tmp_path / "out" / "cases.csv")
    assert ("positive", "true_positive", "") == (row["label"], row["agreement"], row["exclusion"])
