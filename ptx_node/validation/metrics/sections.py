"""The figures of all cases of a model: discrimination, what the answers are worth, thresholds, probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.metrics.tree import Tree, count, estimate, number, plain, share, table_of
from ptx_node.validation.statistics import (
    Aim,
    Method,
    Note,
    Table,
    accuracy,
    accuracy_by_patient,
    auc,
    brier,
    calibration_line,
    decision_curve,
    expected_calibration_error,
    mean,
    observed_to_expected,
    point_with_interval,
    predictive_values_at,
    propose_threshold,
    reliability,
    roc_curve,
    scaled_brier,
    sweep,
)
from ptx_node.validation.statistics.bootstrap import drawn, patients_of
from ptx_node.validation.statistics.clustered import RATIOS
from ptx_node.validation.statistics.roc import Ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ptx_node.validation.metrics.analysis import Analysis
    from ptx_node.validation.metrics.selection import Judged

CURVE_POINTS = 400
"""Of a stored ROC curve: finer than a page can show."""
BAND = np.arange(51) / 50
"""Places of 1 - specificity at which the band around the curve is told."""
REPEATING = "some patients have several cases: these intervals take each case for a patient, and are too narrow"
FLATTERED = "chosen on these very cases, which flatters it"


def independent(judged: Judged) -> Tree:
    """A word of caution for sections whose formulas need a patient a case."""
    return {"caution": REPEATING} if judged.repeating else {}


def discrimination(judged: Judged, analysis: Analysis) -> Tree:
    """AUC, the curve with its band, sensitivity at fixed specificities."""
    points = [
        point_with_interval(
            judged.truth_N, judged.score_N, judged.patient_N, Aim("specificity", one), analysis.chance, confidence=analysis.confidence
        )
        for one in analysis.specificities
    ]
    return {
        "auc": estimate(auc(judged.truth_N, judged.score_N, judged.patient_N, analysis.chance, analysis.confidence)),
        "roc": _curve(judged, analysis),
        "at_specificity": [
            {
                "target": one.aim.target,
                "threshold": estimate(one.threshold),
                "sensitivity": estimate(one.sensitivity),
                "specificity": estimate(one.specificity),
            }
            for one in points
        ],
    }


def _curve(judged: Judged, analysis: Analysis) -> Tree:
    known: Tree = {
        "n": judged.count,
        "method": f"each different score, at most {CURVE_POINTS} of them; band of the sensitivity: {Method.BOOTSTRAP.value}",
        "confidence": analysis.confidence,
        "seed": analysis.seed,
        "resamples": analysis.resamples,
        "points": [],
        "band": [],
    }
    if not judged.truth_N.any() or judged.truth_N.all():
        return known | {"note": (Note.ONE_KIND if judged.count else Note.NO_CASES).value}
    thresholds, sensitivity, specificity = roc_curve(judged.truth_N, judged.score_N)
    way = np.cumsum(np.abs(np.diff(sensitivity, prepend=0)) + np.abs(np.diff(specificity, prepend=1)))
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], CURVE_POINTS)).clip(max=way.size - 1))
    kept = np.arange(way.size) if way.size <= CURVE_POINTS else kept
    points = [
        {"threshold": number(float(thresholds[one])), "sensitivity": float(sensitivity[one]), "specificity": float(specificity[one])}
        for one in kept
    ]
    return known | {"points": points, "band": _band(judged, analysis)}


def _band(judged: Judged, analysis: Analysis) -> list[Tree]:
    """Percentiles of the sensitivity, at each of some specificities, when patients are drawn again."""
    ranked = Ranked.of(judged.truth_N, judged.score_N)

    def along(times_N: NDArray[np.int64]) -> NDArray[np.float64]:
        positives_K, negatives_K = ranked.counts(times_N)
        hits, alarms = np.append(0.0, np.cumsum(positives_K)), np.append(0.0, np.cumsum(negatives_K))
        if not hits[-1] or not alarms[-1]:
            return np.full(BAND.size, math.nan)
        return np.asarray(np.interp(BAND, alarms / alarms[-1], hits / hits[-1]), dtype=np.float64)

    patients, place_N = patients_of(judged.patient_N)
    rows = drawn(along, place_N, patients, analysis.chance).reshape(-1, BAND.size)
    rows = np.sort(rows[~np.isnan(rows[:, 0])], axis=0)
    if not rows.size:
        return []
    tail = max(1, math.ceil(rows.shape[0] * (1 - analysis.confidence) / 2 - 1e-9))
    return [
        {"specificity": float(1 - place), "low": float(low), "high": float(high)}
        for place, low, high in zip(BAND, rows[tail - 1], rows[-tail], strict=True)
    ]


def answers(judged: Judged, analysis: Analysis) -> Tree:
    """What the node's answers are worth: every share three ways, `stated` names the one that is for the headline."""
    table = Table.of(judged.truth_N, judged.called_N)
    formulas = accuracy(table, analysis.confidence)
    clustered = (
        accuracy_by_patient(judged.truth_N, judged.called_N, judged.patient_N, analysis.chance, analysis.confidence)
        if judged.repeating
        else {}
    )
    found: Tree = {"table": table_of(judged.truth_N, judged.called_N)} | independent(judged)
    for name in (*table.shares, *RATIOS):
        one = {"logarithm": estimate(getattr(formulas, name))} if name in RATIOS else share(getattr(formulas, name))
        stated = next(iter(one))
        if name in clustered:
            one["by_patient"] = estimate(clustered[name])
            stated = "by_patient"
        found[name] = one | {"stated": stated}
    if analysis.prevalence is not None:
        values = predictive_values_at(table, analysis.prevalence, analysis.confidence)
        names = ("positive_predictive_value", "negative_predictive_value")
        found["at_prevalence"] = {"prevalence": analysis.prevalence} | dict(zip(names, map(estimate, values), strict=True))
    return found


