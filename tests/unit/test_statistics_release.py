"""Which subgroups may be shown: what a reader can compute from them by adding and subtracting is tried out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import Release, groups_of, groups_up_to, release


def released(values: dict[str, list[str]], truth=None, patients=None, minimum=5) -> Release:
    groups = {}
    for attribute, of in values.items():
        groups |= groups_of(attribute, np.array(of))
    count = len(next(iter(values.values())))
    truth = np.zeros(count, bool) if truth is None else truth
    return release(groups, truth, np.arange(count) if patients is None else patients, minimum)


def test_large_groups_are_shown():
    found = released({"sex": ["F"] * 40 + ["M"] * 60})
    assert ((("sex", "F"), ("sex", "M")), ()) == (found.shown, found.withheld)
    assert (True, 5) == (found.total, found.minimum)


def test_a_small_group_takes_another_with_it():
    """Total less the other groups would be the small one: the next smallest goes too."""
    found = released({"device": ["a"] * 50 + ["b"] * 20 + ["c"] * 3})
    assert (("device", "a"),) == found.shown
    assert (("device", "b"), ("device", "c")) == found.withheld


def test_of_two_groups_neither_is_shown_when_one_is_small():
    assert () == released({"sex": ["F"] * 97 + ["M"] * 3}).shown


def test_small_groups_that_together_are_large_enough_need_no_other():
    found = released({"device": ["a"] * 50 + ["b"] * 4 + ["c"] * 4})
    assert (("device", "a"),) == found.shown


def test_few_positives_make_a_large_group_small():
    truth = np.zeros(100, bool)
    truth[:20] = True  # of the 60 of A
    truth[97:] = True  # 3 of the 40 of B
    found = released({"site": ["A"] * 60 + ["B"] * 40}, truth)
    assert () == found.shown


def test_no_positives_at_all_tell_of_nobody():
    truth = np.arange(100) < 20
    found = released({"site": ["A"] * 60 + ["B"] * 40}, truth)
    assert 2 == len(found.shown)


def test_patients_count_and_not_their_images():
    found = released({"sex": ["F"] * 50 + ["M"] * 50}, patients=np.concatenate([np.arange(50), np.full(50, 99)]))
    assert () == found.shown


def test_a_device_is_not_given_away_by_its_manufacturer():
    """Maker Q has devices q1 and q2. q2 is small and r1 was withheld with it; Q less q1 would still be q2."""
    device = ["q1"] * 30 + ["q2"] * 2 + ["r1"] * 20 + ["r2"] * 40
    maker = ["Q"] * 32 + ["R"] * 60
    found = released({"device": device, "maker": maker})
    assert ("device", "q2") in found.withheld
    assert not {("maker", "Q"), ("device", "q1")} <= set(found.shown)


def test_intervals_within_each_other_do_not_give_away_what_lies_between():
    hours = np.array([1.0] * 40 + [5.0] * 3 + [20.0] * 30)
    groups = groups_up_to("interval", hours, [("2 h", 2.0), ("6 h", 6.0), ("same day", 24.0)])
    found = release(groups, np.zeros(73, bool), np.arange(73), 5)
    assert (("interval", "6 h"), ("interval", "same day")) == found.shown
    assert ("interval", "2 h") in found.withheld


def test_too_few_cases_altogether_show_nothing():
    found = released({"sex": ["F"] * 2 + ["M"] * 2})
    assert (False, ()) == (found.total, found.shown)


def test_a_value_that_is_not_stated_is_a_group_too():
    assert ("sex", "not stated") in released({"sex": ["F"] * 30 + [""] * 30}).shown


def test_a_minimum_below_1_is_refused():
    with pytest.raises(UsageError, match="1 or more"):
        released({"sex": ["F"]}, minimum=0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.booleans()), min_size=30, max_size=120), st.integers(2, 6))
def test_no_small_count_comes_out_of_adding_and_subtracting_what_is_shown(cases, minimum):
    """Every combination of shown groups and the total, each added, left out or taken off, is compared with each small group."""
    values = {"one": [case[0] for case in cases], "two": [case[1] for case in cases]}
    truth = np.array([case[2] for case in cases])
    found = released(values, truth, minimum=minimum)
    if not found.total:
        assert () == found.shown
        return
    groups = groups_of("one", np.array(values["one"])) | groups_of("two", np.array(values["two"]))
    shown = [groups[one].astype(int) for one in found.shown] + [np.ones(len(cases), dtype=int)]
    for kind in (np.ones(len(cases), bool), truth, ~truth):
        small = [groups[one] for one in groups if 0 < (groups[one] & kind).sum() < minimum]
        assert not {one for one in found.shown if 0 < (groups[one] & kind).sum() < minimum}
        for weights in itertools.product((-1, 0, 1), repeat=len(shown)):
            combined = sum((weight * one for weight, one in zip(weights, shown, strict=True)), np.zeros(len(cases), dtype=int))
            assert not any((combined[kind] == hidden[kind]).all() for hidden in small)
