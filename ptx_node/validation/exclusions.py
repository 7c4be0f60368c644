"""Why an image counts in no figure: the closed list, in the order of the flow chart, each with its words. The first that holds is given."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.db.case_counts import CONFLICT, RETRIEVED, UNROUTED
from ptx_node.domain.finding import Outcome
from ptx_node.domain.job import JobState
from ptx_node.domain.reconciliation import TRUTHS, Unmatched
from ptx_node.domain.study import PHANTOM_PREFIX, Via
from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.db.case_counts import Unread
    from ptx_node.db.cases import Case


class Exclusion(StrEnum):
    """Why; `WORDS` says each to a person."""

    # Not an image of the routine
    COMMISSIONING = "commissioning"
    OWN_RESULT = "own_result"
    FETCHED = "fetched"
    CONFLICT = "conflict"
    # No model read it
    NO_RULE = "no_rule"
    REFUSED_BY_ROUTING = "refused_by_routing"
    UNREADABLE = "unreadable"
    LATE_IGNORED = "late_ignored"
    WAITING = "waiting"
    # No answer that counts
    SUPERSEDED = "superseded"
    NOT_ELIGIBLE = "not_eligible"
    FAILED = "failed"
    READ_AGAIN = "read_again"
    # Nobody says what is true
    NOT_RECONCILED = "not_reconciled"
    NO_READING = "no_reading"
    PATIENT_UNKNOWN = "patient_unknown"
    NO_EXAMINATION_DATE = "no_examination_date"
    NO_REPORT_THAT_DAY = "no_report_that_day"
    NO_RADIOGRAPH_BEFORE = "no_radiograph_before"
    NOT_NEAREST = "not_nearest"
    ORDER_UNKNOWN = "order_unknown"
    OTHER_EXAMINATION = "other_examination"
    # What is said decides nothing
    LABEL_UNDECIDED = "label_undecided"


WORDS: Mapping[Exclusion, str] = {
    Exclusion.COMMISSIONING: "a phantom of a commissioning",
    Exclusion.OWN_RESULT: "a result that this node wrote, which came back",
    Exclusion.FETCHED: "fetched from an archive by hand or for a cohort, not part of the routine",
    Exclusion.CONFLICT: "other bytes under a UID that was here already, kept aside",
    Exclusion.NO_RULE: "no routing rule takes it",
    Exclusion.REFUSED_BY_ROUTING: "its header says that no model of its rules reads it",
    Exclusion.UNREADABLE: "its header cannot be read",
    Exclusion.LATE_IGNORED: "came after its series or study was read, and the rule leaves such out",
    Exclusion.WAITING: "no model has read it yet",
    Exclusion.SUPERSEDED: "a newer reading, with images that came later, stands for it",
    Exclusion.NOT_ELIGIBLE: "the model does not read such an image",
    Exclusion.FAILED: "the reading failed",
    Exclusion.READ_AGAIN: "the same model read the same image before",
    Exclusion.NOT_RECONCILED: "no reconciliation has looked at it yet",
    Exclusion.NO_READING: "no reader says anything of it",
    Exclusion.PATIENT_UNKNOWN: "its header names no patient",
    Exclusion.NO_EXAMINATION_DATE: "its header does not say when it was made",
    Exclusion.NO_REPORT_THAT_DAY: "no CT report of the patient that day which counts",
    Exclusion.NO_RADIOGRAPH_BEFORE: "made after the CT",
    Exclusion.NOT_NEAREST: "another radiograph lies between it and the CT, or another CT before that",
    Exclusion.ORDER_UNKNOWN: "several of the day, and a time is missing",
    Exclusion.OTHER_EXAMINATION: "the CT report is of another examination of the day",
    Exclusion.LABEL_UNDECIDED: "the report, or the readers, leave it open",
}

REPORT_WORDS: Mapping[str, str] = {
    Unmatched.NO_RADIOGRAPH_THAT_DAY: "no image of the patient that day with an answer",
    Unmatched.PATIENT_UNKNOWN: "no image of its patient has come",
    Unmatched.ISSUER_AMBIGUOUS: "its patient's number belongs to several patients",
    Unmatched.NO_EXAMINATION_DATE: "it does not say when the examination was",
    Unmatched.NOT_CT: "of another examination than a CT",
    Unmatched.NOT_COVERED: "the CT does not show the thorax",
    Unmatched.NO_TEXT: "it has no text that can be read",
    Unmatched.NOT_LABELLED: "it is not labelled",
    Unmatched.PRELIMINARY: "preliminary",
    Unmatched.WITHDRAWN: "withdrawn",
    "secondary_only": "images of the day, none of which it is the primary partner of",
    "not_reconciled": "no reconciliation has looked at it yet",
}
"""Why a radiology report of the period counts for no image."""

_PLACES: Mapping[str, Exclusion] = {
    UNROUTED: Exclusion.WAITING,
    CONFLICT: Exclusion.CONFLICT,
    **dict.fromkeys(("queued", "collected"), Exclusion.WAITING),  # routed, and their job is not there yet
    "late_ignored": Exclusion.LATE_IGNORED,
    "own_result": Exclusion.OWN_RESULT,
    "unreadable": Exclusion.UNREADABLE,
    RETRIEVED: Exclusion.FETCHED,
    "no_rule": Exclusion.NO_RULE,
    "not_eligible": Exclusion.REFUSED_BY_ROUTING,
    JobState.RUNNING: Exclusion.WAITING,
    JobState.QUARANTINED: Exclusion.FAILED,
    JobState.SUPERSEDED: Exclusion.SUPERSEDED,
    JobState.DONE: Exclusion.FAILED,  # and left nothing of it
}


def exclusion_of_unread(one: Unread) -> Exclusion:
    """Why images without a finding have none."""
    return Exclusion.COMMISSIONING if one.phantom else _PLACES[one.place]


def exclusion_before_truth(case: Case) -> Exclusion | None:
    """Why a finding is no answer that counts, looked at alone."""
    if case.patient_id.startswith(PHANTOM_PREFIX):
        return Exclusion.COMMISSIONING
    if case.via == Via.RETRIEVE:
        return Exclusion.FETCHED
    if case.superseded:
        return Exclusion.SUPERSEDED
    return {Outcome.NOT_ELIGIBLE: Exclusion.NOT_ELIGIBLE, Outcome.FAILED: Exclusion.FAILED}.get(Outcome(case.outcome))


def exclusion_by_truth(case: Case) -> Exclusion | None:
    """Why an answer has nothing to be held against."""
    if case.truth is not None:
        return Exclusion.LABEL_UNDECIDED if TRUTHS[LabelValue(case.truth.label)] is None else None
    if case.unmatched is None or case.unmatched == Unmatched.NOT_ANSWERED:  # which was so when it was last looked at
        return Exclusion.NOT_RECONCILED
    return Exclusion(case.unmatched)
