"""A cohort in rows: who is looked for, which radiograph stands for a patient, and why others do not count."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from ptx_node.db import cohorts
from ptx_node.db.cohort_merges import counted_twice
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Cohort, CohortMember, FindingRow, Instance, Job, RadiologyReport, Retrieval
from ptx_node.domain.cohort import Choice, Exclusion, MemberState, Terms
from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.examination import Examined
from ptx_node.domain.job import JobState
from ptx_node.domain.radiology_report import Authorities, Examination, PatientIdentity, ReportStatus
from ptx_node.domain.retrieval import Found, FoundStudy, RetrievalState, StudyQuery
from ptx_node.errors import DestinationUnavailableError, PermanentError, UsageError
from ptx_node.pipeline import cohort_select
from ptx_node.pipeline.cohort_choose import Chooser
from ptx_node.pipeline.cohort_search import Search
from ptx_node.pipeline.cohort_settle import finish, settle, turn
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.report_intake import Merge, ReportIntake
from tests.factories import Place, Size, as_file, dx
from tests.findings import MODEL
from tests.radiology import MR1, MR2, NOON, SITE, arrival, instance_row, make_intake, version

DAY = date(2026, 3, 1)
TERMS = Terms("c1", DAY, DAY + timedelta(days=30), Choice.CONSECUTIVE, None, 1, "pacs", "cxr", MODEL.weights_sha256)
NUMBERS = iter(range(1, 10**9))
TEXTS = {True: "Left pneumothorax.", False: "No pneumothorax."}


@dataclass
class Hospital:
    """A node's database and store, and an archive that answers what a test puts into it."""

    engine: Engine
    folder: Path
    intake: ReportIntake
    archive: list[FoundStudy] = field(default_factory=list)
    asked: list[StudyQuery] = field(default_factory=list)
    away: bool = False
    authorities: Authorities = SITE
    threshold: float = 0.4

    def find_studies(self, query: StudyQuery, *, limit: int) -> Found:
        """As an archive that matches by patient and day."""
        if self.away:
            raise DestinationUnavailableError("the archive is away")
        self.asked.append(query)
        fits = [one for one in self.archive if one.patient_id == query.patient_id and query.since in (None, one.study_date)]
        return Found(tuple(fits[:limit]), complete=len(fits) <= limit)

    def path(self, relative: str) -> Path:
        return self.folder / relative

    def told(self, name: str = "R1", *, positive: bool = True, hours: float | None = 0, day: int = 0, **changes: Any) -> None:
        """A CT report, so many hours from noon."""
        at = None if hours is None else NOON + timedelta(hours=hours, days=day)
        values = {"external_id": name, "examined": Examined(at, DAY + timedelta(days=day)), **changes}
        self.intake.take(arrival(f"{name} {next(NUMBERS)}"), [version(TEXTS[positive], **values)])

    def study(self, patient_id: str = "1", *images: Dataset, day: int = 0, **about: Any) -> str:
        """A study that lies in the archive, whose images come when it is fetched."""
        uid = f"1.2.{next(NUMBERS)}"
        found = FoundStudy(uid, patient_id, study_date=DAY + timedelta(days=day), modalities=("DX",))
        self.archive.append(replace(found, **about))
        for ds in images:
            ds.StudyInstanceUID = uid
        self.images = [*getattr(self, "images", []), *images]
        return uid

    def begin(self, **changes: Any) -> Cohort:
        holds = cohort_select.Circumstances(MODEL, self.threshold, "tester", "0" * 64)
        cohort, _ = cohort_select.begin(self.engine, replace(TERMS, **changes), holds)
        return cohort

    def search(self, cohort: Cohort, *, home_issuer: str = "") -> None:
        work = Search(self.engine, cohort, self, self.authorities, ("CR", "DX"), home_issuer)
        for member in turn(self.engine, cohort, 50):
            work.look(member)

    def fetch(self, state: RetrievalState = RetrievalState.DONE) -> None:
        """What is wanted came, and lies in the store."""
        with begin_write(self.engine) as session:
            wanted = set(session.scalars(select(Retrieval.study_instance_uid)))
            for ds in getattr(self, "images", []):
                if ds.StudyInstanceUID in wanted and state is RetrievalState.DONE:
                    self._store(session, ds)
            session.execute(update(Retrieval).values(state=state, error=None if state is RetrievalState.DONE else "it broke"))

    def _store(self, session: Any, ds: Dataset) -> None:
        data, name = as_file(ds), f"{ds.SOPInstanceUID}.dcm"
        if self.path(name).exists():
            return
        self.path(name).write_bytes(data)
        row = instance_row(
            sop_instance_uid=str(ds.SOPInstanceUID),
            sop_class_uid=str(ds.SOPClassUID),
            study_instance_uid=str(ds.StudyInstanceUID),
            series_instance_uid=str(ds.SeriesInstanceUID),
            modality=str(ds.Modality),
            patient_id=str(ds.PatientID),
            issuer_of_patient_id=str(ds.get("IssuerOfPatientID", "")),
            path=name,
            via="retrieve",
            sha256=hashlib.sha256(data).hexdigest(),
            routed_at=None,
            route_outcome=None,
        )
        session.execute(insert(Instance).values(row))

    def choose(self, cohort: Cohort, own: Sequence[str] = ()) -> int:
        requirements = Requirements("radiograph")
        return Chooser(self.engine, cohort, self, requirements, own, self.authorities, ZoneInfo("UTC")).run()

    def answer(self, outcome: str = "positive", *, state: JobState = JobState.DONE, **about: Any) -> None:
        """What the model says of every radiograph that waits."""
        with begin_write(self.engine) as session:
            for job in session.scalars(select(Job).where(Job.state == JobState.QUEUED)):
                job.state, job.cause = state, about.get("cause")
                if state is JobState.DONE:
                    session.add(finding_of(job, outcome, about.get("device_uid", MODEL.device_uid)))

    def build(self, outcome: str = "positive", **changes: Any) -> Cohort:
        """A whole cohort, undisturbed."""
        cohort = self.begin(**changes)
        for _ in range(20):
            self.search(cohort)
            self.fetch()
            self.choose(cohort)
            self.answer(outcome)
            settle(self.engine, cohort)
            if finish(self.engine, cohort):
                break
        return cohort

    def ends(self) -> dict[str, str]:
        """Report -> what became of it."""
        member = CohortMember
        wanted = select(RadiologyReport.external_id, member.state, member.exclusion, member.code).join(
            member, member.report_id == RadiologyReport.id
        )
        with begin_read(self.engine) as session:
            return {name: "/".join(one for one in (why or state, code) if one) for name, state, why, code in session.execute(wanted)}


