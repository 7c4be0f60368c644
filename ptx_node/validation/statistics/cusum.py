"""Whether errors, or positive calls, have become more frequent: a Bernoulli log-likelihood CUSUM (Page 1954; Reynolds and Stoumbos 1999).

Each case adds the logarithm of how much likelier it is under the changed rate than under the expected one; the sum never falls below 0, and
reaching the limit is an alarm. How long it takes to a false alarm, and to a true one, is computed, not hoped for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array, identity
from scipy.sparse.linalg import spsolve

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATES = 1000
"""Steps into which the way to the limit is divided when run lengths are computed."""
LONGEST = 1e9
"""Cases between false alarms beyond which nobody can ask."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched for. A rate that should be noticed when it falls has `changed` below `expected`.

    Attributes:
        expected: rate of events while all is well.
        changed: the rate that should be noticed.
        limit: of the sum, in natural logarithms of likelihood; reaching it is an alarm.

    Raises:
        UsageError: the rates are equal or not between 0 and 1, or the limit is not above 0.
    """

    expected: float
    changed: float
    limit: float

    def __post_init__(self) -> None:
        if not (0 < self.expected < 1 and 0 < self.changed < 1 and self.expected != self.changed):
            raise UsageError(f"a watch needs two different rates between 0 and 1, got {self.expected} and {self.changed}")
        if not self.limit > 0:
            raise UsageError(f"the limit of a watch is {self.limit}; it must be above 0 (see `limit_for`)")

    @property
    def steps(self) -> tuple[float, float]:
        """What a case without the event adds, and one with it."""
        return math.log((1 - self.changed) / (1 - self.expected)), math.log(self.changed / self.expected)


@dataclass(frozen=True, slots=True, eq=False)
class Cusum:
    """The course of a watch.

    Attributes:
        sum_N: after each case; at an alarm the value that gave it, after which the sum starts at 0 again.
        alarms: indices of the cases at which the limit was reached.
        run_expected: mean number of cases to a false alarm at the expected rate.
        run_changed: mean number of cases to an alarm at the changed rate, from a sum of 0.
    """

    watch: Watch
    sum_N: NDArray[np.float64]
    alarms: tuple[int, ...]
    count: int
    events: int
    run_expected: float
    run_changed: float


def cusum(event_N: NDArray[np.bool_], watch: Watch) -> Cusum:
    """Follow cases in the order of time.

    Args:
        event_N: whether each case is an event, such as a disagreement with the CT report; oldest first.
        watch: what is watched for.
    """
    without, with_event = watch.steps
    total = 0.0
    sums, alarms = [], []
    for index, event in enumerate(event_N.tolist()):
        total = max(0.0, total + (with_event if event else without))
        sums.append(total)
        if total >= watch.limit:
            alarms.append(index)
            total = 0.0
    return Cusum(
        watch,
        np.array(sums, dtype=np.float64),
        tuple(alarms),
        event_N.size,
        int(event_N.sum()),
        average_run_length(watch, watch.expected),
        average_run_length(watch, watch.changed),
    )


def average_run_length(watch: Watch, rate: float) -> float:
    """Mean number of cases to an alarm when events come at this rate and the sum starts at 0 (Brook and Evans 1972).

    The sum is a Markov chain; between the states of a fine grid the run length is interpolated. Within about 1 % of simulation.

    Raises:
        UsageError: the rate is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise UsageError(f"run lengths need a rate between 0 and 1, got {rate}")
    state_M = np.linspace(0, watch.limit, STATES + 1)  # the last stands for just below the limit
    rows, columns, shares = [], [], []
    for step, share in zip(watch.steps, (1 - rate, rate), strict=True):
        after_M = np.maximum(0.0, state_M + step)
        going = np.flatnonzero(after_M < watch.limit)
        place = after_M[going] / watch.limit * STATES
        below = np.minimum(place.astype(np.int64), STATES - 1)
        upper = place - below
        rows += [going, going]
        columns += [below, below + 1]
        shares += [share * (1 - upper), share * upper]
    size = STATES + 1
    moves = csc_array((np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))
    return float(spsolve(csc_array(identity(size, format="csc")) - moves, np.ones(size))[0])


def limit_for(expected: float, changed: float, run_length: float) -> float:
    """The limit at which a false alarm comes once in so many cases on average.

    Raises:
        UsageError: so many cases cannot be had, or any limit is longer.
    """
    if not 1 < run_length <= LONGEST:
        raise UsageError(f"a false alarm once in {run_length} cases cannot be asked for; give 2 to {LONGEST:.0e}")

    def runs(limit: float) -> float:
        return average_run_length(Watch(expected, changed, limit), expected)

    low, high = 0.0, 1.0
    while runs(high) < run_length:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if runs(middle) < run_length else (low, middle)
    return high
