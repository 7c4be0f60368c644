"""Rows that are for people and not for the record: forgotten when nobody looks at them any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete

from ptx_node.db import web_sessions
from ptx_node.db.tables import Heartbeat, Refusal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

KEEP_REFUSALS = timedelta(days=90)
KEEP_HEARTBEATS = timedelta(days=7)


def forget(session: Session, *, now: datetime) -> None:
    """Remove old refusals, signs of life of processes that were killed, and sessions long over. Nothing acknowledged is touched."""
    session.execute(delete(Refusal).where(Refusal.refused_at < now - KEEP_REFUSALS))
    session.execute(delete(Heartbeat).where(Heartbeat.beat_at < now - KEEP_HEARTBEATS))
    web_sessions.forget(session, now=now)
