"""The decision rule is the one that a search over all rules finds, and the node acts on it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptx_node.errors import UsageError
from ptx_node.model.metadata import Decision
from ptx_node.model.postprocess import class_probabilities, drop_small, source_masks
from tests.training.bright_spots import SIZE, predictor, radiographs, series, with_rule
from training.decision import Objective, Tally, between, choose, choose_from, smallest_regions
from training.evaluate.cases import grouped
from training.evaluate.judge import outputs, row_of, truth_on_grid
from training.overlap import dice

FEW = Objective(pixel_thresholds=(0.3, 0.5, 0.7), min_pixels=(1, 6, 40), smooth_mm=(0.0, 15.0))


def plain(positive: bool, probability: float, **more) -> Tally:
    return Tally(positive, not positive, np.array([probability]), **more)


def test_class_threshold_lies_between_the_cases_that_it_parts():
    choice = choose_from([plain(p > 0.55, p) for p in (0.1, 0.2, 0.4, 0.5, 0.6, 0.8)], Objective())
    assert 0.5 < choice.decision.class_threshold < 0.6
    assert (1.0, 1.0) == (choice.sensitivity, choice.specificity)


@pytest.mark.parametrize(("rule", "target"), [("sensitivity", 0.9), ("specificity", 0.95), ("youden", 0.0)])
def test_class_threshold_keeps_its_figures_on_the_cases(rule, target):
    rng = np.random.default_rng(3)
    truth = rng.random(200) < 0.4
    score = np.round(1 / (1 + np.exp(-rng.normal(truth * 1.5 - 0.7))), 3)
    choice = choose_from([plain(*pair) for pair in zip(truth.tolist(), score.tolist(), strict=True)], Objective(rule, target))
    points = [((score[truth] >= t).mean(), (score[~truth] < t).mean()) for t in np.unique(score)]
    best = {
        "sensitivity": max(sp for se, sp in points if se >= target),
        "specificity": max((se for se, sp in points if sp >= target), default=0),
        "youden": max(map(sum, points)),
    }[rule]
    reached = {"sensitivity": choice.specificity, "specificity": choice.sensitivity, "youden": choice.sensitivity + choice.specificity}
    assert best == pytest.approx(reached[rule])


def test_threshold_above_all_scores_calls_nobody():
    score = np.array([0.2, 0.9])
    assert 0.9 < between(score, float("inf")) < 1.0


def test_without_both_kinds_there_is_no_rule():
    with pytest.raises(UsageError, match="2 positives in 2 cases"):
        choose_from([plain(True, 0.1), plain(True, 0.2)], Objective())


def test_uncertain_cases_are_left_out():
    records, pictures = radiographs(8)
    records = [*records, *(replace(one, label=None) for one in records[:3])]
    assert 8 == choose(outputs(predictor("radiograph"), grouped(records), pictures), FEW).cases


def test_mask_rule_is_the_best_of_all_under_the_nodes_own_postprocessing():
    records, pictures = radiographs(24)
    model = predictor("radiograph", limit=1.5)
    seen = list(outputs(model, grouped(records), pictures))
    choice = choose(seen, FEW)
    merits = {}
    for threshold, smallest in itertools.product(FEW.pixel_thresholds, FEW.min_pixels):
        rule = Decision(choice.decision.class_threshold, threshold, smallest)
        overlaps, drawn = [], []
        for one in seen:
            called = one.probabilities_Z[0] >= rule.class_threshold
            masks = (drop_small(one.logits_ZHW.clone(), rule) > np.log(threshold / (1 - threshold))).numpy() & called
            truth = truth_on_grid(one)
            assert truth is not None
            (overlaps if truth.any() else drawn).append(dice(truth, masks) if truth.any() else masks.any())
        merits[threshold, smallest] = np.mean(overlaps) - np.mean(drawn)
    assert max(merits.values()) == pytest.approx(merits[choice.decision.pixel_threshold, choice.decision.min_pixels], abs=1e-4)
    assert choice.dice_of_positives - choice.drawn_on_empty == pytest.approx(max(merits.values()), abs=1e-4)


def test_penalty_of_drawing_on_the_healthy_moves_the_rule():
    """A rule that draws on no empty case wins as soon as the penalty outweighs what it costs in Dice."""
    grid = {"dice_TM": np.array([[0.8, 0.7]]), "drawn_TM": np.array([[True, True]])}
    empty = {"dice_TM": np.array([[0.0, 1.0]]), "drawn_TM": np.array([[True, False]])}
    tallies = [plain(True, 0.9, **grid), plain(True, 0.3, **grid), plain(False, 0.6, **empty), plain(False, 0.1, **empty)]
    few = {"pixel_thresholds": (0.5,), "min_pixels": (1, 50), "class_rule": "sensitivity", "target": 1.0}
    chosen = [choose_from(tallies, Objective(empty_penalty=penalty, **few)).decision.min_pixels for penalty in (0.0, 1.0)]
    assert [1, 50] == chosen


def test_node_calls_what_the_rule_calls():
    records, pictures = radiographs(30)
    model = predictor("radiograph")
    groups = grouped(records)
    choice = choose(outputs(model, groups, pictures), FEW)
    rows = [row_of(with_rule(model, choice.decision), one) for one in outputs(model, groups, pictures)]
    positive = [row.positive for row in rows if row.label == 1]
    assert choice.sensitivity == pytest.approx(np.mean(positive))
    assert choice.specificity == pytest.approx(1 - np.mean([row.positive for row in rows if row.label == 0]))


def test_ct_rule_smooths_over_slices_only_where_it_helps():
    records, pictures = series()
    choice = choose(outputs(predictor("ct"), grouped(records), pictures), FEW)
    assert (1.0, 0.0) == (choice.auc, choice.decision.smooth_mm)
    noisy = [Tally(p, not p, np.array([0.9, 0.9 if p else 0.3])) for p in (True, False, True, False)]
    assert 15.0 == choose_from(noisy, FEW).decision.smooth_mm


def test_class_from_the_mask_needs_more_than_a_few_pixels():
    logits = torch.full((3, SIZE, SIZE), -8.0)
    logits[1, 0, :31] = 8.0
    logits[2, 0, :32] = 8.0
    rule = Decision(0.5, 0.5, 1, class_from="mask")
    asked = class_probabilities(np.full(3, 0.5), logits, rule)
    assert [False, False, True] == (asked > 0.5).tolist()
    assert [0.5] * 3 == class_probabilities(np.full(3, 0.5), logits, Decision(0.5, 0.5, 1)).tolist()


def test_network_of_masks_alone_is_judged_by_its_masks():
    """The class answer of an untrained branch is not asked."""
    records, pictures = radiographs(24)
    model = predictor("radiograph")
    objective = Objective(class_from="mask", pixel_thresholds=(0.5,), min_pixels=(1,))
    seen = [type(one)(one.case, one.prepared, np.zeros(1), one.logits_ZHW) for one in outputs(model, grouped(records), pictures)]
    choice = choose(seen, objective)
    findings = [with_rule(model, choice.decision).finding_of(one.prepared, one.probabilities_Z, one.logits_ZHW.clone()) for one in seen]
    assert "mask" == choice.decision.class_from
    assert any(one.mask is not None for one in findings)
    one = seen[2]
    assert findings[2].mask is not None
    expected = source_masks(one.logits_ZHW.clone(), one.prepared.box, choice.decision)[0]
    assert expected.tolist() == findings[2].mask.tolist()


def test_no_rule_may_drop_what_is_a_mask_of_usual_size():
    assert (512, 8) == (max(smallest_regions(512, "radiograph")), max(smallest_regions(64, "radiograph")))
    assert max(smallest_regions(64, "ct")) == max(smallest_regions(512, "ct"))
