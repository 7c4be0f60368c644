"""Selective verification and uncertain labels: a published correction, simulated truth, and the limits of ignorance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import Chance, Method, Note, Table, VerificationBias, begg_greenes, three_ways

ONCE = Chance(1, 0)


def cases_of(cells: list[tuple[bool, bool | None, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(called, truth, verified) from counts of (called, truth or None where it is not known)."""
    called = np.repeat([one[0] for one in cells], [one[2] for one in cells])
    truth = np.repeat([bool(one[1]) for one in cells], [one[2] for one in cells])
    verified = np.repeat([one[1] is not None for one in cells], [one[2] for one in cells])
    return called, truth, verified


def kosinski() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SPECT thallium of 2,688 patients, 471 of them with angiography (Cecil 1996; Kosinski and Barnhart 2003).

    1,423 were abnormal and 1,265 normal. With these margins, 195, 5, 232 and 39 are the only verified counts that give the four
    published rates.
    """
    return cases_of(
        [(True, True, 195), (False, True, 5), (True, False, 232), (False, False, 39), (True, None, 1423 - 427), (False, None, 1265 - 44)]
    )


def corrected(called, truth, verified, stratum=None, chance=ONCE) -> VerificationBias:
    stratum = np.zeros(called.size, dtype=np.int64) if stratum is None else stratum
    return begg_greenes(called, truth, verified, stratum, np.arange(called.size), chance)


def test_coronary_disease_is_corrected_as_published():
    found = corrected(*kosinski())
    assert (2688, 471) == (found.count, found.verified)
    assert (0.975, 0.144) == (round(found.naive_sensitivity.wilson.value, 3), round(found.naive_specificity.wilson.value, 3))
    assert (0.8189, 0.5919) == (round(found.sensitivity.value, 4), round(found.specificity.value, 4))


def test_liver_cancer_is_corrected_as_published():
    """Hepatic scintigraphy of 650 patients, 344 verified (Drum and Christacopoulos 1972): the usual example of this correction."""
    found = corrected(
        *cases_of([(True, True, 231), (True, False, 32), (True, None, 166), (False, True, 27), (False, False, 54), (False, None, 140)])
    )
    assert (650, 344) == (found.count, found.verified)
    assert (0.895, 0.628) == (round(found.naive_sensitivity.wilson.value, 3), round(found.naive_specificity.wilson.value, 3))
    assert (0.836, 0.738) == (round(found.sensitivity.value, 3), round(found.specificity.value, 3))


def test_bootstrap_of_the_correction_agrees_with_the_delta_method():
    """Without strata the logit of the sensitivity is that of the odds of a call times a ratio of predictive values (Begg and Greenes).

    With five missed cases among the verified the resamples are skewed: as wide, and a little higher.
    """
    found = corrected(*kosinski(), chance=Chance(7, 2000))
    positives, negatives, ppv, npv = 1423, 1265, 195 / 427, 39 / 44
    variance = 1 / positives + 1 / negatives + (1 - ppv) / (427 * ppv) + npv / (44 * (1 - npv))
    logit = math.log(found.sensitivity.value / (1 - found.sensitivity.value))
    low, high = (1 / (1 + math.exp(-(logit + sign * 1.96 * math.sqrt(variance)))) for sign in (-1, 1))
    assert high - low == pytest.approx(found.sensitivity.high - found.sensitivity.low, rel=0.05)
    assert (low, high) == pytest.approx((found.sensitivity.low, found.sensitivity.high), abs=0.045)
    variance = 1 / positives + 1 / negatives + ppv / (427 * (1 - ppv)) + (1 - npv) / (44 * npv)
    logit = math.log(found.specificity.value / (1 - found.specificity.value))
    low, high = (1 / (1 + math.exp(-(logit + sign * 1.96 * math.sqrt(variance)))) for sign in (-1, 1))
    assert (low, high) == pytest.approx((found.specificity.low, found.specificity.high), abs=0.01)
    assert (Method.BOOTSTRAP, 7, 2000, 2688) == (
        found.sensitivity.method,
        found.sensitivity.seed,
        found.sensitivity.repeats,
        found.sensitivity.count,
    )


def test_bounds_are_what_the_unverified_could_make_of_it():
    found = corrected(*kosinski())
    unseen_called, unseen_quiet = 996, 1221
    worst = Table(195, 232 + unseen_called, 5 + unseen_quiet, 39).shares
    best = Table(195 + unseen_called, 232, 5, 39 + unseen_quiet).shares
    for bounds, name in ((found.sensitivity_bounds, "sensitivity"), (found.specificity_bounds, "specificity")):
        assert (worst[name][0] / worst[name][1], best[name][0] / best[name][1]) == pytest.approx((bounds.worst, bounds.best))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 15), min_size=6, max_size=6), st.data())
def test_whatever_the_unverified_are_the_bounds_hold(counts, data):
    cells = [(True, True), (False, True), (True, False), (False, False), (True, None), (False, None)]
    called, truth, verified = cases_of([(*cell, count) for cell, count in zip(cells, counts, strict=True)])
    found = corrected(called, truth, verified)
    hidden = truth.copy()
    unseen = np.flatnonzero(~verified)
    hidden[unseen] = data.draw(st.lists(st.booleans(), min_size=unseen.size, max_size=unseen.size))
    table = Table.of(hidden, called)
    for bounds, name in ((found.sensitivity_bounds, "sensitivity"), (found.specificity_bounds, "specificity")):
        hits, count = table.shares[name]
        assert bounds.worst - 1e-12 <= hits / count <= bounds.best + 1e-12
    assert found.sensitivity_bounds.worst <= found.sensitivity.value <= found.sensitivity_bounds.best


def test_everybody_verified_needs_no_correction():
    called, truth, verified = cases_of([(True, True, 30), (False, True, 4), (True, False, 9), (False, False, 60)])
    found = corrected(called, truth, verified, stratum=np.arange(103) % 3)
    assert (30 / 34, 60 / 69) == pytest.approx((found.sensitivity.value, found.specificity.value))
    assert (30 / 39, 60 / 64) == pytest.approx((found.positive_predictive_value.value, found.negative_predictive_value.value))
    assert found.sensitivity_bounds.worst == found.sensitivity_bounds.best == found.naive_sensitivity.wilson.value


def test_strata_that_decide_who_is_verified_are_put_right():
    """Intensive care is verified nearly always and is sicker; the wards hardly ever. Known truth of 200,000 cases is found again."""
    rng = np.random.default_rng(12)
    ward = rng.random(200_000) < 0.7
    truth = rng.random(200_000) < np.where(ward, 0.05, 0.35)
    called = rng.random(200_000) < np.where(truth, np.where(ward, 0.6, 0.9), np.where(ward, 0.05, 0.2))
    verified = rng.random(200_000) < np.where(ward, np.where(called, 0.4, 0.05), np.where(called, 0.95, 0.7))
    found = corrected(called, truth & verified, verified, np.where(ward, "ward", "icu"))
    true = Table.of(truth, called).shares
    assert true["sensitivity"][0] / true["sensitivity"][1] == pytest.approx(found.sensitivity.value, abs=0.015)
    assert true["specificity"][0] / true["specificity"][1] == pytest.approx(found.specificity.value, abs=0.005)
    together = corrected(called, truth & verified, verified)
    assert abs(together.sensitivity.value - true["sensitivity"][0] / true["sensitivity"][1]) > 0.02
    assert (2, ()) == (found.strata, found.unverified_strata)


def test_correction_is_the_expected_truth_of_each_case_counted_out():
    """Another way to the same: every case gets the share of its verified peers, and shares are added up."""
    rng = np.random.default_rng(3)
    called, truth, stratum = rng.random(400) < 0.4, rng.random(400) < 0.3, rng.integers(0, 3, 400)
    verified = rng.random(400) < np.where(called, 0.8, 0.4)
    expected = np.zeros(400)
    for one in range(3):
        for call in (True, False):
            peers = (stratum == one) & (called == call)
            expected[peers] = truth[peers & verified].mean()
    found = corrected(called, truth, verified, stratum)
    assert expected[called].sum() / expected.sum() == pytest.approx(found.sensitivity.value)
    assert (1 - expected)[~called].sum() / (1 - expected).sum() == pytest.approx(found.specificity.value)


def test_a_stratum_without_any_truth_is_named_and_nothing_is_made_up():
    called, truth, verified = cases_of([(True, True, 10), (False, False, 10), (False, None, 5)])
    found = corrected(called, truth, verified, stratum=np.array(["a"] * 20 + ["night"] * 5), chance=Chance(1, 20))
    assert math.isnan(found.sensitivity.value)
    assert Note.UNVERIFIED_STRATUM is found.sensitivity.note
    assert (("night", False),) == found.unverified_strata
    assert (10 / 15, 1.0) == pytest.approx((found.sensitivity_bounds.worst, found.sensitivity_bounds.best))


def test_uncertain_labels_are_left_out_then_counted_both_ways():
    positive = np.array([True, True, False, False, False])
    uncertain = np.array([False, False, False, True, True])
    called = np.array([True, False, False, True, False])
    found = three_ways(positive, uncertain, lambda truth, cases: Table.of(truth, called[cases]))
    assert Table(1, 0, 1, 1) == found.excluded
    assert Table(2, 0, 2, 1) == found.as_positive
    assert Table(1, 1, 1, 2) == found.as_negative
    assert 2 == found.uncertain


def test_a_case_has_one_truth():
    with pytest.raises(UsageError, match="both positive and uncertain"):
        three_ways(np.array([True]), np.array([True]), lambda truth, cases: None)
