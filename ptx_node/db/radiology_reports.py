"""Radiology reports in rows: messages, chains and their versions, labels, and whose they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db import patients
from ptx_node.db.tables import (
    ParkedPatient,
    PatientIdentifier,
    RadiologyReport,
    RadiologyReportVersion,
    ReportLabelRow,
    ReportMessage,
)
from ptx_node.domain.radiology_report import PatientIdentity, ReportParked

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.domain.radiology_report import Effective, ReportVersion
    from ptx_node.domain.truth import ReportLabel

NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()


def find_message(session: Session, *, via: str, sender: str, control_id: str, sha256: str) -> ReportMessage | None:
    """What came under this name with these bytes before."""
    table = ReportMessage
    wanted = and_(table.via == via, table.sender == sender, table.control_id == control_id, table.sha256 == sha256)
    return session.scalar(select(table).where(wanted))


def record_message(session: Session, row: Mapping[str, Any]) -> int:
    """Write what came and what is answered; the same again counts, and its newest answer stands. Returns the row's id."""
    table = ReportMessage.__table__
    statement = _insert(session, ReportMessage).values(**row, times_received=1)
    newest = {name: statement.excluded[name] for name in ("kind", "verdict", "acknowledgement", "reason", "detail", "peer_address")}
    again = statement.on_conflict_do_update(
        index_elements=["via", "sender", "control_id", "sha256"],
        set_={**newest, "path": func.coalesce(statement.excluded.path, table.c.path), "times_received": table.c.times_received + 1},
    )
    return int(session.execute(again.returning(table.c.id)).scalar_one())


def chain(session: Session, version: ReportVersion, *, now: datetime) -> tuple[RadiologyReport, bool]:
    """The chain of a version, locked until the transaction ends; and whether it is new. Rows that point to it may be added meanwhile."""
    values = {
        "source": version.source,
        "external_id": version.external_id,
        "status": str(version.status),
        "version_ids": [],
        "text_sha256": NOTHING_SHA256,
        "readable": False,
        **_examination(version),
        "parked": str(ReportParked.NO_PATIENT),
        "reconcile_needed": False,
        "changed_at": now,
        "created_at": now,
    }
    statement = _insert(session, RadiologyReport).values(values).on_conflict_do_nothing()
    made = session.execute(statement.returning(RadiologyReport.__table__.c.id)).first()
    wanted = and_(RadiologyReport.source == version.source, RadiologyReport.external_id == version.external_id)
    row = session.scalars(
        select(RadiologyReport).where(wanted).with_for_update(key_share=True).execution_options(populate_existing=True)
    ).one()
    return row, made is not None


def versions(session: Session, report_id: int) -> Sequence[RadiologyReportVersion]:
    """Every version of a chain in the order of arrival."""
    table = RadiologyReportVersion
    return session.scalars(select(table).where(table.report_id == report_id).order_by(table.number)).all()


def add_version(
    session: Session, report_id: int, version: ReportVersion, *, number: int, message_id: int | None, now: datetime
) -> RadiologyReportVersion:
    """Add one version to a locked chain."""
    row = RadiologyReportVersion(
        report_id=report_id,
        message_id=message_id,
        number=number,
        content_sha256=version.content_sha256,
        status=str(version.status),
        patients=[[one.authority, one.type, one.value] for one in version.patients],
        issued_at=version.issued_at,
        **_examination(version),
        text=version.text,
        flags=sorted(str(flag) for flag in version.flags),
        received_at=now,
    )
    session.add(row)
    session.flush()
    return row


def _examination(version: ReportVersion) -> dict[str, Any]:
    told = version.examination
    return {
        "examined_at": version.examined.at,
        "examined_on": version.examined.on,
        "accession_number": told.accession_number,
        "study_instance_uid": told.study_instance_uid,
        "modality": told.modality,
        "procedure_code": told.procedure_code,
        "procedure_text": told.procedure_text,
    }


EXAMINATION_COLUMNS = (
    "examined_at",
    "examined_on",
    "accession_number",
    "study_instance_uid",
    "modality",
    "procedure_code",
    "procedure_text",
)


def settle(report: RadiologyReport, counting: Sequence[RadiologyReportVersion], now_effective: Effective) -> bool:
    """Write into a chain what it says now; whether anything changed that a reader of it would see."""
    base = counting[0]
    told: dict[str, Any] = {
        "status": str(now_effective.status),
        "version_ids": [version.id for version in counting],
        "text_sha256": hashlib.sha256(now_effective.text.encode("utf-8")).hexdigest(),
        "readable": bool(now_effective.text.strip()),
        **{name: getattr(base, name) for name in EXAMINATION_COLUMNS},
    }
    changed = any(getattr(report, name) != value for name, value in told.items())
    for name, value in told.items():
        setattr(report, name, value)
    return changed


