"""A little hospital in the tables, for tests of the export: images, answers and reports whose every name and time is the same each time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, insert, update

from ptx_node.db import report_review, truths
from ptx_node.db.cases import Period
from ptx_node.db.session import begin_snapshot, begin_write
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, Job, JobInput
from ptx_node.domain.examination import Examined
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.domain.radiology_report import Examination, PatientIdentity
from ptx_node.domain.reading import Level, Reading, Subject, TruthKind
from ptx_node.domain.truth import LabelValue
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.pipeline.report_intake import Merge
from ptx_node.validation.case_export import CaseTable, write_case_table
from ptx_node.validation.case_rows import Identified, Naming, Pseudonymous
from tests.radiology import SITE, arrival, instance_row, make_intake, version

DAY = date(2026, 3, 2)
ZONE = ZoneInfo("Europe/Paris")
PERIOD = Period(date(2026, 3, 1), date(2026, 3, 31), ZONE)
SECRET = b"a secret of at least 32 bytes, for tests"
FIRST, SECOND = ("ptx-cxr", "1.0", "ab" * 32), ("ptx-cxr", "2.0", "cd" * 32)
NAMES = (*("rule", "model", "level", "level_uid", "study_instance_uid", "idempotency_key"),)


def moment(day: date = DAY, hour: float = 8) -> datetime:
    """A local time of a day."""
    return (datetime.combine(day, time(), ZONE) + timedelta(hours=hour)).astimezone(UTC)


class Hospital:
    """Fills a database; numbers count from 1 in each."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.intake = make_intake(engine, folder)
        self.images = self.messages = 0

    def image(self, patient_id: str = "1", *, day: date = DAY, hour: float = 8, **changes: Any) -> int:
        """An instance that came; its row's number."""
        self.images += 1
        number = self.images
        row = {
            **instance_row(patient_id=patient_id, modality="DX"),
            "sop_instance_uid": f"1.8.{number}",
            "series_instance_uid": f"1.7.{number}",
            "study_instance_uid": f"1.9.{number}",
            "source": "routine",
            "received_at": moment(day, hour + 0.1),
            "routed_at": moment(day, hour + 0.1),
            "route_outcome": "queued",
            **changes,
        }
        with begin_write(self.engine) as session:
            made = int(session.execute(insert(Instance).values(row).returning(Instance.id)).scalar_one())
        while register_new(self.engine, SITE):
            pass
        return made

    def job(self, instances: list[int], *, state: str = "done", ineligible: dict[int, str] | None = None, **changes: Any) -> int:
        """A job that reads these; its number."""
        when = moment()
        with begin_write(self.engine) as session:
            key = f"{'-'.join(map(str, instances))} {changes.get('model', 'm')} {changes.pop('generation', 1)}"
            job = Job(
                **{**dict.fromkeys(NAMES, "x"), "idempotency_key": key, "rule": "chest", "state": state, **changes},
                **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at"), when),
                **dict.fromkeys(("report_failed", "report_not_eligible"), False),
                destinations=[],
                priority=50,
                attempts=1,
            )
            session.add(job)
            session.flush()
            for one in instances:
                reason = (ineligible or {}).get(one)
                session.add(JobInput(job_id=job.id, instance_id=one, eligible=reason is None, reason=reason))
            return job.id

    def finding(self, job_id: int, instance_id: int, *, outcome: str = "positive", **about: Any) -> int:
        """What a model said of an image; headers of refused images are not read."""
        model = about.pop("model", FIRST)
        examination = about.pop("examination", {})
        with begin_write(self.engine) as session:
            image = session.get_one(Instance, instance_id)
            answered = outcome in {"positive", "negative"}
            said = FindingRow(
                **{
                    "job_id": job_id,
                    "study_instance_uid": image.study_instance_uid,
                    "series_instance_uid": image.series_instance_uid,
                    "sop_instance_uids": [image.sop_instance_uid],
                    "input_digest": f"{instance_id}",
                    "outcome": outcome,
                    "probability": (0.9 if outcome == "positive" else 0.1) + 0.0001234567 * instance_id if answered else None,
                    "threshold": 0.4 if answered else None,
                    "model_manufacturer": "Makers",
                    "model_name": model[0],
                    "model_version": model[1],
                    "weights_sha256": model[2],
                    "device_uid": f"2.25.{model[1]}",
                    "inferred_at": moment(),
                    **about,
                }
            )
            session.add(said)
            session.flush()
            if answered:
                local = image.received_at.astimezone(ZONE) - timedelta(hours=0.1)
                told = {
                    "modality": image.modality,
                    "examined_at": local,
                    "examined_on": local.date(),
                    "patient_sex": "F",
                    "patient_age_years": 64.0,
                    "view_position": "PA" if image.modality != "CT" else "",
                    "manufacturer": "Maker",
                    "manufacturer_model_name": "Digital 1",
                    "station_name": "ROOM1",
                    **examination,
                }
                session.add(ExaminationRow(finding_id=said.id, instance_id=instance_id, reconcile_needed=True, **told))
            return said.id

    def read(self, patient_id: str = "1", *, day: date = DAY, hour: float = 8, image: dict[str, Any] | None = None, **said: Any) -> int:
        """An image that came and was read at once; the finding's number."""
        instance = self.image(patient_id, day=day, hour=hour, **(image or {}))
        return self.finding(self.job([instance]), instance, **said)

    def told(self, text: str, patient_id: str = "1", *, day: date = DAY, hour: float = 12, **changes: Any) -> None:
        """A CT report of a patient."""
        self.messages += 1
        about = {
            "external_id": f"R{self.messages}",
            "patients": (PatientIdentity("hospital", "MR", patient_id),),
            "examination": Examination("", "", "CT", "CTCHEST", "CT chest"),
            "examined": Examined(moment(day, hour), day),
            **changes,
        }
        self.intake.take(arrival(str(self.messages)), [version(text, **about)])

    def decide(self, value: str, report_id: int = 1) -> None:
        """What a person says of a report."""
        with begin_write(self.engine) as session:
            report_review.decide(session, report_id, LabelValue(value), laterality=None, reviewer="reader", note="", now=moment())

    def merge(self, prior: str, surviving: str) -> None:
        """Two numbers are one patient."""
        self.messages += 1
        one, other = (PatientIdentity("hospital", "MR", number) for number in (prior, surviving))
        self.intake.merge(arrival(str(self.messages)), [Merge(one, other)])

    def supersede(self, older_job: int, newer_job: int) -> None:
        """A newer job answers instead."""
        with begin_write(self.engine) as session:
            session.execute(update(Job).where(Job.id == older_job).values(superseded_by_id=newer_job))

    def reading(self, name: str, label: str, reader: str = "A") -> None:
        """What a reader says of an image."""
        one = Reading(TruthKind.READER, reader, Subject(Level.IMAGE, name), LabelValue(label))
        with begin_write(self.engine) as session:
            truths.add(session, [("row 1", one)], truths.Origin("labels.csv", "somebody"), now=moment())

    def export(
        self,
        folder: Path,
        naming: Naming | None = None,
        *,
        smallest_cell: int = 1,
        period: Period = PERIOD,
        truth: TruthKind = TruthKind.REPORT,
    ) -> CaseTable:
        """Reconcile, then write the case table."""
        reconcile(self.engine)
        folder.mkdir(parents=True, exist_ok=True)
        with begin_snapshot(self.engine) as session:
            return write_case_table(session, folder, period, naming or pseudonymous(), truth=truth, smallest_cell=smallest_cell)


def pseudonymous() -> Naming:
    """Names under a key."""
    return Pseudonymous(Pseudonyms(SECRET, "test"))


def identified() -> Naming:
    """The site's own names."""
    return Identified()
