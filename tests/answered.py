"""Answers of a model over many days as rows, with the headers of simulated patients as their sites write them: SIMULATED, nobody's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Engine, func, insert, select

from ptx_node.db.session import begin_write
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, Job, PatientIdentifier, Person
from ptx_node.db.watch_tables import FindingEmbedding
from ptx_node.dicom.examination import examination_of
from ptx_node.simulator.instances import common_attributes, view_of
from ptx_node.simulator.patient import ANYBODY, draw_patient
from ptx_node.simulator.people import person_of
from ptx_node.simulator.sites import site_of

ZONE = ZoneInfo("Europe/Paris")
THRESHOLD = 0.5
DIMENSION = 24


def days(first: date, count: int) -> Iterable[date]:
    """So many days."""
    return (first + timedelta(days=number) for number in range(count))


def patients_of(name: str, first_seed: int, count: int) -> list[dict[str, Any]]:
    """What the headers of this site's patients say, and a score that follows the air in the chest."""
    site, found = site_of(name), []
    for seed in range(first_seed, first_seed + count):
        patient, system, rng = draw_patient(seed, site.wishes(seed, ANYBODY)), site.system(seed), np.random.default_rng(seed)
        header = common_attributes(f"{name}/{seed}", site, system, person_of(patient), person_of(patient).arrives_at)
        header.ViewPosition, header.BitsStored, header.ExposureIndex = view_of(patient.posture), system.bits, int(rng.normal(260, 40))
        depth = max((air.depth_mm for air in patient.airs), default=0.0)
        score = float(1 / (1 + np.exp(-(depth / 4 - 3 + rng.normal(0, 0.7)))))
        area = float(depth * rng.uniform(60, 140)) if score >= THRESHOLD else None
        found.append(
            {
                "examination": examination_of([header], ZONE),
                "probability": score,
                "area_mm2": area,
                "source": name,
                "embedding": seen_of(name, seed),
            }
        )
    return found


def seen_of(name: str, seed: int) -> np.ndarray:
    """What a network sees of this patient: each site's images lie elsewhere."""
    place = np.random.default_rng(list(name.encode())).normal(0, 1.0, DIMENSION)
    return (place + np.random.default_rng([seed, 9]).normal(0, 1, DIMENSION) * np.linspace(3, 0.2, DIMENSION)).astype(np.float16)


def answered(engine: Engine, patients: Iterable[tuple[date, dict[str, Any]]], **changes: Any) -> None:
    """Write what a model answered of each patient on that day. `changes`: of `Instance`, `Job` and `FindingRow`."""
    with begin_write(engine) as session:
        number = (session.scalar(select(func.max(FindingRow.id))) or 0) + 1
        rows: dict[Any, list[dict[str, Any]]] = {
            Person: [],
            PatientIdentifier: [],
            Instance: [],
            Job: [],
            FindingRow: [],
            ExaminationRow: [],
            FindingEmbedding: [],
        }
        for one, (day, patient) in enumerate(patients, number):
            at = datetime.combine(day, time(9), ZONE).astimezone(UTC) + timedelta(seconds=one % 3600)
            for table, row in _rows(one, at, patient).items():
                rows[table].append(row | {name: value for name, value in changes.items() if name in table.__table__.columns})
        for table, some in rows.items():
            if some and not (table in (Person, PatientIdentifier) and "patient_identifier_id" in changes):
                session.execute(insert(table), some)


def _rows(one: int, at: datetime, patient: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    said, uid, positive = patient["examination"], f"1.9.{one}", patient["probability"] >= THRESHOLD
    times = dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at", "started_at", "inferred_at"), at)
    names = ("patient_sex", "patient_age_years", "view_position", "manufacturer", "manufacturer_model_name", "station_name")
    return {
        Person: {"id": one, "created_at": at},
        PatientIdentifier: {
            "id": one,
            "authority": "",
            "type": "",
            "value": f"P{one}",
            "origin_person_id": one,
            "person_id": one,
            "created_at": at,
        },
        Instance: {
            **dict.fromkeys(
                ("sop_class_uid", "transfer_syntax_uid", "issuer_of_patient_id", "calling_ae", "called_ae", "peer_address"), ""
            ),
            "id": one,
            "sop_instance_uid": f"{uid}.1.1",
            "series_instance_uid": f"{uid}.1",
            "study_instance_uid": uid,
            "modality": said.modality,
            "patient_id": f"P{one}",
            "accession_number": f"A{one}",
            "path": "x",
            "size_bytes": 1,
            "sha256": "0" * 64,
            "via": "dimse",
            "source": patient["source"],
            "received_at": at,
            "routed_at": at,
            "registered_at": at,
            "patient_identifier_id": one,
        },
        Job: {
            "id": one,
            "idempotency_key": f"job {one}",
            "rule": "chest",
            "model": "cxr",
            "level": "instance",
            "level_uid": uid,
            "study_instance_uid": uid,
            "destinations": [],
            "report_failed": False,
            "report_not_eligible": False,
            "priority": 50,
            "state": "done",
            "attempts": 1,
            **times,
        },
        FindingRow: {
            "id": one,
            "job_id": one,
            "study_instance_uid": uid,
            "series_instance_uid": f"{uid}.1",
            "sop_instance_uids": [f"{uid}.1.1"],
            "input_digest": str(one),
            "outcome": "positive" if positive else "negative",
            "probability": patient["probability"],
            "threshold": THRESHOLD,
            "area_mm2": patient["area_mm2"],
            "model_manufacturer": "m",
            "model_name": "ptx-cxr",
            "model_version": "1.0",
            "weights_sha256": "ab" * 32,
            "device_uid": "2.25.1",
            "inferred_at": at,
            "spacing_reason": None,
        },
        ExaminationRow: {
            "finding_id": one,
            "instance_id": one,
            "modality": said.modality,
            "examined_at": at,
            "examined_on": at.astimezone(ZONE).date(),
            **{name: getattr(said, name) for name in names},
            "bits_stored": said.bits_stored,
            "exposure_index": said.exposure_index,
            "reconcile_needed": False,
        },
        FindingEmbedding: {
            "finding_id": one,
            "weights_sha256": "ab" * 32,
            "inferred_at": at,
            "dimension": patient["embedding"].size,
            "vector": patient["embedding"].tobytes(),
        },
    }
