"""One study's whole way through the node, in the order of its times: images, rules, jobs, findings, deliveries, reports, truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the API reads the annotations at run time
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.history_tables import EarlierSending, Intervention
from ptx_node.db.tables import (
    Collection,
    Conflict,
    Delivery,
    FindingRow,
    Instance,
    Job,
    JobInput,
    PairRow,
    RadiologyReport,
    ReportLabelRow,
    Result,
    Retrieval,
    UnmatchedRow,
)
from ptx_node.domain.job import DeliveryState, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

GOOD, WAIT, BAD, PLAIN = "good", "wait", "bad", ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a study.

    Attributes:
        what: in words, with nothing of the patient in them.
        detail: free text of rules, peers and errors, which may quote what an image said.
        mood: good, wait, bad or nothing.
    """

    at: datetime
    what: str
    detail: str = ""
    mood: str = PLAIN


def timeline(session: Session, study_instance_uid: str) -> list[Step]:
    """Every step, the first one first; empty when nothing of the study is here."""
    steps = [
        *_received(session, study_instance_uid),
        *_jobs(session, study_instance_uid),
        *_findings(session, study_instance_uid),
        *_deliveries(session, study_instance_uid),
        *_interventions(session, study_instance_uid),
        *_truth(session, study_instance_uid),
    ]
    return sorted(steps, key=lambda one: one.at)


def _received(session: Session, uid: str) -> Iterator[Step]:
    first = func.min(Instance.received_at, type_=Instance.received_at.type)
    last = func.max(Instance.received_at, type_=Instance.received_at.type)
    keys = (Instance.series_instance_uid, Instance.modality, Instance.calling_ae, Instance.source, Instance.via)
    query = select(*keys, func.count(), first, last).where(Instance.study_instance_uid == uid).group_by(*keys).order_by(first)
    for number, (series, modality, ae_title, source, via, count, begun, ended) in enumerate(session.execute(query), start=1):
        took = f", the last at +{(ended - begun).total_seconds():.0f} s" if count > 1 else ""
        images = "1 image" if count == 1 else f"{count} images"
        yield Step(
            begun,
            f"{images} of series {number} ({modality}) received from {ae_title or 'STOW-RS'}, source {source}, by {via}{took}",
            series,
        )
    routed = func.max(Instance.routed_at, type_=Instance.received_at.type)
    outcomes = (Instance.route_outcome, Instance.route_detail)
    seen = (
        select(*outcomes, func.count(), routed)
        .where(Instance.study_instance_uid == uid, Instance.routed_at.is_not(None))
        .group_by(*outcomes)
    )
    for outcome, detail, count, at in session.execute(seen):
        assert at is not None
        yield Step(
            at,
            f"rules looked at {count}: {str(outcome).replace('_', ' ')}",
            detail or "",
            GOOD if outcome in ("queued", "collected") else PLAIN,
        )
    for one in session.scalars(select(Retrieval).where(Retrieval.study_instance_uid == uid)):
        yield Step(one.wanted_at, f"wanted from the archive {one.archive}, because of {one.why}: {one.state}", one.error or "")
    sops = select(Instance.sop_instance_uid).where(Instance.study_instance_uid == uid)
    for kept in session.scalars(select(Conflict).where(Conflict.sop_instance_uid.in_(sops))):
        yield Step(kept.received_at, "an image came again with other bytes and was kept aside", kept.sop_instance_uid, BAD)
    for row in session.scalars(select(Collection).where(Collection.closed_at.is_(None), Collection.study_instance_uid == uid)):
        yield Step(
            row.last_instance_at, f"rule “{row.rule}” waits for the {row.level} to be complete: {row.instance_count} so far", mood=WAIT
        )


def _jobs(session: Session, uid: str) -> Iterator[Step]:
    for job in session.scalars(select(Job).where(Job.study_instance_uid == uid).order_by(Job.id)):
        name = f"job {job.id}"
        yield Step(job.queued_at, f"{name} queued: rule “{job.rule}” matched, model {job.model}, priority {job.priority}")
        refused = (
            select(JobInput.reason, JobInput.detail, func.count())
            .where(JobInput.job_id == job.id, JobInput.eligible.is_(False))
            .group_by(JobInput.reason, JobInput.detail)
        )
        for reason, detail, count in session.execute(refused):
            yield Step(job.queued_at, f"{name}: {count} not eligible: {str(reason).replace('_', ' ')}", detail or "", WAIT)
        if job.started_at:
            yield Step(job.started_at, f"{name} taken by a worker, attempt {job.attempts}")
        if job.encoded_at:
            yield Step(job.encoded_at, f"{name}: results written")
        if job.state == JobState.QUARANTINED:
            at = job.started_at or job.queued_at
            yield Step(at, f"{name} in quarantine: {str(job.cause).replace('_', ' ')}", job.detail or "", BAD)
        elif job.state == JobState.NOT_ELIGIBLE:
            yield Step(job.queued_at, f"{name} not eligible: {str(job.cause).replace('_', ' ')}", job.detail or "", WAIT)
        elif job.state == JobState.SUPERSEDED:
            yield Step(job.inferred_at or job.queued_at, f"{name} superseded by job {job.superseded_by_id}", mood=WAIT)
        elif job.state == JobState.QUEUED:
            yield Step(job.not_before_at or job.queued_at, f"{name} waits for a worker", job.detail or "", WAIT)


