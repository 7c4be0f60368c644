"""Findings and CT reports of one day, on both databases: whatever the order of coming, the corrections and the merges."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, select, update

from ptx_node.db.collections import supersede
from ptx_node.db.reconciled import standing_counts
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.tables import Collection, ExaminationRow, FindingRow, Instance, Job, PairRow, RadiologyReport, UnmatchedRow
from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import Examination, PatientIdentity, ReportStatus
from ptx_node.domain.reconciliation import Agreement, Unmatched
from ptx_node.pipeline import reconcile as stage
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.reconcile import Reconciled, reconcile
from ptx_node.pipeline.report_intake import Merge, ReportIntake
from tests.radiology import MR1, MR2, NOON, SITE, arrival, image, make_intake, version
from tests.read_images import DAY, finding


@pytest.fixture
def intake(engine: Engine, tmp_path: Path) -> ReportIntake:
    return make_intake(engine, tmp_path)


def told(text: str = "Left pneumothorax.", *, hours: float | None = 0, name: str = "R1", **changes: Any) -> Any:
    at = None if hours is None else NOON + timedelta(hours=hours)
    return version(text, external_id=name, **{"examined": Examined(at, DAY), **changes})


def standing(engine: Engine) -> dict[int, tuple[str, bool]]:
    """What holds: finding -> (agreement, primary)."""
    with begin_read(engine) as session:
        rows = session.scalars(select(PairRow).where(PairRow.superseded_at.is_(None)))
        return {row.finding_id: (row.agreement, row.secondary_reason is None) for row in rows}


def alone(engine: Engine) -> list[str]:
    with begin_read(engine) as session:
        return sorted(session.scalars(select(UnmatchedRow.reason).where(UnmatchedRow.superseded_at.is_(None))))


def everything(engine: Engine) -> list[str]:
    """All rows there are, but for their times: for comparing before and after."""
    with begin_read(engine) as session:
        pairs = session.execute(select(PairRow.finding_id, PairRow.report_id, PairRow.agreement, PairRow.superseded_at.is_(None)))
        lone = session.execute(
            select(UnmatchedRow.finding_id, UnmatchedRow.report_id, UnmatchedRow.reason, UnmatchedRow.superseded_at.is_(None))
        )
        return sorted(map(str, [*pairs, *lone]))


def test_a_finding_meets_the_report_of_its_day_in_either_order(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    intake.take(arrival("1"), [told()])
    reconcile(engine)
    assert [Unmatched.NO_RADIOGRAPH_THAT_DAY] == alone(engine)
    first = finding(engine)
    assert Reconciled(1, 0, 1, 1) == reconcile(engine)
    assert {first: (Agreement.TRUE_POSITIVE, True)} == standing(engine)
    assert [] == alone(engine)
    with begin_read(engine) as session:
        (row,) = session.scalars(select(PairRow))
        assert 3 * 3600 == row.interval_s
        assert {Agreement.TRUE_POSITIVE: 1} == standing_counts(session)


def test_a_second_run_changes_nothing(engine: Engine, intake: ReportIntake) -> None:
    for hours in (-3, -1, 2, None):
        finding(engine, hours=hours)
    intake.take(arrival("1"), [told()])
    intake.take(arrival("2"), [told("No pneumothorax.", name="R2", hours=1)])
    reconcile(engine)
    before = everything(engine)
    assert Reconciled() == reconcile(engine)
    again = reconcile(engine, everything=True)
    assert (4, 2, 0, 0) == (again.findings, again.reports, again.written, again.superseded)
    assert before == everything(engine)


def test_a_corrected_report_touches_what_it_says_and_nothing_else(engine: Engine, intake: ReportIntake) -> None:
    mine, other = finding(engine), finding(engine, "2", outcome="negative")
    intake.take(arrival("1"), [told()])
    intake.take(arrival("2"), [told("No pneumothorax.", name="R2", patients=(MR2,))])
    reconcile(engine)
    intake.take(arrival("3"), [told("No pneumothorax.", status=ReportStatus.CORRECTED)])
    assert Reconciled(0, 1, 1, 1) == reconcile(engine)
    assert {mine: (Agreement.FALSE_POSITIVE, True), other: (Agreement.TRUE_NEGATIVE, True)} == standing(engine)
    with begin_read(engine) as session:
        assert [Agreement.TRUE_POSITIVE] == list(session.scalars(select(PairRow.agreement).where(PairRow.superseded_at.is_not(None))))
    intake.take(arrival("4"), [told("", status=ReportStatus.WITHDRAWN)])
    reconcile(engine)
    assert {other: (Agreement.TRUE_NEGATIVE, True)} == standing(engine)
    assert [Unmatched.NO_REPORT_THAT_DAY, Unmatched.WITHDRAWN] == alone(engine)


def test_a_report_that_moves_to_another_day_leaves_the_old_one(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    old, new = finding(engine), finding(engine, examined_on=DAY + timedelta(days=1), hours=20)
    intake.take(arrival("1"), [told()])
    reconcile(engine)
    assert {old: (Agreement.TRUE_POSITIVE, True)} == standing(engine)
    moved = told(status=ReportStatus.CORRECTED, examined=Examined(NOON + timedelta(days=1), DAY + timedelta(days=1)))
    intake.take(arrival("2"), [moved])
    reconcile(engine)
    assert {new: (Agreement.TRUE_POSITIVE, True)} == standing(engine)
    assert [Unmatched.NO_REPORT_THAT_DAY] == alone(engine)


def test_a_merge_joins_and_its_undoing_parts(engine: Engine, intake: ReportIntake) -> None:
    one = finding(engine, "1")
    finding(engine, "2", examined_on=DAY + timedelta(days=9))
    intake.take(arrival("1"), [told(patients=(MR2,))])
    reconcile(engine)
    assert {} == standing(engine)
    intake.merge(arrival("2"), [Merge(MR1, MR2)])
    reconcile(engine)
    assert {one: (Agreement.TRUE_POSITIVE, True)} == standing(engine)
    intake.merge(arrival("3"), [Merge(MR1, MR2, undo=True)])
    reconcile(engine)
    assert {} == standing(engine)


def test_a_newer_job_of_the_same_image_takes_the_place_of_the_older(engine: Engine, intake: ReportIntake) -> None:
    older = finding(engine)
    intake.take(arrival("1"), [told()])
    reconcile(engine)
    newer = finding(engine, outcome="negative")
    with begin_write(engine) as session:
        jobs = {row.id: row.job_id for row in session.scalars(select(FindingRow))}
        session.execute(update(Job).where(Job.id == jobs[older]).values(superseded_by_id=jobs[newer]))
    reconcile(engine)
    assert {newer: (Agreement.FALSE_NEGATIVE, True)} == standing(engine)
    assert [] == alone(engine)


def test_a_finding_that_was_superseded_counts_no_more_though_the_newer_job_gave_no_answer(engine: Engine, intake: ReportIntake) -> None:
    older = finding(engine)
    intake.take(arrival("1"), [told()])
    reconcile(engine)
    assert [older] == list(standing(engine))
    newer = finding(engine, outcome="failed")
    with begin_write(engine) as session:
        session.execute(delete(ExaminationRow).where(ExaminationRow.finding_id == newer))
        job_id = session.get_one(FindingRow, newer).job_id
        supersede(session, Collection(study_instance_uid="x", rule="x", level_uid="x"), job_id)
    reconcile(engine)
    assert {} == standing(engine)
    assert [Unmatched.NO_RADIOGRAPH_THAT_DAY] == alone(engine)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"examination": Examination("A1", "1.2", "CR", "", "Thorax")}, Unmatched.NOT_CT),
        ({"examination": Examination("A1", "1.2", "RAD", "", "Scanner thoracique")}, None),
        ({"examination": Examination("A1", "1.2", "", "", "CT chest w contrast")}, None),
        ({"examination": Examination("A1", "1.2", "", "", "Chest PA")}, Unmatched.NOT_CT),
        ({"status": ReportStatus.PRELIMINARY}, Unmatched.PRELIMINARY),
        ({"text": " "}, Unmatched.NO_TEXT),
        ({"examined": Examined()}, Unmatched.NO_EXAMINATION_DATE),
        ({"patients": (PatientIdentity("hospital", "MR", "77"),)}, Unmatched.PATIENT_UNKNOWN),
    ],
)
def test_what_cannot_be_matched_says_why(engine: Engine, intake: ReportIntake, changes: dict[str, Any], reason: Unmatched | None) -> None:
    finding(engine)
    intake.take(arrival("1"), [replace(told(), **changes)])
    reconcile(engine)
    assert ([] if reason is None else sorted([reason, Unmatched.NO_REPORT_THAT_DAY])) == alone(engine)
    assert (reason is None) == bool(standing(engine))


def test_findings_without_answer_patient_or_date_say_why(engine: Engine, intake: ReportIntake) -> None:
    finding(engine, outcome="not_eligible")
    finding(engine, "")
    finding(engine, examined_on=None)
    reconcile(engine)
    assert sorted([Unmatched.NOT_ANSWERED, Unmatched.PATIENT_UNKNOWN, Unmatched.NO_EXAMINATION_DATE]) == alone(engine)


def test_a_ct_series_meets_the_report_of_its_own_examination(engine: Engine, intake: ReportIntake) -> None:
    mine = finding(engine, modality="CT", instance={"study_instance_uid": "1.2.840.1", "modality": "CT"})
    other = finding(engine, modality="CT", hours=1, instance={"study_instance_uid": "1.2.840.2", "modality": "CT"})
    intake.take(arrival("1"), [told()])
    reconcile(engine)
    assert {mine: (Agreement.TRUE_POSITIVE, True), other: (Agreement.TRUE_POSITIVE, False)} == standing(engine)


def test_an_image_that_no_patient_is_known_of_yet_waits(engine: Engine, intake: ReportIntake) -> None:
    number = finding(engine)
    with begin_write(engine) as session:
        session.execute(update(Instance).values(registered_at=None))
    assert Reconciled() == reconcile(engine)
    while register_new(engine, SITE):
        pass
    intake.take(arrival("1"), [told()])
    reconcile(engine)
    assert [number] == list(standing(engine))


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stage, "PORTION", 3)
    return iter(())


@pytest.mark.usefixtures("small_portions")
def test_portions_and_any_order_of_coming_end_at_the_same(engine: Engine, intake: ReportIntake) -> None:
    """Findings and reports of ten patients come mixed, with reconciliations in between: one run over everything changes nothing."""
    rng = random.Random(3)
    steps: list[tuple[str, str, int]] = [
        (kind, str(patient), index) for patient in range(10) for kind, count in (("film", 3), ("report", 2)) for index in range(count)
    ]
    rng.shuffle(steps)
    for count, (kind, patient, index) in enumerate(steps):
        if kind == "film":
            finding(engine, patient, hours=rng.choice([-5, -2, 1, None]), outcome=rng.choice(["positive", "negative"]))
        else:
            text = rng.choice(["Right pneumothorax.", "No pneumothorax."])
            mine = (PatientIdentity("hospital", "MR", patient),)
            intake.take(arrival(f"{patient}/{index}"), [told(text, name=f"{patient}/{index}", hours=index, patients=mine)])
        if count % 9 == 0:
            reconcile(engine)
    reconcile(engine)
    held = everything(engine)
    again = reconcile(engine, everything=True)
    assert (0, 0) == (again.written, again.superseded)
    assert held == everything(engine)
    with begin_read(engine) as session:
        assert 60 == session.scalar(select(func.count()).select_from(PairRow).where(PairRow.superseded_at.is_(None)))


def test_a_run_can_be_stopped_between_portions(engine: Engine) -> None:
    finding(engine)
    assert Reconciled() == reconcile(engine, until=lambda: True)
    assert 1 == reconcile(engine).findings


def test_a_report_that_is_just_being_changed_is_waited_for_by_nobody(engine: Engine, intake: ReportIntake) -> None:
    """Neither waits for the other, so neither can wait for ever; the next run takes in what the change left."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer, who is waited for")
    number = finding(engine)
    intake.take(arrival("1"), [told()])
    with begin_write(engine) as session:
        session.scalars(select(RadiologyReport).with_for_update(key_share=True)).all()  # as the intake does
        assert 0 == reconcile(engine).reports
    assert 1 == reconcile(engine).reports
    assert {number: (Agreement.TRUE_POSITIVE, True)} == standing(engine)


