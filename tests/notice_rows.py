"""Notices as rows, each of a condition of its own, in whatever state a test wants."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from sqlalchemy.orm import Session

from ptx_node.db.notice_tables import NoticeCondition, NoticeRow

_numbers = count(1)


def add_notice(session: Session, receiver: str, state: str, *, queued_at: datetime, deadline_at: datetime) -> None:
    number = next(_numbers)
    began = {"began_at": queued_at, "seen_at": queued_at, "ended_at": queued_at}
    condition = NoticeCondition(uuid=f"condition {number}", kind="quarantine", subject="decode_failed", facts={}, **began)
    session.add(condition)
    session.flush()
    session.add(
        NoticeRow(
            uuid=f"notice {number}",
            condition_id=condition.id,
            receiver=receiver,
            recipient="",
            step="began",
            number=0,
            facts={},
            studies=[],
            state=state,
            attempts=1,
            next_attempt_at=queued_at,
            deadline_at=deadline_at,
            queued_at=queued_at,
        )
    )
