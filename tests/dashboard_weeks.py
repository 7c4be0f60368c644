"""Nine weeks of a SIMULATED hospital as rows, up to this moment: for pages as those see them who have run a node for a while.

Nobody's patients: simulated headers, simulated CT reports labelled by the node's own rules, scores that follow the simulated air. In
the last two weeks much more comes from the intensive care than before, which the watch over drift is to notice.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert

from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import (
    Delivery,
    ExaminationRow,
    FindingRow,
    Instance,
    Job,
    JobInput,
    PairRow,
    PatientIdentifier,
    Person,
    RadiologyReport,
    RadiologyReportVersion,
    ReportLabelRow,
    Result,
    UnmatchedRow,
)
from ptx_node.dicom.examination import examination_of
from ptx_node.domain.study import SIMULATED_ISSUER
from ptx_node.domain.truth import LabelValue
from ptx_node.model.metadata import Description, describe
from ptx_node.reports.label import label_report
from ptx_node.simulator.instances import common_attributes, view_of
from ptx_node.simulator.patient import NOBODY, Patient, Wishes, draw_patient
from ptx_node.simulator.people import number_of, person_of, uid_of
from ptx_node.simulator.reports import write
from ptx_node.simulator.sites import site_of
from ptx_node.wiring.models import SHIPPED
from tests.answered import ZONE
from tests.week import AGREEMENTS

DAYS = 63
BY_HOUR = (1, 1, 1, 1, 1, 1, 3, 6, 9, 10, 10, 9, 7, 8, 9, 9, 8, 6, 4, 3, 3, 2, 2, 1)
"""How much comes in each hour of a day."""
SENDERS = {"toulouse": ("CXR_ER", "CXR_ROOM2", "CXR_ROOM3"), "bedside": ("CXR_BEDSIDE",), "ct64": ("CT_ER",)}
SOURCES = {"toulouse": "radiology", "bedside": "intensive-care", "ct64": "emergency-ct"}
NOBODYS_MODEL = {"model_manufacturer": "nobody", "model_version": "1.0.0", "device_uid": "2.25.1"}
"""Scores that were made up are not told as those of a model that exists."""
FAILED = (("decode_failed", "frame 1 cannot be decoded: the JPEG 2000 stream ends early"), ("out_of_memory", "the model needed 9.1 GB"))
Rows = dict[Any, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One study of one patient. `number` counts from 1 and is the number of each of its rows."""

    number: int
    site: str
    at: datetime
    patient: Patient
    rng: np.random.Generator

    @property
    def ct(self) -> bool:
        return self.site == "ct64"

    @property
    def uid(self) -> str:
        return uid_of("weeks", self.number)


def weeks(engine: Engine, *, a_day: int = 24, today: int = 60) -> int:
    """Write so many studies a weekday, and so many in the last day; how many in all. The database has to be empty."""
    moment, rows = now(), defaultdict(list)
    models = {False: describe(SHIPPED / "ptx-cxr-demo"), True: describe(SHIPPED / "ptx-ct-demo")}
    for one in _arrivals(moment, a_day, today):
        _write(rows, one, models[one.ct], moment)
    with begin_write(engine) as session:
        for table, some in rows.items():
            session.execute(insert(table), some)
    return len(rows[Instance])


def _arrivals(moment: datetime, a_day: int, today: int) -> Iterator[Arrival]:
    rng, number = np.random.default_rng(7), 0
    for before in range(DAYS, -1, -1):
        midnight = (moment.astimezone(ZONE) - timedelta(days=before)).replace(hour=0, minute=0, second=0, microsecond=0)
        count = today if before < 2 else a_day if midnight.weekday() < 5 else a_day // 2
        share = np.array(BY_HOUR) / sum(BY_HOUR)
        hours = np.sort(rng.choice(24, count, p=share) + rng.random(count))
        for hour in hours:
            at = midnight + timedelta(hours=float(hour))
            if at > moment - timedelta(seconds=15):
                break
            bedside = 0.7 if before < 16 else 0.25
            site = str(rng.choice(("bedside", "ct64", "toulouse"), p=(bedside, 0.1, 0.9 - bedside)))
            number += 1
            ill = rng.random() < (0.3 if site == "bedside" else 0.16)
            wishes = site_of(site).wishes(number, Wishes() if ill else Wishes(NOBODY))
            yield Arrival(number, site, at, draw_patient(number, wishes), np.random.default_rng(number))


