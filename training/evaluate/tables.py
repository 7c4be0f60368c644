"""Every figure of an evaluation, computed from its rows alone: over all cases, by subgroup, and against what must be reached."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.validation.statistics import (
    Chance,
    Estimate,
    auc_interval,
    bootstrap,
    brier,
    calibration_line,
    clopper_pearson,
    expected_calibration_error,
    reliability,
    roc_auc,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    wilson,
)
from training.evaluate.rows import Row, known, probability_of, truth_of
from training.overlap import PixelCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USUAL = Chance()
FIXED_SPECIFICITIES = (0.90, 0.95, 0.99)
FIXED_SENSITIVITIES = (0.90, 0.95)
AGE_BANDS = ((0, 18), (18, 40), (40, 65), (65, 80), (80, 200))


def summary(rows: Sequence[Row], chance: Chance = USUAL) -> dict[str, Any]:
    """All figures over these cases; those whose truth is uncertain are only counted."""
    kept = known(rows)
    return {
        "cases": len(kept),
        "uncertain_left_out": len(rows) - len(kept),
        "patients": len({row.patient_id for row in kept}),
        "positives": sum(row.label == 1 for row in kept),
        "negatives": sum(row.label == 0 for row in kept),
        "discrimination": discrimination(kept, chance),
        "rule": under_the_rule(kept, chance),
        "masks": masks(kept, chance),
        "pixels": pixels(kept),
        "calibration": calibration(kept),
        "volume": volumes(kept, chance),
    }


def figure(
    rows: Sequence[Row], value: Callable[[Sequence[Row]], float], chance: Chance, exact: Callable[[], Estimate] | None = None
) -> dict[str, Any]:
    """A figure with its interval: by formula where every case is another patient's and there is one, else bootstrap by patient."""
    patients = np.array([row.patient_id for row in rows], dtype=np.str_)
    if exact is not None and np.unique(patients).size == patients.size:
        return asdict(exact()) | {"interval": "formula"}
    found = bootstrap(lambda index: value([rows[one] for one in index]), patients, chance)
    return asdict(found) | {"interval": "bootstrap by patient"}


def share(rows: Sequence[Row], hit: Callable[[Row], bool], chance: Chance) -> dict[str, Any]:
    """The part of these cases that hits, Wilson's interval where the cases are of different patients."""
    hits = sum(hit(row) for row in rows)

    def mean(some: Sequence[Row]) -> float:
        return sum(hit(row) for row in some) / len(some) if some else math.nan

    return figure(rows, mean, chance, lambda: wilson(hits, len(rows))) | {"hits": hits}


def _average(rows: Sequence[Row], value: Callable[[Row], float], chance: Chance, *, median: bool = False) -> dict[str, Any]:
    """Mean or median over cases of a value, which may be NaN for some of them."""
    chosen = [row for row in rows if not math.isnan(value(row))]
    values = np.array([value(row) for row in chosen], dtype=np.float64)
    place = {id(row): index for index, row in enumerate(chosen)}
    pick = np.median if median else np.mean

    def of(some: Sequence[Row]) -> float:
        return float(pick(values[[place[id(row)] for row in some]])) if some else math.nan

    return figure(chosen, of, chance)


def _auc(rows: Sequence[Row]) -> float:
    return roc_auc(truth_of(rows), probability_of(rows))


def auc(rows: Sequence[Row], chance: Chance) -> dict[str, Any]:
    """AUC of cases, DeLong's interval where they are of different patients."""
    return figure(rows, _auc, chance, lambda: auc_interval(truth_of(rows), probability_of(rows)))


def discrimination(rows: Sequence[Row], chance: Chance) -> dict[str, Any]:
    """AUC, and the operating points that do not depend on the rule's threshold; their thresholds are read off these very cases."""
    found: dict[str, Any] = {"auc": auc(rows, chance), "sensitivity_at_specificity": {}, "specificity_at_sensitivity": {}}
    for fixed in FIXED_SPECIFICITIES:
        at = sensitivity_at_specificity(truth_of(rows), probability_of(rows), fixed)
        interval = figure(rows, partial(_sensitivity_at, fixed), chance)
        found["sensitivity_at_specificity"][f"{fixed:.2f}"] = interval | {"threshold": at.threshold}
    for fixed in FIXED_SENSITIVITIES:
        at = specificity_at_sensitivity(truth_of(rows), probability_of(rows), fixed)
        interval = figure(rows, partial(_specificity_at, fixed), chance)
        found["specificity_at_sensitivity"][f"{fixed:.2f}"] = interval | {"threshold": at.threshold}
    return found


def _sensitivity_at(specificity: float, rows: Sequence[Row]) -> float:
    return sensitivity_at_specificity(truth_of(rows), probability_of(rows), specificity).sensitivity


