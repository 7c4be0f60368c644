"""Results that wait for delivery: the rows and files that the results stage leaves, without a model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydicom import dcmread
from sqlalchemy import Engine, select

from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Delivery, FindingRow, Job, Result
from ptx_node.domain.delivery import Outgoing
from ptx_node.domain.job import DeliveryState, JobState
from tests.factories import Place, Size, as_file, dx

SMALL = Size(32, 32)


@dataclass
class Outbox:
    """A folder of results and the rows that say where each has to go. Satisfies what delivery needs of the file store."""

    engine: Engine
    folder: Path
    jobs: int = 0
    uids: list[str] = field(default_factory=list)

    def path(self, relative: str) -> Path:
        return self.folder / relative

    def add_job(self, *destinations: str, kinds: tuple[str, ...] = ("seg", "sr"), deadline_s: float = 3600.0) -> dict[str, str]:
        """One job with one finding, written as these kinds, for these destinations. SOP Instance UIDs by kind."""
        self.jobs += 1
        moment = now()
        uids: dict[str, str] = {}
        with begin_write(self.engine) as session:
            job = _job(self.jobs)
            session.add(job)
            session.flush()
            finding = _finding(job.id)
            session.add(finding)
            session.flush()
            for number, kind in enumerate(kinds, start=1):
                result = self._result(finding.id, kind, Place(study=self.jobs, series=number))
                uids[kind] = result.sop_instance_uid
                session.add(result)
                session.flush()
                session.add_all(_delivery(job.id, result.id, name, deadline_s) for name in destinations)
            job.encoded_at = moment
        self.uids += uids.values()
        return uids

    def _result(self, finding_id: int, kind: str, place: Place) -> Result:
        ds = dx(place, size=SMALL)
        data = as_file(ds)
        relative = f"{ds.SOPInstanceUID}.dcm"
        self.path(relative).write_bytes(data)
        return Result(
            finding_id=finding_id,
            kind=kind,
            sop_instance_uid=ds.SOPInstanceUID,
            sop_class_uid=ds.SOPClassUID,
            series_instance_uid=ds.SeriesInstanceUID,
            study_instance_uid=ds.StudyInstanceUID,
            path=relative,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            encoded_at=now(),
        )

    def deliveries(self) -> list[Delivery]:
        with begin_read(self.engine) as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def states(self) -> list[str]:
        return [delivery.state for delivery in self.deliveries()]

    def job(self, job_id: int = 1) -> Job:
        with begin_read(self.engine) as session:
            return session.get_one(Job, job_id)

    def make_due(self, *, lease: bool = False, aged_s: float = 0.0) -> None:
        """Let time pass: what waits is due, leases are over if wanted, acceptances are so old."""
        with begin_write(self.engine) as session:
            for delivery in session.scalars(select(Delivery)):
                delivery.next_attempt_at = now() - timedelta(seconds=1)
                if lease and delivery.lease_expires_at:
                    delivery.lease_expires_at = now() - timedelta(seconds=1)
                if delivery.accepted_at:
                    delivery.accepted_at -= timedelta(seconds=aged_s)


def outgoing(path: Path) -> Outgoing:
    """A Part 10 file as a destination is handed it."""
    ds = dcmread(path, stop_before_pixels=True)
    return Outgoing(path, ds.SOPClassUID, ds.SOPInstanceUID, ds.file_meta.TransferSyntaxUID, ds.SeriesInstanceUID, ds.StudyInstanceUID)


def radiograph_files(folder: Path, count: int = 2, study: int = 1) -> list[Outgoing]:
    """Small radiographs of one study, one a series, as files."""
    items = []
    for number in range(1, count + 1):
        path = folder / f"{study}-{number}.dcm"
        path.write_bytes(as_file(dx(Place(study=study, series=number), size=SMALL)))
        items.append(outgoing(path))
    return items


def _job(number: int) -> Job:
    moment = now()
    return Job(
        idempotency_key=f"job {number}",
        rule="chest",
        model="demo",
        level="instance",
        level_uid=f"1.2.{number}",
        study_instance_uid=f"1.2.{number}",
        destinations=[],
        report_failed=False,
        report_not_eligible=False,
        priority=0,
        state=JobState.DONE,
        attempts=1,
        first_instance_at=moment,
        last_instance_at=moment,
        complete_at=moment,
        queued_at=moment,
    )


def _finding(job_id: int) -> FindingRow:
    return FindingRow(
        job_id=job_id,
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        sop_instance_uids=["1.2.3.4"],
        input_digest="0" * 64,
        outcome="positive",
        model_manufacturer="ptx-node",
        model_name="demo",
        model_version="1",
        weights_sha256="0" * 64,
        device_uid="2.25.1",
        inferred_at=now(),
    )


def _delivery(job_id: int, result_id: int, destination: str, deadline_s: float) -> Delivery:
    moment = now()
    return Delivery(
        result_id=result_id,
        job_id=job_id,
        destination=destination,
        state=DeliveryState.WAITING,
        attempts=0,
        next_attempt_at=moment,
        deadline_at=moment + timedelta(seconds=deadline_s),
        queued_at=moment,
    )