def _write(rows: Rows, one: Arrival, model: Description, moment: datetime) -> None:
    open_s = (moment - one.at).total_seconds()
    failed, waits = one.number % 97 == 50 and open_s < 9 * 86_400, open_s < 90
    answered = not failed and not waits
    depth = max((air.depth_mm for air in one.patient.airs), default=0.0)
    score = float(1 / (1 + np.exp(-(depth / 4 - 3.2 + one.rng.normal(0, 1.5)))))
    wait, read, sent = one.rng.gamma(2, 1.5), 2 + one.rng.gamma(3, 6 if one.ct else 1.2), 1 + one.rng.gamma(2, 2)
    times = [one.at + timedelta(seconds=seconds) for seconds in np.cumsum([0, 1, wait, read, 0.4, sent, 20])]
    about = {"patient_id": number_of("patient", one.number), "accession_number": f"A{260_000 + one.number}"}
    _image(rows, one, about)
    _job(rows, one, model, times, moment, answered=answered, failed=failed)
    if not answered:
        return
    said = examination_of([_header(one)], ZONE)
    positive = score >= 0.5
    rows[FindingRow].append(
        {
            "id": one.number,
            "job_id": one.number,
            "study_instance_uid": one.uid,
            "series_instance_uid": f"{one.uid}.1",
            "sop_instance_uids": [f"{one.uid}.1.1"],
            "input_digest": str(one.number),
            "outcome": "positive" if positive else "negative",
            "probability": score,
            "threshold": 0.5,
            "laterality": str(one.patient.laterality or ("left", "right")[one.number % 2]) if positive else None,
            "area_mm2": max(40.0, depth * one.rng.uniform(60, 140)) if positive and not one.ct else None,
            "volume_ml": max(4.0, depth * one.rng.uniform(8, 20)) if positive and one.ct else None,
            "inferred_at": times[3],
            **NOBODYS_MODEL,
            "model_name": (name := "simulated-ct" if one.ct else "simulated-cxr"),
            "weights_sha256": hashlib.sha256(name.encode()).hexdigest(),
        }
    )
    names = ("patient_sex", "patient_age_years", "view_position", "manufacturer", "manufacturer_model_name", "station_name")
    rows[ExaminationRow].append(
        {
            "finding_id": one.number,
            "instance_id": one.number,
            "modality": said.modality,
            "examined_at": one.at - timedelta(minutes=4),
            "examined_on": one.at.date(),
            **{name: getattr(said, name) for name in (*names, "bits_stored", "exposure_index")},
            "reconcile_needed": False,
        }
    )
    _deliver(rows, one, times, _fate(one, moment), positive=positive)
    _report(rows, one, about["accession_number"], moment, positive=positive)


def _header(one: Arrival) -> Any:
    site, person = site_of(one.site), person_of(one.patient)
    header = common_attributes(f"weeks/{one.number}", site, site.system(one.number), person, person.arrives_at)
    header.BitsStored = site.system(one.number).bits
    if not one.ct:
        header.ViewPosition, header.ExposureIndex = view_of(one.patient.posture), int(one.rng.normal(260, 40))
    return header


def _image(rows: Rows, one: Arrival, about: dict[str, Any]) -> None:
    number, when = one.number, {"created_at": one.at}
    senders = SENDERS[one.site]
    known = {"authority": "", "type": "", "value": about["patient_id"], "origin_person_id": number, "person_id": number}
    rows[Person].append({"id": number, **when})
    rows[PatientIdentifier].append({"id": number, **known, "imaged_at": one.at, **when})
    rows[Instance].append(
        {
            "id": number,
            "sop_instance_uid": f"{one.uid}.1.1",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2" if one.ct else "1.2.840.10008.5.1.4.1.1.1.1",
            "series_instance_uid": f"{one.uid}.1",
            "study_instance_uid": one.uid,
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "modality": "CT" if one.ct else "DX",
            "issuer_of_patient_id": SIMULATED_ISSUER,
            **about,
            "path": f"instances/{number}.dcm",
            "size_bytes": 9_400_000,
            "sha256": "0" * 64,
            "via": "dimse",
            "source": SOURCES[one.site],
            "calling_ae": senders[number % len(senders)],
            "called_ae": "PTX",
            "peer_address": "10.20.0.7",
            "received_at": one.at,
            "routed_at": one.at + timedelta(seconds=0.3),
            "route_outcome": "queued",
            "route_detail": f'rule "{_rule(one)}" matched: Modality is {"CT" if one.ct else "DX"}',
            "registered_at": one.at,
            "patient_identifier_id": number,
        }
    )


def _rule(one: Arrival) -> str:
    return "chest CT" if one.ct else "chest radiographs"


def _job(rows: Rows, one: Arrival, model: Description, times: list[datetime], moment: datetime, *, answered: bool, failed: bool) -> None:
    cause, detail = FAILED[one.number % len(FAILED)] if failed else (None, None)
    arrived = answered and _fate(one, moment) == "committed"
    rows[Job].append(
        {
            "id": one.number,
            "idempotency_key": f"job {one.number}",
            "rule": _rule(one),
            "model": model.identity.name,
            "level": "series" if one.ct else "instance",
            "level_uid": f"{one.uid}.1",
            "study_instance_uid": one.uid,
            "destinations": [{"name": "pacs", "kinds": ["seg", "sr"]}],
            "report_failed": False,
            "report_not_eligible": True,
            "priority": 60,
            "state": "quarantined" if failed else "done" if answered else "queued",
            "attempts": 3 if failed else 1,
            "cause": cause,
            "detail": detail,
            **dict.fromkeys(("first_instance_at", "last_instance_at"), times[0]),
            **dict.fromkeys(("complete_at", "queued_at", "rank_at"), times[1]),
            "started_at": times[2] if answered else None,
            "inferred_at": times[3] if answered else None,
            "encoded_at": times[4] if answered else None,
            "accepted_at": times[5] if arrived else None,
            "committed_at": times[6] if arrived else None,
        }
    )
    rows[JobInput].append({"job_id": one.number, "instance_id": one.number, "eligible": True})


