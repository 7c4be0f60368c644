"""Studies as a node leaves them: images in the store, read by a model or by the words of a test, results written and on their way."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pydicom
from pydicom.dataset import Dataset
from sqlalchemy import Engine, insert, select

from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import FindingRow, Instance, Job, JobInput, Result
from ptx_node.dicom.equipment import WriterContext
from ptx_node.dicom.examination import examination_of
from ptx_node.domain.finding import Finding, ResultKind
from ptx_node.domain.image import Radiograph, Volume
from ptx_node.domain.job import JobState
from ptx_node.domain.result_policy import ResultDestination
from ptx_node.pipeline.results import encode_results, record_finding
from ptx_node.pipeline.store import FileStore
from tests.radiology import instance_row

Answer = Callable[[Sequence[Path]], tuple[Finding, Radiograph | Volume | None]]


@dataclass(frozen=True)
class ReadStudy:
    """One study in the database and the store. `number` is its name in addresses, `images` the numbers of its images."""

    study_instance_uid: str
    number: int
    images: tuple[int, ...]
    job: int
    finding: int | None
    results: dict[str, int]


def store_study(engine: Engine, folder: Path, files: Sequence[bytes], answer: Answer | None = None, *, patient: str = "SIM1") -> ReadStudy:
    """Put files into the store with their rows and a job; with an `answer` the job is done and its results are written and queued."""
    store = FileStore(folder, watermark_bytes=0)
    headers, paths, rows = [], [], []
    for data in files:
        ds = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        stored = store.put(f"instances/{hashlib.sha256(data).hexdigest()[:24]}.dcm", data)
        headers.append(ds)
        paths.append(store.path(stored.path))
        rows.append(
            instance_row(patient_id=patient, modality=str(ds.Modality), study_instance_uid=str(ds.StudyInstanceUID))
            | {
                "sop_instance_uid": str(ds.SOPInstanceUID),
                "sop_class_uid": str(ds.SOPClassUID),
                "series_instance_uid": str(ds.SeriesInstanceUID),
                "accession_number": str(ds.get("AccessionNumber", "")),
                "path": stored.path,
                "sha256": stored.sha256,
                "size_bytes": stored.size_bytes,
                "source": "radiology",
                "calling_ae": "CXR_ROOM2",
                "route_outcome": "queued",
                "route_detail": f'rule "chest" matched: Modality is {ds.Modality}',
            }
        )
    with begin_write(engine) as session:
        images = tuple(session.execute(insert(Instance).values(row).returning(Instance.id)).scalar_one() for row in rows)
        job = _job(headers[0], JobState.DONE if answer else JobState.QUARANTINED, len(files))
        session.add(job)
        session.flush()
        session.execute(insert(JobInput).values([{"job_id": job.id, "instance_id": one, "eligible": True} for one in images]))
        job_id = job.id
    if answer is not None:
        finding, picture = answer(paths)
        _record(engine, store, job_id, finding, headers, picture)
    with begin_read(engine) as session:
        found = session.scalar(select(FindingRow.id).where(FindingRow.job_id == job_id))
        results = {row.kind: row.id for row in session.scalars(select(Result).where(Result.finding_id == found))}
    return ReadStudy(str(headers[0].StudyInstanceUID), min(images), images, job_id, found, results)


def _record(engine: Engine, store: FileStore, job_id: int, finding: Finding, headers: Sequence[Dataset], picture: object) -> None:
    context = WriterContext("SIMULATED HOSPITAL", "SN-1", now(), "Europe/Paris")
    record_finding(
        engine,
        store,
        job_id=job_id,
        finding=finding,
        encoded=encode_results(finding, headers, kinds=ResultKind, context=context, picture=picture),  # type: ignore[arg-type]
        destinations=(ResultDestination("pacs", frozenset(ResultKind), 86400.0),),
        examination=examination_of(headers, ZoneInfo("Europe/Paris")),
    )


def _job(header: Dataset, state: JobState, count: int) -> Job:
    moment = now()
    failed = state is JobState.QUARANTINED
    return Job(
        idempotency_key=f"chest|{header.SeriesInstanceUID}|1",
        rule="chest",
        model="ptx-ct-demo" if header.Modality == "CT" else "ptx-cxr-demo",
        level="series" if count > 1 else "instance",
        level_uid=str(header.SeriesInstanceUID),
        study_instance_uid=str(header.StudyInstanceUID),
        destinations=[{"name": "pacs", "kinds": ["seg", "sr"]}],
        report_failed=False,
        report_not_eligible=False,
        priority=60,
        state=state,
        attempts=3 if failed else 1,
        cause="decode_failed" if failed else None,
        detail="frame 1 cannot be decoded" if failed else None,
        **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at", "started_at"), moment),
    )
