"""A small week of a node as rows, always the same: what the example queries of docs/dashboard-queries.md are answered from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from ptx_node.db.session import begin_write
from ptx_node.db.tables import (
    Collection,
    Conflict,
    Delivery,
    DestinationState,
    ExaminationRow,
    FindingRow,
    Instance,
    Job,
    JobInput,
    PairRow,
    RadiologyReport,
    RadiologyReportVersion,
    Refusal,
    ReportLabelRow,
    ReportMessage,
    Result,
    Table,
    UnmatchedRow,
)

MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
JOBS = 24
QUARANTINED = {7: "decode_failed", 14: "out_of_memory", 19: "decode_failed"}
NOT_ELIGIBLE = 11
RUNNING, QUEUED = 22, 23
REFUSED_BY_PACS, WAITING_FOR_PACS = 20, 21
PATIENT_NAME, PATIENT_ID, ACCESSION = "CURIE^MARIE", "PATIENT-4711", "ACC-4711"
AGREEMENTS = {
    (True, True): "true_positive",
    (True, False): "false_positive",
    (False, True): "false_negative",
    (False, False): "true_negative",
}


def fill(engine: Engine) -> None:
    """Write the week: four jobs a day from Monday to Saturday, and something of everything that goes wrong."""
    with begin_write(engine) as session:

        def add(row: Table) -> Any:
            session.add(row)
            session.flush()
            return row

        for number in range(JOBS):
            _job(add, number)
        _apart(add)


def _at(number: int, seconds: float = 0.0) -> datetime:
    return MONDAY + timedelta(days=number // 4, hours=3 * (number % 4), seconds=seconds)


def _is_ct(number: int) -> bool:
    return number % 6 == 5


def _job(add: Any, number: int) -> None:
    queued, ct = 2.5 + number % 3, _is_ct(number)
    inferred = queued + 3 + number % 5
    delivered = inferred + 8 + number % 7
    answered = number not in (*QUARANTINED, NOT_ELIGIBLE, RUNNING, QUEUED)
    arrived = answered and number not in (REFUSED_BY_PACS, WAITING_FOR_PACS)
    state = "done" if answered else {NOT_ELIGIBLE: "not_eligible", RUNNING: "running", QUEUED: "queued"}.get(number, "quarantined")
    instance = add(_instance(number, ct=ct))
    job = add(
        Job(
            idempotency_key=str(number),
            rule="chest-ct" if ct else "chest-xray",
            model="ct" if ct else "radiograph",
            level="series" if ct else "instance",
            level_uid=f"1.2.3.{number}",
            study_instance_uid=f"1.2.{number}",
            destinations=[],
            report_failed=False,
            report_not_eligible=False,
            priority=50,
            state=state,
            attempts=3 if number in QUARANTINED else 1,
            cause=QUARANTINED.get(number),
            first_instance_at=_at(number),
            last_instance_at=_at(number),
            complete_at=_at(number, queued),
            queued_at=_at(number, queued),
            started_at=None if number == QUEUED else _at(number, queued + 1),
            inferred_at=_at(number, inferred) if answered else None,
            encoded_at=_at(number, inferred + 1) if answered else None,
            accepted_at=_at(number, delivered) if arrived else None,
            committed_at=_at(number, delivered + 60) if arrived else None,
        )
    )
    lateral = number == NOT_ELIGIBLE
    add(JobInput(job_id=job.id, instance_id=instance.id, eligible=not lateral, reason="lateral_view" if lateral else None))
    if answered:
        finding = _finding(add, number, job)
        _deliver(add, number, job, finding)
        _examine(add, number, finding, instance)


def _instance(number: int, *, ct: bool, routed: bool = True) -> Instance:
    return Instance(
        sop_instance_uid=f"1.2.3.4.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2" if ct else "1.2.840.10008.5.1.4.1.1.1.1",
        series_instance_uid=f"1.2.3.{number}",
        study_instance_uid=f"1.2.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CT" if ct else "DX",
        patient_id=PATIENT_ID,
        issuer_of_patient_id="",
        accession_number=ACCESSION,
        path=f"instances/{number}",
        size_bytes=500_000,
        sha256=f"{number:064x}",
        via="stow" if ct else "dimse",
        source="ct" if ct else ("emergency", "ward")[number % 2],
        calling_ae="MODALITY",
        called_ae="PTX",
        peer_address="10.1.0.9",
        received_at=_at(number),
        routed_at=_at(number, 1) if routed else None,
        route_outcome="queued" if routed else None,
        route_detail=PATIENT_NAME,
    )


def _finding(add: Any, number: int, job: Job) -> FindingRow:
    positive, ct = _is_positive(number), _is_ct(number)
    finding: FindingRow = add(
        FindingRow(
            job_id=job.id,
            study_instance_uid=job.study_instance_uid,
            series_instance_uid=job.level_uid,
            sop_instance_uids=[f"1.2.3.4.{number}"],
            input_digest=f"{number:064x}",
            outcome="positive" if positive else "negative",
            detail=PATIENT_NAME,
            probability=(0.75 if positive else 0.05) + number / 128,
            threshold=0.5,
            laterality=("left", "right")[number % 2] if positive else None,
            area_mm2=None if ct else 1200.0 + 10 * number if positive else 0.0,
            volume_ml=(80.0 if positive else 0.0) if ct else None,
            model_manufacturer="ptx-node",
            model_name="ct" if ct else "radiograph",
            model_version="1.0.0" if number < 16 else "1.1.0",
            weights_sha256="ab" * 32,
            device_uid="2.25.1",
            inferred_at=job.inferred_at,
        )
    )
    return finding


def _is_positive(number: int) -> bool:
    return number % 4 == 1


def _deliver(add: Any, number: int, job: Job, finding: FindingRow) -> None:
    result = add(
        Result(
            finding_id=finding.id,
            kind="sr",
            sop_instance_uid=f"2.25.{number}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
            series_instance_uid="2.25.9",
            study_instance_uid=job.study_instance_uid,
            path=f"results/{number}",
            size_bytes=9000,
            sha256="0" * 64,
            encoded_at=job.encoded_at,
        )
    )
    failed, waits = number == REFUSED_BY_PACS, number == WAITING_FOR_PACS
    add(
        Delivery(
            result_id=result.id,
            job_id=job.id,
            destination="pacs",
            state="failed" if failed else "waiting" if waits else "committed",
            attempts=4 if waits else 1,
            next_attempt_at=job.encoded_at,
            deadline_at=job.encoded_at + timedelta(days=7),
            status="0xA900" if failed else None if waits else "0x0000",
            error=PATIENT_NAME if failed else None,
            proof=None if failed or waits else "storage_commitment",
            queued_at=job.encoded_at,
            accepted_at=job.accepted_at,
            committed_at=job.committed_at,
        )
    )
    if number % 8 == 2:
        add(
            Delivery(
                result_id=result.id,
                job_id=job.id,
                destination="research",
                state="waiting",
                attempts=0,
                next_attempt_at=job.encoded_at,
                deadline_at=job.encoded_at + timedelta(days=7),
                queued_at=job.encoded_at,
            )
        )


def _examine(add: Any, number: int, finding: FindingRow, instance: Instance) -> None:
    day = _at(number).date()
    add(
        ExaminationRow(
            finding_id=finding.id,
            instance_id=instance.id,
            modality=instance.modality,
            examined_at=_at(number, -300),
            examined_on=day,
            patient_sex="MF"[number % 2],
            patient_age_years=23.0 + 3 * number,
            view_position="" if _is_ct(number) else ("PA", "AP")[number % 2],
            manufacturer=("Maker A", "Maker B")[number // 2 % 2],
            manufacturer_model_name="One",
            station_name="ROOM1",
            reconcile_needed=False,
        )
    )
    if number % 3 == 2:
        add(UnmatchedRow(finding_id=finding.id, report_id=None, reason="no_report_that_day", reconciled_at=_at(number, 40000)))
        return
    truth = "uncertain" if number == 12 else "positive" if number in (1, 4, 9, 13, 16) else "negative"
    agreement = "undecided" if truth == "uncertain" else AGREEMENTS[_is_positive(number), truth == "positive"]
    report, label = _report(add, number, day, truth)
    pair = {"finding_id": finding.id, "report_id": report, "label_id": label, "agreement": agreement, "interval_s": 3600.0}
    add(PairRow(**pair, reconciled_at=_at(number, 40000), superseded_at=_at(number, 50000)))  # of the preliminary report
    add(PairRow(**pair, secondary_reason="not_nearest" if number == 10 else None, reconciled_at=_at(number, 50000)))


def _report(add: Any, number: int, day: date, truth: str, *, parked: str | None = None) -> tuple[int, int]:
    shared = {
        "status": "final",
        "examined_on": day,
        "accession_number": ACCESSION,
        "study_instance_uid": "",
        "modality": "CT",
        "procedure_code": "",
        "procedure_text": PATIENT_NAME,
    }
    report = add(
        RadiologyReport(
            **shared,
            source="ris",
            external_id=str(number),
            parked=parked,
            version_ids=[],
            text_sha256="0" * 64,
            readable=True,
            reconcile_needed=False,
            changed_at=_at(number),
            created_at=_at(number),
        )
    )
    version = add(
        RadiologyReportVersion(
            **shared,
            report_id=report.id,
            number=1,
            content_sha256=f"{number:064x}",
            patients=[["hospital", "", PATIENT_ID]],
            text=PATIENT_NAME,
            flags=[],
            received_at=_at(number),
        )
    )
    label = add(
        ReportLabelRow(
            report_id=report.id,
            version_id=version.id,
            text_sha256="0" * 64,
            value=truth,
            laterality="left" if truth == "positive" else None,
            size="small" if truth == "positive" else "",
            drain=number == 13,
            rule="positive",
            language="en",
            labeller="1",
            reviewer="dr.who" if number == 9 else None,
            note=PATIENT_NAME,
            needs_review=False,
            review=[],
            decided_at=_at(number),
        )
    )
    return report.id, label.id


def _apart(add: Any) -> None:
    """What belongs to no job: refused, in conflict, waiting, parked, suspended."""
    add(_instance(JOBS, ct=False, routed=False))
    add(
        Refusal(
            sop_instance_uid="1.2.9",
            sop_class_uid="",
            status="0xA700",
            reason="storage_full",
            detail=PATIENT_NAME,
            via="dimse",
            calling_ae="MODALITY",
            peer_address="10.1.0.9",
            refused_at=_at(6),
        )
    )
    add(
        Conflict(
            sop_instance_uid="1.2.3.4.1",
            path="conflicts/1",
            size_bytes=1,
            sha256="1" * 64,
            stored_sha256="2" * 64,
            source="ward",
            calling_ae="MODALITY",
            received_at=_at(9),
        )
    )
    for number, verdict in enumerate(("accepted", "refused", "waiting")):
        add(
            ReportMessage(
                via="hl7",
                sender="ris",
                control_id=str(number),
                sha256="0" * 64,
                kind="ORU^R01",
                verdict=verdict,
                acknowledgement="AA",
                reason="unsupported_version" if verdict == "refused" else None,
                detail=PATIENT_NAME,
                peer_address="10.1.0.7",
                times_received=1,
                received_at=_at(16 + number),
            )
        )
    _report(add, JOBS, _at(17).date(), "negative", parked="patient_unknown")
    add(
        Collection(
            rule="chest-ct",
            level="series",
            level_uid="1.2.99",
            generation=0,
            study_instance_uid="1.2.98",
            instance_count=40,
            first_instance_at=_at(23, 600),
            last_instance_at=_at(23, 660),
            due_at=_at(23, 700),
        )
    )
    add(DestinationState(name="research", suspended=True, reason=PATIENT_NAME, changed_at=_at(8), failures=2, retry_at=_at(9)))
