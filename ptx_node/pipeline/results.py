"""Stage results: one finding becomes SEG, SR and SC instances, then files and rows that belong together.

Recording is idempotent, because every result's UID is derived from what was read and by which model. A worker that dies
between files and rows leaves at most a file that nobody refers to. See docs/decisions/result-identity.md.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pydicom
from pydicom.uid import DigitalXRayImageStorageForPresentation
from sqlalchemy.exc import IntegrityError

from ptx_node import log
from ptx_node.db import audit, embeddings
from ptx_node.db import results as rows
from ptx_node.db.results import StoredResult
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.dicom.equipment import DocumentReference, WriterContext, Writing
from ptx_node.dicom.measurement_report import measurement_report
from ptx_node.dicom.same_content import same_content
from ptx_node.dicom.secondary_capture import secondary_capture
from ptx_node.dicom.segmentation import segmentation
from ptx_node.dicom.uids import input_digest
from ptx_node.domain.audit import Trace
from ptx_node.domain.audit_events import inference, outputs
from ptx_node.domain.finding import Finding, Outcome, ResultKind
from ptx_node.domain.image import Radiograph
from ptx_node.domain.result_policy import ResultDestination, agree
from ptx_node.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pydicom.dataset import Dataset
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.tables import FindingRow, Job
    from ptx_node.domain.audit import Event
    from ptx_node.domain.examination import Examination
    from ptx_node.domain.finding import ModelIdentity
    from ptx_node.domain.image import Volume
    from ptx_node.domain.result_policy import DestinationPolicy
    from ptx_node.pipeline.store import Stored

logger = log.get(__name__)

ANSWERED = frozenset({Outcome.POSITIVE, Outcome.NEGATIVE})
NO_TRACE = Trace()
RECORD_ATTEMPTS = 5
"""Two workers that record the same finding at the same moment: the second finds the first's rows when it tries again."""


class ResultFiles(Protocol):
    """The part of the file store that results need."""

    def put(self, relative_path: str, data: bytes) -> Stored:
        """Write one whole file durably. Raises StorageFullError."""

    def path(self, relative: str) -> Path:
        """Where a stored file lies."""


@dataclass(frozen=True, slots=True)
class EncodedResult:
    """One result instance, not yet written anywhere."""

    kind: ResultKind
    dataset: Dataset

    def part10(self) -> bytes:
        """The instance as a DICOM Part 10 file."""
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, self.dataset, enforce_file_format=True)
        return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording a finding changed. `superseded` means nothing was recorded: a newer job answers instead.

    `retried`: an earlier attempt at the job may have left files that no row names.
    """

    finding_id: int | None
    result_ids: tuple[int, ...] = ()
    replaced: int = 0
    deliveries_queued: int = 0
    superseded: bool = False
    retried: bool = False


def encode_results(
    finding: Finding,
    sources: Sequence[Dataset],
    *,
    kinds: Iterable[ResultKind],
    context: WriterContext,
    picture: Radiograph | Volume | None = None,
) -> tuple[EncodedResult, ...]:
    """Write a finding as the kinds of result that were asked for and that it can be written as.

    A SEG where there is a mask; an SR always; an SC of a positive or negative finding where there is a picture.

    Args:
        finding: the model's answer.
        sources: headers of the images that were read (no pixels needed), of one study and one series.
        kinds: what the rules and destinations ask for.
        context: place and moment; the same context gives the same bytes.
        picture: what the model saw, for the SC.

    Raises:
        InputError: a source image is missing, or its geometry does not allow a SEG.
    """
    wanted = frozenset(kinds)
    writing = Writing.of(finding, sources, context)
    results: list[EncodedResult] = []
    seg = segmentation(writing) if ResultKind.SEG in wanted and finding.outcome is Outcome.POSITIVE else None
    if seg is not None:
        results.append(EncodedResult(ResultKind.SEG, seg))
    if ResultKind.SR in wanted:
        results.append(EncodedResult(ResultKind.SR, measurement_report(writing, seg)))
    if ResultKind.SC in wanted and finding.outcome in ANSWERED and picture is not None:
        results.append(EncodedResult(ResultKind.SC, secondary_capture(writing, picture)))
    return tuple(results)


def warm_up(identity: ModelIdentity) -> None:
    """Write one small finding and forget it: the first use of the DICOM libraries reads their tables, some 0.3 s."""
    source = pydicom.Dataset()
    source.SOPClassUID, source.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "2.25.1"
    source.StudyInstanceUID, source.SeriesInstanceUID = "2.25.2", "2.25.3"
    source.Rows, source.Columns, source.Modality = 8, 8, "DX"
    source.SpecificCharacterSet, source.PatientName, source.PatientAge, source.Manufacturer = "ISO_IR 100", "Warm^Up", "001Y", "-"
    source.StudyDate, source.StudyTime = "20000101", "000000"
    finding = Finding(Outcome.POSITIVE, ("2.25.1",), identity, probability=1.0, threshold=0.5, mask=np.eye(8, dtype=bool))
    context = WriterContext("warm-up", "0", now())
    picture = Radiograph("2.25.1", np.zeros((8, 8), dtype=np.float32), None, None)
    for one in encode_results(finding, [source], kinds=ResultKind, context=context, picture=picture):
        one.part10()


def destinations_of(asked: Iterable[Mapping[str, Any]], policies: Mapping[str, DestinationPolicy]) -> tuple[ResultDestination, ...]:
    """Where a job's results go, and which kinds: the rule's wish within each destination's policy. What is withheld is logged."""
    agreed, withheld = agree(asked, policies)
    for one in withheld:
        logger.info("result kinds withheld", destination=one.destination, kinds=sorted(one.kinds), reason=one.reason)
    return agreed


