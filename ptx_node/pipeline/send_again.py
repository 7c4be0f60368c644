"""Deliveries made due again by a person, those that had arrived too: an archive may have lost what it once proved."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from ptx_node.db import audit, deliveries, destinations, history
from ptx_node.db.results import queue_again
from ptx_node.db.session import begin_write, now
from ptx_node.db.tables import Delivery
from ptx_node.domain.audit_events import SEND_AGAIN, decision
from ptx_node.domain.job import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

DEADLINE_S = 86400.0
"""Of a destination that is no longer in the configuration: it may come back within a day."""


def send_again(engine: Engine, delivery_ids: Sequence[int], *, deadlines_s: Mapping[str, float], by: str, reason: str) -> list[int]:
    """Queue these deliveries as if nothing had been sent; which. What is being sent at this moment is left alone.

    The peer gets the same instance with the same UID and content, which the standard lets it store once.

    Args:
        engine: the node's database.
        delivery_ids: of any destinations.
        deadlines_s: how long each destination, by name, is tried.
        by: the audit trail's actor.
        reason: the person's, for the trail.
    """
    moment = now()
    with begin_write(engine) as session:
        for name in deliveries.destinations_of(session, delivery_ids):
            destinations.let_go(session, name)
        wanted = Delivery.id.in_(delivery_ids)
        deliveries.lock_jobs(session, session.scalars(select(Delivery.job_id).where(wanted).distinct()).all())
        resting = Delivery.state != DeliveryState.SENDING
        rows = session.scalars(select(Delivery).where(wanted, resting).order_by(Delivery.id).with_for_update()).all()
        for row in rows:
            deadline = timedelta(seconds=deadlines_s.get(row.destination, DEADLINE_S))
            queue_again(row, row.job_id, moment, moment + deadline)
        queued = [row.id for row in rows]
        if queued:
            audit.note(session, decision(by, SEND_AGAIN, delivery_ids=queued, reason=reason))
            history.deliveries_again(session, queued, by=by, what=SEND_AGAIN, at=moment, reason=reason)
    return queued
