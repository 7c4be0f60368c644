"""Percentile intervals of any figure when whole patients are drawn again with replacement.

Images of one patient are alike, so all of them come together or not at all. A resample is given as a whole number a case, how often
it was drawn: figures made of counts stay exact, and 100,000 cases cost about a millisecond a resample.

Patients are numbered in the order of their names, which decides who is drawn. Figures of an export are therefore computed with the
pseudonyms that stand in it, so that its reader draws the same patients.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.statistics.estimate import CONFIDENCE, Chance, Estimate, Method, Note, normal_quantile, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

HAIR = 1e-9
"""Part of a resample by which 0.025 of 200 may be written above 5."""


def patients_of(patient_N: NDArray[Any]) -> tuple[int, NDArray[np.int64]]:
    """(number of patients, the place of each case's patient among them)."""
    names, place_N = np.unique(patient_N, return_inverse=True)
    return names.size, place_N.astype(np.int64)


def resamples(patients: int, chance: Chance) -> Iterator[NDArray[np.int64]]:
    """How often each patient was drawn, once a repeat."""
    rng = np.random.default_rng(chance.seed)
    for _ in range(chance.repeats):
        yield np.bincount(rng.integers(0, patients, patients), minlength=patients)


def drawn(
    figures: Callable[[NDArray[np.int64]], Sequence[float] | NDArray[np.float64]], place_N: NDArray[np.int64], patients: int, chance: Chance
) -> NDArray[np.float64]:
    """Repeats x figures: what `figures` gives for the times that each case was drawn."""
    rows = [figures(times_C[place_N]) for times_C in resamples(patients, chance)] if patients else []
    return np.array(rows, dtype=np.float64)


def percentiles(
    value: float, drawn_R: NDArray[np.float64], *, count: int, clusters: int, chance: Chance, confidence: float = CONFIDENCE
) -> Estimate:
    """The interval between the percentiles of the resamples that have the figure: both limits are values that occurred."""
    normal_quantile(confidence)
    known_R = np.sort(drawn_R[~np.isnan(drawn_R)])
    low = high = math.nan
    note = Note.NO_CASES if not count else None if known_R.size else Note.NO_RESAMPLE_HAS_IT if chance.repeats else Note.NO_RESAMPLES
    if known_R.size and not math.isnan(value):
        tail = math.ceil(known_R.size * (1 - confidence) / 2 - HAIR) or 1  # as many resamples on either side, this one included
        low, high = float(known_R[tail - 1]), float(known_R[-tail])
    return Estimate(
        value,
        low,
        high,
        count,
        None,
        Method.BOOTSTRAP,
        confidence,
        clusters,
        chance.seed,
        chance.repeats,
        int(drawn_R.size - known_R.size),
        note,
    )


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float], patient_N: NDArray[Any], chance: Chance, confidence: float = CONFIDENCE
) -> Estimate:
    """Interval of any figure of cases.

    Args:
        statistic: the figure of the cases with these indices (a case may come more than once); NaN where it has none.
        patient_N: the patient of each case.
        chance: seed and number of resamples.
        confidence: share of intervals that hold the truth.
    """
    patients, place_N = patients_of(patient_N)
    cases_N = np.arange(place_N.size)
    value = float(statistic(cases_N)) if place_N.size else math.nan
    if math.isnan(value):
        return unknown(place_N.size, Method.BOOTSTRAP, Note.NO_CASES if not place_N.size else Note.NOT_DETERMINED, confidence=confidence)
    drawn_R = drawn(lambda times_N: [statistic(np.repeat(cases_N, times_N))], place_N, patients, chance).ravel()
    return percentiles(value, drawn_R, count=place_N.size, clusters=patients, chance=chance, confidence=confidence)
