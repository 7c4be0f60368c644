"""What models answered, day by day, for the watch over drift: numbers and categories, without patients. Read only.

A patient counts once in a stretch of days, with the first image, since ten images of one bed are no ten witnesses. Phantoms, studies that
the node fetched itself (cohorts), and answers that a newer job replaced are not what comes by day, and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ptx_node.db import embeddings
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, Job, PatientIdentifier
from ptx_node.db.watch_tables import FindingEmbedding
from ptx_node.domain.finding import Outcome
from ptx_node.domain.study import PHANTOM_PREFIX, Via

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

ANSWERED = (Outcome.POSITIVE.value, Outcome.NEGATIVE.value)
MOST = 20_000
"""Answers of one stretch that are looked at: the first ones. More tell nothing more."""
MOST_EMBEDDED = 4_000
"""Patients of one stretch whose embeddings are read, evenly over its days: a vector has some thousand bytes."""
DECADE = 10
OLDEST = 90


@dataclass(frozen=True, slots=True)
class Days:
    """Local days, both within."""

    since: date
    until: date

    def moments(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The first moment, and the first one after."""
        begin, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (self.since, self.until + timedelta(days=1)))
        return begin, end


@dataclass(frozen=True, slots=True)
class Stream:
    """The answers of one model by one set of weights."""

    model_name: str
    model_version: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One answer. Empty text and None where the header does not say.

    Attributes:
        mask: whether anything is drawn; None of a negative answer, for which nothing ever is.
        size: mm2 of a radiograph's mask, mL of a CT's; None where nothing is drawn or the spacing is unknown.
        exposure_index: (0018,1411), as sent.
        embedding: what the network saw, shape C; None where it was not kept, or is more than is read.
    """

    probability: float
    positive: bool
    mask: bool | None
    size: float | None
    view: str
    manufacturer: str
    bits_stored: int | None
    age_band: str
    sex: str
    source: str
    exposure_index: float | None
    embedding: NDArray[np.float16] | None = field(default=None, repr=False, compare=False)


def _rows(zone: ZoneInfo, days: Days, *columns: Any) -> Select[Any]:
    begin, end = days.moments(zone)
    wanted: Select[Any] = select(*columns)
    return (
        wanted.join(Job, Job.id == FindingRow.job_id)
        .join(ExaminationRow, ExaminationRow.finding_id == FindingRow.id)
        .join(Instance, Instance.id == ExaminationRow.instance_id)
        .where(
            FindingRow.inferred_at >= begin,
            FindingRow.inferred_at < end,
            FindingRow.outcome.in_(ANSWERED),
            FindingRow.probability.is_not(None),
            Job.superseded_by_id.is_(None),
            Instance.via != Via.RETRIEVE.value,
            Instance.patient_id.not_like(f"{PHANTOM_PREFIX}%"),
        )
    )


def streams(session: Session, zone: ZoneInfo, days: Days) -> list[Stream]:
    """The models that answered in these days."""
    columns = (FindingRow.model_name, FindingRow.model_version, FindingRow.weights_sha256)
    found = session.execute(_rows(zone, days, *columns).distinct())
    return sorted(
        (Stream(name, version, weights) for name, version, weights in found),
        key=lambda one: (one.model_name, one.model_version, one.weights_sha256),
    )


def first_day(session: Session, zone: ZoneInfo, stream: Stream, *, embedded: bool = False) -> date | None:
    """The local day of the first answer of these weights, as the watch counts answers; `embedded`: of those whose embedding was kept."""
    everything = Days(date(1970, 1, 2), date(9000, 1, 1))
    query = _rows(zone, everything, func.min(FindingRow.inferred_at)).where(FindingRow.weights_sha256 == stream.weights_sha256)
    if embedded:
        query = query.join(FindingEmbedding, FindingEmbedding.finding_id == FindingRow.id)
    first = session.scalar(query)
    return first.astimezone(zone).date() if isinstance(first, datetime) else None


def observed(session: Session, zone: ZoneInfo, days: Days, stream: Stream) -> list[Observed]:
    """The answers of these weights in these days, a patient once."""
    wanted = (
        _rows(
            zone,
            days,
            FindingRow.id,
            PatientIdentifier.person_id,
            Instance.study_instance_uid,
            FindingRow.probability,
            FindingRow.outcome,
            FindingRow.area_mm2,
            FindingRow.volume_ml,
            FindingRow.spacing_reason,
            ExaminationRow.view_position,
            ExaminationRow.manufacturer,
            ExaminationRow.bits_stored,
            ExaminationRow.patient_age_years,
            ExaminationRow.patient_sex,
            Instance.source,
            ExaminationRow.exposure_index,
        )
        .outerjoin(PatientIdentifier, PatientIdentifier.id == Instance.patient_identifier_id)
        .where(FindingRow.weights_sha256 == stream.weights_sha256)
        .order_by(FindingRow.inferred_at, FindingRow.id)
        .limit(MOST)
    )
    seen: set[object] = set()
    found, numbers = [], []
    for row in session.execute(wanted):
        number, person, study, probability, outcome, area, volume, spacing, view, maker, bits, age, sex, source, exposure = row
        patient = study if person is None else person
        if patient in seen:
            continue
        seen.add(patient)
        positive, size = outcome == Outcome.POSITIVE, area if area is not None else volume
        mask = bool(size) or spacing is not None if positive else None
        found.append(Observed(probability, positive, mask, size or None, view, maker, bits, _band(age), sex, source, exposure))
        numbers.append(number)
    every = -(-len(numbers) // MOST_EMBEDDED) or 1
    vectors = embeddings.read(session, numbers[::every])
    return [replace(one, embedding=vectors.get(number)) for one, number in zip(found, numbers, strict=True)]


def _band(years: float | None) -> str:
    """Ten years of age, in text."""
    if years is None:
        return ""
    first = int(years) // DECADE * DECADE
    return f"{OLDEST}+" if first >= OLDEST else f"{first}-{first + DECADE - 1}"
