"""Rows of a day on a node, as its stages leave them: for pages that are looked at without a model."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import Delivery, DestinationState, FindingRow, Heartbeat, Instance, Job, PatientIdentifier, Person, Refusal, Result
from ptx_node.domain.job import Cause, DeliveryState, JobState

EVIL = '<script>alert("x")</script>'
AE_TITLES = ("CT_ER", "CXR_BEDSIDE", "CXR_ROOM2")


def a_day(engine: Engine, studies: int = 60) -> list[str]:
    """So many studies over the last day, most of them answered and delivered; the Study Instance UIDs, the oldest first."""
    moment, uids = now(), []
    with begin_write(engine) as session:
        for role, name in (("receive", "r"), ("worker-infer", "i"), ("worker-flow", "f"), ("schedule", "s")):
            session.add(Heartbeat(process=name, role=role, host="ptx-1", pid=40, started_at=moment, beat_at=moment, detail={}))
        session.add(
            DestinationState(name="research", suspended=True, reason="moves to a new server", changed_at=moment, failures=0, retry_at=None)
        )
        session.add(
            Refusal(
                sop_instance_uid="1.2.9",
                sop_class_uid="1.2",
                status="0xA900",
                reason="uid_mismatch",
                detail="",
                via="dimse",
                calling_ae="CT_ER",
                peer_address="10.0.0.9",
                refused_at=moment,
            )
        )
        for number in range(studies):
            at = moment - timedelta(hours=23) * (1 - number / studies) - timedelta(minutes=(number * 7) % 50)
            uids.append(a_study(session, number, at))
    return uids


def a_study(session: Session, number: int, at: datetime, *, accession: str = "", patient: str = "") -> str:
    """One study of one radiograph: every eleventh in quarantine, every seventh not yet delivered, every fifth positive."""
    uid = f"1.2.826.0.1.3680043.10.1.{number + 1}"
    who = patient or (EVIL if number == 3 else f"SIM{number:05d}")
    person = Person(created_at=at)
    session.add(person)
    session.flush()
    identifier = PatientIdentifier(
        authority="", type="", value=who, origin_person_id=person.id, person_id=person.id, imaged_at=at, created_at=at
    )
    session.add(identifier)
    session.flush()
    session.add(
        Instance(
            sop_instance_uid=f"{uid}.1.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
            series_instance_uid=f"{uid}.1",
            study_instance_uid=uid,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            modality="CT" if number % 4 == 0 else "DX",
            patient_id=who,
            issuer_of_patient_id="",
            accession_number=accession or f"A{number:06d}",
            path=f"{number}.dcm",
            size_bytes=1000,
            sha256="0" * 64,
            via="dimse",
            source="radiology",
            calling_ae=AE_TITLES[number % 3],
            called_ae="PTX",
            peer_address="10.0.0.7",
            received_at=at,
            routed_at=at + timedelta(seconds=1),
            route_outcome="queued",
            route_detail='rule "chest" matched: Modality is DX',
            registered_at=at,
            patient_identifier_id=identifier.id,
        )
    )
    failed, open_, positive = number % 11 == 5, number % 7 == 6, number % 5 == 0
    done = at + timedelta(seconds=4 + number % 9)
    job = Job(
        idempotency_key=f"job {number}",
        rule="chest",
        model="ptx-cxr-demo",
        level="instance",
        level_uid=uid,
        study_instance_uid=uid,
        destinations=[],
        report_failed=False,
        report_not_eligible=False,
        priority=60,
        state=JobState.QUARANTINED if failed else JobState.DONE,
        attempts=3 if failed else 1,
        cause=Cause.DECODE_FAILED if failed else None,
        detail=f"cannot be decoded: {EVIL}" if failed else None,
        first_instance_at=at,
        last_instance_at=at,
        complete_at=at,
        queued_at=at + timedelta(seconds=1),
        started_at=at + timedelta(seconds=2),
        inferred_at=None if failed else done,
        encoded_at=None if failed else done + timedelta(seconds=0.4),
        accepted_at=None if failed or open_ else done + timedelta(seconds=1.5 + number % 3),
        committed_at=None if failed or open_ else done + timedelta(seconds=8),
    )
    session.add(job)
    session.flush()
    if not failed:
        _answer(session, job, uid, done, positive=positive, open_=open_)
    return uid


def _answer(session: Session, job: Job, uid: str, done: datetime, *, positive: bool, open_: bool) -> None:
    finding = FindingRow(
        job_id=job.id,
        study_instance_uid=uid,
        series_instance_uid=f"{uid}.1",
        sop_instance_uids=[f"{uid}.1.1"],
        input_digest="0" * 64,
        outcome="positive" if positive else "negative",
        probability=0.91 if positive else 0.04,
        threshold=0.5,
        laterality="left" if positive else None,
        area_mm2=840.0 if positive else None,
        model_manufacturer="ptx-node",
        model_name="ptx-cxr-demo",
        model_version="1.0",
        weights_sha256="0" * 64,
        device_uid="2.25.1",
        inferred_at=done,
    )
    session.add(finding)
    session.flush()
    result = Result(
        finding_id=finding.id,
        kind="sr",
        sop_instance_uid=f"{uid}.9.1",
        sop_class_uid="1.2",
        series_instance_uid=f"{uid}.9",
        study_instance_uid=uid,
        path="sr.dcm",
        size_bytes=10,
        sha256="0" * 64,
        encoded_at=done,
    )
    session.add(result)
    session.flush()
    session.add(
        Delivery(
            result_id=result.id,
            job_id=job.id,
            destination="research" if open_ else "pacs",
            state=DeliveryState.WAITING if open_ else DeliveryState.COMMITTED,
            attempts=0 if open_ else 1,
            next_attempt_at=done,
            deadline_at=done + timedelta(days=7),
            status=None if open_ else "0x0000",
            proof=None if open_ else "storage_commitment",
            queued_at=done,
            accepted_at=job.accepted_at,
            committed_at=job.committed_at,
        )
    )