def finding_of(job: Job, outcome: str, device_uid: str) -> FindingRow:
    return FindingRow(
        job_id=job.id,
        study_instance_uid=job.study_instance_uid,
        series_instance_uid="1.2.3",
        sop_instance_uids=[job.level_uid],
        input_digest=str(job.id),
        outcome=outcome,
        probability=0.9 if outcome == "positive" else 0.1,
        threshold=0.4,
        model_manufacturer=MODEL.manufacturer,
        model_name=MODEL.name,
        model_version=MODEL.version,
        weights_sha256=MODEL.weights_sha256,
        device_uid=device_uid,
        inferred_at=now(),
    )


def radiograph(patient_id: str = "1", *, hours: float | None = -3, **changes: Any) -> Dataset:
    """A small chest radiograph so many hours from noon."""
    number = next(NUMBERS)
    at = NOON + timedelta(hours=hours or 0)
    date_and_time = {}
    for name in ("Study", "Series", "Acquisition", "Content"):
        date_and_time |= {f"{name}Date": f"{at:%Y%m%d}", f"{name}Time": "" if hours is None else f"{at:%H%M%S}"}
    about = {"IssuerOfPatientID": "", "StudyInstanceUID": f"1.2.{number}", **date_and_time, **changes}
    return dx(Place(number, 1, 1, patient_id, about), size=Size(16, 16))


def lateral(patient_id: str = "1", *, hours: float = -3) -> Dataset:
    ds = radiograph(patient_id, hours=hours, ViewPosition="LL")
    del ds.ViewCodeSequence
    return ds


def open_hospital(engine: Engine, folder: Path) -> Hospital:
    (folder / "files").mkdir()
    return Hospital(engine, folder / "files", make_intake(engine, folder))


