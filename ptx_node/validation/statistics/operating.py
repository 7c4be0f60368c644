"""Operating points with their doubt: a sensitivity at a fixed specificity, a sweep over thresholds, a threshold for this site.

A threshold that was chosen on some cases looks better on them than on the next ones. Intervals here choose it anew in every resample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.statistics.bootstrap import drawn, patients_of, percentiles
from ptx_node.validation.statistics.estimate import CONFIDENCE, Chance, Estimate, Method, Note, checked
from ptx_node.validation.statistics.proportions import wilson
from ptx_node.validation.statistics.roc import Aim, OperatingPoint, Ranked
from ptx_node.validation.statistics.two_by_two import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

FEWEST = 50
"""Positives, and negatives, from which a site may choose its own threshold."""


@dataclass(frozen=True, slots=True)
class PointEstimate:
    """An operating point chosen on these cases, with the intervals of all three of its figures."""

    aim: Aim
    threshold: Estimate
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class Proposal:
    """A threshold for one site, from its own truth. It changes nothing: a person applies it, or does not.

    Attributes:
        threshold: what is proposed; NaN with a note where there are too few cases.
        apparent: what it gives on the cases that it was chosen on, which flatters it.
        sensitivity: what to expect: the mean over resamples, each judged on the patients that it did not draw.
        specificity: the same.
        fewest: positives, and negatives, that were asked for.
    """

    aim: Aim
    threshold: Estimate
    apparent: OperatingPoint
    sensitivity: Estimate
    specificity: Estimate
    positives: int
    negatives: int
    fewest: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What one threshold of a sweep gives; Wilson's intervals."""

    threshold: float
    table: Table
    sensitivity: Estimate
    specificity: Estimate
    positive_predictive_value: Estimate
    negative_predictive_value: Estimate


def point_with_interval(
    truth_N: NDArray[np.bool_],
    score_N: NDArray[np.float64],
    patient_N: NDArray[Any],
    aim: Aim,
    chance: Chance,
    confidence: float = CONFIDENCE,
) -> PointEstimate:
    """Such as the sensitivity at a specificity of 0.95. Percentiles by patient, the threshold chosen anew in each resample.

    The figure that is aimed at hardly varies: resamples reach the target too.
    """
    checked(truth_N, score_N, patient_N)
    point, rows_R5, patients = _resampled(truth_N, score_N, patient_N, aim, chance)
    values = (point.threshold, point.sensitivity, point.specificity)
    counts = (truth_N.size, int(truth_N.sum()), int((~truth_N).sum()))
    threshold, sensitivity, specificity = (
        _with_one_kind(percentiles(value, rows_R, count=count, clusters=patients, chance=chance, confidence=confidence))
        for value, rows_R, count in zip(values, rows_R5.T[:3], counts, strict=True)
    )
    return PointEstimate(aim, threshold, sensitivity, specificity)


def propose_threshold(
    truth_N: NDArray[np.bool_],
    score_N: NDArray[np.float64],
    patient_N: NDArray[Any],
    aim: Aim,
    chance: Chance,
    *,
    fewest: int = FEWEST,
) -> Proposal:
    """A site's own threshold with a 95 % interval, and what to expect of it on the next patients.

    Args:
        truth_N: what is so, by the site's own CT reports or readers.
        score_N: probabilities of the model that the threshold is for.
        patient_N: whose case it is; there must be `fewest` patients with a positive case and as many with a negative one.
        aim: what the threshold is for.
        chance: seed and number of resamples.
        fewest: below it nothing is proposed; the note says so.
    """
    checked(truth_N, score_N, patient_N)
    positives, negatives = int(truth_N.sum()), int((~truth_N).sum())
    if min(np.unique(patient_N[kind]).size for kind in (truth_N, ~truth_N)) < fewest:
        few = Estimate(math.nan, math.nan, math.nan, truth_N.size, note=Note.TOO_FEW)
        nowhere = OperatingPoint(math.nan, math.nan, math.nan)
        return Proposal(aim, few, nowhere, replace(few, count=positives), replace(few, count=negatives), positives, negatives, fewest)
    point, rows_R5, patients = _resampled(truth_N, score_N, patient_N, aim, chance)
    threshold = percentiles(point.threshold, rows_R5[:, 0], count=truth_N.size, clusters=patients, chance=chance)
    expected = [
        replace(
            percentiles(_mean(rows_R), rows_R, count=count, clusters=patients, chance=chance),
            method=Method.OUT_OF_BAG,
        )
        for rows_R, count in zip(rows_R5.T[3:], (positives, negatives), strict=True)
    ]
    return Proposal(aim, threshold, point, expected[0], expected[1], positives, negatives, fewest)


def sweep(truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], thresholds: Sequence[float]) -> list[Swept]:
    """The 2x2 table and its shares at each of these thresholds, in the order given. Cases must be of different patients."""
    checked(truth_N, score_N)
    positive_P, negative_M = (np.sort(score_N[kind]) for kind in (truth_N, ~truth_N))
    found = []
    for threshold in thresholds:
        miss, quiet = (int(np.searchsorted(one, threshold)) for one in (positive_P, negative_M))
        table = Table(positive_P.size - miss, negative_M.size - quiet, miss, quiet)
        found.append(
            Swept(
                threshold,
                table,
                wilson(*table.shares["sensitivity"]),
                wilson(*table.shares["specificity"]),
                wilson(*table.shares["positive_predictive_value"]),
                wilson(*table.shares["negative_predictive_value"]),
            )
        )
    return found


def _resampled(
    truth_N: NDArray[np.bool_], score_N: NDArray[np.float64], patient_N: NDArray[Any], aim: Aim, chance: Chance
) -> tuple[OperatingPoint, NDArray[np.float64], int]:
    """(the point, repeats x five, patients): threshold and both rates in the resample, both rates of the patients it left out."""
    patients, place_N = patients_of(patient_N)
    ranked = Ranked.of(truth_N, score_N)

    def judged(times_N: NDArray[np.int64]) -> list[float]:
        point = ranked.point(aim, *ranked.counts(times_N))
        positives_K, negatives_K = ranked.counts((times_N == 0).astype(np.int64))
        called_K = ranked.score_K >= point.threshold
        hit, quiet = positives_K[called_K].sum(), negatives_K[~called_K].sum()
        known = not math.isnan(point.threshold)
        return [
            point.threshold,
            point.sensitivity,
            point.specificity,
            float(hit / positives_K.sum()) if known and positives_K.any() else math.nan,
            float(quiet / negatives_K.sum()) if known and negatives_K.any() else math.nan,
        ]

    rows_R5 = drawn(judged, place_N, patients, chance).reshape(-1, 5)
    return ranked.point(aim, *ranked.counts()), rows_R5, patients


def _mean(rows_R: NDArray[np.float64]) -> float:
    known = rows_R[~np.isnan(rows_R)]
    return math.fsum(known) / known.size if known.size else math.nan


def _with_one_kind(one: Estimate) -> Estimate:
    return replace(one, note=Note.ONE_KIND) if math.isnan(one.value) and one.count else one
