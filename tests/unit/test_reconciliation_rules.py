"""Which radiograph of a day is held against which CT report, in any order of hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.domain.reconciliation import TRUTHS, Agreement, Answered, Pair, Reported, Unmatched, agreement_of, pair
from ptx_node.domain.truth import LabelValue

MORNING = datetime(2026, 7, 4, 6, tzinfo=UTC)


def at(hour: float | None) -> datetime | None:
    return None if hour is None else MORNING + timedelta(hours=hour)


def films(*hours: float | None, model: str = "m", positive: bool = True) -> list[Answered]:
    return [Answered(number, model, positive, at(hour)) for number, hour in enumerate(hours, start=1)]


def cts(*hours: float | None, label: LabelValue = LabelValue.POSITIVE) -> list[Reported]:
    return [Reported(number, label, at(hour)) for number, hour in enumerate(hours, start=1)]


def primary(pairs: list[Pair]) -> set[tuple[int, int]]:
    return {(one.finding_id, one.report_id) for one in pairs if one.primary}


@pytest.mark.parametrize(
    ("radiographs", "reports", "expected"),
    [
        ((8,), (10,), {(1, 1)}),
        ((8, 9), (10,), {(2, 1)}),
        ((8, 12), (10, 14), {(1, 1), (2, 2)}),
        ((8,), (10, 11), {(1, 1)}),  # the second CT belongs to no radiograph of its own
        ((12,), (10,), set()),  # made after the CT
        ((8, 11), (10,), {(1, 1)}),
        ((10,), (10,), {(1, 1)}),
        ((None,), (None,), {(1, 1)}),  # days alone, and nothing else it could be
        ((None,), (10,), {(1, 1)}),
        ((None, 8), (10,), set()),  # the other may have been made in between, after a drain
        ((8,), (10, None), set()),  # and so may the other CT
        ((None, None), (10,), set()),
        ((), (10,), set()),
        ((8,), (), set()),
    ],
)
def test_the_primary_pair_is_the_nearest_radiograph_before_the_ct(
    radiographs: tuple[float | None, ...], reports: tuple[float | None, ...], expected: set[tuple[int, int]]
) -> None:
    pairs = pair(films(*radiographs), cts(*reports))
    assert expected == primary(pairs)
    assert len(radiographs) * len(reports) == len(pairs)


def test_every_pair_is_kept_with_its_signed_time_and_its_reason() -> None:
    timed = {one.finding_id: one for one in pair(films(8, 9, 12), cts(10))}
    assert {1: 7200.0, 2: 3600.0, 3: -7200.0} == {number: one.interval_s for number, one in timed.items()}
    after = Unmatched.NO_RADIOGRAPH_BEFORE
    assert {1: Unmatched.NOT_NEAREST, 2: None, 3: after} == {number: one.secondary_reason for number, one in timed.items()}


def test_an_examination_without_a_time_may_lie_between_any_two_others_of_its_day():
    """What is certain is still told: another lies nearer, or it was made after the CT."""
    found = {one.finding_id: one for one in pair(films(8, 9, 12, None), cts(10))}
    assert {1: 7200.0, 2: 3600.0, 3: -7200.0, 4: None} == {number: one.interval_s for number, one in found.items()}
    unknown = Unmatched.ORDER_UNKNOWN
    assert {1: Unmatched.NOT_NEAREST, 2: unknown, 3: Unmatched.NO_RADIOGRAPH_BEFORE, 4: unknown} == {
        number: one.secondary_reason for number, one in found.items()
    }


def test_each_model_is_paired_for_itself() -> None:
    both = [Answered(1, "old", False, at(8)), Answered(2, "new", True, at(8)), Answered(3, "new", True, at(9))]
    pairs = pair(both, cts(10))
    assert {(1, 1), (3, 1)} == primary(pairs)
    assert {1: Agreement.FALSE_NEGATIVE, 2: Agreement.TRUE_POSITIVE, 3: Agreement.TRUE_POSITIVE} == {
        one.finding_id: one.agreement for one in pairs
    }


@pytest.mark.parametrize("label", list(LabelValue))
def test_what_a_label_makes_of_an_answer(label: LabelValue) -> None:
    """An open report says nothing of the model; a pneumothorax that is gone, or not named on a CT of the thorax, is none."""
    expected = {
        True: (Agreement.TRUE_POSITIVE, Agreement.FALSE_NEGATIVE),
        False: (Agreement.FALSE_POSITIVE, Agreement.TRUE_NEGATIVE),
        None: (Agreement.UNDECIDED, Agreement.UNDECIDED),
    }[TRUTHS[label]]
    assert expected == (agreement_of(label, positive=True), agreement_of(label, positive=False))
    assert (TRUTHS[label] is True) == (label is LabelValue.POSITIVE)


HOURS = st.lists(st.one_of(st.none(), st.integers(0, 23)), max_size=5)


@given(HOURS, HOURS)
def test_no_finding_and_no_report_is_primary_twice(radiographs: list[float | None], reports: list[float | None]) -> None:
    found = [one for one in pair(films(*radiographs), cts(*reports)) if one.primary]
    assert len({one.finding_id for one in found}) == len({one.report_id for one in found}) == len(found)
    assert all(one.interval_s is None or one.interval_s >= 0 for one in found)
    if None in (*radiographs, *reports) and len(radiographs) + len(reports) > 2:
        assert not found
    elif None not in reports and reports and 0 in radiographs:
        assert found  # midnight is before every CT