@pytest.fixture
def hospital(sqlite_engine: Engine, tmp_path: Path) -> Hospital:
    return open_hospital(sqlite_engine, tmp_path)


@pytest.fixture
def either(engine: Engine, tmp_path: Path) -> Hospital:
    """On each kind of database."""
    return open_hospital(engine, tmp_path)


def test_every_report_of_the_period_has_its_group_or_its_reason(either: Hospital) -> None:
    either.told("yes")
    either.told("no", positive=False, patients=(MR2,))
    either.told("yes, again", day=2)
    either.told("no, later", positive=False, day=3)
    either.told("other", examination=Examination(modality="MR"))
    either.told("preliminary", status=ReportStatus.PRELIMINARY)
    either.told("nobody", patients=())
    either.told("two", patients=(MR1, MR2))
    either.told("before", day=-1)
    either.begin()
    expected = {
        **dict.fromkeys(("yes", "no", "yes, again"), "waiting"),
        "no, later": "other_group",
        "other": "not_ct",
        "preliminary": "preliminary",
        "nobody": "no_patient",
        "two": "patient_ambiguous",
    }
    assert expected == either.ends()
    with begin_read(either.engine) as session:
        assert 5 == sum(count for (state, *_), count in cohorts.counts(session, 1).items() if state == "excluded")


def test_a_name_begins_once_and_other_words_are_told(hospital: Hospital) -> None:
    hospital.told()
    first = hospital.begin()
    hospital.told("R2", patients=(MR2,))
    assert first.id == hospital.begin().id
    assert {"R1": "waiting"} == hospital.ends(), "what came later is not in it"
    with pytest.raises(UsageError, match="seed is 1, not 2"):
        hospital.begin(seed=2)


def test_two_who_begin_at_once_begin_one(either: Hospital) -> None:
    either.told()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(either.begin().id)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 4 == len(found)
    assert 1 == len(set(found))
    assert {"R1": "waiting"} == either.ends()


def test_the_nearest_before_the_ct_that_may_be_read_stands_for_the_patient(hospital: Hospital) -> None:
    hospital.told()
    wanted = radiograph(hours=-2)
    hospital.study("1", radiograph(hours=-5), wanted, lateral(hours=-1), radiograph(hours=1))
    cohort = hospital.build()
    assert {"R1": "counted"} == hospital.ends()
    with begin_read(hospital.engine) as session:
        (member,) = cohorts.members_in(session, cohort.id, MemberState.COUNTED)
        assert wanted.SOPInstanceUID == session.get_one(Instance, member.instance_id).sop_instance_uid
        assert 2 * 3600 == member.interval_s
        (counted,) = cohorts.members(session, cohort.id)
        assert (True, True, 0.9) == (counted.positive, counted.called_positive, counted.probability)
        (job,) = session.scalars(select(Job))
        assert ([], 0, "cohort c1") == (job.destinations, job.priority, job.rule)


@pytest.mark.parametrize(
    ("images", "terms", "expected"),
    [
        ([lateral], {}, "not_eligible/lateral_view"),
        ([lambda: radiograph(hours=2)], {}, "only_after_ct"),
        ([lambda: radiograph(hours=2)], {"after_too": True}, "counted"),
        ([lambda: radiograph(hours=-3)], {"interval_s": 2 * 3600.0}, "too_far_apart"),
        ([lambda: radiograph(hours=-3)], {"interval_s": 3 * 3600.0}, "counted"),
        ([lambda: radiograph(hours=None)], {}, "counted"),
        ([lambda: radiograph(hours=None)], {"interval_s": 3600.0}, "order_unknown"),
        ([lambda: radiograph(hours=-5), lambda: radiograph(hours=-3), lambda: radiograph(hours=None)], {}, "order_unknown"),
        ([lambda: radiograph(hours=-20)], {}, "no_radiograph_that_day"),
        ([lambda: radiograph("2")], {}, "other_patient"),
        ([lambda: radiograph(IssuerOfPatientID="elsewhere")], {}, "other_patient"),
        ([lambda: radiograph(Rows=0)], {}, "not_eligible/no_pixel_data"),
    ],
)
def test_why_there_is_no_radiograph(hospital: Hospital, images: Any, terms: dict[str, Any], expected: str) -> None:
    hospital.told()
    hospital.study("1", *(make() for make in images))
    hospital.build(**terms)
    assert {"R1": expected} == hospital.ends()


