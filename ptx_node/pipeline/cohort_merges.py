"""Keeps each patient of a cohort one patient while it is built: who is merged meanwhile is in one group, and in work or counted once.

A merge only takes away: who was left out before stays out. Patients who are parted again go on as two from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.db import cohort_merges as rows
from ptx_node.db import cohorts
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.cohort import Exclusion, joined
from ptx_node.log import get

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

log = get(__name__)


def follow(engine: Engine, cohort_id: int) -> int:
    """Bring an open cohort to what is known of its patients now; how many members are another patient's than before.

    Raises:
        DatabaseUnavailableError: nothing was written; call again.
    """
    with begin_read(engine) as session:
        if not rows.moved(session, cohort_id):
            return 0
    with begin_write(engine) as session:
        return apply(session, cohort_id)


def apply(session: Session, cohort_id: int) -> int:
    """As `follow`, inside the caller's transaction; a complete cohort stays as it is."""
    moved = rows.moved(session, cohort_id) if rows.hold_open(session, cohort_id) else {}
    if not moved:
        return 0
    moment = current_time()
    left = again = 0
    for family in rows.siblings(session, cohort_id, set(moved.values())).values():
        leave, wait = joined([one for _, one in family])
        for member, one in family:
            if one.member_id in leave:
                left += cohorts.exclude(session, member, Exclusion.OTHER_GROUP, now=moment)
            elif one.member_id in wait:
                again += cohorts.wait_again(session, member, now=moment)
    rows.give(session, moved)
    log.info("patients of a cohort were merged or parted", cohort=cohort_id, members=len(moved), other_group=left, wait_again=again)
    return len(moved)
