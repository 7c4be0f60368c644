"""AUC, its interval, its comparison and its bootstrap, against scikit-learn, MLstatkit and slow definitions."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from MLstatkit import Delong_test
from scipy import stats
from sklearn import metrics as oracle

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import (
    Chance,
    Method,
    Note,
    Table,
    accuracy_by_patient,
    auc,
    auc_difference,
    auc_interval,
    binned_auc,
    bootstrap,
    compare_auc,
    likelihood_ratios,
    mean,
    roc_auc,
    roc_curve,
    wilson,
)

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=60).map(
    lambda pairs: (np.array([truth for truth, _ in pairs]), np.array([score / 12 for _, score in pairs]))
)


def scored(seed: int, count: int = 120, shift: float = 1.0, *, rounded: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities of simulated cases, with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.35
    score = 1 / (1 + np.exp(-(rng.normal(size=count) + shift * truth)))
    return truth, np.round(score, 2) if rounded else score


def kernel_of(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    """1 where a positive is above a negative, 1/2 at a tie: what DeLong's double sums run over."""
    gap = score[truth][:, None] - score[~truth][None, :]
    return np.where(gap > 0, 1.0, np.where(gap == 0, 0.5, 0.0))


@pytest.mark.parametrize("seed", range(5))
def test_auc_counts_ties_half_as_scikit_learn_does(seed):
    truth, score = scored(seed)
    assert oracle.roc_auc_score(truth, score) == pytest.approx(roc_auc(truth, score), abs=1e-14)


@given(CASES)
def test_auc_depends_on_the_order_of_scores_alone(cases):
    truth, score = cases
    np.testing.assert_equal(roc_auc(truth, score), roc_auc(truth, np.exp(3 * score) - 7))
    np.testing.assert_equal(auc_interval(truth, score), auc_interval(truth, 2 * score + 1))


@given(CASES)
def test_swapping_the_classes_turns_auc_round(cases):
    truth, score = cases
    here, there = auc_interval(truth, score), auc_interval(~truth, score)
    for value, mirrored in ((here.value, there.value), (here.low, there.high), (here.high, there.low)):
        assert math.isnan(value) == math.isnan(mirrored)
        if not math.isnan(value):
            assert 1 - mirrored == pytest.approx(value, abs=1e-9)


@given(CASES)
def test_interval_of_auc_holds_it_and_stays_inside(cases):
    found = auc_interval(*cases)
    if math.isnan(found.low):
        assert found.note in {Note.ONE_KIND, Note.ONE_OF_A_KIND, Note.NO_VARIANCE}
    else:
        assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("seed", range(3))
def test_roc_curve_passes_the_points_of_scikit_learn(seed):
    truth, score = scored(seed)
    false_rate, true_rate, thresholds = oracle.roc_curve(truth, score, drop_intermediate=False)
    ours = roc_curve(truth, score)
    for found, expected in zip(ours, (thresholds, true_rate, 1 - false_rate), strict=True):
        np.testing.assert_allclose(found, expected)


def test_auc_of_histograms_is_that_of_their_bins():
    truth, score = scored(2, 500)
    place = (score * 20).astype(int).clip(0, 19)
    histograms = [np.bincount(place[chosen], minlength=20) for chosen in (truth, ~truth)]
    assert oracle.roc_auc_score(truth, place) == pytest.approx(binned_auc(*histograms))


@pytest.mark.parametrize("seed", range(3))
def test_interval_of_auc_is_that_of_delongs_double_sum(seed):
    truth, score = scored(seed)
    kernel = kernel_of(truth, score)
    area = kernel.mean()
    variance = kernel.mean(axis=1).var(ddof=1) / kernel.shape[0] + kernel.mean(axis=0).var(ddof=1) / kernel.shape[1]
    half = stats.norm.ppf(0.975) * math.sqrt(variance) / (area * (1 - area))
    found = auc_interval(truth, score)
    assert area == pytest.approx(found.value)
    assert math.log(area / (1 - area)) - half == pytest.approx(math.log(found.low / (1 - found.low)))
    assert math.log(area / (1 - area)) + half == pytest.approx(math.log(found.high / (1 - found.high)))
    assert (Method.DELONG, 120) == (found.method, found.count)


