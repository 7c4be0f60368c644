"""Rows that are for people and not for the record: forgotten when nobody looks at them any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete

from ptx_node.db import embeddings, exports, notices, web_sessions
from ptx_node.db.tables import Heartbeat, Refusal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

KEEP_REFUSALS = timedelta(days=90)
KEEP_HEARTBEATS = timedelta(days=7)


def forget(session: Session, *, now: datetime, exports_kept: timedelta | None = None) -> None:
    """Remove old refusals, signs of life of killed processes, sessions and notices long over, and what networks saw long ago.

    Nothing acknowledged is touched. Packages that are older than `exports_kept` are given up; their rows stay.
    """
    session.execute(delete(Refusal).where(Refusal.refused_at < now - KEEP_REFUSALS))
    session.execute(delete(Heartbeat).where(Heartbeat.beat_at < now - KEEP_HEARTBEATS))
    web_sessions.forget(session, now=now)
    if exports_kept is not None:
        exports.give_up_old(session, before=now - exports_kept, now=now)
    notices.forget(session, now=now)
    embeddings.forget(session, now=now)
