"""The decision rule, chosen on validation cases only: class threshold, pixel threshold, smallest region, and smoothing for CT.

The class rule comes first, from the probabilities; then the mask's, among the cases that the class rule calls positive, as the node
draws masks for no others. Masks are compared on the network's grid, which is close to the source and many times cheaper.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from ptx_node.errors import UsageError
from ptx_node.model.metadata import Decision
from ptx_node.model.postprocess import class_probabilities, logit, series_probability
from ptx_node.validation.statistics import OperatingPoint, roc_auc, sensitivity_at_specificity, specificity_at_sensitivity, youden
from training.evaluate.judge import truth_on_grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch
    from numpy.typing import NDArray

    from training.evaluate.judge import Output


LARGEST_SHARE = 0.002
"""A region that a rule drops is smaller than this part of the picture: few true masks are."""
REGIONS = (1, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class Objective:
    """What the rule is to be best at.

    Attributes:
        class_rule: `youden` for the largest sum of sensitivity and specificity; `sensitivity` or `specificity` for the best other one
            where this one is at least `target`.
        empty_penalty: what a share of 1 of masks drawn on cases without pneumothorax costs, in mean Dice of positives.
        pixel_thresholds: tried probabilities of a pixel.
        min_pixels: tried smallest regions, in pixels of the network's grid (of CT: over all slices).
        smooth_mm: tried lengths of the patient over which slices' probabilities are averaged; for CT.
        class_from: `mask` for a network whose class answer was not trained.
    """

    class_rule: Literal["youden", "sensitivity", "specificity"] = "youden"
    target: float = 0.9
    empty_penalty: float = 1.0
    pixel_thresholds: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    min_pixels: tuple[int, ...] = REGIONS
    smooth_mm: tuple[float, ...] = (0.0, 6.0, 12.0, 20.0)
    class_from: Literal["image", "mask"] = "image"


def smallest_regions(input_size: int, reads: str) -> tuple[int, ...]:
    """The regions that are tried for a network of this size; a CT region goes on through slices and has no such limit."""
    return tuple(pixels for pixels in REGIONS if reads == "ct" or pixels <= max(1, LARGEST_SHARE * input_size**2))


@dataclass(frozen=True, slots=True)
class Tally:
    """One validation case, small enough to keep all of them: its probabilities, and its Dice under every mask rule.

    Attributes:
        probability_S: of the case, for each `smooth_mm`.
        dice_TM: for each pixel threshold and smallest region; None where the set draws no masks.
        drawn_TM: whether that rule leaves any mask.
    """

    positive: bool
    empty: bool
    probability_S: NDArray[np.float64]
    dice_TM: NDArray[np.float64] | None = field(default=None, repr=False)
    drawn_TM: NDArray[np.bool_] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule, and what it was chosen for: figures on the validation cases, which flatter it."""

    decision: Decision
    objective: Objective
    cases: int
    positives: int
    auc: float
    sensitivity: float
    specificity: float
    dice_of_positives: float
    drawn_on_empty: float

    def to_json(self) -> dict[str, object]:
        """As a JSON object; figures that are not known are null."""
        return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(self).items()}


def tally(output: Output, objective: Objective) -> Tally | None:
    """What is kept of one case; None where its truth is uncertain."""
    label = output.case.label
    if label is None:
        return None
    asked = Decision(0.5, 0.5, 1, class_from=objective.class_from)
    probabilities_Z = class_probabilities(output.probabilities_Z, output.logits_ZHW, asked)
    distance = output.prepared.slice_spacing_mm
    if output.case.first.slice_index is None:
        probability_S = np.full(1, float(probabilities_Z[0]))
    else:
        probability_S = np.array([series_probability(probabilities_Z, distance, one) for one in objective.smooth_mm])
    truth_ZHW = truth_on_grid(output)
    if truth_ZHW is None:
        return Tally(label == 1, label == 0, probability_S)
    dice_TM, drawn_TM = _under_all_rules(output.logits_ZHW, truth_ZHW, objective)
    return Tally(label == 1, not truth_ZHW.any(), probability_S, dice_TM, drawn_TM)


