"""The node verifies its own audit trail: what is new at each look, and every row again in the course of a day.

An old row can be changed at any time, so following the new ones is not enough; and a chain without its end is whole in itself, so the
newest row that was seen must still be there. A trail that is broken stays so until a whole walk finds nothing, as after a restore.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ptx_node.db import audit, audit_checks
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.audit import NODE, START, AuditKind, Event
from ptx_node.log import get

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.audit_checks import Checked
    from ptx_node.domain.audit import Link

log = get(__name__)

ROWS_A_LOOK = 20_000
"""Of the new rows, and of the walk: a fraction of a second each. At a look a minute a walk reaches 28 million rows in a day."""
WALK_EVERY = timedelta(days=1)


def look(engine: Engine, *, rows: int = ROWS_A_LOOK) -> Checked:
    """One look; what is known afterwards. May be asked any time, by any number.

    Raises:
        DatabaseUnavailableError: a retry may help; nothing was written.
    """
    with begin_read(engine) as session:
        before = audit_checks.last(session)
        found = _look(session, before or audit_checks.begin(now()), rows)
    with begin_write(engine) as session:
        kept = audit_checks.keep(session, before, found)
        if kept and found.broken_sequence is not None and (before is None or before.broken_sequence is None):
            told = {"what": "audit trail", "intact": False, "broken_sequence": found.broken_sequence}
            audit.note(session, Event(AuditKind.VERIFICATION, NODE, told))
    if found.broken_sequence is not None:
        log.error("the audit trail is broken", row=found.broken_sequence, look="ptx audit verify")
    return found


def _look(session: Session, known: Checked, rows: int) -> Checked:
    found = replace(known, checked_at=now())
    if known.head != START and audit_checks.row_hash(session, known.head.sequence) != known.head.sha256:
        return _broken(found, known.head.sequence)  # cut off, or written anew
    end = audit.head(session).sequence  # asked first, so that rows which come meanwhile are no gap
    if known.broken_sequence is None:
        new, problem = _follow(session, known.head, rows, end)
        found = replace(found, head=new)
        if problem is not None:
            return _broken(found, problem)
    return _walk(session, found, rows, end)


def _walk(session: Session, known: Checked, rows: int, end: int) -> Checked:
    """Go on from where the last look ended. At the end of the trail a walk ends; a day after its begin the next one begins."""
    moment = known.checked_at
    if known.passed_at is not None and known.passed_at >= known.began_at:
        if moment - known.began_at < WALK_EVERY:
            return known
        known = replace(known, at=START, began_at=moment)
    at, problem = _follow(session, known.at, rows, end)
    if problem is not None:
        return replace(_broken(known, problem), at=START, began_at=moment)
    if at.sequence < end:
        return replace(known, at=at)
    head = at if at.sequence > known.head.sequence else known.head
    return replace(known, at=at, head=head, passed_at=moment, broken_sequence=None, broken_at=None)


def _follow(session: Session, after: Link, rows: int, end: int) -> tuple[Link, int | None]:
    """Follow so many rows: the last that fits, and the first that does not."""
    found = audit.verify(session, after=after, most=rows)
    if found.broken is not None:
        return found.head, found.broken.sequence
    if found.head == after and after.sequence < end:  # a gap so long that no row stands within reach
        return after, after.sequence + 1
    return found.head, None


def _broken(known: Checked, sequence: int) -> Checked:
    """The first row that does not fit, and since when that is known."""
    return replace(known, broken_sequence=sequence, broken_at=known.broken_at or known.checked_at)
