"""Whether anything has come that figures are made of: a few look-ups of the last number of a table, whatever its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ptx_node.db.tables import ExaminationRow, FindingRow, PairRow, PatientMerge, TruthRow, UnmatchedRow

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy.orm import Session

TABLES = (FindingRow, PairRow, UnmatchedRow, TruthRow, PatientMerge)


def newest(session: Session) -> tuple[int, ...]:
    """The last number of findings, pairs, those without a partner, readers' truths and merges; 0 where there is none.

    A correction of a report, or of a label, ends a pair and makes another row, so that it is seen too.
    """
    return tuple(session.scalar(select(func.max(table.id))) or 0 for table in TABLES)


def last_examined(session: Session) -> date | None:
    """The local day of the newest image that a model has read; None where none has one."""
    return session.scalar(select(func.max(ExaminationRow.examined_on)))