def _under_all_rules(
    logits_ZHW: torch.Tensor, truth_ZHW: NDArray[np.bool_], objective: Objective
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Dice, and whether anything is drawn, under each rule; regions are sought once for each pixel threshold."""
    shape = (len(objective.pixel_thresholds), len(objective.min_pixels))
    dice_TM, drawn_TM = np.zeros(shape), np.zeros(shape, dtype=bool)
    true_pixels = int(np.count_nonzero(truth_ZHW))
    for t, threshold in enumerate(objective.pixel_thresholds):
        labels, count = ndimage.label((logits_ZHW > logit(threshold)).numpy(), structure=np.ones((3, 3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        hits = np.bincount(labels[truth_ZHW], minlength=count + 1)[1:]
        for m, smallest in enumerate(objective.min_pixels):
            kept = sizes >= smallest
            total = int(sizes[kept].sum()) + true_pixels
            dice_TM[t, m] = 2 * int(hits[kept].sum()) / total if total else 1.0
            drawn_TM[t, m] = bool(kept.any())
    return dice_TM, drawn_TM


def choose(outputs: Iterable[Output], objective: Objective = Objective(), *, fallback: Decision | None = None) -> Choice:
    """The best rule on these cases.

    Args:
        outputs: of validation cases; test cases would make their own figures worthless.
        objective: what to be best at.
        fallback: the mask's rule where the validation set draws no masks.

    Raises:
        UsageError: positives or negatives are missing.
    """
    kept = [one for one in (tally(output, objective) for output in outputs) if one is not None]
    return choose_from(kept, objective, fallback=fallback)


def choose_from(tallies: Sequence[Tally], objective: Objective, *, fallback: Decision | None = None) -> Choice:
    """The best rule on these tallies (see `choose`)."""
    truth_N = np.array([one.positive for one in tallies], dtype=bool)
    if not truth_N.any() or truth_N.all():
        raise UsageError(
            f"a decision rule needs positives and negatives; the validation part has {int(truth_N.sum())} positives in {truth_N.size} cases"
        )
    scores_SN = np.stack([one.probability_S for one in tallies], axis=1)
    areas = [roc_auc(truth_N, scores_N) for scores_N in scores_SN]
    smooth = int(np.argmax(np.round(areas, 4)))  # the shortest among equals: a small pneumothorax is in few slices
    score_N = scores_SN[smooth]
    point = _point(truth_N, score_N, objective)
    threshold = between(score_N, point.threshold)
    t, m, best_dice, drawn = _mask_rule(tallies, score_N >= threshold, objective)
    start = fallback or Decision(0.5, 0.5, 8)
    decision = Decision(
        class_threshold=threshold,
        pixel_threshold=start.pixel_threshold if t is None else objective.pixel_thresholds[t],
        min_pixels=start.min_pixels if m is None else objective.min_pixels[m],
        smooth_mm=objective.smooth_mm[smooth] if len(areas) > 1 else 0.0,
        class_from=objective.class_from,
    )
    called = score_N >= threshold
    return Choice(
        decision,
        objective,
        truth_N.size,
        int(truth_N.sum()),
        areas[smooth],
        float(called[truth_N].mean()),
        float((~called[~truth_N]).mean()),
        best_dice,
        drawn,
    )


def _point(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], objective: Objective) -> OperatingPoint:
    if objective.class_rule == "sensitivity":
        return specificity_at_sensitivity(truth_N, score_N, objective.target)
    if objective.class_rule == "specificity":
        return sensitivity_at_specificity(truth_N, score_N, objective.target)
    return youden(truth_N, score_N)


def between(score_N: NDArray[np.float64], threshold: float) -> float:
    """Half way, in logits, between a threshold that is a case's own score and the next score below it, so that no case sits on it.

    A threshold above all scores becomes one close above the highest.
    """
    lower = score_N[score_N < threshold]
    high = logit(threshold) if math.isfinite(threshold) else logit(1.0)
    low = logit(float(lower.max())) if lower.size else logit(0.0)
    middle = 1 / (1 + math.exp(-(high + low) / 2))
    rounded = round(middle, 6)
    return rounded if not lower.size or float(lower.max()) < rounded <= threshold else middle


def _mask_rule(tallies: Sequence[Tally], called_N: NDArray[np.bool_], objective: Objective) -> tuple[int | None, int | None, float, float]:
    """(indices of the best pixel threshold and region, mean Dice of positives, share of empties with a mask), NaN where unknown."""
    drawn = [(one, called) for one, called in zip(tallies, called_N, strict=True) if one.dice_TM is not None and one.drawn_TM is not None]
    positives = [one.dice_TM * called for one, called in drawn if not one.empty and one.dice_TM is not None]
    if not positives:
        return None, None, math.nan, math.nan
    empties = [one.drawn_TM & called for one, called in drawn if one.empty and one.drawn_TM is not None]
    dice_TM = np.mean(positives, axis=0)
    drawn_TM = np.mean(empties, axis=0) if empties else np.zeros_like(dice_TM)
    merit_TM = np.round(dice_TM - objective.empty_penalty * drawn_TM, 4)
    distance_T = np.abs(np.array(objective.pixel_thresholds) - 0.5)
    t, m = min(np.argwhere(merit_TM == merit_TM.max()).tolist(), key=lambda one: (distance_T[one[0]], one[1]))
    return int(t), int(m), float(dice_TM[t, m]), float(drawn_TM[t, m])
