"""Queries that record a finding with its results and deliveries. Each takes a Session inside the caller's transaction.

A result is found again by its derived SOP Instance UID, a finding by its job and what was read, a delivery by its result
and destination: whoever records twice finds everything there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import object_session

from ptx_node.db.deliveries import note_given_up
from ptx_node.db.history import keep_sendings
from ptx_node.db.tables import Delivery, ExaminationRow, FindingRow, Instance, Job, Result
from ptx_node.domain.examination import Examination
from ptx_node.domain.finding import Outcome
from ptx_node.domain.job import DeliveryState
from ptx_node.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.domain.finding import Finding


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result whose bytes are in the store, about to become a row."""

    kind: str
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    path: str
    size_bytes: int
    sha256: str


def known_results(session: Session, sop_instance_uids: Collection[str]) -> dict[str, StoredResult]:
    """What is recorded already under these SOP Instance UIDs."""
    rows = session.scalars(select(Result).where(Result.sop_instance_uid.in_(sop_instance_uids)).with_for_update())
    return {row.sop_instance_uid: _stored(row) for row in rows}


def lock_job(session: Session, job_id: int) -> Job:
    """The job, locked for change, so that two workers who hold it one after the other record one after the other.

    Raises:
        PermanentError: the job is not there.
    """
    job = session.get(Job, job_id, with_for_update=True)
    if job is None:
        raise PermanentError(f"job {job_id} is not in the database: its finding cannot be recorded")
    return job


def record_finding(session: Session, job: Job, finding: Finding, input_digest: str, inferred_at: datetime) -> FindingRow:
    """The row of a finding, new or brought up to date."""
    row = session.scalar(select(FindingRow).where(FindingRow.job_id == job.id, FindingRow.input_digest == input_digest))
    if row is None:
        first = session.scalar(select(Instance).where(Instance.sop_instance_uid.in_(finding.sop_instance_uids)).limit(1))
        row = FindingRow(
            job_id=job.id,
            input_digest=input_digest,
            study_instance_uid=first.study_instance_uid if first else job.study_instance_uid,
            series_instance_uid=first.series_instance_uid if first else "",
            inferred_at=inferred_at,
        )
        session.add(row)
    _describe(row, finding)
    session.flush()
    return row


def record_examination(session: Session, finding: FindingRow, examination: Examination) -> None:
    """When and of whom the images of a finding were made; changed only where the headers say something else now."""
    instance = session.scalar(
        select(Instance.id).where(Instance.sop_instance_uid.in_(finding.sop_instance_uids)).order_by(Instance.id).limit(1)
    )
    if instance is None:
        return  # read from files that no door received
    row = session.get(ExaminationRow, finding.id)
    if row is None:
        row = ExaminationRow(finding_id=finding.id)
        session.add(row)
    told = {
        "instance_id": instance,
        "examined_at": examination.examined.at,
        "examined_on": examination.examined.on,
        **{name: getattr(examination, name) for name in Examination.__slots__ if name != "examined"},
    }
    for name, value in told.items():
        setattr(row, name, value)
    row.reconcile_needed = True
    session.flush()


def record_result(session: Session, finding: FindingRow, result: StoredResult, encoded_at: datetime) -> Result:
    """The row of a result, new or pointing to its new bytes."""
    row = session.scalar(select(Result).where(Result.sop_instance_uid == result.sop_instance_uid))
    if row is None:
        row = Result(sop_instance_uid=result.sop_instance_uid, finding_id=finding.id, encoded_at=encoded_at)
        session.add(row)
    if row.sha256 != result.sha256:
        row.finding_id, row.encoded_at = finding.id, encoded_at
    row.kind, row.sop_class_uid = result.kind, result.sop_class_uid
    row.series_instance_uid, row.study_instance_uid = result.series_instance_uid, result.study_instance_uid
    row.path, row.size_bytes, row.sha256 = result.path, result.size_bytes, result.sha256
    session.flush()
    return row


