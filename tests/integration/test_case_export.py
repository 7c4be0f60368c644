"""The case table of a period, on both databases: who is in it, by what name, why somebody does not count, and that the counts add up."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import Engine, insert, select

from ptx_node.db import case_counts
from ptx_node.db.cases import Period
from ptx_node.db.session import begin_snapshot, begin_write, open_engine
from ptx_node.db.tables import Conflict, Instance, Table
from ptx_node.domain.job import JobState
from ptx_node.domain.radiology_report import Examination, ReportStatus
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import UsageError
from ptx_node.pipeline.enqueue import RouteOutcome
from ptx_node.validation.case_columns import COLUMNS, EXCLUSIONS, OVER_TIME
from ptx_node.validation.case_export import write_case_table
from ptx_node.validation.case_table import read_cases, read_table
from ptx_node.validation.exclusions import _PLACES, WORDS, Exclusion
from tests.case_database import DAY, FIRST, PERIOD, SECOND, Hospital, identified, moment, pseudonymous
from tests.conftest import PostgresServer


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


def test_who_is_not_read_is_counted_by_why(hospital: Hospital, tmp_path: Path) -> None:
    for outcome in ("no_rule", "not_eligible", "late_ignored", "own_result", "unreadable", "retrieved", "queued", "collected", None):
        hospital.image(route_outcome=outcome, routed_at=None if outcome is None else moment())
    for number in range(3):  # one series
        hospital.image(route_outcome="no_rule", modality="CT", series_instance_uid="1.7.ct", sop_instance_uid=f"1.6.{number}")
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.QUARANTINED, JobState.NOT_ELIGIBLE, JobState.DONE):
        hospital.job([hospital.image()], state=str(state), cause="decode_failed" if state is JobState.QUARANTINED else None)
    hospital.image("SIM-COMM-x-01", route_outcome="not_eligible", issuer_of_patient_id="SIMULATED")
    first, second = (hospital.image(study_instance_uid="1.9.study") for _ in range(2))
    study = hospital.job([first, second], ineligible={second: "lateral_view"})
    hospital.finding(study, first)
    with begin_write(hospital.engine) as session:
        kept = {"sop_instance_uid": "1.8.1", "path": "x", "size_bytes": 1, "sha256": "1" * 64, "stored_sha256": "0" * 64}
        session.execute(insert(Conflict).values(**kept, source="x", calling_ae="x", received_at=moment()))
    table = hospital.export(tmp_path / "out")
    expected = {
        "commissioning": 1,
        "own_result": 1,
        "fetched": 1,
        "conflict": 1,
        "no_rule": 2,
        "refused_by_routing": 3,
        "unreadable": 1,
        "late_ignored": 1,
        "waiting": 5,
        "failed": 2,
        "no_report_that_day": 1,
    }
    assert expected == exclusions(tmp_path / "out")
    assert [18 + 1, 1, 1, 0, 0] == [step.count for step in table.flow.steps]
    rows = lines(tmp_path / "out" / "exclusions.csv")
    assert [one.name for one in EXCLUSIONS] == list(rows[0])
    assert {("ct", "1"), ("radiograph", "1")} == {(row["kind"], row["count"]) for row in rows if row["reason"] == "no_rule"}
    details = {(row["reason"], row["detail"]) for row in rows}
    assert {("refused_by_routing", "lateral_view"), ("failed", "decode_failed")} <= details
    read_table(tmp_path / "out" / "exclusions.csv", EXCLUSIONS)


def test_a_job_that_read_one_of_its_images_hides_none_of_the_others(hospital: Hospital, tmp_path: Path) -> None:
    read, failed, refused = (hospital.image() for _ in range(3))
    job = hospital.job([read, failed, refused], state="quarantined", cause="encode_failed", ineligible={refused: "lateral_view"})
    hospital.finding(job, read)
    slices = [hospital.image(modality="CT", series_instance_uid="1.7.ct") for _ in range(3)]
    scout = hospital.image(modality="CT", series_instance_uid="1.7.scout")
    hospital.finding(hospital.job([*slices, scout], ineligible={scout: "localizer"}), slices[1])
    hospital.job([hospital.image(via="retrieve", route_outcome="retrieved")], state="queued")
    table = hospital.export(tmp_path / "out")
    counted = {(row["kind"], row["reason"], row["detail"]): row["count"] for row in lines(tmp_path / "out" / "exclusions.csv")}
    expected = {
        ("radiograph", "fetched", ""): "1",
        ("radiograph", "failed", "encode_failed"): "1",
        ("radiograph", "refused_by_routing", "lateral_view"): "1",
        ("ct", "refused_by_routing", "localizer"): "1",
        ("radiograph", "no_report_that_day", ""): "1",
        ("ct", "no_report_that_day", ""): "1",
    }
    assert expected == counted
    assert [6, 2, 2, 0, 0] == [step.count for step in table.flow.steps]


def test_a_finding_that_does_not_count_says_why(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read("1", outcome="not_eligible", reason="below_minimum_age")
    hospital.read("2", outcome="failed", reason="inference_failed")
    hospital.read("SIM-COMM-y-01", image={"issuer_of_patient_id": "SIMULATED"})
    hospital.read("3", image={"via": "retrieve"})
    older = hospital.image("4")
    jobs = [hospital.job([older], generation=number) for number in (1, 2)]
    for job in jobs:
        hospital.finding(job, older)
    hospital.supersede(*jobs)
    hospital.read("5", examination={"examined_on": None, "examined_at": None})
    hospital.read("6", hour=13)
    hospital.read("7", hour=6)
    hospital.read("7", hour=7)
    for hour in (8, 9):
        hospital.read("8", hour=hour, examination={"examined_at": None})
    hospital.read("9")
    for number in "46789":
        hospital.told("Left pneumothorax.", number)
    table = hospital.export(tmp_path / "out", identified())
    rows = {(row["patient"].partition("^")[0], row["case_id"]): row["exclusion"] for row in lines(tmp_path / "out" / "cases.csv")}
    by_patient = {number: sorted(why for (one, _), why in rows.items() if one == number) for number, _ in rows}
    expected = {
        "1": ["not_eligible"],
        "2": ["failed"],
        "SIM-COMM-y-01": ["commissioning"],
        "3": ["fetched"],
        "5": ["no_examination_date"],
        "6": ["no_radiograph_before"],
        "7": ["", "not_nearest"],
        "8": ["order_unknown", "order_unknown"],
        "9": [""],
    }
    assert expected == {number: by_patient[number] for number in expected}
    assert {"superseded": 1}.items() <= exclusions(tmp_path / "out").items()
    assert 1 == table.simulated
    assert [13, 13, 8, 3, 3] == [step.count for step in table.flow.steps]
    codes = {row["detail"] for row in lines(tmp_path / "out" / "exclusions.csv") if row["reason"] in {"not_eligible", "failed"}}
    assert {"below_minimum_age", "inference_failed"} == codes


def test_an_uncertain_label_leaves_after_the_report(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read()
    hospital.told("Left pneumothorax.")
    hospital.export(tmp_path / "before")
    (report,) = (row["report"] for row in lines(tmp_path / "before" / "cases.csv"))
    hospital.decide("uncertain")
    table = hospital.export(tmp_path / "out")
    (row,) = lines(tmp_path / "out" / "cases.csv")
    assert ("uncertain", "", "undecided", "label_undecided", "person") == (
        row["label"],
        row["truth"],
        row["agreement"],
        row["exclusion"],
        row["label_rule"],
    )
    assert ("", "", report) == (row["span_sha256"], row["drain"], row["report"])
    assert [1, 1, 1, 1, 0] == [step.count for step in table.flow.steps]


def test_answers_are_held_against_readers_where_these_are_asked_for(hospital: Hospital, tmp_path: Path) -> None:
    for number in range(3):
        hospital.read(str(number), outcome="negative")
        hospital.told("Left pneumothorax.", str(number))
    for reader, label in (("A", "positive"), ("B", "positive"), ("C", "negative")):
        hospital.reading("1.8.1", label, reader)
    for reader, label in (("A", "positive"), ("B", "negative")):
        hospital.reading("1.8.2", label, reader)
    table = hospital.export(tmp_path / "out", identified(), truth=TruthKind.READER)
    rows = [
        [row[name] for name in ("truth_kind", "label", "truth", "label_rule", "report", "agreement", "exclusion")]
        for row in lines(tmp_path / "out" / "cases.csv")
    ]
    expected = [
        ["reader", "positive", "1", "2 of 3 readers", "", "false_negative", ""],
        ["reader", "uncertain", "", "0 of 2 readers", "", "undecided", "label_undecided"],
        ["", "", "", "", "", "", "no_reading"],
    ]
    assert expected == rows
    assert [3, 3, 3, 2, 1] == [step.count for step in table.flow.steps]
    assert "reader" in table.flow.steps[3].words
    assert 3 == hospital.export(tmp_path / "reports").flow.steps[-1].count


def test_reports_that_count_for_no_image_are_named_too(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read()
    hospital.told("Left pneumothorax.", "77")
    hospital.told("Left pneumothorax.", status=ReportStatus.PRELIMINARY)
    hospital.told("Left pneumothorax.", day=date(2026, 2, 28))
    hospital.export(tmp_path / "out")
    reports = {row["reason"]: row["count"] for row in lines(tmp_path / "out" / "exclusions.csv") if row["step"] == "reports"}
    assert {"patient_unknown": "1", "preliminary": "1"} == reports


def test_the_period_is_of_local_days_of_examination(hospital: Hospital, tmp_path: Path) -> None:
    for day, hour in ((date(2026, 2, 28), 23.9), (date(2026, 3, 1), 0), (date(2026, 3, 31), 23.5), (date(2026, 4, 1), 0.1)):
        hospital.read(str(day), day=day, hour=hour)
        hospital.image(str(day), day=day, hour=hour - 0.1, route_outcome="no_rule")
        hospital.read(str(day), day=day, hour=hour - 0.1, outcome="failed")
    table = hospital.export(tmp_path / "out", identified())
    assert ["2026-03-01", "2026-03-31"] == sorted(row["examined_on"] for row in lines(tmp_path / "out" / "cases.csv") if row["examined_on"])
    assert {"no_rule": 2, "failed": 2, "no_report_that_day": 2} == exclusions(tmp_path / "out")
    assert 6 == table.flow.steps[0].count
    with pytest.raises(UsageError, match="before it begins"):
        Period(PERIOD.until, PERIOD.since, PERIOD.zone)


def test_hostile_headers_and_great_ages_become_plain_cells(hospital: Hospital, tmp_path: Path) -> None:
    makers = ("=cmd|' /C calc'!A0", 'a "b",\n<script>alert(1)</script>', "\u202eevil", "x" * 500, "+1", "Maker")
    for number, maker in enumerate(makers):
        about = {"manufacturer": maker, "patient_age_years": 101.5, "patient_sex": "f\n", "view_position": "@PA"}
        hospital.read(str(number), examination=about)
    hospital.export(tmp_path / "out")
    rows = lines(tmp_path / "out" / "cases.csv")
    expected = {"'=cmd|' /C calc'!A0", 'a "b", <script>alert(1)</script>', "evil", "x" * 64, "'+1", "Maker"}
    assert expected == {row["manufacturer"] for row in rows}
    assert {("90+", "F", "'@PA")} == {(row["age_band"], row["sex"], row["view"]) for row in rows}
    assert expected == set(parquet.read_table(tmp_path / "out" / "cases.parquet")["manufacturer"].to_pylist())
    assert 7 == (tmp_path / "out" / "cases.csv").read_text(encoding="utf-8").count("\n")


def test_who_stands_out_is_made_coarser_or_withheld(hospital: Hospital, tmp_path: Path) -> None:
    for number in range(12):
        hospital.read(str(number), examination={"patient_age_years": 95.0 if number == 0 else 64.0})
    table = hospital.export(tmp_path / "out", smallest_cell=3)
    assert table.plan is not None
    assert table.plan.steps
    cells = Counter(tuple(row[name] for name in table.plan.columns) for row in lines(tmp_path / "out" / "cases.csv"))
    assert 3 <= min(cells.values())
    assert None is hospital.export(tmp_path / "named", identified(), smallest_cell=3).plan
    assert {"60-69": 11, "90+": 1} == Counter(row["age_band"] for row in lines(tmp_path / "named" / "cases.csv"))


def test_the_course_is_in_true_order_without_names(hospital: Hospital, tmp_path: Path) -> None:
    days = [date(2026, 3, 20), date(2026, 3, 3), date(2026, 3, 11)]
    for number, day in enumerate(days, 1):
        hospital.read(str(number), day=day, outcome="negative" if number == 2 else "positive")
        hospital.told("Left pneumothorax." if number < 3 else "No pneumothorax.", str(number), day=day)
    hospital.export(tmp_path / "out", smallest_cell=3)
    rows = lines(tmp_path / "out" / "over_time.csv")
    assert [one.name for one in OVER_TIME] == list(rows[0])
    assert [("1", "0", "1"), ("2", "1", "0"), ("3", "1", "1")] == [(row["position"], row["called"], row["truth"]) for row in rows]
    assert {"2026-03"} == {row["period"] for row in rows}
    assert [1, 2, 3] == read_table(tmp_path / "out" / "over_time.csv", OVER_TIME)["position"].tolist()


def test_the_same_snapshot_gives_the_same_bytes_on_both_databases(postgres: PostgresServer, tmp_path: Path) -> None:
    digests = set()
    for name, url in (("sqlite", f"sqlite:///{tmp_path / 'ptx.db'}"), ("postgresql", postgres.new_database("case_export"))):
        engine = open_engine(url)
        Table.metadata.create_all(engine)
        hospital = Hospital(engine, tmp_path / name)
        for number in range(9):
            patient = str(number % 4)
            hospital.read(patient, day=DAY + timedelta(days=number), outcome="positive" if number % 2 else "negative", area_mm2=1 / 3)
            hospital.told(("Left pneumothorax.", "No pneumothorax.", "Heart.")[number % 3], patient, day=DAY + timedelta(days=number))
        hospital.merge("1", "2")
        hospital.image(route_outcome="no_rule")
        for turn in range(2):
            folder = tmp_path / name / str(turn)
            hospital.export(folder, smallest_cell=2)
            digests.add(tuple(hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(folder.iterdir())))
        engine.dispose()
    assert 1 == len(digests)
    assert 4 == len(next(iter(digests)))


def test_what_comes_during_an_export_is_not_in_it(hospital: Hospital, tmp_path: Path) -> None:
    hospital.read("1")
    (tmp_path / "out").mkdir()
    with begin_snapshot(hospital.engine) as session:
        session.scalar(select(Instance.id))
        hospital.read("2")
        hospital.image("3", route_outcome="no_rule")
        table = write_case_table(session, tmp_path / "out", PERIOD, pseudonymous())
    assert (1, 1) == (table.rows, table.flow.steps[0].count)


def test_an_empty_period_has_empty_files_and_a_chart_of_nobody(hospital: Hospital, tmp_path: Path) -> None:
    table = hospital.export(tmp_path / "out")
    assert (0, ()) == (table.rows, table.models)
    assert [0] * 5 == [step.count for step in table.flow.steps]
    assert 0 == read_cases(tmp_path / "out" / "cases.csv")["truth"].size
    with pytest.raises(UsageError, match="File exists"):
        hospital.export(tmp_path / "out")


def test_pages_join_without_a_seam(hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        hospital.read(str(number), outcome="negative")
        hospital.told("No pneumothorax.", str(number))
    whole = hospital.export(tmp_path / "whole")
    monkeypatch.setattr("ptx_node.validation.case_export.PAGE", 3)
    assert whole == hospital.export(tmp_path / "pages")
    assert (tmp_path / "whole" / "cases.csv").read_bytes() == (tmp_path / "pages" / "cases.csv").read_bytes()


def test_every_place_where_an_image_stops_has_words() -> None:
    assert set(Exclusion) == set(WORDS)
    assert {*map(str, RouteOutcome), *map(str, JobState), case_counts.UNROUTED, case_counts.CONFLICT} == set(map(str, _PLACES))