def superseded_reports(engine: Engine, *, job_id: int, finding: Finding, study_instance_uid: str) -> tuple[DocumentReference, ...]:
    """The reports that this finding's report replaces (for `WriterContext.supersedes`): of jobs that `job_id` superseded."""
    digest = input_digest(study_instance_uid, finding.sop_instance_uids)
    with begin_read(engine) as session:
        older = rows.superseded_results(session, job_id, finding, digest)
    return tuple(
        DocumentReference(one.study_instance_uid, one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid)
        for one in older
        if one.kind == ResultKind.SR
    )


def record_finding(
    engine: Engine,
    store: ResultFiles,
    *,
    job_id: int,
    finding: Finding,
    encoded: Sequence[EncodedResult],
    destinations: Sequence[ResultDestination],
    trace: Trace = NO_TRACE,
    examination: Examination | None = None,
) -> Recorded:
    """Store the results' files, then commit finding, results and deliveries in one transaction.

    `examination` is what the headers of the images say, for the reconciliation with reports; None where they were not read.

    Idempotent. A result that is recorded with the same content (dates of writing apart) stays as it is, bytes and
    deliveries; with other content it gets the new bytes and is delivered again, under the same UID. No delivery ever
    exists twice for a result and a destination, whichever jobs ask for it.

    Raises:
        StorageFullError: nothing was recorded; a retry may help.
        DatabaseUnavailableError: as above; the files that were written are found again by the retry.
        PermanentError: the job is not in the database.
    """
    for _ in range(RECORD_ATTEMPTS):
        with begin_read(engine) as session:
            known = rows.known_results(session, [str(one.dataset.SOPInstanceUID) for one in encoded])
        stored = [_store(store, one, known.get(str(one.dataset.SOPInstanceUID))) for one in encoded]
        recording = _Recording(job_id, finding, tuple(stored), tuple(destinations), now(), trace, examination)
        try:
            with begin_write(engine) as session:
                recorded = recording.commit(session, known)
        except IntegrityError:
            continue
        if recorded is not None:
            if recorded.retried:
                _remove_strays(store, [one for one in stored if one.sop_instance_uid not in known])
            return recorded
    raise DatabaseUnavailableError(f"the finding of job {job_id} is being recorded by others again and again; try later")


def _store(store: ResultFiles, encoded: EncodedResult, known: StoredResult | None) -> StoredResult:
    """Put a result's bytes into the store, unless what is there says the same.

    The name carries the content's hash: a row and its file agree at every moment, also while they are replaced.
    """
    data = encoded.part10()
    digest = hashlib.sha256(data).hexdigest()
    if known is not None and (known.sha256 == digest or same_content(store.path(known.path), encoded.dataset)):
        return known
    ds = encoded.dataset
    uid = str(ds.SOPInstanceUID)
    file = store.put(f"results/{uid[-2:]}/{uid}.{digest[:16]}.dcm", data)
    return StoredResult(
        encoded.kind,
        uid,
        str(ds.SOPClassUID),
        str(ds.SeriesInstanceUID),
        str(ds.StudyInstanceUID),
        file.path,
        file.size_bytes,
        file.sha256,
    )