def _fate(one: Arrival, moment: datetime) -> str:
    """Nearly all results have arrived; a few wait for the research archive, which is suspended, and a few the PACS has refused."""
    recent = moment - one.at < timedelta(days=3)
    return {5: "waiting", 11: "failed"}.get(one.number % 31, "committed") if recent else "committed"


def _deliver(rows: Rows, one: Arrival, times: list[datetime], fate: str, *, positive: bool) -> None:
    for place, kind in enumerate(("seg", "sr") if positive else ("sr",)):
        number = 2 * one.number + place
        shared = {"study_instance_uid": one.uid, "sop_instance_uid": uid_of("result", number), "series_instance_uid": uid_of("of", number)}
        file = {"path": f"results/{number}", "size_bytes": 1_300_000 if kind == "seg" else 9_800, "sha256": "0" * 64}
        rows[Result].append(
            {"id": number, "finding_id": one.number, "kind": kind, "sop_class_uid": "1.2", **shared, **file, "encoded_at": times[4]}
        )
        waits, refused, arrived = (fate == one for one in ("waiting", "failed", "committed"))
        rows[Delivery].append(
            {
                "id": number,
                "result_id": number,
                "job_id": one.number,
                "destination": "research" if waits else "pacs",
                "state": fate,
                "attempts": 0 if waits else 14 if refused else 1,
                "next_attempt_at": times[4],
                "deadline_at": times[4] + timedelta(days=7),
                "status": "0xA700" if refused else None if waits else "0x0000",
                "error": "the peer answered 0xA700: out of resources" if refused else None,
                "proof": "storage_commitment" if arrived else None,
                "queued_at": times[4],
                "accepted_at": times[5] if arrived else None,
                "committed_at": times[6] if arrived else None,
            }
        )


def _report(rows: Rows, one: Arrival, accession_number: str, moment: datetime, *, positive: bool) -> None:
    """A CT report of the day, of about half of the patients; sooner or later it comes."""
    number, at = one.number, one.at + timedelta(hours=3)
    if one.rng.random() > (0.7 if positive else 0.45) or at > moment:
        rows[UnmatchedRow].append({"finding_id": number, "reason": "no_report_that_day", "reconciled_at": at})
        return
    text = write(one.patient, language="fr" if number % 4 == 0 else "en", seed=number).text
    label, digest = label_report(text), hashlib.sha256(text.encode()).hexdigest()
    shared = {
        "status": "final",
        "examined_at": at,
        "examined_on": at.date(),
        "accession_number": f"C{accession_number[1:]}",
        "study_instance_uid": one.uid if one.ct else "",
        "modality": "CT",
        "procedure_code": "CTCHEST",
        "procedure_text": "CT chest",
    }
    about = {"source": "ris", "external_id": f"R{number}", "version_ids": [number], "readable": True, "label_id": number}
    about |= {"identifier_id": number, "reconcile_needed": False, "changed_at": at, "created_at": at, "text_sha256": digest}
    rows[RadiologyReport].append({"id": number, **shared, **about})
    version = {"report_id": number, "number": 1, "content_sha256": digest, "patients": [], "text": text, "flags": [], "received_at": at}
    rows[RadiologyReportVersion].append({"id": number, **shared, **version})
    (sentence_start, sentence_end), (evidence_start, evidence_end) = ((span or (None, None)) for span in (label.sentence, label.evidence))
    rows[ReportLabelRow].append(
        {
            **dict.fromkeys(("id", "report_id", "version_id"), number),
            "text_sha256": digest,
            "value": str(label.value),
            "laterality": str(label.laterality) if label.laterality else None,
            "decided_at": at,
            "sentence_start": sentence_start,
            "sentence_end": sentence_end,
            "evidence_start": evidence_start,
            "evidence_end": evidence_end,
            **{name: getattr(label, name) for name in ("size", "depth_mm", "drain", "rule", "language", "labeller", "needs_review")},
            "review": [str(reason) for reason in label.review],
        }
    )
    ill = label.value is LabelValue.POSITIVE
    agreement = "undecided" if label.value is LabelValue.UNCERTAIN else AGREEMENTS[positive, ill]
    pair = {"finding_id": number, "report_id": number, "label_id": number, "agreement": agreement}
    rows[PairRow].append({**pair, "interval_s": 3 * 3600.0 + 240, "reconciled_at": at + timedelta(minutes=10)})
