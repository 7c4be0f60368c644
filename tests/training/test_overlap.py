"""Overlap of masks against other implementations and slow definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from training.overlap import PixelCounts, dice


def test_pixel_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    truth, answer = rng.random((20, 30)) < 0.3, rng.random((20, 30)) < 0.4
    counts = PixelCounts.of(truth, answer)
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
    assert [1.0, 0.0, 0.0, 1.0] == [dice(a, b) for a in (empty, some) for b in (empty, some)]
    assert 1.0 == PixelCounts.of(empty, empty).iou
    assert math.isnan(PixelCounts.of(empty, some).recall)


def test_counts_of_pictures_add_up():
    rng = np.random.default_rng(6)
    pairs = [(rng.random(50) < 0.5, rng.random(50) < 0.5) for _ in range(3)]
    together = PixelCounts.of(np.concatenate([t for t, _ in pairs]), np.concatenate([a for _, a in pairs]))
    assert together == PixelCounts.total(PixelCounts.of(t, a) for t, a in pairs)
