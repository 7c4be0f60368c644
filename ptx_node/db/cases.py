"""The findings of a period with all that an auditor asks of them: image, patient, examination, answer, truth, or why there is none.

Read only, in the caller's one transaction (`ptx_node.db.session.begin_snapshot`), a page at a time: memory does not grow with the period.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, union_all

from ptx_node.db.case_truths import NO_READING, reader_truths, report_truths, unmatched
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, Job, PatientIdentifier
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from zoneinfo import ZoneInfo

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from ptx_node.db.case_truths import Truth

CT = "CT"
STREAMED = 5000
"""Keys that are fetched at once."""

Key = tuple[int, int]
"""A finding and an image of it."""


@dataclass(frozen=True, slots=True)
class Period:
    """Local days of examination, both ends within.

    Raises:
        UsageError: it ends before it begins.
    """

    since: date
    until: date
    zone: ZoneInfo

    def __post_init__(self) -> None:
        """An empty period is a slip of whoever asks."""
        if self.until < self.since:
            raise UsageError(f"the period ends on {self.until}, before it begins on {self.since}")

    def covers(self, moment: Any) -> ColumnElement[bool]:
        """A moment lies in the period, by the site's clock."""
        begin = datetime.combine(self.since, time(), self.zone).astimezone(UTC)
        end = datetime.combine(self.until + timedelta(days=1), time(), self.zone).astimezone(UTC)
        return and_(moment >= begin, moment < end)


@dataclass(frozen=True, slots=True)
class Case:
    """One finding as the tables have it: nothing is left out or made coarser yet.

    Attributes:
        patient: (number, who gave it out) that stands for the person now, whatever numbers were merged; None without a Patient ID.
        patient_id: as the image says it.
        unmatched: why there is no truth: a reason of reconciliation; None where there is one, or where nobody has looked yet.
    """

    finding_id: int
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    source: str
    via: str
    patient_id: str
    issuer_of_patient_id: str
    patient: tuple[str, str] | None
    rule: str
    superseded: bool
    model_name: str
    model_version: str
    weights_sha256: str
    outcome: str
    reason: str | None
    probability: float | None
    threshold: float | None
    laterality: str | None
    area_mm2: float | None
    volume_ml: float | None
    examined_at: datetime | None
    examined_on: date | None
    patient_sex: str
    patient_age_years: float | None
    view_position: str
    manufacturer: str
    manufacturer_model_name: str
    station_name: str
    truth: Truth | None = None
    unmatched: str | None = None

    @property
    def is_ct(self) -> bool:
        """A CT series was read, not a radiograph."""
        return self.modality == CT

    @property
    def image_uid(self) -> str:
        """What was read: SOP Instance UID of a radiograph, Series Instance UID of a CT series."""
        return self.series_instance_uid if self.is_ct else self.sop_instance_uid


def keys(session: Session, period: Period) -> list[Key]:
    """Every finding of the period, by its number.

    The day is that of the examination; where no header says it, as of images that were refused, the local day of reception.
    """
    seen, one, image = ExaminationRow, FindingRow, Instance
    dated = select(seen.finding_id, seen.instance_id).where(seen.examined_on.between(period.since, period.until))
    undated = (
        select(seen.finding_id, seen.instance_id)
        .join(image, image.id == seen.instance_id)
        .where(seen.examined_on.is_(None), period.covers(image.received_at))
    )
    unexamined = (
        select(one.id, image.id)
        .join(image, image.sop_instance_uid == one.sop_instance_uids[0].as_string())
        .outerjoin(seen, seen.finding_id == one.id)
        .where(seen.finding_id.is_(None), period.covers(image.received_at))
    )
    rows = session.execute(union_all(dated, undated, unexamined), execution_options={"yield_per": STREAMED})
    return sorted((finding, instance) for finding, instance in rows)


def page(session: Session, some: Sequence[Key], kind: TruthKind = TruthKind.REPORT, *, words: bool = False) -> list[Case]:
    """These findings, in this order, with truth of one kind. `words`: also those of the report that decided, to be read from its text."""
    findings = [finding for finding, _ in some]
    images = _images(session, {instance for _, instance in some})
    read = _read(session, findings)
    if kind is TruthKind.REPORT:
        truths, alone = report_truths(session, findings, words=words), unmatched(session, findings)
    else:
        truths = reader_truths(session, findings, kind)
        alone = dict.fromkeys(set(findings) - truths.keys(), NO_READING)
    return [
        Case(finding_id=finding, **images[instance], **read[finding], truth=truths.get(finding), unmatched=alone.get(finding))
        for finding, instance in some
    ]


_IMAGE = (
    *("sop_instance_uid", "series_instance_uid", "study_instance_uid", "modality", "source", "via"),
    *("patient_id", "issuer_of_patient_id"),
)
_ANSWER = (
    *("model_name", "model_version", "weights_sha256", "outcome", "reason", "probability", "threshold", "laterality"),
    *("area_mm2", "volume_ml"),
)
_EXAMINED = ("examined_at", "examined_on", "patient_age_years")
_EQUIPMENT = ("patient_sex", "view_position", "manufacturer", "manufacturer_model_name", "station_name")


def _read(session: Session, findings: Collection[int]) -> dict[int, dict[str, Any]]:
    """What was answered, and what the headers say where they were read."""
    wanted = (
        select(
            FindingRow.id,
            Job.rule,
            Job.superseded_by_id.is_not(None),
            *(getattr(FindingRow, name) for name in _ANSWER),
            *(getattr(ExaminationRow, name) for name in _EXAMINED),
            *(func.coalesce(getattr(ExaminationRow, name), "") for name in _EQUIPMENT),
        )
        .join(Job, Job.id == FindingRow.job_id)
        .outerjoin(ExaminationRow, ExaminationRow.finding_id == FindingRow.id)
        .where(FindingRow.id.in_(findings))
    )
    names = ("rule", "superseded", *_ANSWER, *_EXAMINED, *_EQUIPMENT)
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in session.execute(wanted)}


def _images(session: Session, instances: Collection[int]) -> dict[int, dict[str, Any]]:
    """The images, each with the number that stands for its patient now."""
    wanted = (
        select(Instance.id, PatientIdentifier.person_id, *(getattr(Instance, name) for name in _IMAGE))
        .outerjoin(PatientIdentifier, PatientIdentifier.id == Instance.patient_identifier_id)
        .where(Instance.id.in_(instances))
    )
    rows = session.execute(wanted).all()
    numbers = patients(session, {row[1] for row in rows if row[1] is not None})
    return {row[0]: {**dict(zip(_IMAGE, row[2:], strict=True)), "patient": numbers.get(row[1])} for row in rows}


def patients(session: Session, person_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """(number, who gave it out) by which each person is called: the first that this person had, before any merge.

    So a person keeps the name when other numbers are merged into it, and when a further number becomes known.
    """
    table = PatientIdentifier
    wanted = select(table.origin_person_id, table.value, table.authority).where(table.origin_person_id.in_(person_ids))
    found: dict[int, tuple[str, str]] = {}
    for person, value, authority in session.execute(wanted.order_by(table.id)):
        found.setdefault(person, (value, authority))
    return found
