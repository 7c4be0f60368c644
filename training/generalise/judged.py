"""Scores of one model at one site, and the figures that stand in the table: at the own threshold, and at one chosen locally."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ptx_node.validation.statistics import auc_interval, wilson, youden
from training.augment import unchanged
from training.batches import Pool

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from training.prepared import Prepared

LOCAL_POSITIVES = 50
DRAWS = 200
Range = tuple[float, float, float]
"""Mean, 2.5 and 97.5 percentile over draws."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Answers for one part of one site."""

    truth_N: NDArray[np.bool_]
    probability_N: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Local:
    """Sensitivity and specificity at a threshold from 50 local positives and as many negatives: mean and 95 % range over draws.

    Attributes:
        tested: cases that each threshold was judged on, none of which it was chosen on.
    """

    threshold: Range
    sensitivity: Range
    specificity: Range
    positives: int
    tested: int


def scores_of(network: nn.Module, prepared: Prepared, size: int, *, batch: int = 32) -> Scores:
    """The class probability of every labelled picture, at the network's `size`."""
    pool, device = Pool([prepared]), next(network.parameters()).device
    found: list[float] = []
    for start in range(0, len(pool), batch):
        pictures, _ = pool.take(np.arange(start, min(start + batch, len(pool))), device)
        inputs_B1HW, _ = unchanged(pictures, "radiograph", size)
        with torch.inference_mode():
            class_logit_B, _ = network(inputs_B1HW)
        found += class_logit_B.float().sigmoid().cpu().tolist()
    return Scores(pool.label_N == 1, np.array(found))


def joined(one: Scores, other: Scores) -> Scores:
    """The answers for two parts together."""
    return Scores(np.concatenate([one.truth_N, other.truth_N]), np.concatenate([one.probability_N, other.probability_N]))


def figures(scores: Scores, threshold: float) -> dict[str, Any]:
    """AUC with DeLong's interval, sensitivity and specificity at a threshold with Wilson's."""
    called, truth = scores.probability_N >= threshold, scores.truth_N
    return {
        "cases": int(truth.size),
        "positives": int(truth.sum()),
        "auc": asdict(auc_interval(truth, scores.probability_N)),
        "sensitivity": asdict(wilson(int((called & truth).sum()), int(truth.sum()))),
        "specificity": asdict(wilson(int((~called & ~truth).sum()), int((~truth).sum()))),
    }


def local_threshold(choosing: Scores, judging: Scores, *, seed: int) -> Local | None:
    """What a site gets that chooses its own threshold from its first cases; None where it has too few of them.

    Every draw takes 50 positives and 50 negatives to choose by (largest sum of both rates).

    Args:
        choosing: cases of the site that no model was trained on, at least twice as many of each kind as a draw takes.
        judging: other patients of the site.
        seed: of the draws.
    """
    kinds = [np.flatnonzero(choosing.truth_N == kind) for kind in (True, False)]
    if min(one.size for one in kinds) < 2 * LOCAL_POSITIVES:
        return None
    rng = np.random.default_rng([seed, 50])
    truth = judging.truth_N
    rows = []
    for _ in range(DRAWS):
        chosen = np.concatenate([rng.choice(one, LOCAL_POSITIVES, replace=False) for one in kinds])
        threshold = youden(choosing.truth_N[chosen], choosing.probability_N[chosen]).threshold
        called = judging.probability_N >= threshold
        rows.append((threshold, called[truth].mean(), (~called[~truth]).mean()))
    ranges = [_range(one) for one in np.array(rows).T]
    return Local(ranges[0], ranges[1], ranges[2], LOCAL_POSITIVES, int(truth.size))


def _range(values: NDArray[np.float64]) -> Range:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)