def test_interval_of_auc_holds_the_truth_about_as_often_as_it_says():
    true_area = stats.norm.cdf(1 / math.sqrt(2))
    inside = sum(one.low <= true_area <= one.high for one in (auc_interval(*scored(seed, rounded=False)) for seed in range(400)))
    assert 0.92 <= inside / 400 <= 0.98


def test_auc_of_one_kind_is_unknown():
    found = auc_interval(np.ones(3, bool), np.arange(3.0))
    assert math.isnan(found.value)
    assert (Note.ONE_KIND, 3) == (found.note, found.count)
    assert Note.NO_CASES is auc_interval(np.zeros(0, bool), np.zeros(0)).note


def test_perfect_order_still_leaves_doubt():
    truth = np.arange(30) >= 20
    found, reverse = auc_interval(truth, np.arange(30.0)), auc_interval(truth, -np.arange(30.0))
    assert (1.0, 1.0, Note.ALL_IN_ORDER) == (found.value, found.high, found.note)
    assert 0.025 == pytest.approx(found.low**10)
    assert (0.0, 0.0, 1 - found.low) == (reverse.value, reverse.low, reverse.high)


def test_scores_that_are_all_equal_have_no_interval():
    found = auc_interval(np.arange(30) >= 20, np.full(30, 0.3))
    assert (0.5, Note.NO_VARIANCE) == (found.value, found.note)
    assert math.isnan(found.low)


def test_missing_scores_are_refused_and_not_ranked():
    with pytest.raises(UsageError, match="1 of 3 cases have no score"):
        roc_auc(np.array([True, False, True]), np.array([0.1, math.nan, 0.2]))
    with pytest.raises(UsageError, match="same cases"):
        roc_auc(np.array([True, False]), np.array([0.1]))
    with pytest.raises(UsageError, match="true or false"):
        roc_auc(np.array([1, 0]), np.array([0.1, 0.2]))


@pytest.mark.parametrize("seed", range(3))
def test_comparison_is_that_of_mlstatkit_and_of_the_double_sum(seed):
    truth, first = scored(seed, 200)
    second = np.round(first + np.random.default_rng(seed).normal(0, 0.3, 200), 2)
    found = compare_auc(truth, first, second)
    z, p, *_ = Delong_test(truth.astype(int), first, second)
    assert abs(z) == pytest.approx(abs(found.z), rel=1e-6)
    assert p == pytest.approx(found.p, rel=1e-5)
    gap = kernel_of(truth, first) - kernel_of(truth, second)
    variance = gap.mean(axis=1).var(ddof=1) / gap.shape[0] + gap.mean(axis=0).var(ddof=1) / gap.shape[1]
    assert (gap.mean() / math.sqrt(variance)) == pytest.approx(found.z)
    assert gap.mean() == pytest.approx(found.difference.value)
    assert found.difference.low < found.difference.value < found.difference.high


def test_a_score_does_not_differ_from_itself():
    truth, score = scored(1)
    found = compare_auc(truth, score, score)
    assert (0.0, Note.NO_VARIANCE) == (found.difference.value, found.difference.note)
    assert math.isnan(found.p)


def slow_bootstrap(truth, score, patients, chance):
    """The percentiles, by putting the drawn patients' cases in a row."""
    names = np.unique(patients)
    rng = np.random.default_rng(chance.seed)
    areas = []
    for _ in range(chance.repeats):
        cases = np.concatenate([np.flatnonzero(patients == names[one]) for one in rng.integers(0, names.size, names.size)])
        if truth[cases].any() and not truth[cases].all():
            areas.append(oracle.roc_auc_score(truth[cases], score[cases]))
    return np.sort(areas)


