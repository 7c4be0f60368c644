"""The newest rows of the audit trail by kind and time, for a page: whatever its length, only rows that are asked for are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, union_all

from ptx_node.db.audit import Segment, entry_of, stored_rows
from ptx_node.db.tables import AuditEvent
from ptx_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.orm import Session

    from ptx_node.domain.audit import Entry

NEIGHBOURS = 1000
"""Rows whose times may be in another order than their numbers, as clocks of two machines make them."""


def stretch(session: Session, since: datetime | None, until: datetime | None) -> Segment | None:
    """The numbers between which the rows recorded at or after `since` and before `until` stand; None when there is none.

    Found along the index of time. Where a clock was set back by more than `NEIGHBOURS` rows take, one that was recorded with the wrong time
    may stand outside, unlike in `ptx_node.db.audit.segment`, which reads the table for it.
    """
    at, number = AuditEvent.recorded_at, AuditEvent.sequence
    within = [at >= since] if since else []
    within += [at < until] if until else []
    ends = []
    for order, end in ((at.asc(), func.min), (at.desc(), func.max)):
        if not within:
            ends.append(session.scalar(select(end(number))))
            continue
        near = select(number).where(*within).order_by(order).limit(NEIGHBOURS).subquery()
        ends.append(session.scalar(select(end(near.c.sequence))))
    first, last = ends
    return Segment(first, last) if first and last else None


def newest(session: Session, part: Segment, *, kinds: Collection[AuditKind], limit: int) -> list[Entry]:
    """The last rows of a stretch that are of these kinds, the newest first. Each kind is read backwards by itself: see the index."""
    within = AuditEvent.sequence.between(part.first, part.last)
    wanted = stored_rows().where(within).order_by(AuditEvent.sequence.desc()).limit(limit)
    if len(kinds) < len(AuditKind):
        ways = [select(wanted.where(AuditEvent.kind == str(kind)).subquery()) for kind in sorted(kinds)]
        rows = union_all(*ways).subquery()
        wanted = select(rows).order_by(rows.c.sequence.desc()).limit(limit)
    return [entry_of(row) for row in session.execute(wanted).mappings()]