def test_a_radiograph_between_two_cts_belongs_to_the_later_one(hospital: Hospital) -> None:
    """The first says yes and decides the group; the radiograph was made after it."""
    hospital.told("first")
    hospital.told("second", hours=3)
    hospital.study("1", radiograph(hours=1))
    hospital.build()
    assert {"first": "only_after_ct", "second": "counted"} == hospital.ends()


def test_who_has_no_radiograph_with_one_ct_may_have_one_with_the_next(hospital: Hospital) -> None:
    hospital.told("first")
    hospital.told("second", day=1)
    hospital.told("third", day=2)
    hospital.study("1", radiograph(hours=21), day=1)
    hospital.study("1", radiograph(hours=45), day=2)
    hospital.build()
    assert {"first": "no_radiograph_that_day", "second": "counted", "third": "other_ct"} == hospital.ends()


def test_a_balanced_draw_ends_when_both_groups_are_full(either: Hospital) -> None:
    for number in range(1, 9):
        either.told(f"R{number}", positive=number % 2 == 0, patients=(PatientIdentity("hospital", "MR", str(number)),))
        if number not in (2, 3):
            either.study(str(number), radiograph(str(number)))
    either.build(choice=Choice.BALANCED, wanted=2)
    ends = either.ends()
    assert (2, 2) == tuple(sum(ends[f"R{number}"] == "counted" for number in numbers) for numbers in ((2, 4, 6, 8), (1, 3, 5, 7)))
    assert set(ends.values()) <= {"counted", "not_drawn", "patient_not_in_archive"}
    assert len(either.archive) > len({query.patient_id for query in either.asked}) - 2, "nobody is asked for without need"


def test_whose_studies_count_in_the_archive(either: Hospital) -> None:
    """The same number of another hospital is another patient; a merged patient's old number is his."""
    either.told("elsewhere", patients=(PatientIdentity("hospital", "MR", "7"),))
    either.told("here", patients=(PatientIdentity("1.2.3", "PI", "8"),))
    either.told("merged", patients=(MR1,))
    either.told("pattern", patients=(PatientIdentity("hospital", "MR", "9*"),))
    either.told("visit", patients=(PatientIdentity("hospital", "VN", "10"),))
    either.told("another day", patients=(PatientIdentity("hospital", "MR", "11"),))
    either.intake.merge(arrival("A40"), [Merge(MR2, MR1)])
    either.study("7", radiograph("7", IssuerOfPatientID="OTHER"), issuer_of_patient_id="OTHER")
    either.study("8", radiograph("8"))
    either.study("2", radiograph("2"))
    either.study("11", radiograph("11"), day=5)
    either.build()
    assert {
        "elsewhere": "patient_not_in_archive",
        "here": "counted",
        "merged": "counted",
        "pattern": "no_patient",
        "visit": "no_patient",
        "another day": "no_radiograph_that_day",
    } == either.ends()
    assert {"1", "2", "7", "8", "11"} == {query.patient_id for query in either.asked}


def test_a_study_of_the_day_without_a_radiograph_says_that_the_patient_is_known(hospital: Hospital) -> None:
    hospital.told()
    hospital.study("1", modalities=("CT", "SR"))
    hospital.build()
    assert {"R1": "no_radiograph_that_day"} == hospital.ends()
    assert 1 == len(hospital.asked)


def test_an_archive_that_does_not_match_by_patient_is_told_of(hospital: Hospital) -> None:
    hospital.told()
    for _ in range(201):
        hospital.study("1")
    cohort = hospital.begin()
    with pytest.raises(PermanentError, match="does not match by patient"):
        hospital.search(cohort)
    hospital.away = True
    with pytest.raises(DestinationUnavailableError):
        hospital.search(cohort)
    assert {"R1": "waiting"} == hospital.ends()


