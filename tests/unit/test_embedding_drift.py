"""Embeddings against a reference: nothing is seen where nothing changed, whatever the features; a change along any direction is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ptx_node.validation.drift import Limits
from ptx_node.validation.embedding_drift import DRAWN, FAR_FROM_IT, FAR_SHARE, Known, compare_embeddings

LIMITS = Limits()
SIZE = 48


def seen(rng: np.random.Generator, count: int, shift: np.ndarray | float = 0.0) -> list[np.ndarray]:
    """Features of an unchanging site as a ReLU leaves them: skewed, some hardly ever above nothing."""
    hidden = rng.normal(0, 1, (count, 6)) @ np.random.default_rng(1).normal(0, 1, (6, SIZE))
    features = np.maximum(hidden + rng.standard_t(4, (count, SIZE)) * 0.5 - np.linspace(0, 4, SIZE), 0)
    return list((features + shift).astype(np.float16))


def test_the_test_keeps_its_level_where_nothing_changed() -> None:
    """Of 60 pairs drawn alike, p is below 0.2 in a fifth of them at most; Bonferroni may only lower it."""
    rng, low, crossed = np.random.default_rng(7), 0, 0
    for _ in range(60):
        found = compare_embeddings(seen(rng, 240), seen(rng, 110), LIMITS)
        low, crossed = low + (found.p_value < 0.2), crossed + found.crossed
    assert stats.binomtest(low, 60, 0.2, alternative="greater").pvalue > 0.01
    assert crossed == 0


def test_a_shift_that_is_small_in_every_feature_is_seen() -> None:
    """As of another grey scale: nowhere large against the spread, and the same way in all patients."""
    rng = np.random.default_rng(3)
    other = np.random.default_rng(8).normal(0, 0.35, SIZE)
    found = compare_embeddings(seen(rng, 560), [np.maximum(one + other, 0).astype(np.float16) for one in seen(rng, 140)], LIMITS)
    assert found.crossed
    assert found.method == "direction"
    assert found.effect > found.drawn["limit"]


def test_a_minority_that_is_far_from_all_that_is_known_is_counted() -> None:
    rng = np.random.default_rng(4)
    strange = [(3 * one[::-1]).astype(np.float16) for one in seen(rng, 30)]
    found = compare_embeddings(seen(rng, 560), [*seen(rng, 110), *strange], LIMITS)
    assert found.crossed
    assert found.method == "far"
    shares = dict(zip(found.places, zip(found.reference, found.window, strict=True), strict=True))
    assert shares[FAR_FROM_IT][0] < 3 * FAR_SHARE
    assert shares[FAR_FROM_IT][1] > 0.15


def test_a_trifle_does_not_alarm_however_many_there_are() -> None:
    rng = np.random.default_rng(5)
    strange = [(3 * one[::-1]).astype(np.float16) for one in seen(rng, 200)]
    found = compare_embeddings(seen(rng, 6000), [*seen(rng, 5800), *strange], LIMITS)
    assert found.p_value < 0.001
    assert not found.crossed


def test_p_is_that_of_the_halves_that_chose_nothing_times_two() -> None:
    rng = np.random.default_rng(9)
    reference, window = seen(rng, 420), seen(rng, 160, 0.15)
    found = compare_embeddings(reference, window, LIMITS)
    before, after = np.array(reference, dtype=np.float64), np.array(window, dtype=np.float64)
    known = Known.of(before[::2])
    held, now = known.places(before[1::2]), known.places(after)
    np.testing.assert_allclose(known.axes_CK.T @ known.axes_CK, np.eye(known.axes_CK.shape[1]), atol=1e-9)
    np.testing.assert_allclose(known.places(before[::2]).std(axis=0), 1, atol=1e-6)
    way = now[::3, :-1].mean(axis=0)
    judged = np.delete(now, np.s_[::3], axis=0)
    expected = stats.ks_2samp(held[:, :-1] @ way, judged[:, :-1] @ way, method="asymp")
    assert found.method == "direction"
    assert found.effect == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(2 * expected.pvalue)
    assert (found.reference_count, found.window_count) == (210, 160)
    cases = round(210 * len(judged) / (210 + len(judged)))
    assert 2 * stats.kstwo.sf(found.drawn["limit"], cases) == pytest.approx(LIMITS.p_value)


def test_too_few_none_at_all_another_dimension_and_vectors_that_are_all_alike() -> None:
    rng = np.random.default_rng(2)
    some = seen(rng, 300)
    for reference, window in (([], []), (some, []), ([], some), (some[:199], some), (some, some[:99])):
        found = compare_embeddings(reference, window, LIMITS)
        assert (found.method, found.crossed, found.reference) == ("", False, ())
    longer = [np.ones(2 * SIZE, np.float16)] * 300
    assert compare_embeddings(some, longer, LIMITS).reference_count == 0, "a reference of other features is none"
    assert compare_embeddings([*longer, *some], some, LIMITS).reference_count == 150
    same = compare_embeddings(longer, longer, LIMITS)
    assert (same.p_value, same.crossed) == (1.0, False)
    assert compare_embeddings(longer, [2 * one for one in longer], LIMITS).crossed


def test_the_picture_has_some_points_and_the_same_each_time() -> None:
    rng = np.random.default_rng(4)
    reference, window = seen(rng, 900), seen(rng, 130)
    drawn = compare_embeddings(reference, window, LIMITS).drawn
    assert drawn == compare_embeddings(reference, window, LIMITS).drawn
    points = drawn["points"]
    assert DRAWN // 2 <= len(points["reference"]) <= DRAWN
    assert DRAWN // 2 <= len(points["window"]) <= DRAWN
    assert np.std([x for x, _ in points["reference"]]) == pytest.approx(1, abs=0.3)
