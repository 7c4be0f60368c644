"""The flow chart and the figures of a cohort: counts of its rows, and what the statistics make of those who are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.cohort import WORDS, Exclusion, MemberState
from ptx_node.validation.flow import Flow, Left, Step
from ptx_node.validation.statistics import Accuracy, Estimate, Table, accuracy, auc_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptx_node.db.cohorts import Counted

    Counts = Mapping[tuple[str, str | None, str | None], int]


@dataclass(frozen=True, slots=True)
class Box:
    """A step of the chart and what makes members leave after it; `open_state`: members who are there at this moment."""

    name: str
    words: str
    exclusions: tuple[Exclusion, ...]
    open_state: MemberState | None = None
    open_words: str = ""


BOXES = (
    Box(
        "reports",
        "radiology reports of examinations in the period",
        (
            *(Exclusion.NOT_CT, Exclusion.NOT_THORAX, Exclusion.WITHDRAWN, Exclusion.PRELIMINARY, Exclusion.NO_TEXT),
            *(Exclusion.NOT_LABELLED, Exclusion.LABEL_UNCERTAIN, Exclusion.NO_PATIENT, Exclusion.PATIENT_AMBIGUOUS),
        ),
    ),
    Box("labelled", "CT reports of the thorax that say yes or no", (Exclusion.OTHER_GROUP,)),
    Box(
        "one_group",
        "CT reports of patients who are in one group",
        (Exclusion.OTHER_CT, Exclusion.NOT_DRAWN),
        MemberState.WAITING,
        "turn has not come yet",
    ),
    Box(
        "looked_for",
        "CT reports for which a radiograph was looked for",
        (
            *(Exclusion.PATIENT_NOT_IN_ARCHIVE, Exclusion.NO_RADIOGRAPH_THAT_DAY, Exclusion.RETRIEVAL_FAILED),
            *(Exclusion.OTHER_PATIENT, Exclusion.REPORT_CHANGED),
        ),
        MemberState.FETCHING,
        "radiographs are being fetched",
    ),
    Box(
        "same_day",
        "CT reports with a radiograph of the same day",
        (
            *(Exclusion.NOT_ELIGIBLE, Exclusion.ONLY_AFTER_CT, Exclusion.NEARER_TO_OTHER_CT, Exclusion.ORDER_UNKNOWN),
            Exclusion.TOO_FAR_APART,
        ),
    ),
    Box(
        "read",
        "radiographs given to the model, one a patient",
        (Exclusion.UNREADABLE, Exclusion.MODEL_FAILED),
        MemberState.READING,
        "not read yet",
    ),
)
"""In their order; every exclusion stands in one of them."""

CELLS = {
    "true_positive": "pneumothorax, called positive",
    "false_negative": "pneumothorax, called negative",
    "false_positive": "no pneumothorax, called positive",
    "true_negative": "no pneumothorax, called negative",
}


def flow_of(counts: Counts, table: Table) -> Flow:
    """The chart of a cohort, complete or not.

    Args:
        counts: (state, exclusion, code) -> members, as `db.cohorts.counts` gives them.
        table: of the members that are counted.

    Raises:
        UsageError: the counts do not add up.
    """
    steps = []
    remaining = sum(counts.values())
    for box in BOXES:
        left = _left(box, counts)
        steps.append(Step(box.name, box.words, remaining, left))
        remaining -= sum(one.count for one in left)
    steps.append(Step("counted", "patients counted", remaining))
    return Flow(tuple(steps), tuple(Step(name, words, getattr(table, name)) for name, words in CELLS.items()))


def _left(box: Box, counts: Counts) -> tuple[Left, ...]:
    left = [
        Left(str(why) if code is None else f"{why}/{code}", WORDS[why] if code is None else f"{WORDS[why]} ({code})", count)
        for why in box.exclusions
        for (_, exclusion, code), count in sorted(counts.items(), key=lambda item: str(item[0]))
        if exclusion == why
    ]
    here = sum(count for (state, _, _), count in counts.items() if state == box.open_state)
    return (*left, Left(str(box.open_state), box.open_words, here)) if here else tuple(left)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a cohort is worth, each figure with its n, method and interval. One radiograph a patient: cases are independent."""

    table: Table
    accuracy: Accuracy
    auc: Estimate


def figures_of(counted: Sequence[Counted]) -> Figures:
    """Of the members that are counted, against the labels of the moment at which the cohort was begun."""
    truth = np.array([one.positive for one in counted], dtype=np.bool_)
    called = np.array([one.called_positive for one in counted], dtype=np.bool_)
    table = Table.of(truth, called)
    return Figures(table, accuracy(table), auc_interval(truth, np.array([one.probability for one in counted], dtype=np.float64)))
