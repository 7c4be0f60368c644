"""What the page of a study and its API tell: findings, jobs, results, deliveries, truth, and which pictures there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ptx_node.db.jobs_again import AGAIN
from ptx_node.domain.access import Permission
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.job import DeliveryState, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.db.case_truths import Truth
    from ptx_node.db.study_contents import Contents
    from ptx_node.db.tables import Delivery, FindingRow, Job, Result
    from ptx_node.domain.access import Who

KINDS = {ResultKind.SEG: "Segmentation", ResultKind.SR: "Structured report", ResultKind.SC: "Secondary capture"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images of one series, by number; `ordered`: slices in the order of the volume, to be scrolled through."""

    series: int
    modality: str
    images: list[int]
    ordered: bool


@dataclass(frozen=True, slots=True)
class DeliveryShown:
    """One result on its way to one destination."""

    delivery: int
    destination: str
    state: str
    attempts: int
    status: str | None
    error: str
    proof: str | None
    accepted_at: datetime | None
    committed_at: datetime | None
    may_be_sent_again: bool


@dataclass(frozen=True, slots=True)
class ResultShown:
    """A SEG, SR or SC instance that was written of a finding."""

    result: int
    kind: str
    name: str
    sop_instance_uid: str
    size_bytes: int
    written_at: datetime | None
    deliveries: list[DeliveryShown]


@dataclass(frozen=True, slots=True)
class TruthShown:
    """What a person said of the finding's case."""

    kind: str
    label: str
    laterality: str | None
    size: str
    doubtful: bool | None


@dataclass(frozen=True, slots=True)
class ReaderMaskShown:
    """A mask that a person drew. `reading` is its number in addresses."""

    reading: int
    reader: str


@dataclass(frozen=True, slots=True)
class MaskFigures:
    """A reader's mask held against a finding: its area, and Dice with what the model drew; null where there is none."""

    reader: str
    area_mm2: float | None
    dice: float | None


@dataclass(frozen=True, slots=True)
class FindingShown:
    """What the model said. `mask` is the number of the SEG; `images` are those that it read."""

    finding: int
    job: int
    model: str
    outcome: str
    probability: float | None
    threshold: float | None
    laterality: str | None
    area_mm2: float | None
    volume_ml: float | None
    spacing_reason: str | None
    reason: str | None
    detail: str
    inferred_at: datetime | None
    superseded: bool
    mask: int | None
    images: list[int]
    results: list[ResultShown]
    truths: list[TruthShown]
    without_truth: str | None
    by_hand: list[MaskFigures]


@dataclass(frozen=True, slots=True)
class JobShown:
    """One job and what may be done about it."""

    job: int
    rule: str
    model: str
    level: str
    state: str
    attempts: int
    cause: str | None
    detail: str
    superseded_by: int | None
    may_be_retried: bool
    may_be_superseded: bool


@dataclass(frozen=True, slots=True)
class View:
    """Everything of a study beside its timeline. Without the permission `patients`: no picture, UID, time or free text."""

    pictures: list[Pictures]
    more_pictures: bool
    reader_masks: list[ReaderMaskShown]
    findings: list[FindingShown]
    jobs: list[JobShown]


def view(found: Contents, who: Who) -> View:
    """What somebody is shown of a study's contents."""
    identified = who.may(Permission.PATIENTS)
    superseded = {one.id: one.superseded_by_id is not None for one in found.jobs}
    pictures = [
        Pictures(place, one.modality, [image.number for image in one.images], one.ordered)
        for place, one in enumerate(found.series, start=1)
    ]
    numbers = {image.sop_instance_uid: image.number for one in found.series for image in one.images}
    written = _written(found)
    return View(
        pictures=pictures if identified else [],
        more_pictures=found.more_images,
        reader_masks=[ReaderMaskShown(one.number, one.reader) for one in found.reader_masks] if identified else [],
        findings=[
            _finding(
                one,
                [_result(row, found.deliveries, identified=identified) for row in written.get(one.id, [])],
                found,
                numbers=numbers if identified else {},
                superseded=superseded.get(one.job_id, False),
                identified=identified,
            )
            for one in found.findings
        ],
        jobs=[_job(one, identified=identified) for one in found.jobs],
    )


def _written(found: Contents) -> dict[int, list[Result]]:
    """The results of each finding. Of the same model on the same images they are the same instances: they are the newest one's."""
    newest: dict[tuple[str, str], int] = {}
    same = {one.id: (one.input_digest, one.device_uid) for one in found.findings}
    for number, key in same.items():  # the newest first
        newest.setdefault(key, number)
    table: dict[int, list[Result]] = {}
    for row in found.results:
        table.setdefault(newest[same[row.finding_id]], []).append(row)
    return table


def _finding(
    row: FindingRow, results: list[ResultShown], found: Contents, *, numbers: dict[str, int], superseded: bool, identified: bool
) -> FindingShown:
    masks = [one.result for one in results if one.kind == ResultKind.SEG]
    return FindingShown(
        finding=row.id,
        job=row.job_id,
        model=f"{row.model_name} {row.model_version}",
        outcome=row.outcome,
        probability=row.probability,
        threshold=row.threshold,
        laterality=row.laterality,
        area_mm2=row.area_mm2,
        volume_ml=row.volume_ml,
        spacing_reason=row.spacing_reason,
        reason=row.reason,
        detail=(row.detail or "") if identified else "",
        inferred_at=row.inferred_at if identified else None,
        superseded=superseded,
        mask=masks[-1] if masks and identified else None,
        images=[numbers[uid] for uid in row.sop_instance_uids if uid in numbers],
        results=results,
        truths=[_truth(one) for one in found.truths.get(row.id, [])],
        without_truth=found.unmatched.get(row.id),
        by_hand=[MaskFigures(one.reader, *one.figures[row.id]) for one in found.reader_masks if identified and row.id in one.figures],
    )


def _result(row: Result, deliveries: Sequence[Delivery], *, identified: bool) -> ResultShown:
    return ResultShown(
        result=row.id,
        kind=row.kind,
        name=KINDS[ResultKind(row.kind)],
        sop_instance_uid=row.sop_instance_uid if identified else "",
        size_bytes=row.size_bytes,
        written_at=row.encoded_at if identified else None,
        deliveries=[_delivery(one, identified=identified) for one in deliveries if one.result_id == row.id],
    )


def _delivery(row: Delivery, *, identified: bool) -> DeliveryShown:
    return DeliveryShown(
        delivery=row.id,
        destination=row.destination,
        state=row.state,
        attempts=row.attempts,
        status=row.status,
        error=(row.error or "") if identified else "",
        proof=row.proof,
        accepted_at=row.accepted_at if identified else None,
        committed_at=row.committed_at if identified else None,
        may_be_sent_again=row.state != DeliveryState.SENDING,
    )


def _truth(one: Truth) -> TruthShown:
    return TruthShown(str(one.kind), one.label, one.laterality, one.size, one.doubtful)


def _job(row: Job, *, identified: bool) -> JobShown:
    return JobShown(
        job=row.id,
        rule=row.rule,
        model=row.model,
        level=row.level,
        state=row.state,
        attempts=row.attempts,
        cause=row.cause,
        detail=(row.detail or "") if identified else "",
        superseded_by=row.superseded_by_id,
        may_be_retried=row.state == JobState.QUARANTINED,
        may_be_superseded=row.state in AGAIN and row.superseded_by_id is None,
    )