def test_what_could_not_be_fetched_is_told(hospital: Hospital) -> None:
    hospital.told()
    hospital.study("1", radiograph())
    cohort = hospital.begin()
    hospital.search(cohort)
    assert 0 == hospital.choose(cohort), "nothing is settled yet"
    hospital.fetch(RetrievalState.FAILED)
    assert 1 == hospital.choose(cohort)
    assert {"R1": "retrieval_failed"} == hospital.ends()
    assert finish(hospital.engine, cohort)


def test_a_report_that_was_withdrawn_meanwhile_is_told(hospital: Hospital) -> None:
    hospital.told()
    hospital.study("1", radiograph())
    cohort = hospital.begin()
    hospital.search(cohort)
    hospital.told(status=ReportStatus.WITHDRAWN)
    hospital.fetch()
    hospital.choose(cohort)
    assert {"R1": "report_changed/withdrawn"} == hospital.ends()


@pytest.mark.parametrize(
    ("state", "about", "expected"),
    [
        (JobState.QUARANTINED, {"cause": "inference_failed"}, "model_failed/inference_failed"),
        (JobState.NOT_ELIGIBLE, {"cause": "pixel_data_truncated"}, "unreadable/pixel_data_truncated"),
        (JobState.DONE, {"device_uid": "2.25.1"}, "model_failed/other_model"),
    ],
)
def test_what_the_model_did_not_answer_is_told(hospital: Hospital, state: JobState, about: dict[str, str], expected: str) -> None:
    hospital.told()
    hospital.study("1", radiograph())
    cohort = hospital.begin()
    hospital.search(cohort)
    hospital.fetch()
    hospital.choose(cohort)
    assert not finish(hospital.engine, cohort)
    hospital.answer(state=state, **about)
    assert 1 == settle(hospital.engine, cohort)
    assert {"R1": expected} == hospital.ends()
    assert finish(hospital.engine, cohort)


def test_results_of_models_in_the_archive_are_no_radiographs(hospital: Hospital) -> None:
    """A secondary capture that an AI sent back says CR and PA like its source; the Device UID tells."""
    hospital.told()
    written = radiograph(hours=-1)
    equipment = Dataset()
    equipment.DeviceUID = MODEL.device_uid
    written.ContributingEquipmentSequence = [equipment]
    taken = radiograph(hours=-2)
    hospital.study("1", written, taken)
    cohort = hospital.begin()
    hospital.search(cohort)
    hospital.fetch()
    hospital.choose(cohort, own=[MODEL.device_uid])
    with begin_read(hospital.engine) as session:
        assert [taken.SOPInstanceUID] == list(session.scalars(select(Job.level_uid)))


def test_who_comes_second_changes_nothing(either: Hospital) -> None:
    either.told("first")
    either.told("second", day=1)
    cohort = either.begin()
    with begin_read(either.engine) as session:
        first, second = cohorts.members_in(session, cohort.id, MemberState.WAITING)
    with begin_write(either.engine) as session:
        assert cohorts.advance(session, first, MemberState.FETCHING, now=now())
        assert not cohorts.exclude(session, first, Exclusion.NOT_DRAWN, now=now())
    assert {"first": "fetching", "second": "waiting"} == either.ends()
    with pytest.raises(IntegrityError), begin_write(either.engine) as session:
        cohorts.advance(session, second, MemberState.FETCHING, now=now())


def test_labels_that_changed_since_are_counted_and_change_nobody(either: Hospital) -> None:
    for number, patient in enumerate((MR1, MR2)):
        either.told(f"R{number}", patients=(patient,))
        either.study(patient.value, radiograph(patient.value))
    cohort = either.build()
    with begin_read(either.engine) as session:
        before = cohorts.members(session, cohort.id)
        assert (2, 0) == (len(before), cohorts.labels_changed(session, cohort.id))
    either.told("R0", positive=False, status=ReportStatus.CORRECTED)
    while register_new(either.engine, SITE):
        pass
    either.build()
    with begin_read(either.engine) as session:
        assert 1 == cohorts.labels_changed(session, cohort.id)
        assert before == cohorts.members(session, cohort.id)


