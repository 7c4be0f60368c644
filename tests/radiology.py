"""Radiology reports for tests: versions, arrivals, a labeller that counts, an intake on any database, images of a patient."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, func, insert, select

from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Instance, RadiologyReport, RadiologyReportVersion, ReportLabelRow, ReportMessage, Table
from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import Authorities, Examination, PatientIdentity, ReportStatus, ReportVersion, ReportVia
from ptx_node.domain.truth import LabelValue, ReportLabel
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.report_intake import Arrival, ReportIntake
from ptx_node.pipeline.store import FileStore

Row = TypeVar("Row", bound=Table)
SITE = Authorities(default="hospital", aliases={"1.2.3": "hospital"})
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MR1, MR2 = PatientIdentity("hospital", "MR", "1"), PatientIdentity("hospital", "MR", "2")


def label_by_words(text: str, _examination: Examination) -> ReportLabel:
    """Positive where the word stands and no "no" before it: enough to see that a text was labelled."""
    folded = text.lower()
    at = folded.rfind("pneumothorax")
    value = LabelValue.NOT_MENTIONED if at < 0 else LabelValue.NEGATIVE if "no pneumothorax" in folded else LabelValue.POSITIVE
    return ReportLabel(value, "words", "en", "test 1", evidence=(at, at + 12) if at >= 0 else None)


def make_intake(engine: Engine, folder: Path, authorities: Authorities = SITE) -> ReportIntake:
    return ReportIntake(engine, FileStore(folder / "store", watermark_bytes=0), labeller=label_by_words, authorities=authorities)


def version(text: str = "No pneumothorax.", status: ReportStatus = ReportStatus.FINAL, **changes: Any) -> ReportVersion:
    made = ReportVersion(
        source="ris",
        external_id="R1",
        status=status,
        patients=(MR1,),
        examination=Examination("A1", "1.2.840.1", "CT", "CTCHEST", "CT chest"),
        examined=Examined(NOON, date(2026, 3, 1)),
        issued_at=None,
        text=text,
    )
    return replace(made, **changes)


def arrival(control_id: str = "1", data: bytes = b"") -> Arrival:
    return Arrival(ReportVia.HL7, "ris", control_id, hashlib.sha256(data or control_id.encode()).hexdigest(), kind="ORU^R01")


def image(engine: Engine, patient_id: str, issuer: str = "", *, authorities: Authorities = SITE, **changes: Any) -> None:
    """An instance of a patient came, was routed, and its patient is registered."""
    row = instance_row(patient_id=patient_id, issuer_of_patient_id=issuer, **changes)
    with begin_write(engine) as session:
        session.execute(insert(Instance).values(row))
    while register_new(engine, authorities):
        pass


def instance_row(**changes: Any) -> Mapping[str, Any]:
    moment = now()
    texts = (
        "sop_class_uid series_instance_uid study_instance_uid transfer_syntax_uid modality patient_id issuer_of_patient_id "
        "accession_number path source calling_ae called_ae peer_address"
    )
    uid = f"1.2.{moment.timestamp():.6f}.{changes.get('patient_id', '')}".replace(" ", "")
    return {
        **dict.fromkeys(texts.split(), ""),
        "sop_instance_uid": uid,
        "size_bytes": 1,
        "sha256": "0" * 64,
        "via": "dimse",
        "received_at": moment,
        "routed_at": moment,
        "route_outcome": "no_rule",
        **changes,
    }


def rows(engine: Engine, table: type[Row]) -> list[Row]:
    with begin_read(engine) as session:
        return list(session.scalars(select(table).order_by(table.__table__.c.id)))


def counted(engine: Engine) -> tuple[int, int, int, int]:
    """How many messages, chains, versions and labels there are."""
    with begin_read(engine) as session:
        tables = (ReportMessage, RadiologyReport, RadiologyReportVersion, ReportLabelRow)
        messages, chains, versions, labels = (session.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
        return messages, chains, versions, labels


def the_report(engine: Engine) -> RadiologyReport:
    (report,) = rows(engine, RadiologyReport)
    return report


def label_of(engine: Engine, report: RadiologyReport) -> str | None:
    with begin_read(engine) as session:
        row = session.get(ReportLabelRow, report.label_id) if report.label_id else None
        return row.value if row else None
