"""What a study's timeline would lose when its jobs or deliveries are done again: kept in the write transaction that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Text, case, cast, func, insert, literal, or_, select

from ptx_node.db.bulk import given
from ptx_node.db.history_tables import EarlierSending, Intervention
from ptx_node.db.tables import Delivery, Job, Result, UtcDateTime
from ptx_node.domain.job import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

SENT = ("attempts", "status", "error", "proof", "accepted_at", "committed_at")


def keep_sendings(session: Session, chosen: ColumnElement[bool]) -> None:
    """How far these deliveries have come, before they begin anew: of those that had arrived, or were given up."""
    failed = Delivery.state == DeliveryState.FAILED
    given_up_at = case((failed, Delivery.next_attempt_at))
    over = select(Delivery.id, *(getattr(Delivery, name) for name in SENT), given_up_at).where(
        chosen, or_(failed, Delivery.accepted_at.is_not(None))
    )
    over = over.with_for_update()  # two people who ask at the same time leave one row, not two
    session.flush()
    session.execute(insert(EarlierSending).from_select(["delivery_id", *SENT, "given_up_at"], over))


def jobs_again(session: Session, job_ids: Collection[int], *, by: str, what: str, at: datetime, reason: str = "") -> None:
    """Jobs that somebody had queued, or read, again; `what` is the decision's words in the audit trail."""
    wanted = given(session, {"id": BigInteger()}, [(number,) for number in job_ids])
    subject = literal("job ", Text()).concat(cast(Job.id, Text()))
    found = select(Job.study_instance_uid, subject).join(wanted, wanted.c.id == Job.id).order_by(Job.id)
    _keep(session, found, by, what, at, reason)


def deliveries_again(session: Session, delivery_ids: Collection[int], *, by: str, what: str, at: datetime, reason: str = "") -> None:
    """Deliveries that somebody had sent again."""
    wanted = given(session, {"id": BigInteger()}, [(number,) for number in delivery_ids])
    subject = func.upper(Result.kind, type_=Text()).concat(" to ").concat(Delivery.destination)
    found = select(Result.study_instance_uid, subject).join(Delivery, Delivery.result_id == Result.id)
    _keep(session, found.join(wanted, wanted.c.id == Delivery.id).order_by(Delivery.id), by, what, at, reason)


def _keep(session: Session, found: Select[str, str], by: str, what: str, at: datetime, reason: str) -> None:
    names = ("study_instance_uid", "subject", "intervened_at", "intervened_by", "what", "reason")
    rows = found.add_columns(literal(at, UtcDateTime()), literal(by), literal(what), literal(reason))
    session.execute(insert(Intervention).from_select(names, rows))
