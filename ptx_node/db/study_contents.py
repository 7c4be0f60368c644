"""What one study consists of here: its images by series, jobs, findings, results, deliveries and truth. Read only.

Rows are named by their numbers, which tell nothing of a patient; every list has an end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node.db import case_truths, truths
from ptx_node.db.tables import Delivery, FindingRow, Instance, Job, Result
from ptx_node.domain.eligibility import IMAGE_STORAGE, NOT_IMAGES
from ptx_node.domain.reading import TruthKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.db.tables import TruthRow

MOST_IMAGES = 5000
MOST_ROWS = 500
CT = "CT"


@dataclass(frozen=True, slots=True)
class Image:
    """A stored image: its row's number, its UID and where its file lies in the store."""

    number: int
    sop_instance_uid: str
    path: str


@dataclass(slots=True)
class Series:
    """The images of one series. `ordered`: they are in the order of the volume that a model read."""

    series_instance_uid: str
    modality: str
    images: list[Image] = field(default_factory=list)
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class ReaderMask:
    """What a reader drew on images of the study: the reading's number, where its SEG lies in the store, and its figures by finding.

    A figure is (area in mm², Dice with the finding's own mask), each None where there is none.
    """

    number: int
    reader: str
    path: str
    figures: dict[int, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything of a study that a page shows beside its timeline; `truths` are by finding."""

    series: list[Series]
    jobs: Sequence[Job]
    findings: Sequence[FindingRow]
    results: Sequence[Result]
    deliveries: Sequence[Delivery]
    truths: dict[int, list[case_truths.Truth]]
    unmatched: dict[int, str]
    reader_masks: list[ReaderMask]
    more_images: bool


def contents(session: Session, study_instance_uid: str) -> Contents:
    """What is here of a study; the newest jobs and findings first."""
    jobs = session.scalars(select(Job).where(Job.study_instance_uid == study_instance_uid).order_by(Job.id.desc()).limit(MOST_ROWS)).all()
    mine = select(FindingRow).where(FindingRow.study_instance_uid == study_instance_uid)
    findings = session.scalars(mine.order_by(FindingRow.id.desc()).limit(MOST_ROWS)).all()
    numbers = [one.id for one in findings]
    results = session.scalars(select(Result).where(Result.finding_id.in_(numbers)).order_by(Result.id).limit(MOST_ROWS)).all()
    on_their_way = select(Delivery).where(Delivery.result_id.in_([one.id for one in results]))
    deliveries = session.scalars(on_their_way.order_by(Delivery.id).limit(MOST_ROWS)).all()
    images = _images(session, study_instance_uid)
    return Contents(
        series=_series(images[:MOST_IMAGES], findings),
        jobs=jobs,
        findings=findings,
        results=results,
        deliveries=deliveries,
        truths=_truths(session, numbers),
        unmatched=case_truths.unmatched(session, numbers),
        reader_masks=_reader_masks(session, numbers),
        more_images=len(images) > MOST_IMAGES,
    )


def image_of(session: Session, study_instance_uid: str, number: int) -> Image | None:
    """An image of this study by its number; None where the study has none of it."""
    row = session.get(Instance, number)
    return Image(row.id, row.sop_instance_uid, row.path) if row and row.study_instance_uid == study_instance_uid else None


def numbers_of(session: Session, study_instance_uid: str) -> dict[str, int]:
    """Number of each image of a study, by its SOP Instance UID."""
    return {one.sop_instance_uid: one.number for _, one in _images(session, study_instance_uid)}


def result_of(session: Session, study_instance_uid: str, number: int) -> Result | None:
    """A result of a finding of this study by its number; None where the study has none of it."""
    mine = FindingRow.study_instance_uid == study_instance_uid
    return session.scalar(select(Result).join(FindingRow, FindingRow.id == Result.finding_id).where(Result.id == number, mine))


def reader_mask_of(session: Session, study_instance_uid: str, number: int) -> ReaderMask | None:
    """A reader's mask on images of this study by the reading's number; None where the study has none of it."""
    mine = select(FindingRow.id).where(FindingRow.study_instance_uid == study_instance_uid).order_by(FindingRow.id.desc()).limit(MOST_ROWS)
    return next((one for one in _reader_masks(session, session.scalars(mine).all()) if one.number == number), None)


def _reader_masks(session: Session, findings: Sequence[int]) -> list[ReaderMask]:
    """The newest mask of each reader on each image or series, in the order of import: a correction takes the place of what it corrects."""
    newest: dict[tuple[str, str], TruthRow] = {}
    figures: dict[int, dict[int, tuple[float | None, float | None]]] = {}
    for finding, truth, figure in truths.readings_of(session, findings):
        if truth.kind != TruthKind.MASK or truth.path is None:
            continue
        key = (truth.reader, truth.name)
        if key not in newest or _said_at(truth) > _said_at(newest[key]):
            newest[key] = truth
        if figure is not None:
            figures.setdefault(truth.id, {})[finding] = (figure.area_mm2, figure.dice)
    rows = sorted(newest.values(), key=lambda one: one.id)
    return [ReaderMask(one.id, one.reader, one.path or "", figures.get(one.id, {})) for one in rows]


def _said_at(truth: TruthRow) -> tuple[datetime, int]:
    return truth.read_at or truth.imported_at, truth.id


def _images(session: Session, uid: str) -> list[tuple[tuple[str, str], Image]]:
    keys = (Instance.series_instance_uid, Instance.modality, Instance.id, Instance.sop_instance_uid, Instance.path, Instance.sop_class_uid)
    rows = session.execute(select(*keys).where(Instance.study_instance_uid == uid).order_by(Instance.id).limit(MOST_IMAGES + 1))
    return [
        ((series, modality), Image(number, sop_instance_uid, path))
        for series, modality, number, sop_instance_uid, path, sop_class_uid in rows
        if not sop_class_uid.removeprefix(IMAGE_STORAGE).startswith(NOT_IMAGES)
    ]


def _series(images: Sequence[tuple[tuple[str, str], Image]], findings: Sequence[FindingRow]) -> list[Series]:
    """By series; slices that a model read in the order of its volume, then the others of their series as they came."""
    found: dict[tuple[str, str], Series] = {}
    for key, image in images:
        found.setdefault(key, Series(*key)).images.append(image)
    for finding in reversed(findings):
        place = {uid: index for index, uid in enumerate(finding.sop_instance_uids)}
        for series in found.values():
            if series.modality == CT and len(place) > 1 and any(one.sop_instance_uid in place for one in series.images):
                series.images.sort(key=lambda one, place=place: place.get(one.sop_instance_uid, len(place)))  # type: ignore[misc]
                series.ordered = True
    return list(found.values())


def _truths(session: Session, findings: Sequence[int]) -> dict[int, list[case_truths.Truth]]:
    said: dict[int, list[case_truths.Truth]] = {}
    tables = [case_truths.report_truths(session, findings)]
    tables += [case_truths.reader_truths(session, findings, kind) for kind in (TruthKind.READER, TruthKind.MASK)]
    for table in tables:
        for finding, truth in table.items():
            said.setdefault(finding, []).append(truth)
    return said
