"""A job's inputs read once more because a person asks for it: a new job that supersedes the old one. Inside a write transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, literal, select, update

from ptx_node.db.tables import ExaminationRow, FindingRow, Job, JobInput
from ptx_node.domain.job import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

AGAIN = frozenset({JobState.DONE, JobState.QUARANTINED})
"""What has not ended will answer by itself, and what was not eligible would not be again."""
KEPT = ("rule", "model", "level", "level_uid", "study_instance_uid", "destinations", "report_failed", "report_not_eligible", "priority")
TIMES = ("first_instance_at", "last_instance_at", "complete_at")


def read_again(session: Session, job_id: int, *, now: datetime) -> int | None:
    """Queue a new job on the same inputs; its number. None when the old one has not ended, or another superseded it already.

    A job that is done stays done, as with late instances: what it wrote is not withdrawn, and the new report names it as
    its predecessor. The same model on the same inputs gives the same results under the same UIDs.
    """
    old = session.get(Job, job_id, with_for_update=True)
    if old is None or old.state not in AGAIN or old.superseded_by_id is not None:
        return None
    new = Job(
        **{name: getattr(old, name) for name in (*KEPT, *TIMES)},
        idempotency_key=f"{old.rule}|again|{old.id}",
        state=JobState.QUEUED,
        attempts=0,
        queued_at=now,
    )
    session.add(new)
    session.flush()
    held = select(literal(new.id), JobInput.instance_id, JobInput.eligible, JobInput.reason, JobInput.detail).where(
        JobInput.job_id == old.id
    )
    session.execute(insert(JobInput).from_select(["job_id", "instance_id", "eligible", "reason", "detail"], held))
    if old.state == JobState.QUARANTINED:
        old.state, old.detail = JobState.SUPERSEDED, f"read again by hand: see job {new.id}"
    old.superseded_by_id = new.id
    outdated = select(FindingRow.id).where(FindingRow.job_id == old.id)
    session.execute(update(ExaminationRow).where(ExaminationRow.finding_id.in_(outdated)).values(reconcile_needed=True))
    return new.id
