"""Radiology reports on their way into rows, on both databases: versions, whose they are, merges and back, once whatever comes twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from ptx_node.db.session import begin_write
from ptx_node.db.tables import PatientIdentifier, PatientMerge, RadiologyReport, RadiologyReportVersion, ReportLabelRow, ReportMessage
from ptx_node.domain.radiology_report import Authorities, PatientIdentity, ReportFlag, ReportStatus
from ptx_node.pipeline.report_intake import Merge, NotMergedError, ReportIntake, Verdict
from tests.radiology import MR1, MR2, NOON, arrival, counted, image, label_of, make_intake, rows, the_report, version


@pytest.fixture
def intake(engine: Engine, tmp_path: Path) -> ReportIntake:
    return make_intake(engine, tmp_path)


def reconciled(engine: Engine) -> None:
    with begin_write(engine) as session:
        session.execute(update(RadiologyReport).values(reconcile_needed=False))


def test_a_report_of_a_known_patient_is_placed_labelled_and_waits_for_reconciliation(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    (taken,) = intake.take(arrival(), [version("Large right pneumothorax.")])
    report = the_report(engine)
    assert (True, None) == (taken.new, taken.parked)
    assert ("final", None, True) == (report.status, report.parked, report.reconcile_needed)
    assert "positive" == label_of(engine, report)
    (row,) = rows(engine, ReportLabelRow)
    assert (12, 24, None) == (row.evidence_start, row.evidence_end, row.reviewer)


def test_what_comes_twice_is_there_once(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    intake.take(arrival("1"), [version()])
    reconciled(engine)
    before = counted(engine)
    assert intake.accepted_before(arrival("1"), acknowledgement="AA")
    assert not intake.accepted_before(arrival("1", b"other bytes"))
    (taken,) = intake.take(arrival("1"), [version()])
    assert not taken.new
    assert before == counted(engine)
    intake.take(arrival("2"), [version()])
    assert (2, *before[1:]) == counted(engine)
    assert not the_report(engine).reconcile_needed
    assert [3, 1] == [message.times_received for message in rows(engine, ReportMessage)]


def test_many_at_once_leave_one_chain_with_every_version_once(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    texts = [f"Version {n}. No pneumothorax." for n in range(4)] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: intake.take(arrival(str(n)), [version(texts[n])]), range(len(texts))))
    assert (16, 1, 4, 4) == counted(engine)
    assert [1, 2, 3, 4] == [row.number for row in rows(engine, RadiologyReportVersion)]


def test_late_preliminary_corrections_and_withdrawal(engine: Engine, intake: ReportIntake) -> None:
    """The label follows the version that counts; each step that changes nothing asks for no reconciliation."""
    image(engine, "1")
    steps = [
        (version("No pneumothorax."), "negative", True),
        (version("Pneumothorax?", ReportStatus.PRELIMINARY), "negative", False),
        (version("Small pneumothorax.", ReportStatus.CORRECTED), "positive", True),
        (version("", ReportStatus.WITHDRAWN), None, True),
        (version("Pneumothorax.", ReportStatus.PRELIMINARY), None, False),
    ]
    for number, (sent, label, changed) in enumerate(steps):
        intake.take(arrival(str(number)), [sent])
        report = the_report(engine)
        assert label == label_of(engine, report), number
        assert changed == report.reconcile_needed, number
        reconciled(engine)
    assert "withdrawn" == the_report(engine).status


def test_the_end_is_the_same_in_whatever_order_dated_versions_come(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    statuses = [ReportStatus.PRELIMINARY, ReportStatus.FINAL, ReportStatus.CORRECTED]
    sent = [version(f"Text {n}", status, issued_at=NOON + timedelta(hours=n)) for n, status in enumerate(statuses)]
    for turn, mixed in enumerate(permutations(sent)):
        for number, one in enumerate(mixed):
            intake.take(arrival(f"{turn}.{number}"), [version(one.text, one.status, issued_at=one.issued_at, external_id=str(turn))])
    texts = {row.id: row.text for row in rows(engine, RadiologyReportVersion)}
    assert {"Text 2"} == {texts[report.version_ids[0]] for report in rows(engine, RadiologyReport)}


def test_an_addendum_is_appended_and_the_whole_labelled_again(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    intake.take(arrival("1"), [version("Clear lungs.")])
    intake.take(arrival("2"), [version("In retrospect a pneumothorax.", ReportStatus.ADDENDUM)])
    report = the_report(engine)
    assert (2, "positive") == (len(report.version_ids), label_of(engine, report))
    (_, row) = rows(engine, ReportLabelRow)
    assert "Clear lungs.\n\nADDENDUM:\nIn retrospect a pneumothorax."[row.evidence_start : row.evidence_end] == "pneumothorax"


def test_a_document_without_text_has_no_label_at_all(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    intake.take(arrival(), [version("", flags=frozenset({ReportFlag.PDF_WITHOUT_TEXT}))])
    report = the_report(engine)
    assert (False, None) == (report.readable, report.label_id)
    assert [["pdf_without_text"]] == [row.flags for row in rows(engine, RadiologyReportVersion)]


def test_a_persons_label_stays_whatever_comes_later(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "1")
    intake.take(arrival("1"), [version("No pneumothorax.")])
    (machine,) = rows(engine, ReportLabelRow)
    values = {column.name: getattr(machine, column.name) for column in ReportLabelRow.__table__.c if column.name != "id"}
    with begin_write(engine) as session:
        persons = ReportLabelRow(**{**values, "value": "positive", "reviewer": "Dr. A"})
        session.add(persons)
        session.flush()
        session.execute(update(RadiologyReport).values(label_id=persons.id))
    intake.take(arrival("2"), [version("No pneumothorax at all.", ReportStatus.CORRECTED)])
    assert "positive" == label_of(engine, the_report(engine))
    assert 3 == len(rows(engine, ReportLabelRow))


def test_an_unknown_patient_is_parked_and_found_when_the_first_image_comes(engine: Engine, intake: ReportIntake) -> None:
    image(engine, "77")
    (taken,) = intake.take(arrival(), [version()])
    assert ("unknown_patient", None) == (taken.parked, the_report(engine).identifier_id)
    reconciled(engine)
    image(engine, "78")
    assert not the_report(engine).reconcile_needed
    image(engine, "1")
    report = the_report(engine)
    assert (None, True) == (report.parked, report.reconcile_needed)
    numbers = {row.id: row for row in rows(engine, PatientIdentifier)}
    assert report.identifier_id is not None
    assert "1" == numbers[report.identifier_id].value


def test_a_patient_whose_first_image_and_first_report_come_at_once_is_one(engine: Engine, intake: ReportIntake) -> None:
    """Whoever commits first, the other sees it: no report waits for ever."""

    def both(number: int) -> None:
        if number % 2:
            image(engine, f"N{number // 2}")
        else:
            patient = PatientIdentity("hospital", "MR", f"N{number // 2}")
            intake.take(arrival(str(number)), [version(patients=(patient,), external_id=str(number))])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(both, range(60)))
    assert [None] * 30 == [report.parked for report in rows(engine, RadiologyReport)]


@pytest.mark.parametrize(
    ("issuer", "patient", "found"),
    [
        ("", PatientIdentity("hospital", "MR", "1"), True),
        ("1.2.3", PatientIdentity("HOSPITAL", "PI", "1"), True),
        ("HOSPITAL", PatientIdentity("", "", "1"), True),
        ("", PatientIdentity("elsewhere", "MR", "1"), False),
        ("elsewhere", PatientIdentity("hospital", "MR", "1"), False),
        ("", PatientIdentity("hospital", "VN", "1"), False),
        ("", PatientIdentity("hospital", "MR", "01"), False),
    ],
    ids=["no issuer", "alias", "no authority", "another authority", "another issuer", "a visit number", "another number"],
)
def test_whose_number_it_is(engine: Engine, intake: ReportIntake, issuer: str, patient: PatientIdentity, *, found: bool) -> None:
    image(engine, "1", issuer)
    (taken,) = intake.take(arrival(), [version(patients=(patient,))])
    assert found == (taken.parked is None)


def test_without_a_default_an_unnamed_issuer_matches_as_long_as_the_number_is_one_persons(engine: Engine, tmp_path: Path) -> None:
    nobody = Authorities()
    intake = make_intake(engine, tmp_path, nobody)
    image(engine, "1", authorities=nobody)
    numbers = [PatientIdentity("a", "MR", "1"), PatientIdentity("b", "MR", "1")]
    taken = [intake.take(arrival(str(n)), [version(patients=(one,), external_id=str(n))])[0] for n, one in enumerate(numbers)]
    assert [None, "unknown_patient"] == [one.parked for one in taken]


def test_all_repetitions_are_looked_at_and_two_known_people_are_not_guessed_between(engine: Engine, intake: ReportIntake) -> None:
    other = PatientIdentity("state", "SS", "99")
    image(engine, "1")
    (taken,) = intake.take(arrival("1"), [version(patients=(other, MR1))])
    assert taken.parked is None
    image(engine, "2")
    (taken,) = intake.take(arrival("2"), [version(patients=(MR1, MR2), external_id="R2")])
    assert "ambiguous_patient" == taken.parked
    intake.merge(arrival("3"), [Merge(MR2, MR1)])
    assert {None} == {report.parked for report in rows(engine, RadiologyReport)}


def test_a_merge_brings_a_report_to_the_images_and_parting_takes_it_back(engine: Engine, intake: ReportIntake) -> None:
    """ADT^A40 and back: images under 1, the report under 2."""
    image(engine, "1")
    intake.take(arrival("1"), [version(patients=(MR2,))])
    assert "unknown_patient" == the_report(engine).parked
    intake.merge(arrival("2"), [Merge(prior=MR2, surviving=MR1)])
    assert (None, True) == (the_report(engine).parked, the_report(engine).reconcile_needed)
    reconciled(engine)
    intake.merge(arrival("2"), [Merge(prior=MR2, surviving=MR1)])
    assert not the_report(engine).reconcile_needed
    intake.merge(arrival("3"), [Merge(MR2, MR1, undo=True)])
    assert ("unknown_patient", True) == (the_report(engine).parked, the_report(engine).reconcile_needed)
    intake.merge(arrival("4"), [Merge(prior=MR2, surviving=MR1)])
    assert the_report(engine).parked is None
    assert [True, False] == [row.undone_at is not None for row in rows(engine, PatientMerge)]


def test_merges_may_be_taken_back_in_any_order(engine: Engine, intake: ReportIntake) -> None:
    """3 into 2, 2 into 1; then the first is taken back, then the second."""
    three = PatientIdentity("hospital", "MR", "3")
    for value in "123":
        image(engine, value)
    for number, patient in enumerate((MR1, MR2, three)):
        intake.take(arrival(str(number)), [version(patients=(patient,), external_id=str(number))])
    intake.merge(arrival("4"), [Merge(three, MR2), Merge(MR2, MR1)])

    def people() -> list[int]:
        numbers = {row.id: row.person_id for row in rows(engine, PatientIdentifier)}
        return [numbers[report.identifier_id or 0] for report in rows(engine, RadiologyReport)]

    assert 1 == len(set(people()))
    intake.merge(arrival("5"), [Merge(three, MR2, undo=True)])
    first, second, third = people()
    assert first == second != third
    intake.merge(arrival("6"), [Merge(MR1, MR2, undo=True)])
    assert 3 == len(set(people()))


def test_parting_what_nobody_joined_is_an_error_and_writes_nothing(engine: Engine, intake: ReportIntake) -> None:
    with pytest.raises(NotMergedError):
        intake.merge(arrival(), [Merge(MR1, MR2, undo=True)])
    assert (0, 0, 0, 0) == counted(engine)


def test_a_corrected_patient_moves_the_report(engine: Engine, intake: ReportIntake) -> None:
    """A report that was sent under the wrong patient and corrected belongs to the right one only."""
    image(engine, "1")
    image(engine, "2")
    intake.take(arrival("1"), [version()])
    reconciled(engine)
    intake.take(arrival("2"), [version(status=ReportStatus.CORRECTED, patients=(MR2,))])
    numbers = {row.id: row.value for row in rows(engine, PatientIdentifier)}
    report = the_report(engine)
    assert ("2", True) == (numbers[report.identifier_id or 0], report.reconcile_needed)


def test_a_refusal_is_kept_and_the_same_message_is_looked_at_again(engine: Engine, intake: ReportIntake) -> None:
    intake.refuse(arrival(), Verdict.REFUSED, acknowledgement="AE", reason="no_report", detail="OBR is missing")
    assert not intake.accepted_before(arrival())
    intake.take(arrival(), [version()], acknowledgement="AA")
    assert [("accepted", "AA", None, 2)] == [
        (row.verdict, row.acknowledgement, row.reason, row.times_received) for row in rows(engine, ReportMessage)
    ]
