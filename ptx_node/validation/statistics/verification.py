"""Sensitivity and specificity where not everybody got the reference test, and who got it depends on what the node said.

Patients with a finding have a CT more often, so that the verified cases alone overstate sensitivity and understate specificity. Begg and
Greenes (1983) put that right if, among cases with the same call in the same stratum, chance alone decided who was verified. The bounds hold
whatever decided it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.statistics.bootstrap import drawn, patients_of, percentiles
from ptx_node.validation.statistics.estimate import CONFIDENCE, Chance, Estimate, Note, checked
from ptx_node.validation.statistics.two_by_two import Share, Table, accuracy

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a rate can be at most and at least, whatever the unverified cases are; NaN where it may not exist at all."""

    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class VerificationBias:
    """The same rates naively, corrected, and at their limits.

    Attributes:
        verified: how many of all cases have a truth.
        naive_sensitivity: of the verified cases alone.
        sensitivity: corrected.
        sensitivity_bounds: of all cases, if the unverified called ones all were positive and the others negative, and the reverse.
        strata: how many there were.
        unverified_strata: calls within strata that have cases but no verified one: without them nothing can be corrected.
    """

    count: int
    verified: int
    naive_sensitivity: Share
    naive_specificity: Share
    sensitivity: Estimate
    specificity: Estimate
    positive_predictive_value: Estimate
    negative_predictive_value: Estimate
    sensitivity_bounds: Bounds
    specificity_bounds: Bounds
    strata: int
    unverified_strata: tuple[tuple[str, bool], ...]


def begg_greenes(
    called_N: NDArray[np.bool_],
    truth_N: NDArray[np.bool_],
    verified_N: NDArray[np.bool_],
    stratum_N: NDArray[Any],
    patient_N: NDArray[Any],
    chance: Chance,
    *,
    confidence: float = CONFIDENCE,
) -> VerificationBias:
    """Correct for selective verification by stratum, with percentiles by patient, and bound it.

    Args:
        called_N: what the node said, of all cases.
        truth_N: what is so; of no meaning where `verified_N` is False.
        verified_N: whether the truth is known.
        stratum_N: what else decides who is verified, such as the ward; one value for all if nothing does.
        patient_N: whose case it is.
        chance: seed and number of resamples. Those in which a stratum has lost its verified cases are left out and counted.
        confidence: of all intervals.
    """
    checked(truth_N, called_N, verified_N, stratum_N, patient_N)
    names, stratum_place_N = np.unique(stratum_N, return_inverse=True)
    strata = names.size
    # a place for each stratum, call and state: unverified, verified negative, verified positive
    state_N = np.where(verified_N, 1 + truth_N.astype(np.int64), 0)
    place_N = (stratum_place_N.astype(np.int64) * 2 + called_N) * 3 + state_N

    def counted(times_N: NDArray[np.int64] | None) -> NDArray[np.float64]:
        return np.bincount(place_N, times_N, minlength=strata * 6).astype(np.float64).reshape(strata, 2, 3)

    counts_S23 = counted(None)
    patients, patient_place_N = patients_of(patient_N)
    rows_R4 = drawn(lambda times_N: _corrected(counted(times_N)), patient_place_N, patients, chance).reshape(-1, 4)
    unverified_S2 = (counts_S23[..., 0] > 0) & (counts_S23[..., 1:].sum(axis=2) == 0)
    missing = tuple((str(names[stratum]), bool(call)) for stratum, call in np.argwhere(unverified_S2))
    missing_note = Note.UNVERIFIED_STRATUM if missing else None
    corrected = []
    for value, rows_R in zip(_corrected(counts_S23), rows_R4.T, strict=True):
        one = percentiles(value, rows_R, count=truth_N.size, clusters=patients, chance=chance, confidence=confidence)
        corrected.append(replace(one, note=missing_note or one.note))
    (unseen_quiet, quiet, miss), (unseen_called, alarm, hit) = counts_S23.sum(axis=0).astype(np.int64).tolist()
    table = Table(hit, alarm, miss, quiet)
    naive = accuracy(table, confidence)
    return VerificationBias(
        truth_N.size,
        table.count,
        naive.sensitivity,
        naive.specificity,
        corrected[0],
        corrected[1],
        corrected[2],
        corrected[3],
        Bounds(_over(hit, hit + miss + unseen_quiet), _over(hit + unseen_called, hit + unseen_called + miss)),
        Bounds(_over(quiet, quiet + alarm + unseen_called), _over(quiet + unseen_quiet, quiet + unseen_quiet + alarm)),
        strata,
        missing,
    )


def _corrected(counts_S23: NDArray[np.float64]) -> list[float]:
    """[sensitivity, specificity, PPV, NPV] when each call of each stratum has the share of positives of its verified cases."""
    all_S2, verified_S2 = counts_S23.sum(axis=2), counts_S23[..., 1:].sum(axis=2)
    if ((all_S2 > 0) & (verified_S2 == 0)).any():
        return [math.nan] * 4
    share_S2 = counts_S23[..., 2] / np.maximum(verified_S2, 1)
    (miss, hit), (quiet, alarm) = ([math.fsum(one) for one in (all_S2 * share).T] for share in (share_S2, 1 - share_S2))
    return [_over(hit, hit + miss), _over(quiet, quiet + alarm), _over(hit, hit + alarm), _over(quiet, quiet + miss)]


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