def _remove_strays(store: ResultFiles, first_stored: Iterable[StoredResult]) -> None:
    """Remove what a worker wrote that died before its row; only where no row ever named another file of the result."""
    for one in first_stored:
        file = store.path(one.path)
        for stray in file.parent.glob(f"{one.sop_instance_uid}.*.dcm"):
            if stray != file:
                stray.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Recording:
    """One attempt at the transaction."""

    job_id: int
    finding: Finding
    stored: tuple[StoredResult, ...]
    destinations: tuple[ResultDestination, ...]
    moment: datetime
    trace: Trace
    examination: Examination | None

    def commit(self, session: Session, known: Mapping[str, StoredResult]) -> Recorded | None:
        """Write the rows; None when another worker changed these results since `known` was read."""
        job = rows.lock_job(session, self.job_id)
        if job.superseded_by_id is not None:
            logger.info("finding not recorded: its job is superseded", job_id=job.id, superseded_by=job.superseded_by_id)
            audit.note(session, self._event(job, recorded=False))
            return Recorded(None, superseded=True)
        if rows.known_results(session, [one.sop_instance_uid for one in self.stored]) != known:
            return None
        study = self.stored[0].study_instance_uid if self.stored else job.study_instance_uid
        digest = input_digest(study, self.finding.sop_instance_uids)
        row = rows.record_finding(session, job, self.finding, digest, job.inferred_at or self.moment)
        embeddings.record(session, row, self.finding.embedding)
        if self.examination is not None:
            rows.record_examination(session, row, self.examination)
        replaced = frozenset(
            one.sop_instance_uid
            for one in self.stored
            if one.sop_instance_uid in known and one.sha256 != known[one.sop_instance_uid].sha256
        )
        results = {one.sop_instance_uid: rows.record_result(session, row, one, self.moment).id for one in self.stored}
        queued = self._queue(session, results, replaced)
        self._withdraw_outdated(session, row, results)
        for uid in sorted(replaced):
            logger.warning("result replaced: the same input and model gave other content", sop_instance_uid=uid, job_id=self.job_id)
        audit.note(session, self._event(job, recorded=True))
        retried = job.attempts > 1 or job.cause is not None
        return Recorded(row.id, tuple(results.values()), len(replaced), queued, retried=retried)

    def _event(self, job: Job, *, recorded: bool) -> Event:
        told = {"job_id": job.id, "rule": job.rule, "attempt": job.attempts, "study_instance_uid": job.study_instance_uid}
        return inference(told, self.finding, self.trace, outputs(self.stored) if recorded else (), recorded=recorded)

    def _queue(self, session: Session, results: Mapping[str, int], replaced: frozenset[str]) -> int:
        """Queue what is not on its way yet, what another job gave up, and again what has other content now."""
        deliveries = rows.deliveries_of(session, results.values())
        queued = 0
        for one in self.stored:
            for destination in self.destinations:
                if one.kind not in destination.kinds:
                    continue
                result_id = results[one.sop_instance_uid]
                deadline_at = self.moment + timedelta(seconds=destination.deadline_s)
                delivery = deliveries.pop((result_id, destination.name), None)
                if delivery is None:
                    session.add(rows.new_delivery(result_id, self.job_id, destination.name, self.moment, deadline_at))
                elif one.sop_instance_uid in replaced or rows.given_up_by_another(delivery, self.job_id):
                    rows.queue_again(delivery, self.job_id, self.moment, deadline_at)
                else:
                    continue
                queued += 1
        for (result_id, _), delivery in deliveries.items():
            # a destination that this job does not ask for still holds the old content
            if any(results[uid] == result_id for uid in replaced):
                rows.queue_again(delivery, delivery.job_id, self.moment, delivery.deadline_at)
                queued += 1
        return queued

    def _withdraw_outdated(self, session: Session, row: FindingRow, results: Mapping[str, int]) -> None:
        outdated = rows.outdated_results(session, row, results.values())
        if not outdated:
            return
        count = rows.withdraw(session, outdated, "the finding was recorded again with another outcome")
        logger.warning("results of an earlier outcome are outdated", job_id=self.job_id, results=len(outdated), deliveries_withdrawn=count)
