"""Whether networks see other images than before: embeddings of a window against those of a reference.

One half of the reference, every second patient, says how images differ from each other; the other half and the window are then held against
each other by two questions. Do they lie elsewhere? Every third patient of the window says in which direction to look, and the others are
compared along it (Kolmogorov-Smirnov). Are more of them far from all that the reference knows? That is counted (chi-square). Who chooses is
never among those who are compared, so that where nothing has changed each test keeps its level, however the features are distributed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from ptx_node.validation.drift import Compared, compare_numbers, compare_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ptx_node.validation.drift import Limits

ELSEWHERE, FAR = "direction", "far"
"""Methods: the question that found more."""
NEAR_IT, FAR_FROM_IT = "near the reference", "far from it"
QUESTIONS = 2
DIRECTIONS, PATIENTS_A_DIRECTION = 32, 8
LEAST_SPREAD = 0.01
"""Of a feature, as a share of the largest: one that hardly ever fires must not become the loudest."""
FAR_SHARE = 0.05
"""Of the half that says how images differ; of the other half it is somewhat more, as it had no part in that."""
DRAWN = 100
"""Points of each side in the picture."""


@dataclass(frozen=True, slots=True)
class Known:
    """How the images of one reference differ from each other.

    Attributes:
        mean_C, spread_C: of each feature.
        axes_CK: principal directions among features of equal spread, the widest first.
        width_K: spread along each.
        rest: mean and spread of the distance from all that the directions span.
        far: distance from the mean, with all of these as units, beyond which a share of `FAR_SHARE` lies.
    """

    mean_C: NDArray[np.float64]
    spread_C: NDArray[np.float64]
    axes_CK: NDArray[np.float64]
    width_K: NDArray[np.float64]
    rest: tuple[float, float] = (0.0, 1.0)
    far: float = math.inf

    @classmethod
    def of(cls, vectors_NC: NDArray[np.float64]) -> Known:
        """From at least two vectors."""
        mean_C, spread_C = vectors_NC.mean(axis=0), vectors_NC.std(axis=0)
        spread_C = np.maximum(spread_C, LEAST_SPREAD * float(spread_C.max()) or 1.0)
        count = min(DIRECTIONS, max(2, len(vectors_NC) // PATIENTS_A_DIRECTION))
        axes_KC = np.linalg.svd((vectors_NC - mean_C) / spread_C, full_matrices=False)[2][:count]
        # A direction's sign is chance: without this the picture might be mirrored from one day to the next.
        axes_KC = (axes_KC.T * np.sign(axes_KC[np.arange(len(axes_KC)), np.abs(axes_KC).argmax(axis=1)])).T
        width_K = _not_nothing((((vectors_NC - mean_C) / spread_C) @ axes_KC.T).std(axis=0))
        plain = cls(mean_C, spread_C, axes_KC.T, width_K)
        rest_N = plain.places(vectors_NC)[:, -1]
        whole = replace(plain, rest=(float(rest_N.mean()), float(_not_nothing(rest_N.std()))))
        return replace(whole, far=float(np.quantile(np.linalg.norm(whole.places(vectors_NC), axis=1), 1 - FAR_SHARE)))

    def places(self, vectors_NC: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where images lie, shape (N, K + 1), in units of the spread: along each direction; last, their distance from what these span."""
        ready_NC = (vectors_NC - self.mean_C) / self.spread_C
        along_NK = ready_NC @ self.axes_CK
        rest_N = np.linalg.norm(ready_NC - along_NK @ self.axes_CK.T, axis=1)
        return np.column_stack([along_NK / self.width_K, (rest_N - self.rest[0]) / self.rest[1]])


def compare_embeddings(reference: Sequence[NDArray[np.float16]], window: Sequence[NDArray[np.float16]], limits: Limits) -> Compared:
    """The window against the second half of the reference, by the question that finds more.

    Args:
        reference: finite vectors in the order of time.
        window: likewise. Vectors of another dimension than its last one do not count, on either side.
        limits: `minimum` is asked of each half of the reference, and of the window.

    Returns:
        As `compare_places`; `drawn` has also `points`, some of both sides along the first two directions.
    """
    size = window[-1].size if window else 0
    before, after = (_matrix(some, size) for some in (reference, window))
    chosen, held = before[::2], before[1::2]
    if min(len(held), len(after)) < max(2, limits.minimum):
        return Compared("", len(held), len(after), math.nan, math.nan, math.nan, crossed=False, places=(), reference=(), window=())
    known = Known.of(chosen)
    held_NP, after_NP = known.places(held), known.places(after)
    found = compare_places(held_NP, after_NP, known.far, limits)
    return replace(found, drawn={**found.drawn, "points": {"reference": _points(held_NP), "window": _points(after_NP)}})


def compare_places(held_NP: NDArray[np.float64], after_NP: NDArray[np.float64], far: float, limits: Limits) -> Compared:
    """Places of one side against those of the other; `p_value` is after Bonferroni, `effect` the distance or Cramer's V.

    `drawn` has `limit`, the effect from which on so many patients are unlike.
    """
    strict = replace(limits, p_value=limits.p_value / QUESTIONS, minimum=1)
    # The chosen half lies around nought, so that this points from it to the window.
    way_K = after_NP[::3, :-1].mean(axis=0)
    way_K = way_K / _not_nothing(np.linalg.norm(way_K))
    judged_NP = after_NP[np.arange(len(after_NP)) % 3 > 0]
    elsewhere = compare_numbers((held_NP[:, :-1] @ way_K).tolist(), (judged_NP[:, :-1] @ way_K).tolist(), strict)
    cases = round(len(held_NP) * len(judged_NP) / (len(held_NP) + len(judged_NP)))
    both = [replace(elsewhere, method=ELSEWHERE, drawn={"limit": max(limits.effect, float(stats.kstwo.isf(strict.p_value, cases)))})]
    counts = [Counter(FAR_FROM_IT if one else NEAR_IT for one in np.linalg.norm(some, axis=1) > far) for some in (held_NP, after_NP)]
    least = math.sqrt(float(stats.chi2.isf(strict.p_value, 1)) / (len(held_NP) + len(after_NP)))
    both.append(replace(compare_values(counts[0], counts[1], strict), method=FAR, drawn={"limit": max(limits.effect, least)}))
    most = max(both, key=lambda one: (one.crossed, -one.p_value))
    return replace(most, p_value=min(1.0, QUESTIONS * most.p_value), window_count=len(after_NP))


def _not_nothing(value: NDArray[np.float64] | np.floating) -> NDArray[np.float64]:
    return np.where(value > 0, value, 1.0)


def _matrix(some: Sequence[NDArray[np.float16]], size: int) -> NDArray[np.float64]:
    same = [one for one in some if one.size == size]
    return np.stack(same).astype(np.float64) if same else np.zeros((0, size))


def _points(some_NP: NDArray[np.float64]) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in some_NP[:: -(-len(some_NP) // DRAWN), :2]]
