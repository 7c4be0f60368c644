"""What names the patients, images and reports of a period, for the scan that looks for it in what leaves. Streamed, read only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node.db.tables import ExaminationRow, Instance, PairRow, PatientIdentifier, RadiologyReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Period

STREAMED = 5000
NUMBER, ACCESSION, UID, STATION = "number", "accession", "uid", "station"


def identifiers(session: Session, period: Period) -> Iterator[tuple[str, str]]:
    """(what it is, value), with repetitions; empty values are left out.

    Of the images: UIDs, accession number, Patient ID, station. Of the patients: every number that leads to them. Of the reports that
    a finding was held against: number, accession number, Study Instance UID.
    """
    of_period = ExaminationRow.examined_on.between(period.since, period.until)
    yield from of_images(session, of_period)
    held_against = (
        select(PairRow.report_id)
        .join(ExaminationRow, ExaminationRow.finding_id == PairRow.finding_id)
        .where(of_period, PairRow.superseded_at.is_(None))
    )
    yield from of_reports(session, held_against)


def of_images(session: Session, which: ColumnElement[bool]) -> Iterator[tuple[str, str]]:
    """Of the images of some examinations, and of their patients."""
    seen, image = ExaminationRow, Instance
    images = (
        select(
            image.sop_instance_uid,
            image.series_instance_uid,
            image.study_instance_uid,
            image.accession_number,
            image.patient_id,
            seen.station_name,
        )
        .join(seen, seen.instance_id == image.id)
        .where(which)
    )
    yield from _told(session, images, (UID, UID, UID, ACCESSION, NUMBER, STATION))
    person = (
        select(PatientIdentifier.person_id)
        .join(image, image.patient_identifier_id == PatientIdentifier.id)
        .join(seen, seen.instance_id == image.id)
        .where(which)
    )
    yield from _told(session, select(PatientIdentifier.value).where(PatientIdentifier.person_id.in_(person)), (NUMBER,))


def of_reports(session: Session, which: Select[int]) -> Iterator[tuple[str, str]]:
    """Of these reports."""
    report = RadiologyReport
    names = select(report.external_id, report.accession_number, report.study_instance_uid).where(report.id.in_(which))
    yield from _told(session, names, (ACCESSION, ACCESSION, UID))


def _told(session: Session, wanted: Select[*tuple[str, ...]], kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for row in session.execute(wanted, execution_options={"yield_per": STREAMED}):
        for kind, value in zip(kinds, row, strict=True):
            if value:
                yield kind, value
