"""Figures with the interval that these cases allow: by formula where every case is another patient's, else bootstrap by patient."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.statistics.bootstrap import drawn, patients_of, percentiles, resamples
from ptx_node.validation.statistics.delong import auc_interval, compare_auc, in_order
from ptx_node.validation.statistics.estimate import CONFIDENCE, Chance, Estimate, Method, Note, checked, unknown
from ptx_node.validation.statistics.proportions import clopper_pearson, wilson
from ptx_node.validation.statistics.roc import Ranked, area_of_counts
from ptx_node.validation.statistics.two_by_two import Table, likelihood_ratios, shares_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

RATIOS = ("positive_likelihood_ratio", "negative_likelihood_ratio")


def auc(
    truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], patient_N: NDArray[Any], chance: Chance, confidence: float = CONFIDENCE
) -> Estimate:
    """AUC by DeLong, or by patients where they repeat.

    Args:
        truth_N: what is so.
        score_N: higher means positive.
        patient_N: whose case it is.
        chance: seed and number of resamples, used where patients repeat.
        confidence: of the interval.
    """
    checked(truth_N, score_N, patient_N)
    patients, place_N = patients_of(patient_N)
    if patients == truth_N.size:
        return auc_interval(truth_N, score_N, confidence)
    ranked = Ranked.of(truth_N, score_N)
    value = area_of_counts(*ranked.counts())
    if np.isnan(value):
        return unknown(truth_N.size, Method.BOOTSTRAP, Note.ONE_KIND, confidence=confidence)
    if value in {0.0, 1.0}:
        rarer = min(np.unique(place_N[kind]).size for kind in (truth_N, ~truth_N))
        return replace(in_order(value, rarer, truth_N.size, confidence), clusters=patients)
    areas = drawn(lambda times_N: [area_of_counts(*ranked.counts(times_N))], place_N, patients, chance).ravel()
    return percentiles(value, areas, count=truth_N.size, clusters=patients, chance=chance, confidence=confidence)


def auc_difference(
    truth_N: NDArray[np.bool_],
    first_N: NDArray[np.float64],
    second_N: NDArray[np.float64],
    patient_N: NDArray[Any],
    chance: Chance,
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """AUC of the first score less that of the second on the same cases: DeLong's paired interval, or by patient where they repeat."""
    checked(truth_N, first_N, second_N, patient_N)
    patients, place_N = patients_of(patient_N)
    if patients == truth_N.size:
        return compare_auc(truth_N, first_N, second_N, confidence).difference
    first, second = Ranked.of(truth_N, first_N), Ranked.of(truth_N, second_N)

    def gap(times_N: NDArray[np.int64] | None) -> list[float]:
        return [area_of_counts(*first.counts(times_N)) - area_of_counts(*second.counts(times_N))]

    (value,) = gap(None)
    if math.isnan(value):
        return unknown(truth_N.size, Method.BOOTSTRAP, Note.ONE_KIND, confidence=confidence)
    gaps_R = drawn(gap, place_N, patients, chance).ravel()
    return percentiles(value, gaps_R, count=truth_N.size, clusters=patients, chance=chance, confidence=confidence)


def accuracy_by_patient(
    truth_N: NDArray[np.bool_], called_N: NDArray[np.bool_], patient_N: NDArray[Any], chance: Chance, confidence: float = CONFIDENCE
) -> dict[str, Estimate]:
    """The figures of `Accuracy` by name: Wilson's and logarithmic intervals, or by patient where they repeat.

    A share of 0 or 1 is so in every resample, which says nothing: it gets the exact bound for as many patients as have such cases.
    """
    checked(truth_N, called_N, patient_N)
    table = Table.of(truth_N, called_N)
    patients, place_N = patients_of(patient_N)
    if patients == truth_N.size:
        shares = {name: wilson(*of, confidence) for name, of in table.shares.items()}
        return shares | dict(zip(RATIOS, likelihood_ratios(table, confidence), strict=True))
    kind_N = 2 * truth_N.astype(np.int64) + called_N
    cells_C4 = np.bincount(4 * place_N + kind_N, minlength=4 * patients).reshape(patients, 4)
    drawn_R4 = np.array([times_C @ cells_C4 for times_C in resamples(patients, chance)], dtype=np.int64).reshape(-1, 4)
    resampled, having_C = shares_of(*drawn_R4.T), shares_of(*cells_C4.T)
    found = {}
    for name, (hits, count) in table.shares.items():
        if not count:
            found[name] = unknown(0, Method.BOOTSTRAP, Note.NO_CASES, hits=0, confidence=confidence)
        elif hits in {0, count}:
            having = int(np.count_nonzero(having_C[name][1]))
            exact = clopper_pearson(having if hits else 0, having, confidence)
            found[name] = replace(exact, count=count, hits=hits, clusters=patients, note=Note.ALL_RESAMPLES_EQUAL)
        else:
            values_R = _divided(*resampled[name])
            one = percentiles(hits / count, values_R, count=count, clusters=patients, chance=chance, confidence=confidence)
            found[name] = replace(one, hits=hits)
    sensitivity_R, specificity_R = _divided(*resampled["sensitivity"]), _divided(*resampled["specificity"])
    ratios_R = _divided(sensitivity_R, 1 - specificity_R), _divided(1 - sensitivity_R, specificity_R)
    for name, plain, values_R in zip(RATIOS, likelihood_ratios(table, confidence), ratios_R, strict=True):
        if plain.note is None:
            one = percentiles(plain.value, values_R, count=table.count, clusters=patients, chance=chance, confidence=confidence)
        else:  # a cell is empty: the logarithmic interval would take each image for a patient
            one = replace(plain, low=math.nan, high=math.nan, method=Method.NONE, clusters=patients)
        found[name] = one
    return found


def _divided(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """0 / 0 is NaN, anything else over 0 infinite: a resample may lack what the cases have."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part / whole, dtype=np.float64)


def mean(value_N: NDArray[np.float64], patient_N: NDArray[Any], chance: Chance, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of one number a case, such as the squared error of the Brier score or a Dice, always with percentiles by patient.

    Cases whose value is NaN have none and are not counted.
    """
    has_N = ~np.isnan(value_N)
    checked(has_N, patient_N)
    patients, place_N = patients_of(patient_N[has_N])
    if not patients:
        return unknown(0, Method.BOOTSTRAP, Note.NO_CASES, confidence=confidence)
    sum_C, count_C = np.bincount(place_N, value_N[has_N], minlength=patients), np.bincount(place_N, minlength=patients)
    means_R = np.array([math.fsum(times_C * sum_C) / int(times_C @ count_C) for times_C in resamples(patients, chance)])
    value = math.fsum(value_N[has_N]) / place_N.size
    return percentiles(value, means_R, count=place_N.size, clusters=patients, chance=chance, confidence=confidence)
