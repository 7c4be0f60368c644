"""Figures of models against other implementations and slow definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle
from sklearn.linear_model import LogisticRegression

from training import metrics


def scored(seed: int, count: int = 120, shift: float = 1.0, *, rounded: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities of simulated cases, with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.35
    score = 1 / (1 + np.exp(-(rng.normal(size=count) + shift * truth)))
    return truth, np.round(score, 2) if rounded else score


@pytest.mark.parametrize("seed", range(5))
def test_auc_counts_ties_half_as_scikit_learn_does(seed):
    truth, score = scored(seed)
    assert metrics.roc_auc(truth, score) == pytest.approx(oracle.roc_auc_score(truth, score), abs=1e-12)


def test_auc_of_one_kind_is_unknown():
    assert math.isnan(metrics.roc_auc(np.ones(3, bool), np.arange(3.0)))
    assert math.isnan(metrics.auc_interval(np.ones(3, bool), np.arange(3.0)).low)


@pytest.mark.parametrize("seed", range(3))
def test_roc_curve_passes_the_points_of_scikit_learn(seed):
    truth, score = scored(seed)
    false_rate, true_rate, thresholds = oracle.roc_curve(truth, score, drop_intermediate=False)
    ours = metrics.roc_curve(truth, score)
    for found, expected in zip(ours, (thresholds, true_rate, 1 - false_rate), strict=True):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("seed", range(3))
def test_interval_of_auc_is_that_of_delongs_double_sum(seed):
    truth, score = scored(seed)
    positive, negative = score[truth], score[~truth]
    kernel = np.array([[1.0 if p > n else 0.5 if p == n else 0.0 for n in negative] for p in positive])
    area = kernel.mean()
    over_p = sum((row.mean() - area) ** 2 for row in kernel) / (len(positive) - 1)
    over_n = sum((column.mean() - area) ** 2 for column in kernel.T) / (len(negative) - 1)
    half = stats.norm.ppf(0.975) * math.sqrt(over_p / len(positive) + over_n / len(negative)) / (area * (1 - area))
    found = metrics.auc_interval(truth, score)
    assert area == pytest.approx(found.value)
    assert math.log(area / (1 - area)) - half == pytest.approx(math.log(found.low / (1 - found.low)))
    assert math.log(area / (1 - area)) + half == pytest.approx(math.log(found.high / (1 - found.high)))


def test_interval_of_auc_holds_the_truth_about_as_often_as_it_says():
    true_area = stats.norm.cdf(1 / math.sqrt(2))
    inside = sum(one.low <= true_area <= one.high for one in (metrics.auc_interval(*scored(seed, rounded=False)) for seed in range(400)))
    assert 0.92 <= inside / 400 <= 0.98


def test_perfect_order_still_leaves_doubt():
    truth = np.arange(30) >= 20
    found = metrics.auc_interval(truth, np.arange(30.0))
    assert (1.0, 1.0) == (found.value, found.high)
    assert 0.025 == pytest.approx(found.low**10)


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (1, 30), (29, 30), (412, 1000), (3, 5000)])
def test_intervals_of_a_share_are_those_of_scipy(hits, count):
    for ours, name in ((metrics.wilson, "wilson"), (metrics.clopper_pearson, "exact")):
        expected = stats.binomtest(hits, count).proportion_ci(0.95, name)
        found = ours(hits, count)
        assert (expected.low, expected.high) == pytest.approx((found.low, found.high), abs=1e-9)
        assert (hits / count, count, hits) == (found.value, found.count, found.hits)


def test_nobody_gives_no_share():
    assert all(math.isnan(one(0, 0).value) for one in (metrics.wilson, metrics.clopper_pearson))


@pytest.mark.parametrize("seed", range(4))
def test_operating_points_are_the_best_of_all_thresholds(seed):
    truth, score = scored(seed)
    points = [((score[truth] >= t).mean(), (score[~truth] < t).mean()) for t in [*np.unique(score), np.inf]]
    at_specificity = metrics.sensitivity_at_specificity(truth, score, 0.9)
    at_sensitivity = metrics.specificity_at_sensitivity(truth, score, 0.9)
    best = metrics.youden(truth, score)
    assert max(sensitivity for sensitivity, specificity in points if specificity >= 0.9) == pytest.approx(at_specificity.sensitivity)
    assert max(specificity for sensitivity, specificity in points if sensitivity >= 0.9) == pytest.approx(at_sensitivity.specificity)
    assert max(map(sum, points)) == pytest.approx(best.sensitivity + best.specificity)
    for point in (at_specificity, at_sensitivity, best):
        assert (score[truth] >= point.threshold).mean() == pytest.approx(point.sensitivity)
        assert (score[~truth] < point.threshold).mean() == pytest.approx(point.specificity)


def test_bootstrap_draws_whole_patients():
    """Twenty images of one patient tell no more than one: the interval is that of the patients."""
    values = np.random.default_rng(1).normal(size=40)
    once = metrics.bootstrap(lambda index: float(values[index].mean()), np.arange(40).astype(str), seed=3, repeats=400)
    many = np.repeat(values, 20)
    often = metrics.bootstrap(lambda index: float(many[index].mean()), np.repeat(np.arange(40), 20).astype(str), seed=3, repeats=400)
    spread = 2 * stats.norm.ppf(0.975) * values.std() / math.sqrt(40)
    assert once.high - once.low == pytest.approx(often.high - often.low, rel=0.15)
    assert spread == pytest.approx(often.high - often.low, rel=0.2)


def test_bootstrap_of_a_seed_is_repeated():
    values = np.random.default_rng(1).normal(size=30)
    first, again = (
        metrics.bootstrap(lambda index: float(np.median(values[index])), np.arange(30).astype(str), seed=8, repeats=50) for _ in range(2)
    )
    assert first == again


def test_pixel_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    truth, answer = rng.random((20, 30)) < 0.3, rng.random((20, 30)) < 0.4
    counts = metrics.PixelCounts.of(truth, answer)
    flat = truth.ravel(), answer.ravel()
    assert (counts.true_negative, counts.false_positive, counts.false_negative, counts.true_positive) == tuple(
        oracle.confusion_matrix(*flat).ravel()
    )
    assert oracle.f1_score(*flat) == pytest.approx(counts.dice)
    assert oracle.jaccard_score(*flat) == pytest.approx(counts.iou)
    assert oracle.jaccard_score(*flat, average="macro") == pytest.approx(counts.mean_iou)
    assert oracle.precision_score(*flat) == pytest.approx(counts.precision)
    assert oracle.recall_score(*flat) == pytest.approx(counts.recall)
    assert oracle.accuracy_score(*flat) == pytest.approx(counts.accuracy)


def test_empty_masks_agree_and_one_empty_mask_does_not():
    empty, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    assert [1.0, 0.0, 0.0, 1.0] == [metrics.dice(a, b) for a in (empty, some) for b in (empty, some)]
    assert 1.0 == metrics.PixelCounts.of(empty, empty).iou
    assert math.isnan(metrics.PixelCounts.of(empty, some).recall)


def test_counts_of_pictures_add_up():
    rng = np.random.default_rng(6)
    pairs = [(rng.random(50) < 0.5, rng.random(50) < 0.5) for _ in range(3)]
    together = metrics.PixelCounts.of(np.concatenate([t for t, _ in pairs]), np.concatenate([a for _, a in pairs]))
    assert together == metrics.PixelCounts.total(metrics.PixelCounts.of(t, a) for t, a in pairs)


def test_auc_of_histograms_is_that_of_their_bins():
    truth, score = scored(2, 500)
    place = (score * 20).astype(int).clip(0, 19)
    histograms = [np.bincount(place[chosen], minlength=20) for chosen in (truth, ~truth)]
    assert oracle.roc_auc_score(truth, place) == pytest.approx(metrics.binned_auc(*histograms))


def test_brier_score_is_that_of_scikit_learn():
    truth, score = scored(3)
    assert oracle.brier_score_loss(truth, score) == pytest.approx(metrics.brier(truth, score))


def test_calibration_error_is_the_weighted_distance_of_the_bins():
    truth, score = scored(3, 300, rounded=False)
    expected = sum(
        abs(score[(score >= k / 10) & (score < (k + 1) / 10)].sum() - truth[(score >= k / 10) & (score < (k + 1) / 10)].sum())
        for k in range(10)
    )
    assert expected / 300 == pytest.approx(metrics.expected_calibration_error(truth, score))
    assert 300 == sum(one.positives.count for one in metrics.reliability(truth, score))
    assert [1] == [one.positives.count for one in metrics.reliability(np.ones(1, bool), np.ones(1))]


@pytest.mark.parametrize("seed", range(3))
def test_calibration_line_is_the_logistic_regression(seed):
    truth, score = scored(seed, 400, rounded=False)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.log(score / (1 - score))[:, None], truth)
    assert (fitted.intercept_[0], fitted.coef_[0, 0]) == pytest.approx(metrics.calibration_line(truth, score), abs=1e-4)


def test_true_probabilities_have_the_perfect_line():
    rng = np.random.default_rng(5)
    score = rng.uniform(0.02, 0.98, 40_000)
    assert (0.0, 1.0) == pytest.approx(metrics.calibration_line(rng.random(40_000) < score, score), abs=0.05)


def test_separated_kinds_have_no_calibration_line():
    assert all(math.isnan(one) for one in metrics.calibration_line(np.arange(8) > 4, np.linspace(0.1, 0.9, 8)))