def test_bootstrap_of_auc_is_that_of_the_drawn_cases_in_a_row():
    truth, score = scored(4, 60)
    patients = np.array([f"P{one}" for one in np.arange(60) // 3])
    chance = Chance(seed=11, repeats=200)
    found = auc(truth, score, patients, chance)
    expected = slow_bootstrap(truth, score, patients, chance)
    assert (expected[4], expected[-5]) == pytest.approx((found.low, found.high), abs=1e-12)
    assert (Method.BOOTSTRAP, 20, 60, 11, 200, 0) == (
        found.method,
        found.clusters,
        found.count,
        found.seed,
        found.repeats,
        found.undefined,
    )


def test_auc_of_different_patients_takes_the_formula():
    truth, score = scored(4)
    assert auc_interval(truth, score) == auc(truth, score, np.arange(120), Chance())


@settings(max_examples=30, deadline=None)
@given(CASES, st.integers(0, 5))
def test_bootstrap_of_a_seed_is_repeated_whatever_the_order_of_rows(cases, seed):
    truth, score = cases
    patients = np.arange(truth.size) // 2
    first, again = (auc(truth, score, patients, Chance(seed, 20)) for _ in range(2))
    turned = auc(truth[::-1].copy(), score[::-1].copy(), patients[::-1].copy(), Chance(seed, 20))
    np.testing.assert_equal(first, again)
    np.testing.assert_equal(first, turned)
    assert math.isnan(first.low) or 0 <= first.low <= first.high <= 1


def test_perfect_order_of_repeated_patients_is_bounded_by_the_patients():
    truth, patients = np.arange(40) >= 20, np.arange(40) // 4
    found = auc(truth, np.arange(40.0), patients, Chance())
    assert (1.0, Note.ALL_IN_ORDER) == (found.value, found.note)
    assert 0.025 == pytest.approx(found.low**5)


def test_resamples_without_both_kinds_are_counted():
    truth = np.array([True, True, False, False, False, False])
    found = auc(truth, np.array([0.9, 0.2, 0.3, 0.1, 0.5, 0.4]), np.array(list("aabbcc")), Chance(2, 300))
    assert 0.2 < found.undefined / 300 < 0.5  # (2/3)^3 leave out the only patient with positives, 1/27 draw nobody else


def test_bootstrap_draws_whole_patients():
    """Twenty images of one patient tell no more than one: the interval is that of the patients."""
    values = np.random.default_rng(1).normal(size=40)
    once = bootstrap(lambda index: float(values[index].mean()), np.arange(40).astype(str), Chance(3, 400))
    many = np.repeat(values, 20)
    often = bootstrap(lambda index: float(many[index].mean()), np.repeat(np.arange(40), 20).astype(str), Chance(3, 400))
    spread = 2 * stats.norm.ppf(0.975) * values.std() / math.sqrt(40)
    assert once.high - once.low == pytest.approx(often.high - often.low, rel=0.15)
    assert spread == pytest.approx(often.high - often.low, rel=0.2)


def test_bootstrap_without_repeats_gives_the_value_alone():
    found = bootstrap(lambda index: float(index.size), np.arange(4), Chance(1, 0))
    assert (4.0, Note.NO_RESAMPLES) == (found.value, found.note)
    assert math.isnan(found.low)


def test_figures_of_repeated_patients_are_those_of_the_slow_bootstrap():
    rng = np.random.default_rng(8)
    truth = rng.random(90) < 0.4
    called = truth ^ (rng.random(90) < 0.2)
    patients = rng.integers(0, 35, 90)
    chance = Chance(5, 300)
    found = accuracy_by_patient(truth, called, patients, chance)
    slow = {
        "sensitivity": lambda index: called[index][truth[index]].mean(),
        "specificity": lambda index: (~called)[index][~truth[index]].mean(),
        "positive_predictive_value": lambda index: truth[index][called[index]].mean(),
        "negative_predictive_value": lambda index: (~truth)[index][~called[index]].mean(),
        "accuracy": lambda index: (truth == called)[index].mean(),
        "prevalence": lambda index: truth[index].mean(),
        "positive_likelihood_ratio": lambda index: called[index][truth[index]].mean() / called[index][~truth[index]].mean(),
        "negative_likelihood_ratio": lambda index: (~called)[index][truth[index]].mean() / (~called)[index][~truth[index]].mean(),
    }
    assert slow.keys() == found.keys()
    for name, statistic in slow.items():
        expected = bootstrap(lambda index, of=statistic: float(of(index)), patients, chance)
        assert (expected.value, expected.low, expected.high) == pytest.approx((found[name].value, found[name].low, found[name].high))


def test_a_share_of_one_in_repeated_patients_is_bounded_by_the_patients():
    """Thirty of thirty images of ten patients are ten of ten: no resample could say so."""
    truth, patients = np.ones(30, bool), np.arange(30) // 3
    found = accuracy_by_patient(truth, truth, patients, Chance())["sensitivity"]
    expected = stats.binomtest(10, 10).proportion_ci(0.95, "exact")
    assert (1.0, expected.low, 1.0, 30, 10) == pytest.approx((found.value, found.low, found.high, found.count, found.clusters))
    assert Note.ALL_RESAMPLES_EQUAL is found.note


def test_a_mean_of_repeated_patients_is_that_of_the_slow_bootstrap():
    rng = np.random.default_rng(8)
    values, patients = rng.random(90), rng.integers(0, 35, 90)
    values[:7] = math.nan
    found = mean(values, patients, Chance(5, 300))
    expected = bootstrap(lambda index: float(values[7:][index].mean()), patients[7:], Chance(5, 300))
    assert (expected.value, expected.low, expected.high) == pytest.approx((found.value, found.low, found.high))
    assert (83, expected.clusters) == (found.count, found.clusters)
    assert Note.NO_CASES is mean(np.array([math.nan]), np.array([1]), Chance()).note


def test_a_ratio_with_an_empty_cell_has_no_interval_by_patient():
    truth, called = np.arange(40) < 20, np.arange(40) < 15
    found = accuracy_by_patient(truth, called, np.arange(40) // 2, Chance())["positive_likelihood_ratio"]
    assert (15.5 / 21 / (0.5 / 21), Note.ZERO_CELL, Method.NONE) == (pytest.approx(found.value), found.note, found.method)
    assert math.isnan(found.low)


def test_difference_of_two_areas_of_repeated_patients_is_that_of_the_slow_bootstrap():
    truth, first = scored(4, 60)
    second = np.round(first + np.random.default_rng(1).normal(0, 0.2, 60), 2)
    patients = np.arange(60) // 3
    found = auc_difference(truth, first, second, patients, Chance(9, 200))
    expected = bootstrap(
        lambda index: oracle.roc_auc_score(truth[index], first[index]) - oracle.roc_auc_score(truth[index], second[index]),
        patients,
        Chance(9, 200),
    )
    assert (expected.value, expected.low, expected.high) == pytest.approx((found.value, found.low, found.high))
    assert compare_auc(truth, first, second).difference == auc_difference(truth, first, second, np.arange(60), Chance())


def test_figures_of_different_patients_are_those_of_the_table():
    truth, called = np.arange(50) < 20, np.arange(50) < 25
    assert (
        likelihood_ratios(Table.of(truth, called))[0]
        == (accuracy_by_patient(truth, called, np.arange(50), Chance())["positive_likelihood_ratio"])
    )
    assert wilson(20, 20) == accuracy_by_patient(truth, called, np.arange(50), Chance())["sensitivity"]


def test_a_hundred_thousand_cases_are_resampled_in_milliseconds_each():
    """Generous: the point is that no resample sorts, or gathers the cases of each patient."""
    truth, score = scored(1, 100_000, rounded=False)
    patients = np.arange(100_000) // 2
    start = time.process_time()
    found = auc(truth, score, patients, Chance(1, 50))
    assert time.process_time() - start < 5
    assert found.low < found.value < found.high
