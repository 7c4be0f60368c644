"""Operating points, sweeps, a site's own threshold, decision curves and calibration, against slow definitions and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import (
    Aim,
    Chance,
    Method,
    Note,
    brier,
    calibration_line,
    decision_curve,
    expected_calibration_error,
    observed_to_expected,
    operating_point,
    point_with_interval,
    propose_threshold,
    reliability,
    scaled_brier,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    sweep,
    wilson,
    youden,
)

CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40).map(
    lambda pairs: (np.array([truth for truth, _ in pairs]), np.array([score / 8 for _, score in pairs]))
)
AIMS = st.one_of(
    st.just(Aim("youden")), st.builds(Aim, st.sampled_from(["sensitivity", "specificity"]), st.sampled_from([0.0, 0.3, 0.9, 0.95, 1.0]))
)


def scored(seed: int, count: int = 120, shift: float = 1.0, *, rounded: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities of simulated cases, with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.35
    score = 1 / (1 + np.exp(-(rng.normal(size=count) + shift * truth)))
    return truth, np.round(score, 2) if rounded else score


def calibrated(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth drawn with exactly the probability that is said."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.02, 0.98, count)
    return rng.random(count) < probability, probability


@given(CASES, AIMS)
def test_an_operating_point_is_the_best_of_all_thresholds(cases, aim):
    truth, score = cases
    found = operating_point(truth, score, aim)
    if truth.all() or not truth.any():
        assert math.isnan(found.threshold)
        return
    points = [((score[truth] >= t).mean(), (score[~truth] < t).mean()) for t in [*np.unique(score), np.inf]]
    if aim.kind == "sensitivity":
        best = max((specificity, sensitivity) for sensitivity, specificity in points if sensitivity >= aim.target - 1e-12)[::-1]
    elif aim.kind == "specificity":
        best = max((sensitivity, specificity) for sensitivity, specificity in points if specificity >= aim.target - 1e-12)
    else:
        best = max(points, key=lambda point: (round(sum(point), 9), point[0]))
    assert best == pytest.approx((found.sensitivity, found.specificity))
    assert (score[truth] >= found.threshold).mean() == pytest.approx(found.sensitivity)
    assert (score[~truth] < found.threshold).mean() == pytest.approx(found.specificity)
    assert math.isinf(found.threshold) or found.threshold in score


def test_the_three_usual_aims_have_names():
    truth, score = scored(3)
    assert operating_point(truth, score, Aim("specificity", 0.9)) == sensitivity_at_specificity(truth, score, 0.9)
    assert operating_point(truth, score, Aim("sensitivity", 0.9)) == specificity_at_sensitivity(truth, score, 0.9)
    assert operating_point(truth, score, Aim("youden")) == youden(truth, score)


def test_a_target_in_percent_is_refused():
    with pytest.raises(UsageError, match="from 0 to 1"):
        Aim("sensitivity", 95)


@pytest.mark.parametrize("aim", [Aim("specificity", 0.9), Aim("sensitivity", 0.8), Aim("youden")])
def test_interval_of_a_point_chooses_it_anew_in_each_resample(aim):
    truth, score = scored(6, 90)
    patients = np.arange(90) // 2
    found = point_with_interval(truth, score, patients, aim, Chance(4, 100))
    rng = np.random.default_rng(4)
    rows = []
    for _ in range(100):
        cases = np.concatenate([np.flatnonzero(patients == one) for one in rng.integers(0, 45, 45)])
        point = operating_point(truth[cases], score[cases], aim)
        rows.append((point.threshold, point.sensitivity, point.specificity))
    expected = np.sort(np.array(rows), axis=0)
    for index, one in enumerate((found.threshold, found.sensitivity, found.specificity)):
        assert (expected[2, index], expected[-3, index]) == pytest.approx((one.low, one.high))
        assert (45, 4, 100, Method.BOOTSTRAP) == (one.clusters, one.seed, one.repeats, one.method)
    assert (int(truth.sum()), int((~truth).sum())) == (found.sensitivity.count, found.specificity.count)


def test_a_point_of_one_kind_is_unknown():
    found = point_with_interval(np.ones(4, bool), np.arange(4.0), np.arange(4), Aim("youden"), Chance(1, 10))
    assert math.isnan(found.sensitivity.value)
    assert Note.ONE_KIND is found.sensitivity.note


def test_a_sweep_counts_every_threshold():
    truth, score = scored(2)
    thresholds = [0.0, 0.25, 0.5, float(score.max()), 2.0]
    for threshold, row in zip(thresholds, sweep(truth, score, thresholds), strict=True):
        called = score >= threshold
        assert (int((called & truth).sum()), int((called & ~truth).sum())) == (row.table.true_positive, row.table.false_positive)
        assert (threshold, truth.size) == (row.threshold, row.table.count)
        assert wilson(int((called & truth).sum()), int(truth.sum())) == row.sensitivity
        assert wilson(int((called & truth).sum()), int(called.sum())) == row.positive_predictive_value


def test_a_local_threshold_is_a_proposal_with_what_to_expect_of_it():
    truth, score = scored(5, 600, 2.0, rounded=False)
    found = propose_threshold(truth, score, np.arange(600), Aim("sensitivity", 0.9), Chance(3, 400))
    assert operating_point(truth, score, Aim("sensitivity", 0.9)) == found.apparent
    assert found.threshold.low < found.threshold.value == found.apparent.threshold < found.threshold.high
    assert found.apparent.sensitivity >= 0.9
    assert found.sensitivity.value < found.apparent.sensitivity  # the next patients are not the ones it was chosen on
    rng = np.random.default_rng(99)
    fresh_truth = rng.random(200_000) < 0.35
    fresh = 1 / (1 + np.exp(-(rng.normal(size=200_000) + 2 * fresh_truth)))
    assert (fresh[fresh_truth] >= found.threshold.value).mean() == pytest.approx(found.sensitivity.value, abs=0.05)
    assert (Method.OUT_OF_BAG, int(truth.sum()), 50) == (found.sensitivity.method, found.sensitivity.count, found.fewest)
    assert found == propose_threshold(truth, score, np.arange(600), Aim("sensitivity", 0.9), Chance(3, 400))


def test_too_few_patients_give_no_threshold_however_many_images():
    truth, score = scored(5, 600)
    found = propose_threshold(truth, score, np.arange(600) // 20, Aim("youden"), Chance(3, 20))
    assert math.isnan(found.threshold.value)
    assert Note.TOO_FEW is found.threshold.note is found.sensitivity.note
    assert (int(truth.sum()), 50) == (found.positives, found.fewest)


def test_net_benefit_is_its_definition():
    truth, probability = scored(7, 200)
    thresholds = [0.05, 0.3, 0.5, 0.9]
    patients = np.arange(200) // 2
    curve = decision_curve(truth, probability, patients, thresholds, Chance(2, 100))
    rng = np.random.default_rng(2)
    slow = []
    for _ in range(100):
        cases = np.concatenate([np.flatnonzero(patients == one) for one in rng.integers(0, 100, 100)])
        said = probability[cases, None] >= np.array(thresholds)
        false_alarms = np.array(thresholds) / (1 - np.array(thresholds)) * (said & ~truth[cases, None]).sum(axis=0)
        slow.append(((said & truth[cases, None]).sum(axis=0) - false_alarms) / cases.size)
    limits = np.sort(slow, axis=0)[[2, -3]]
    for index, (threshold, one) in enumerate(zip(thresholds, curve, strict=True)):
        odds = threshold / (1 - threshold)
        called = probability >= threshold
        assert ((called & truth).sum() - odds * (called & ~truth).sum()) / 200 == pytest.approx(one.model.value)
        assert (truth.sum() - odds * (~truth).sum()) / 200 == pytest.approx(one.treat_all)
        assert tuple(limits[:, index]) == pytest.approx((one.model.low, one.model.high))


def test_net_benefit_of_everybody_is_nothing_at_the_prevalence():
    truth = np.arange(10) < 3
    (one,) = decision_curve(truth, np.ones(10), np.arange(10), [0.3], Chance(1, 0))
    assert 0.0 == pytest.approx(one.treat_all)
    assert one.treat_all == pytest.approx(one.model.value)


def test_a_decision_curve_ends_before_certainty():
    with pytest.raises(UsageError, match="below 1"):
        decision_curve(np.array([True]), np.array([0.5]), np.array([0]), [1.0], Chance())


def test_brier_score_is_that_of_scikit_learn():
    truth, score = scored(3)
    assert oracle.brier_score_loss(truth, score) == pytest.approx(brier(truth, score))
    assert oracle.d2_brier_score(truth, score) == pytest.approx(scaled_brier(truth, score))


def test_bins_are_those_of_scikit_learn():
    truth, score = scored(3, 300, rounded=False)
    for equal, strategy in (("width", "uniform"), ("count", "quantile")):
        shares, said = calibration_curve(truth, score, n_bins=10, strategy=strategy)
        found = reliability(truth, score, equal=equal)
        if equal == "width":
            assert list(shares) == pytest.approx([one.positives.value for one in found])
            assert list(said) == pytest.approx([one.mean_probability for one in found])
        else:
            assert {30} == {one.positives.count for one in found[1:-1]}
        assert 300 == sum(one.positives.count for one in found)
        assert all(one.low <= one.mean_probability <= one.high for one in found)


def test_calibration_error_is_the_weighted_distance_of_the_bins():
    truth, score = scored(3, 300, rounded=False)
    expected = sum(
        abs(score[(score >= k / 10) & (score < (k + 1) / 10)].sum() - truth[(score >= k / 10) & (score < (k + 1) / 10)].sum())
        for k in range(10)
    )
    assert expected / 300 == pytest.approx(expected_calibration_error(truth, score))


def test_the_edges_of_bins_belong_to_the_upper_one_and_1_to_the_last():
    found = reliability(np.ones(3, bool), np.array([0.3, 0.7, 1.0]))
    assert [0.3, 0.7, 0.9] == [one.low for one in found]
    assert [1, 1, 1] == [one.positives.count for one in reliability(np.ones(3, bool), np.array([0.3, 0.7, 1.0]), equal="count", bins=3)]


@pytest.mark.parametrize("seed", range(3))
def test_calibration_line_and_its_limits_are_those_of_statsmodels(seed):
    truth, score = scored(seed, 400, rounded=False)
    logit = np.log(score / (1 - score))
    fitted = sm.Logit(truth, sm.add_constant(logit)).fit(disp=0, tol=1e-12)
    found = calibration_line(truth, score)
    for one, expected, limits in zip((found.intercept, found.slope), fitted.params, fitted.conf_int(), strict=True):
        assert (expected, *limits) == pytest.approx((one.value, one.low, one.high), abs=1e-7)
    offset = sm.GLM(truth, np.ones(400), family=sm.families.Binomial(), offset=logit).fit(tol=1e-12)
    large = found.in_the_large
    assert (offset.params[0], *offset.conf_int()[0]) == pytest.approx((large.value, large.low, large.high), abs=1e-7)


def test_true_probabilities_have_the_perfect_line():
    truth, score = calibrated(5, 40_000)
    found = calibration_line(truth, score)
    assert (0.0, 1.0, 0.0) == pytest.approx((found.intercept.value, found.slope.value, found.in_the_large.value), abs=0.05)
    ratio = observed_to_expected(truth, score)
    assert ratio.low < 1 < ratio.high
    assert truth.sum() / score.sum() == pytest.approx(ratio.value)


def test_observed_to_expected_has_the_coverage_that_it_says():
    inside = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = observed_to_expected(rng.random(400) < 0.2, np.full(400, 0.2))
        inside += found.low <= 1 <= found.high
    assert 0.92 <= inside / 300 <= 0.98


def test_no_positive_and_no_expectation_have_no_ratio_interval():
    none = observed_to_expected(np.zeros(5, bool), np.full(5, 0.1))
    assert (0.0, Note.NO_VARIANCE) == (none.value, none.note)
    assert Note.NOT_DETERMINED is observed_to_expected(np.ones(2, bool), np.zeros(2)).note


def test_separated_kinds_have_no_calibration_line():
    found = calibration_line(np.arange(8) > 4, np.linspace(0.1, 0.9, 8))
    assert math.isnan(found.intercept.value)
    assert math.isnan(found.slope.value)
    assert Note.NOT_DETERMINED is found.slope.note
    assert not math.isnan(found.in_the_large.value)


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(UsageError, match="pass probabilities"):
        brier(np.array([True, False]), np.array([2.3, -1.0]))
