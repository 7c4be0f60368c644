"""Who may be in a cohort: every report of the period becomes a member in one transaction, with its group and turn, or why it is out.

From then on nothing that comes later puts anybody in: neither a corrected report, nor a merge, nor images. Patients who are merged while it
is built are one from then on (`cohort_merges`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from ptx_node.db import audit, cohorts
from ptx_node.db import reconciliation as rows
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.db.tables import Cohort
from ptx_node.domain.audit_events import decision
from ptx_node.domain.cohort import Candidate, Choice, CohortState, Exclusion, MemberState, Terms, arrange
from ptx_node.domain.reconciliation import TRUTHS, Unmatched
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import UsageError
from ptx_node.pipeline.reconcile import why_not_counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.reconciliation import Told
    from ptx_node.domain.finding import ModelIdentity

OUT = {
    Unmatched.NOT_CT: Exclusion.NOT_CT,
    Unmatched.WITHDRAWN: Exclusion.WITHDRAWN,
    Unmatched.PRELIMINARY: Exclusion.PRELIMINARY,
    Unmatched.NO_TEXT: Exclusion.NO_TEXT,
    Unmatched.NOT_LABELLED: Exclusion.NOT_LABELLED,
    Unmatched.NOT_COVERED: Exclusion.NOT_THORAX,
}
"""What reconciliation says of a report that counts nowhere, as a cohort says it."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds at the moment at which a cohort is begun, and stays its own.

    Attributes:
        threshold: the probability at and above which the model calls.
        by: who decided to build it.
        settings_sha256: of the settings, as the audit trail names them.
    """

    model: ModelIdentity
    threshold: float
    by: str
    settings_sha256: str


def begin(engine: Engine, terms: Terms, now: Circumstances) -> tuple[Cohort, bool]:
    """The cohort of this name, and whether it was begun now.

    Raises:
        UsageError: it was begun with other terms before; the message says what differs.
        DatabaseUnavailableError: nothing was written; call again.
    """
    with begin_read(engine) as session:
        known = cohorts.find(session, terms.name)
    if known is None:
        try:
            with begin_write(engine) as session:
                return _write(session, terms, now), True
        except IntegrityError:  # another process began it at this moment
            with begin_read(engine) as session:
                known = cohorts.find(session, terms.name)
            if known is None:
                raise
    differences = cohorts.terms_of(known).differences(terms)
    if differences:
        raise UsageError(f"the cohort {terms.name} was begun with other words: {'; '.join(differences)}. Give these, or another name")
    return known, False


def _write(session: Session, terms: Terms, now: Circumstances) -> Cohort:
    moment = current_time()
    told = rows.reports_of_period(session, terms.since, terms.until)
    people = cohorts.people_of_parked(session, terms.since, terms.until)
    people |= {one.report_id: {one.person_id} for one in told if one.person_id is not None}
    out = {one.report_id: why for one in told if (why := _why_out(one, people.get(one.report_id, set()))) is not None}
    names = cohorts.report_names(session, terms.since, terms.until)
    candidates = [_candidate(one, people, names) for one in told if one.report_id not in out]
    numbers = cohorts.numbers_of(session, {one.person_id for one in candidates})
    keys = {person: min(f"{one.value}\n{one.authority}\n{one.type}" for one in several) for person, several in numbers.items()}
    arranged = arrange(candidates, keys, terms.choice, terms.seed)
    out |= dict.fromkeys(arranged.other_group, Exclusion.OTHER_GROUP)
    of_report = {one.report_id: one for one in candidates}
    members: list[dict[str, Any]] = []
    for one in told:
        why, candidate = out.get(one.report_id), of_report.get(one.report_id)
        members.append(
            {
                "report_id": one.report_id,
                "label_id": one.label_id,
                "label": one.label,
                "positive": candidate.positive if candidate else None,
                "person_id": candidate.person_id if candidate else None,
                "examined_on": one.examined_on,
                "turn": arranged.turns.get(one.report_id),
                "state": MemberState.EXCLUDED if why else MemberState.WAITING,
                "exclusion": why,
                "study_instance_uids": [],
                "changed_at": moment,
            }
        )
    cohort = Cohort(
        **{name: getattr(terms, name) for name in cohorts.TERMS},
        choice=terms.choice,
        model_version=now.model.version,
        device_uid=now.model.device_uid,
        threshold=now.threshold,
        settings_sha256=now.settings_sha256,
        asked_by=now.by,
        state=CohortState.BUILDING,
        created_at=moment,
    )
    cohorts.begin(session, cohort, members)
    said = {**_said(terms), "device_uid": now.model.device_uid, "threshold": now.threshold, "members": len(members)}
    audit.note(session, decision(now.by, "build cohort", **said))
    return cohort


def _why_out(told: Told, people: set[int]) -> Exclusion | None:
    """The first thing that is in the way of a report, whatever images there are."""
    reason = why_not_counted(told, whose=False)
    if reason is not None:
        return OUT[reason]
    if TRUTHS[LabelValue(told.label or "")] is None:
        return Exclusion.LABEL_UNCERTAIN
    if len(people) != 1:
        return Exclusion.PATIENT_AMBIGUOUS if people else Exclusion.NO_PATIENT
    return None


def _candidate(told: Told, people: Mapping[int, set[int]], names: Mapping[int, tuple[str, str]]) -> Candidate:
    (person,) = people[told.report_id]
    assert told.examined_on is not None
    assert told.label is not None
    positive = TRUTHS[LabelValue(told.label)] is True
    return Candidate(told.report_id, person, positive, told.examined_on, told.examined_at, names[told.report_id])


def _said(terms: Terms) -> dict[str, Any]:
    said = {name: getattr(terms, name) for name in cohorts.TERMS} | {"choice": str(Choice(terms.choice))}
    return {"cohort": said.pop("name"), **said, "since": terms.since.isoformat(), "until": terms.until.isoformat()}
