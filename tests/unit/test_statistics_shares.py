"""Shares, ratios of the 2x2 table and agreement, against scipy, statsmodels, scikit-learn and published tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import (
    Method,
    Note,
    Table,
    accuracy,
    clopper_pearson,
    kappa,
    likelihood_ratios,
    predictive_values_at,
    wilson,
)

TABLES = st.builds(Table, *[st.integers(0, 40)] * 4)


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (1, 30), (29, 30), (412, 1000), (3, 5000)])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_intervals_of_a_share_are_those_of_scipy_and_statsmodels(hits, count, confidence):
    for ours, scipys, statsmodels in ((wilson, "wilson", "wilson"), (clopper_pearson, "exact", "beta")):
        found = ours(hits, count, confidence)
        expected = stats.binomtest(hits, count).proportion_ci(confidence, scipys)
        assert (expected.low, expected.high) == pytest.approx((found.low, found.high), abs=1e-12)
        assert proportion_confint(hits, count, 1 - confidence, statsmodels) == pytest.approx((found.low, found.high), abs=1e-12)
        assert (hits / count, count, hits, confidence) == (found.value, found.count, found.hits, found.confidence)


def test_wilson_gives_newcombes_published_limits():
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (hits, count), limits in published.items():
        found = wilson(hits, count)
        assert limits == (round(found.low, 4), round(found.high, 4))


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([0.8, 0.95, 0.999]))
def test_intervals_hold_their_share_and_stay_inside(hits, more, confidence):
    count = hits + more
    score, exact = wilson(hits, count, confidence), clopper_pearson(hits, count, confidence)
    for one in (score, exact):
        assert 0 <= one.low <= one.value <= one.high <= 1
    mirrored = wilson(more, count, confidence)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((score.low, score.high), abs=1e-12)


def test_nobody_gives_no_share():
    for one in (wilson(0, 0), clopper_pearson(0, 0)):
        assert math.isnan(one.value)
        assert (0, Note.NO_CASES) == (one.count, one.note)


@pytest.mark.parametrize(("hits", "count"), [(3, 2), (-1, 4)])
def test_more_hits_than_cases_are_refused(hits, count):
    with pytest.raises(UsageError, match="no share"):
        wilson(hits, count)


def test_confidence_of_95_is_not_a_share():
    with pytest.raises(UsageError, match=r"0\.95"):
        wilson(1, 2, 95)


@pytest.mark.parametrize("seed", range(3))
def test_figures_of_a_table_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(90) < 0.4
    called = truth ^ (rng.random(90) < 0.2)
    table = Table.of(truth, called)
    assert (table.true_negative, table.false_positive, table.false_negative, table.true_positive) == tuple(
        oracle.confusion_matrix(truth, called).ravel()
    )
    found = accuracy(table)
    assert oracle.recall_score(truth, called) == pytest.approx(found.sensitivity.wilson.value)
    assert oracle.recall_score(~truth, ~called) == pytest.approx(found.specificity.wilson.value)
    assert oracle.precision_score(truth, called) == pytest.approx(found.positive_predictive_value.clopper_pearson.value)
    assert oracle.precision_score(~truth, ~called) == pytest.approx(found.negative_predictive_value.clopper_pearson.value)
    assert oracle.accuracy_score(truth, called) == pytest.approx(found.accuracy.wilson.value)
    ratios = oracle.class_likelihood_ratios(truth, called)
    assert ratios == pytest.approx((found.positive_likelihood_ratio.value, found.negative_likelihood_ratio.value))
    assert {Method.LOG} == {found.positive_likelihood_ratio.method, found.negative_likelihood_ratio.method}


def test_likelihood_ratios_have_the_limits_of_scipys_relative_risk():
    """A likelihood ratio is the relative risk of being called, of the positives against the negatives."""
    positive, negative = likelihood_ratios(Table(133, 37, 15, 107))
    relative = stats.contingency.relative_risk(133, 148, 37, 144)
    limits = relative.confidence_interval()
    assert (relative.relative_risk, limits.low, limits.high) == pytest.approx((positive.value, positive.low, positive.high))
    other = stats.contingency.relative_risk(15, 148, 107, 144)
    limits = other.confidence_interval()
    assert (other.relative_risk, limits.low, limits.high) == pytest.approx((negative.value, negative.low, negative.high))


def test_an_empty_cell_of_a_ratio_is_named():
    positive, negative = likelihood_ratios(Table(20, 0, 5, 30))
    assert Note.ZERO_CELL == positive.note
    assert (20.5 / 26) / (0.5 / 31) == pytest.approx(positive.value)
    assert 1 < positive.low < positive.value < positive.high < math.inf
    assert negative.note is None


def test_a_table_of_one_kind_has_no_ratios():
    for table in (Table(3, 0, 1, 0), Table(0, 2, 0, 5)):
        assert all(math.isnan(one.value) and one.note is Note.ONE_KIND for one in likelihood_ratios(table))
    assert all(one.note is Note.NO_CASES for one in likelihood_ratios(Table(0, 0, 0, 0)))


@given(TABLES)
def test_swapping_the_classes_swaps_the_figures(table):
    mirrored = Table(table.true_negative, table.false_negative, table.false_positive, table.true_positive)
    here, there = accuracy(table), accuracy(mirrored)
    assert here.sensitivity == there.specificity
    assert here.positive_predictive_value == there.negative_predictive_value
    if table.positives and table.negatives:
        inverse = 1 / there.negative_likelihood_ratio.value
        assert inverse == pytest.approx(here.positive_likelihood_ratio.value)


@given(TABLES, st.floats(0.001, 0.999))
def test_predictive_values_contain_themselves_and_stay_inside(table, prevalence):
    for one in predictive_values_at(table, prevalence):
        assert math.isnan(one.value) or 0 <= one.low <= one.value <= one.high <= 1


def test_predictive_values_at_the_cases_own_prevalence_are_the_plain_ones():
    table = Table(45, 12, 9, 130)
    found = predictive_values_at(table, 54 / 196)
    plain = accuracy(table)
    assert (plain.positive_predictive_value.wilson.value, plain.negative_predictive_value.wilson.value) == pytest.approx(
        [one.value for one in found]
    )


def test_predictive_values_follow_bayes_and_their_limits_the_delta_method():
    table, prevalence = Table(180, 30, 20, 170), 0.01
    positive, negative = predictive_values_at(table, prevalence)
    assert 0.9 * 0.01 / (0.9 * 0.01 + 0.15 * 0.99) == pytest.approx(positive.value)
    assert 0.85 * 0.99 / (0.85 * 0.99 + 0.1 * 0.01) == pytest.approx(negative.value)

    def logit_ppv(sensitivity: float, specificity: float) -> float:
        value = sensitivity * prevalence / (sensitivity * prevalence + (1 - specificity) * (1 - prevalence))
        return math.log(value / (1 - value))

    step = 1e-6
    by_sensitivity = (logit_ppv(0.9 + step, 0.85) - logit_ppv(0.9 - step, 0.85)) / (2 * step)
    by_specificity = (logit_ppv(0.9, 0.85 + step) - logit_ppv(0.9, 0.85 - step)) / (2 * step)
    error = math.sqrt(by_sensitivity**2 * 0.9 * 0.1 / 200 + by_specificity**2 * 0.85 * 0.15 / 200)
    middle = math.log(positive.value / (1 - positive.value))
    assert middle - 1.959964 * error == pytest.approx(math.log(positive.low / (1 - positive.low)), abs=1e-5)


def test_a_prevalence_of_nobody_is_refused():
    with pytest.raises(UsageError, match="prevalence"):
        predictive_values_at(Table(1, 1, 1, 1), 0)


@pytest.mark.parametrize("categories", [2, 3, 5])
def test_kappa_and_its_interval_are_those_of_statsmodels(categories):
    rng = np.random.default_rng(categories)
    first = rng.integers(0, categories, 150)
    second = np.where(rng.random(150) < 0.7, first, rng.integers(0, categories, 150))
    table = np.zeros((categories, categories))
    np.add.at(table, (first, second), 1)
    expected = cohens_kappa(table)
    found = kappa(first.astype(str), second.astype(str))
    assert (expected.kappa, expected.kappa_low, expected.kappa_upp) == pytest.approx((found.value, found.low, found.high))
    assert oracle.cohen_kappa_score(first, second) == pytest.approx(found.value)


def test_kappa_of_fleiss_cohen_and_everitt():
    """The example of their paper of 1969 (three categories, 200 cases): kappa 0.429, variance 0.002885."""
    table = np.array([[106, 10, 4], [22, 28, 10], [2, 12, 6]])
    first, second = (np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))
    found = kappa(first, second)
    assert 0.429 == round(found.value, 3)
    assert 0.002885 == pytest.approx(((found.high - found.low) / 2 / 1.959964) ** 2, abs=2e-6)


def test_readers_who_only_ever_say_one_thing_have_no_kappa():
    found = kappa(np.array(["no"] * 5), np.array(["no"] * 5))
    assert math.isnan(found.value)
    assert (Note.NO_VARIANCE, 5) == (found.note, found.hits)
