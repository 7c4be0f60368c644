"""Who is drawn depends on the seed and on who succeeds, never on when anything came; and nobody leaves without a box in the chart."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from ptx_node.domain.cohort import (
    WORDS,
    Candidate,
    Choice,
    Exclusion,
    MemberState,
    Standing,
    Terms,
    arrange,
    in_turn,
    interval_of,
)
from ptx_node.errors import UsageError
from ptx_node.validation.cohort import BOXES, figures_of, flow_of
from ptx_node.validation.statistics import Table

DAY = date(2026, 3, 1)
TERMS = Terms("c1", DAY, DAY, Choice.CONSECUTIVE, None, 1, "pacs", "cxr", "ab" * 32)


def candidate(report: int, person: int, *, positive: bool = False, day: int = 1, hour: int | None = 12) -> Candidate:
    at = None if hour is None else datetime(2026, 3, day, hour, tzinfo=UTC)
    return Candidate(report, person, positive, date(2026, 3, day), at, ("ris", f"R{report}"))


def keys(*people: int) -> dict[int, str]:
    return {person: f"number {person}" for person in people}


def test_a_patients_first_ct_decides_his_group():
    found = arrange(
        [candidate(1, 1, day=3, positive=True), candidate(2, 1, day=2), candidate(3, 1, day=4), candidate(4, 2, positive=True)],
        keys(1, 2),
        Choice.CONSECUTIVE,
        1,
    )
    assert ({4: 1, 2: 2, 3: 3}, {1}) == (found.turns, found.other_group)


def test_a_ct_without_a_time_of_day_comes_last_of_its_day():
    found = arrange([candidate(1, 1, hour=None), candidate(2, 1, hour=23, positive=True)], keys(1), Choice.CONSECUTIVE, 1)
    assert {1} == found.other_group


def test_a_draw_is_the_seeds_and_not_that_of_the_order_of_arrival():
    some = [candidate(number, number, positive=number % 3 == 0) for number in range(1, 40)]
    draws = set()
    for seed in range(5):
        first = arrange(some, keys(*range(1, 40)), Choice.BALANCED, seed)
        shuffled = random.Random(seed).sample(some, len(some))
        assert first == arrange(shuffled, keys(*range(1, 40)), Choice.BALANCED, seed)
        draws.add(tuple(sorted(first.turns, key=first.turns.__getitem__)))
    assert 5 == len(draws)
    # Other row numbers for the same patients: the same order of patients.
    moved = [replace(one, report_id=one.report_id + 100, person_id=41 - one.person_id) for one in some]
    renamed = {41 - person: text for person, text in keys(*range(1, 40)).items()}
    again = arrange(moved, renamed, Choice.BALANCED, 4)
    assert draws_of(first) == [report - 100 for report in draws_of(again)]


def draws_of(found):
    return sorted(found.turns, key=found.turns.__getitem__)


@pytest.mark.parametrize("wanted", [None, 1, 3, 50])
def test_who_is_counted_does_not_depend_on_what_was_interrupted(wanted):
    """Members end in any order, with restarts in between, in portions of any size: those who are counted are the same."""
    rng = random.Random(5)
    people = [(person, person % 2 == 0) for person in range(30)]
    members = [(person, positive, nth) for person, positive in people for nth in range(1 + person % 3)]
    succeeds = {number: rng.random() < 0.4 for number in range(len(members))}
    ends = set()
    for run in range(20):
        order = random.Random(run)
        state = dict.fromkeys(range(len(members)), MemberState.WAITING)
        while True:
            standing = [Standing(n, members[n][0], members[n][1], n, now) for n, now in state.items() if now is not MemberState.EXCLUDED]
            turn = in_turn(standing, wanted)[: order.randint(1, 6)]
            for number in turn:
                state[number] = MemberState.FETCHING
            working = [number for number, now in state.items() if now is MemberState.FETCHING]
            if not working:
                break
            for number in order.sample(working, order.randint(1, len(working))):
                state[number] = MemberState.COUNTED if succeeds[number] else MemberState.EXCLUDED
        counted = [number for number, now in state.items() if now is MemberState.COUNTED]
        assert len(counted) == len({members[number][0] for number in counted})
        assert wanted is None or all(sum(members[n][1] is group for n in counted) <= wanted for group in (True, False))
        ends.add(tuple(counted))
    assert 1 == len(ends)


def test_every_exclusion_has_words_and_one_box():
    placed = [why for box in BOXES for why in box.exclusions]
    assert sorted(Exclusion) == sorted(placed)
    assert set(Exclusion) == set(WORDS)
    for state in (MemberState.WAITING, MemberState.FETCHING, MemberState.READING):
        assert 1 == sum(box.open_state is state for box in BOXES)


def test_a_chart_of_a_cohort_on_its_way_adds_up():
    counts = {
        ("excluded", "not_ct", None): 5,
        ("excluded", "not_eligible", "lateral_view"): 2,
        ("excluded", "not_eligible", "not_chest"): 1,
        ("waiting", None, None): 4,
        ("fetching", None, None): 3,
        ("reading", None, None): 2,
        ("counted", None, None): 2,
    }
    flow = flow_of(counts, Table(1, 0, 1, 0))
    assert [19, 14, 14, 10, 7, 4, 2] == [step.count for step in flow.steps]
    left = {one.reason: one.count for step in flow.steps for one in step.left}
    assert {"not_ct": 5, "waiting": 4, "fetching": 3, "not_eligible/lateral_view": 2, "not_eligible/not_chest": 1, "reading": 2} == left
    with pytest.raises(UsageError, match="do not add up"):
        flow_of(counts, Table(1, 0, 0, 0))


def test_a_cohort_of_nobody_has_a_chart_and_no_figures():
    figures = figures_of([])
    assert 0 == flow_of({}, figures.table).steps[-1].count
    assert figures.auc.note is not None


def test_the_same_name_with_other_words_is_told_apart():
    assert [] == TERMS.differences(TERMS)
    other = replace(TERMS, seed=2, interval_s=3600.0)
    assert ["seed is 1, not 2", "interval_s is none, not 3600.0"] == TERMS.differences(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "By Hand"},
        {"name": ""},
        {"until": date(2026, 2, 1)},
        {"wanted": 3},
        {"choice": Choice.BALANCED},
        {"choice": Choice.BALANCED, "wanted": 0},
    ],
)
def test_terms_that_make_no_cohort_are_refused(changes):
    with pytest.raises(UsageError):
        replace(TERMS, **changes)


def test_lengths_of_time():
    assert (None, 6 * 3600, 5400, 1800) == tuple(map(interval_of, ("", "6h", "90m", "30min")))
    for text in ("6", "0h", "25h", "-1h", "2 days"):
        with pytest.raises(UsageError, match="write 6h"):
            interval_of(text)