def _specificity_at(sensitivity: float, rows: Sequence[Row]) -> float:
    return specificity_at_sensitivity(truth_of(rows), probability_of(rows), sensitivity).specificity


def under_the_rule(rows: Sequence[Row], chance: Chance) -> dict[str, Any]:
    """What the node's outcomes are worth."""
    positives, negatives = ([row for row in rows if row.label == label] for label in (1, 0))
    called = [row for row in rows if row.positive]
    located = [row for row in positives if row.laterality and row.truth_laterality]
    hits, quiet = sum(row.positive for row in positives), sum(not row.positive for row in negatives)
    return {
        "sensitivity": share(positives, lambda row: row.positive, chance) | {"exact": _limits(hits, len(positives))},
        "specificity": share(negatives, lambda row: not row.positive, chance) | {"exact": _limits(quiet, len(negatives))},
        "accuracy": share(rows, lambda row: row.positive == (row.label == 1), chance),
        "precision": share(called, lambda row: row.label == 1, chance),
        "confusion": {
            "true_negative": quiet,
            "false_positive": len(negatives) - quiet,
            "false_negative": len(positives) - hits,
            "true_positive": hits,
        },
        "side_right_of_located": share(located, lambda row: row.laterality == row.truth_laterality, chance),
    }


def _limits(hits: int, count: int) -> list[float]:
    exact = clopper_pearson(hits, count)
    return [exact.low, exact.high]


def _dice(row: Row) -> float:
    return math.nan if row.counts is None else row.counts.dice


def _alone(row: Row) -> float:
    return math.nan if row.alone is None else row.alone.dice


def masks(rows: Sequence[Row], chance: Chance) -> dict[str, Any]:
    """Overlap of the answers with the truth; an all-empty answer would score `all_empty_would_score` in the first figure."""
    drawn = [row for row in rows if row.truth_pixels is not None]
    if not drawn:
        return {}
    empty, full = ([row for row in drawn if bool(row.truth_pixels) is kind] for kind in (False, True))
    return {
        "dice_mean_with_empty_rule": _average(drawn, _dice, chance),
        "all_empty_would_score": len(empty) / len(drawn),
        "dice_of_positives": _average(full, _dice, chance),
        "dice_of_positives_mask_alone": _average(full, _alone, chance),
        "dice_of_called_positives": _average([row for row in full if row.positive], _dice, chance),
        "iou_of_positives": _average(full, lambda row: row.counts.iou if row.counts else math.nan, chance),
        "mask_drawn_on_empties": share(empty, lambda row: bool(row.answer_pixels), chance),
        "mask_alone_drawn_on_empties": share(empty, lambda row: bool(row.alone_answer), chance),
    }


def pixels(rows: Sequence[Row]) -> dict[str, Any]:
    """Of all pixels of all pictures together, as the CT study counts them; without intervals, since pixels are not patients."""
    counts = [row.counts for row in rows if row.counts is not None]
    if not counts:
        return {}
    total = PixelCounts.total(counts)
    airy = [one.iou for one in counts if one.truth]
    return asdict(total) | {
        "accuracy": total.accuracy,
        "binary_iou": total.mean_iou,
        "mean_iou_over_patients": float(np.mean(airy)) if airy else math.nan,
        "precision": total.precision,
        "recall": total.recall,
        "dice": total.dice,
        "iou": total.iou,
    }


def calibration(rows: Sequence[Row]) -> dict[str, Any]:
    """Whether the probabilities are probabilities."""
    truth, score = truth_of(rows), probability_of(rows)
    line = calibration_line(truth, score)
    return {
        "brier": brier(truth, score),
        "expected_calibration_error": expected_calibration_error(truth, score),
        "intercept": line.intercept.value,
        "slope": line.slope.value,
        "bins": [asdict(one) for one in reliability(truth, score)],
    }


def volumes(rows: Sequence[Row], chance: Chance) -> dict[str, Any]:
    """Of CT: Dice in the slices with air, error of the volume, error of the share of the hemithorax; one value a patient."""
    series = [row for row in rows if row.slices is not None]
    if not series:
        return {}
    airy = [row for row in series if row.air_slices]
    return {
        "patients_with_air": len(airy),
        "dice_on_slices_with_air": _average(airy, lambda row: row.air_dice, chance),
        "median_volume_error": _average(airy, lambda row: row.volume_error, chance, median=True),
        "median_signed_volume_error_ml": _average(airy, _signed_ml, chance, median=True),
        "median_share_error_points": _average(airy, _share_error, chance, median=True),
    }


def _signed_ml(row: Row) -> float:
    return math.nan if row.volume_ml is None or row.truth_volume_ml is None else row.volume_ml - row.truth_volume_ml


def _share_error(row: Row) -> float:
    return math.nan if row.share_percent is None or row.truth_share_percent is None else abs(row.share_percent - row.truth_share_percent)
