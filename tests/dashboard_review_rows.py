"""Reports with doubtful labels and findings that their reports contradict, as the stages leave them: for the page that decides."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, PairRow, RadiologyReport, RadiologyReportVersion, ReportLabelRow
from tests.dashboard_rows import EVIL

TEXT = f"CT chest, {EVIL} of today.\nThere is a small left pneumothorax. No effusion."
SENTENCE = (TEXT.index("There"), TEXT.index(" No effusion"))
EVIDENCE = (TEXT.index("left"), TEXT.index(". No"))
DAY = date(2026, 3, 1)


def a_report(session: Session, number: int, *, doubtful: bool = True, value: str = "positive", text: str = TEXT, study: str = "") -> int:
    """One CT report with one version and one label; its number."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    shared = {"examined_at": None, "examined_on": DAY, "accession_number": "", "study_instance_uid": study, "modality": "CT"}
    shared |= {"procedure_code": "CTCHEST", "procedure_text": "CT chest"}
    report = RadiologyReport(
        source="ris",
        external_id=f"R{number}",
        status="final",
        version_ids=[],
        text_sha256=digest,
        readable=True,
        reconcile_needed=False,
        changed_at=now(),
        created_at=now(),
        **shared,
    )
    session.add(report)
    session.flush()
    version = RadiologyReportVersion(
        report_id=report.id,
        number=1,
        content_sha256=digest,
        status="final",
        patients=[],
        text=text,
        flags=[],
        received_at=now(),
        **shared,
    )
    session.add(version)
    session.flush()
    label = ReportLabelRow(
        report_id=report.id,
        version_id=version.id,
        text_sha256=digest,
        value=value,
        laterality="left" if value == "positive" else None,
        size="small",
        drain=False,
        sentence_start=SENTENCE[0],
        sentence_end=SENTENCE[1],
        evidence_start=EVIDENCE[0],
        evidence_end=EVIDENCE[1],
        rule="present",
        language="en",
        labeller="test 1",
        needs_review=doubtful,
        review=["contradiction"] if doubtful else [],
        decided_at=now(),
    )
    session.add(label)
    session.flush()
    report.version_ids, report.label_id = [version.id], label.id
    return report.id


def disagreements(engine: Engine, count: int = 3) -> list[int]:
    """The first findings of the day, each contradicted by a report of its own; their numbers."""
    found = []
    with begin_write(engine) as session:
        for number, finding in enumerate(session.scalars(select(FindingRow).order_by(FindingRow.id).limit(count)).all()):
            positive = finding.outcome == "positive"
            report = a_report(
                session, 500 + number, doubtful=False, value="negative" if positive else "positive", study=finding.study_instance_uid
            )
            instance = session.scalars(select(Instance.id).where(Instance.study_instance_uid == finding.study_instance_uid)).one()
            session.add(
                ExaminationRow(
                    finding_id=finding.id,
                    instance_id=instance,
                    modality="DX",
                    examined_at=datetime(2026, 3, 1, 9, tzinfo=UTC),
                    examined_on=DAY,
                    patient_sex="F",
                    view_position="AP",
                    manufacturer="",
                    manufacturer_model_name="",
                    station_name="",
                    reconcile_needed=False,
                )
            )
            session.add(
                PairRow(
                    finding_id=finding.id,
                    report_id=report,
                    label_id=session.get_one(RadiologyReport, report).label_id,
                    agreement="false_positive" if positive else "false_negative",
                    interval_s=3600.0,
                    reconciled_at=now(),
                )
            )
            found.append(finding.id)
    return found