def test_the_threshold_is_that_of_the_beginning(hospital: Hospital) -> None:
    """A site that moved its threshold while the cohort was built: everybody is called by the one that held at first."""
    hospital.told()
    hospital.study("1", radiograph())
    hospital.threshold = 0.95
    cohort = hospital.begin()
    hospital.threshold = 0.4
    assert (cohort.id, 0.95) == (hospital.build().id, cohort.threshold)
    with begin_read(hospital.engine) as session:
        (counted,) = cohorts.members(session, cohort.id)
    assert (0.9, False, 0.95) == (counted.probability, counted.called_positive, counted.threshold)


def two_patients(hospital: Hospital, *, same: bool) -> Cohort:
    """Two patients, each with a radiograph before his CT; the first one's CT says yes, the other's the same or not."""
    hospital.told("R1")
    hospital.told("R2", positive=same, patients=(MR2,), day=1)
    hospital.study("1", radiograph("1"))
    hospital.study("2", radiograph("2", hours=21), day=1)
    return hospital.begin()


STEPS = {
    "begun": (),
    "looked for": ("search",),
    "fetched": ("search", "fetch"),
    "chosen": ("search", "fetch", "choose"),
    "read": ("search", "fetch", "choose", "answer"),
    "counted": ("search", "fetch", "choose", "answer", "settle"),
}


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_who_are_merged_while_a_cohort_is_built_are_one_patient_in_one_group(hospital: Hospital, step: str, same: bool) -> None:
    follow_a_merge(hospital, step, same=same)


@pytest.mark.parametrize("same", [True, False])
def test_merges_are_followed_on_each_kind_of_database(either: Hospital, same: bool) -> None:
    follow_a_merge(either, "read", same=same)


def follow_a_merge(hospital: Hospital, step: str, *, same: bool) -> None:
    cohort = two_patients(hospital, same=same)
    for name in STEPS[step]:
        work = {
            "search": lambda: hospital.search(cohort),
            "choose": lambda: hospital.choose(cohort),
            "settle": lambda: settle(hospital.engine, cohort),
        }
        work.get(name, getattr(hospital, name, None))()
    hospital.intake.merge(arrival("A40"), [Merge(MR2, MR1)])
    hospital.build()
    assert {"R1": "counted", "R2": "other_ct" if same else "other_group"} == hospital.ends()
    with begin_read(hospital.engine) as session:
        assert "complete" == session.get_one(Cohort, cohort.id).state
        assert 1 == len(cohorts.members(session, cohort.id))
        assert 0 == counted_twice(session, cohort.id)
        assert 1 == sum(count for (state, *_), count in cohorts.counts(session, cohort.id).items() if state == "counted")


def test_the_other_ct_of_a_merged_patient_stands_in_for_one_that_fails(hospital: Hospital) -> None:
    cohort = two_patients(hospital, same=True)
    hospital.search(cohort)
    hospital.fetch()
    hospital.choose(cohort)
    hospital.intake.merge(arrival("A40"), [Merge(MR2, MR1)])
    hospital.answer(state=JobState.QUARANTINED, cause="inference_failed")
    settle(hospital.engine, cohort)
    assert {"R1": "model_failed/inference_failed", "R2": "waiting"} == hospital.ends()
    hospital.build()
    assert "model_failed/inference_failed" == hospital.ends()["R2"], "its job of the first time is found again"


def test_who_are_parted_go_on_as_two(either: Hospital) -> None:
    """They were one when the cohort was begun, with a number each; the second's report is looked for by his own number."""
    either.intake.merge(arrival("A40"), [Merge(MR2, MR1)])
    cohort = two_patients(either, same=True)
    either.search(cohort)
    assert {"R1": "fetching", "R2": "waiting"} == either.ends()
    either.intake.merge(arrival("A37"), [Merge(MR2, MR1, undo=True)])
    either.build()
    assert {"R1": "counted", "R2": "counted"} == either.ends()


def test_a_merge_after_the_end_is_told_and_changes_nothing(either: Hospital) -> None:
    cohort = two_patients(either, same=False)
    either.build()
    assert {"R1": "counted", "R2": "counted"} == either.ends()
    either.intake.merge(arrival("A40"), [Merge(MR2, MR1)])
    either.build()
    assert {"R1": "counted", "R2": "counted"} == either.ends()
    with begin_read(either.engine) as session:
        assert 1 == counted_twice(session, cohort.id)
