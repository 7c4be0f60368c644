"""Findings of a model that never ran, of images that never were: rows as receiving, reading and registering leave them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, Job
from ptx_node.pipeline.patients import register_new
from tests.radiology import NOON, SITE, instance_row

DAY = date(2026, 3, 1)
NUMBERS = iter(range(1, 10**9))


def finding(engine: Engine, patient_id: str = "1", *, hours: float | None = -3, outcome: str = "positive", **about: Any) -> int:
    """A radiograph of a patient so many hours from noon, and what a model said of it; the number of the finding."""
    number, moment = next(NUMBERS), now()
    at = None if hours is None else NOON + timedelta(hours=hours)
    with begin_write(engine) as session:
        row = {
            **instance_row(patient_id=patient_id, modality="DX", study_instance_uid=f"1.9.{number}"),
            "sop_instance_uid": f"1.8.{number}",
        }
        instance = session.execute(insert(Instance).values({**row, **about.pop("instance", {})}).returning(Instance.id)).scalar_one()
        job = Job(
            **dict.fromkeys(("rule", "level", "level_uid", "study_instance_uid"), "x"),
            **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at"), moment),
            **dict.fromkeys(("report_failed", "report_not_eligible"), False),
            idempotency_key=str(number),
            model="m",
            destinations=[],
            priority=50,
            state="done",
            attempts=1,
        )
        session.add(job)
        session.flush()
        said = FindingRow(
            **dict.fromkeys(("study_instance_uid", "series_instance_uid", "model_manufacturer", "model_name", "model_version"), "x"),
            job_id=job.id,
            sop_instance_uids=[f"1.8.{number}"],
            input_digest=str(number),
            outcome=outcome,
            weights_sha256="",
            device_uid=about.pop("model", "m"),
            inferred_at=moment,
        )
        session.add(said)
        session.flush()
        texts = dict.fromkeys(("patient_sex", "view_position", "manufacturer", "manufacturer_model_name", "station_name"), "")
        session.add(
            ExaminationRow(
                finding_id=said.id,
                instance_id=instance,
                reconcile_needed=True,
                **{"modality": "DX", "examined_at": at, "examined_on": DAY, **texts, **about},
            )
        )
    while register_new(engine, SITE):
        pass
    return said.id