def thresholds(judged: Judged, used: Sequence[float], analysis: Analysis) -> Tree:
    """The sweep, the thresholds that the node used, and what a site might choose for itself."""
    proposals = []
    for aim in (Aim("youden"), Aim("sensitivity", 0.95), Aim("specificity", 0.95)):
        one = propose_threshold(judged.truth_N, judged.score_N, judged.patient_N, aim, analysis.chance)
        few = Note.TOO_FEW.value if math.isnan(one.threshold.value) else None
        apparent = [
            plain(value, of) | {"note": few or FLATTERED}
            for value, of in ((one.apparent.sensitivity, one.positives), (one.apparent.specificity, one.negatives))
        ]
        proposals.append(
            {
                "aim": aim.kind,
                "target": number(aim.target),
                "fewest": one.fewest,
                "threshold": estimate(one.threshold),
                "apparent_sensitivity": apparent[0],
                "apparent_specificity": apparent[1],
                "expected_sensitivity": estimate(one.sensitivity),
                "expected_specificity": estimate(one.specificity),
            }
        )
    swept = [
        {
            "threshold": one.threshold,
            "sensitivity": estimate(one.sensitivity),
            "specificity": estimate(one.specificity),
            "positive_predictive_value": estimate(one.positive_predictive_value),
            "negative_predictive_value": estimate(one.negative_predictive_value),
        }
        for one in sweep(judged.truth_N, judged.score_N, sorted({*analysis.thresholds, *used}))
    ]
    return {"used": list(used), "sweep": swept, "proposals": proposals} | independent(judged)


def probabilities(judged: Judged, analysis: Analysis) -> Tree:
    """Calibration."""
    truth_N, score_N, n = judged.truth_N, judged.score_N, judged.count
    line = calibration_line(truth_N, score_N, analysis.confidence)
    bins = [
        {"low": one.low, "high": one.high, "mean_probability": one.mean_probability, "positives": estimate(one.positives)}
        for one in reliability(truth_N, score_N)
    ]
    squared = mean((score_N - truth_N) ** 2, judged.patient_N, analysis.chance, analysis.confidence)
    return {
        "brier": estimate(squared) if n else plain(brier(truth_N, score_N), 0),
        "scaled_brier": plain(scaled_brier(truth_N, score_N), n, Note.ONE_KIND if n else Note.NO_CASES),
        "expected_calibration_error": plain(expected_calibration_error(truth_N, score_N), n),
        "observed_to_expected": estimate(observed_to_expected(truth_N, score_N, analysis.confidence)),
        "intercept": estimate(line.intercept),
        "slope": estimate(line.slope),
        "in_the_large": estimate(line.in_the_large),
        "bins": bins,
    } | independent(judged)


def benefit(judged: Judged, analysis: Analysis) -> list[Tree]:
    """The decision curve."""
    curve = decision_curve(judged.truth_N, judged.score_N, judged.patient_N, analysis.thresholds, analysis.chance, analysis.confidence)
    return [
        {"threshold": one.threshold, "model": estimate(one.model), "treat_all": plain(one.treat_all, judged.count), "treat_none": 0}
        for one in curve
    ]


def brief(judged: Judged, analysis: Analysis) -> Tree:
    """The few figures that are told of a part of the cases, or of all of them counted another way."""
    rates = accuracy_by_patient(judged.truth_N, judged.called_N, judged.patient_N, analysis.chance, analysis.confidence)
    names = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value", "prevalence")
    return {
        "cases": count(judged.count, judged.count),
        "patients": count(judged.patients, judged.count),
        "table": table_of(judged.truth_N, judged.called_N),
        "auc": estimate(auc(judged.truth_N, judged.score_N, judged.patient_N, analysis.chance, analysis.confidence)),
    } | {name: estimate(rates[name]) for name in names}