KILLED = """
import sys, time
from ptx_node.db import reconciliation as rows
from ptx_node.db.session import open_engine
from ptx_node.pipeline import reconcile as stage

done = rows.looked_at
def looked_at(*portion):
    done(*portion)
    looked_at.left -= 1
    if not looked_at.left:
        print("everything written, nothing committed", flush=True)
        time.sleep(60)

looked_at.left = int(sys.argv[2])
stage.PORTION, rows.looked_at = 2, looked_at
stage.reconcile(open_engine(sys.argv[1]))
"""


def test_killed_before_a_commit_the_next_run_ends_at_the_same(engine: Engine, intake: ReportIntake) -> None:
    for patient in map(str, range(12)):
        finding(engine, patient)
        intake.take(arrival(patient), [told(name=patient, patients=(PatientIdentity("hospital", "MR", patient),))])
    url = engine.url.render_as_string(hide_password=False)
    for portion, held in ((1, 0), (3, 4)):
        with subprocess.Popen([sys.executable, "-c", KILLED, url, str(portion)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "nothing committed" in process.stdout.readline()
            process.kill()
        assert held == len(standing(engine))
    reconcile(engine)
    assert 12 == len(standing(engine))
    assert {(Agreement.TRUE_POSITIVE, True)} == set(standing(engine).values())
    assert [] == alone(engine)
    again = reconcile(engine, everything=True)
    assert (0, 0) == (again.written, again.superseded)