def deliveries_of(session: Session, result_ids: Collection[int]) -> dict[tuple[int, str], Delivery]:
    """The deliveries of these results by (result, destination)."""
    rows = session.scalars(select(Delivery).where(Delivery.result_id.in_(result_ids)).with_for_update())
    return {(row.result_id, row.destination): row for row in rows}


def new_delivery(result_id: int, job_id: int, destination: str, moment: datetime, deadline_at: datetime) -> Delivery:
    """A delivery that is due at once."""
    row = Delivery(result_id=result_id, destination=destination)
    queue_again(row, job_id, moment, deadline_at)
    return row


def queue_again(row: Delivery, job_id: int, moment: datetime, deadline_at: datetime) -> None:
    """Make a delivery due as if nothing had been sent. A sender that holds its lease will find the lease gone.

    How far it had come stays for the study's timeline.
    """
    session = object_session(row)
    if session is not None:  # else it is new
        keep_sendings(session, Delivery.id == row.id)
    row.job_id, row.state, row.attempts = job_id, DeliveryState.WAITING, 0
    row.next_attempt_at = row.queued_at = moment
    row.deadline_at = deadline_at
    row.lease_owner = row.lease_expires_at = row.status = row.error = row.proof = row.commitment_transaction_uid = None
    row.accepted_at = row.committed_at = None
    row.warning, row.resends = False, 0


def superseded_results(session: Session, job_id: int, finding: Finding, input_digest: str) -> list[Result]:
    """Results that this finding replaces: of superseded jobs, by the same model, on some of the same instances."""
    read = set(finding.sop_instance_uids)
    rows = session.execute(
        select(Result, FindingRow)
        .join(FindingRow, Result.finding_id == FindingRow.id)
        .join(Job, FindingRow.job_id == Job.id)
        .where(Job.superseded_by_id == job_id, FindingRow.input_digest != input_digest)
        .where(FindingRow.device_uid == finding.model.device_uid)
        .order_by(Result.id)
    )
    return [result for result, row in rows if read.intersection(row.sop_instance_uids)]


def withdraw(session: Session, result_ids: Collection[int], error: str) -> int:
    """Fail the deliveries of these results that nobody has begun to send; the number of them."""
    rows = session.scalars(
        select(Delivery).where(Delivery.result_id.in_(result_ids), Delivery.state == DeliveryState.WAITING).with_for_update()
    ).all()
    for row in rows:
        row.state, row.error = DeliveryState.FAILED, error
    note_given_up(session, [row.id for row in rows], "outdated")
    return len(rows)


def outdated_results(session: Session, finding: FindingRow, kept: Iterable[int]) -> Sequence[int]:
    """Results of a finding that its answer no longer has: a mask under what is not positive, a refusal that was answered."""
    if finding.outcome == Outcome.POSITIVE:
        return ()
    return session.scalars(select(Result.id).where(Result.finding_id == finding.id, Result.id.not_in(list(kept)))).all()


def _stored(row: Result) -> StoredResult:
    return StoredResult(
        row.kind,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.series_instance_uid,
        row.study_instance_uid,
        row.path,
        row.size_bytes,
        row.sha256,
    )


def _describe(row: FindingRow, finding: Finding) -> None:
    row.sop_instance_uids = list(finding.sop_instance_uids)
    row.outcome, row.reason, row.detail = finding.outcome, finding.reason, finding.detail or None
    row.probability, row.threshold, row.laterality = finding.probability, finding.threshold, finding.laterality
    row.area_mm2, row.volume_ml, row.spacing_reason = finding.area_mm2, finding.volume_ml, finding.spacing_reason
    row.model_manufacturer, row.model_name, row.model_version = finding.model.manufacturer, finding.model.name, finding.model.version
    row.weights_sha256, row.device_uid = finding.model.weights_sha256, finding.model.device_uid


def given_up_by_another(row: Delivery, job_id: int) -> bool:
    """Whether another job's delivery has failed for good, so that this job's wish is a new chance."""
    return row.state == DeliveryState.FAILED and row.job_id != job_id
