"""What the stop rules count: answers and truths of the last days, as (how many of how many). Read only.

As in the watch over drift, phantoms, studies that the node fetched itself, and replaced answers do not count.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, or_, select

from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, Job, PairRow
from ptx_node.domain.finding import Outcome
from ptx_node.domain.reconciliation import Agreement
from ptx_node.domain.study import PHANTOM_PREFIX, Via

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session


class StopFigure(StrEnum):
    """What a stop rule looks at: the closed list.

    positive_rate: positive answers of all. failed_rate: answers that failed, of all that were tried. mask_missing: positive answers in
    which nothing is drawn, of all positive ones. sensitivity, specificity: against the radiology reports of the day.
    """

    POSITIVE_RATE = "positive_rate"
    FAILED_RATE = "failed_rate"
    MASK_MISSING = "mask_missing"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"


_ANSWERED = FindingRow.outcome.in_((Outcome.POSITIVE.value, Outcome.NEGATIVE.value))
_POSITIVE = FindingRow.outcome == Outcome.POSITIVE.value
_DRAWN = or_(func.coalesce(FindingRow.area_mm2, FindingRow.volume_ml, 0.0) > 0, FindingRow.spacing_reason.is_not(None))
_OF_ANSWERS: dict[StopFigure, tuple[ColumnElement[bool], ColumnElement[bool]]] = {
    StopFigure.POSITIVE_RATE: (_POSITIVE, _ANSWERED),
    StopFigure.FAILED_RATE: (FindingRow.outcome == Outcome.FAILED.value, or_(_ANSWERED, FindingRow.outcome == Outcome.FAILED.value)),
    StopFigure.MASK_MISSING: (and_(_POSITIVE, ~_DRAWN), _POSITIVE),
}
_OF_PAIRS = {
    StopFigure.SENSITIVITY: (Agreement.TRUE_POSITIVE.value, Agreement.FALSE_NEGATIVE.value),
    StopFigure.SPECIFICITY: (Agreement.TRUE_NEGATIVE.value, Agreement.FALSE_POSITIVE.value),
}


def counted(session: Session, figure: StopFigure, *, since: datetime, first_day: date, model: str) -> tuple[int, int]:
    """(hits, of how many).

    Args:
        session: for reading.
        figure: what is counted.
        since: answers from this moment on; truths that were found since.
        first_day: local day; truths of examinations of earlier days do not count.
        model: its name in `[models]`; empty: all of them.
    """
    wanted: Any
    if figure in _OF_PAIRS:
        right, wrong = _OF_PAIRS[figure]
        wanted = (
            select(_times(PairRow.agreement == right), func.count())
            .select_from(PairRow)
            .join(FindingRow, FindingRow.id == PairRow.finding_id)
            .join(ExaminationRow, ExaminationRow.finding_id == FindingRow.id)
            .join(Instance, Instance.id == ExaminationRow.instance_id)
            .where(
                ExaminationRow.examined_on >= first_day,
                PairRow.reconciled_at >= since,
                PairRow.superseded_at.is_(None),
                PairRow.secondary_reason.is_(None),
                PairRow.agreement.in_((right, wrong)),
            )
        )
    else:
        hit, among = _OF_ANSWERS[figure]
        wanted = (
            select(_times(hit), func.count())
            .select_from(FindingRow)
            .join(Instance, Instance.sop_instance_uid == FindingRow.sop_instance_uids[0].as_string())
            .where(FindingRow.inferred_at >= since, among)
        )
    wanted = wanted.join(Job, Job.id == FindingRow.job_id).where(
        Job.superseded_by_id.is_(None), Instance.via != Via.RETRIEVE.value, Instance.patient_id.not_like(f"{PHANTOM_PREFIX}%")
    )
    if model:
        wanted = wanted.where(Job.model == model)
    hits, of = session.execute(wanted).one()
    return int(hits or 0), int(of)


def _times(what: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((what, 1), else_=0))