def place(session: Session, report: RadiologyReport, identities: Sequence[PatientIdentity], *, now: datetime, new: bool = False) -> bool:
    """Find whose a chain is, or park it; whether that changed.

    A report belongs to the one person among its numbers of whom images are here. With none it waits; with several
    it waits for a person or a merge to decide. A `new` chain never waited before.
    """
    rows = patients.register(session, identities, now=now)
    people = {row.person_id for row in rows}
    imaged = patients.imaged_people(session, people)
    before = (report.identifier_id, report.parked)
    if not new:
        session.execute(delete(ParkedPatient).where(ParkedPatient.report_id == report.id))
    report.identifier_id, report.parked = None, None
    if len(imaged) == 1:
        report.identifier_id = next(row.id for row in rows if row.person_id in imaged)
    else:
        reasons = {0: ReportParked.UNKNOWN_PATIENT} if rows else {0: ReportParked.NO_PATIENT}
        report.parked = str(reasons.get(len(imaged), ReportParked.AMBIGUOUS_PATIENT))
        waiting = [{"report_id": report.id, "identifier_id": number} for number in sorted({row.id for row in rows})]
        if waiting:
            session.execute(insert(ParkedPatient), waiting)
    session.flush()
    return before != (report.identifier_id, report.parked)


def place_again(session: Session, person_ids: Collection[int], *, now: datetime) -> int:
    """Look again whose the reports of these people are, parked or not; how many found another place. All are to be reconciled."""
    parked = (
        select(ParkedPatient.report_id)
        .join(PatientIdentifier, PatientIdentifier.id == ParkedPatient.identifier_id)
        .where(PatientIdentifier.person_id.in_(person_ids))
    )
    placed = (
        select(RadiologyReport.id)
        .join(PatientIdentifier, PatientIdentifier.id == RadiologyReport.identifier_id)
        .where(PatientIdentifier.person_id.in_(person_ids))
    )
    numbers = sorted({*session.scalars(parked), *session.scalars(placed)})
    moved = 0
    for number in numbers:
        report = session.scalars(
            select(RadiologyReport)
            .where(RadiologyReport.id == number)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).one()
        was_parked = report.parked is not None
        changed = place(session, report, identities_of(session, report), now=now)
        moved += changed
        if changed or not was_parked:
            touch(report, now=now)
    session.flush()
    return moved


def identities_of(session: Session, report: RadiologyReport) -> list[PatientIdentity]:
    """The numbers that the version which counts names, in its order."""
    base = session.get_one(RadiologyReportVersion, report.version_ids[0])
    return [PatientIdentity(*one) for one in base.patients]


def touch(report: RadiologyReport, *, now: datetime) -> None:
    """Say that a reconciliation has to look at a chain again."""
    report.reconcile_needed, report.changed_at = True, now


def add_label(session: Session, report: RadiologyReport, label: ReportLabel, *, version_id: int, now: datetime) -> int:
    """Add what the rules say of a chain's text; it counts unless a person has said something. Returns the row's id."""
    sentence, evidence = label.sentence or (None, None), label.evidence or (None, None)
    row = ReportLabelRow(
        report_id=report.id,
        version_id=version_id,
        text_sha256=report.text_sha256,
        value=str(label.value),
        laterality=str(label.laterality) if label.laterality else None,
        size=label.size,
        depth_mm=label.depth_mm,
        drain=label.drain,
        sentence_start=sentence[0],
        sentence_end=sentence[1],
        evidence_start=evidence[0],
        evidence_end=evidence[1],
        rule=label.rule,
        language=label.language,
        labeller=label.labeller,
        needs_review=label.needs_review,
        review=[str(reason) for reason in label.review],
        decided_at=now,
    )
    session.add(row)
    session.flush()
    report.label_id = persons_label(session, report.id) or row.id
    return row.id


def persons_label(session: Session, report_id: int) -> int | None:
    """The newest label that a person gave a chain."""
    table = ReportLabelRow
    return session.scalar(select(func.max(table.id)).where(table.report_id == report_id, table.reviewer.is_not(None)))


def finish_message(session: Session, message_id: int, *, verdict: str, reason: str | None, detail: str | None) -> None:
    """Write what became of a message that was waiting."""
    session.execute(update(ReportMessage).where(ReportMessage.id == message_id).values(verdict=verdict, reason=reason, detail=detail))


def _insert(session: Session, table: Any) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table.__table__)
