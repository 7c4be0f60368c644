"""The counted members of a cohort as cases: called by its threshold, held against the label that decided their group. Read only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from ptx_node.db import case_identifiers, cases, model_history
from ptx_node.db.case_truths import cohort_truths
from ptx_node.db.tables import CohortMember, ExaminationRow, FindingRow, RadiologyReport
from ptx_node.domain.cohort import MemberState
from ptx_node.domain.finding import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Case, Key
    from ptx_node.db.model_history import Used
    from ptx_node.db.tables import Cohort


def _counted(cohort: Cohort) -> ColumnElement[bool]:
    return and_(CohortMember.cohort_id == cohort.id, CohortMember.state == MemberState.COUNTED)


def _findings(cohort: Cohort) -> Select[int | None]:
    return select(CohortMember.finding_id).where(_counted(cohort))


def keys(session: Session, cohort: Cohort) -> list[Key]:
    """The finding and the image of every counted member, by the finding's number."""
    seen = ExaminationRow
    rows = session.execute(select(seen.finding_id, seen.instance_id).where(seen.finding_id.in_(_findings(cohort))))
    return sorted((finding, instance) for finding, instance in rows)


def page(session: Session, cohort: Cohort, some: Sequence[Key], *, words: bool = False) -> list[Case]:
    """As `cases.page`: with the label of the moment at which the cohort was begun, and the answer by the threshold of that moment."""
    truths = cohort_truths(session, cohort.id, [finding for finding, _ in some], words=words)
    return [
        replace(
            case,
            truth=truths[case.finding_id],
            unmatched=None,
            superseded=False,
            threshold=cohort.threshold,
            outcome=Outcome.POSITIVE if case.probability is not None and case.probability >= cohort.threshold else Outcome.NEGATIVE,
        )
        for case in cases.page(session, some)
    ]


def reports_of(session: Session, cohort: Cohort, finding_id: int) -> Sequence[RadiologyReport]:
    """The report that a member's radiograph is held against."""
    mine = and_(_counted(cohort), CohortMember.finding_id == finding_id)
    return session.scalars(select(RadiologyReport).join(CohortMember, CohortMember.report_id == RadiologyReport.id).where(mine)).all()


def identifiers(session: Session, cohort: Cohort) -> Iterator[tuple[str, str]]:
    """As `case_identifiers.identifiers`, of the counted members."""
    yield from case_identifiers.of_images(session, ExaminationRow.finding_id.in_(_findings(cohort)))
    reports = select(CohortMember.report_id).where(_counted(cohort))
    yield from case_identifiers.of_reports(session, select(RadiologyReport.id).where(RadiologyReport.id.in_(reports)))


def used_models(session: Session, cohort: Cohort) -> list[Used]:
    """The cohort's model, at the threshold by which everybody is called."""
    found = model_history.used_where(session, ExaminationRow.finding_id.in_(_findings(cohort)))
    return [replace(one, threshold=cohort.threshold) for one in found]


def moments(session: Session, cohort: Cohort) -> tuple[datetime, datetime]:
    """From the first reading that counts, or the cohort's beginning where that was earlier, to its completion."""
    first: Any = session.scalar(select(func.min(FindingRow.inferred_at)).where(FindingRow.id.in_(_findings(cohort))))
    begun = min(cohort.created_at, first) if first else cohort.created_at
    return begun, cohort.finished_at or begun