def _findings(session: Session, uid: str) -> Iterator[Step]:
    for one in session.scalars(select(FindingRow).where(FindingRow.study_instance_uid == uid).order_by(FindingRow.id)):
        parts = [f"finding of {one.model_name} {one.model_version}: {one.outcome.replace('_', ' ')}"]
        if one.probability is not None:
            parts.append(
                f"probability {one.probability:.3f} against {one.threshold:.3f}" if one.threshold is not None else f"{one.probability:.3f}"
            )
        parts += [text for text in (one.laterality, one.reason and one.reason.replace("_", " ")) if text]
        parts += [f"{one.area_mm2:.0f} mm²"] if one.area_mm2 else []
        parts += [f"{one.volume_ml:.0f} ml"] if one.volume_ml else []
        mood = {"positive": GOOD, "negative": GOOD, "failed": BAD}.get(one.outcome, WAIT)
        yield Step(one.inferred_at, ", ".join(parts), one.detail or "", mood)


def _deliveries(session: Session, uid: str) -> Iterator[Step]:
    of_study = Delivery.job_id.in_(select(Job.id).where(Job.study_instance_uid == uid))
    rows = session.execute(
        select(Delivery, Result.kind, Result.sop_instance_uid)
        .join(Result, Result.id == Delivery.result_id)
        .where(of_study)
        .order_by(Delivery.id)
    )
    earlier: dict[int, list[EarlierSending]] = {}
    kept = select(EarlierSending).join(Delivery, Delivery.id == EarlierSending.delivery_id).where(of_study)
    for one in session.scalars(kept.order_by(EarlierSending.id)):
        earlier.setdefault(one.delivery_id, []).append(one)
    for row, kind, sop_instance_uid in rows:
        name = f"{kind.upper()} to {row.destination}"
        for one in earlier.get(row.id, ()):
            yield from _sent(name, sop_instance_uid, one, one.given_up_at)
        yield from _sent(name, sop_instance_uid, row, row.next_attempt_at if row.state == DeliveryState.FAILED else None)
        if row.state in (DeliveryState.WAITING, DeliveryState.SENDING):
            tried = f"after attempt {row.attempts}" if row.attempts else "not tried yet"
            yield Step(row.queued_at, f"{name} waits, {tried}", row.error or "", WAIT)


def _sent(name: str, sop_instance_uid: str, row: Delivery | EarlierSending, given_up_at: datetime | None) -> Iterator[Step]:
    if row.accepted_at:
        yield Step(row.accepted_at, f"{name} accepted, status {row.status}, attempt {row.attempts}", sop_instance_uid, GOOD)
    if row.committed_at:
        yield Step(row.committed_at, f"{name} committed: {str(row.proof).replace('_', ' ')}", mood=GOOD)
    if given_up_at:
        yield Step(given_up_at, f"{name} given up after {row.attempts} attempts, status {row.status}", row.error or "", BAD)


def _interventions(session: Session, uid: str) -> Iterator[Step]:
    for one in session.scalars(select(Intervention).where(Intervention.study_instance_uid == uid).order_by(Intervention.id)):
        yield Step(one.intervened_at, f"{one.intervened_by}: {one.what}, {one.subject}", one.reason)


def _truth(session: Session, uid: str) -> Iterator[Step]:
    findings = select(FindingRow.id).where(FindingRow.study_instance_uid == uid)
    accessions = select(Instance.accession_number).where(Instance.study_instance_uid == uid, Instance.accession_number != "")
    ways = (RadiologyReport.study_instance_uid == uid, RadiologyReport.accession_number.in_(accessions))
    found = {one.id: one for way in ways for one in session.scalars(select(RadiologyReport).where(way))}  # joined by OR no index is used
    for report in found.values():
        label = session.get(ReportLabelRow, report.label_id) if report.label_id is not None else None
        said = "" if label is None else f": {label.value.replace('_', ' ')} by {label.reviewer or label.labeller}"
        yield Step(report.created_at, f"radiology report {report.id} ({report.status}){said}")
    standing = select(PairRow).where(PairRow.finding_id.in_(findings), PairRow.superseded_at.is_(None))
    for pair in session.scalars(standing):
        kind = "" if pair.secondary_reason is None else f", secondary: {pair.secondary_reason.replace('_', ' ')}"
        yield Step(
            pair.reconciled_at, f"truth: held against the CT report {pair.report_id}: {pair.agreement.replace('_', ' ')}{kind}", mood=GOOD
        )
    alone = select(UnmatchedRow).where(UnmatchedRow.finding_id.in_(findings), UnmatchedRow.superseded_at.is_(None))
    for row in session.scalars(alone):
        yield Step(row.reconciled_at, f"truth: no CT report fits: {row.reason.replace('_', ' ')}", mood=WAIT)
