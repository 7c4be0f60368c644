"""Whether errors became more frequent, or than was promised: the order of the cases is true, their dates are not told."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.validation.metrics.tree import Tree, count, estimate, table_of
from ptx_node.validation.statistics import Watch, cusum, groups_of, limit_for, release, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ptx_node.validation.metrics.analysis import Analysis

COURSE_POINTS = 400
METHOD = "Bernoulli log-likelihood CUSUM"
NO_EVENTS = "none of these cases is such an event, or all are: there is no rate to watch"
RETROSPECTIVE = (
    "the expected rate is that of all these cases: the watch finds drift within them, not a rate that was too high from the start"
)

PROMISED = "the expected rate is what the site promised: the watch finds a rate above it, from the first case on"


def over_time(columns: Mapping[str, NDArray[Any]], name: str, analysis: Analysis) -> Tree:
    """Watches over wrong answers, misses and false alarms, where it was promised over false calls, and the rates of each period.

    Args:
        columns: of `over_time.csv`.
        name: of the model.
        analysis: seed, confidence, smallest cell, and what is watched for.
    """
    order = np.argsort(columns["position"], kind="stable")
    chosen = order[(columns["model"] == name)[order]]
    truth_N, called_N = (columns[one][chosen] == 1 for one in ("truth", "called"))
    promise = analysis.promise
    watched = {
        "wrong": (truth_N != called_N, np.ones_like(truth_N), promise.disagreement_rate),
        "missed": (~called_N, truth_N, promise.missed),
        "false_alarm": (called_N, ~truth_N, None),
    }
    if promise.false_calls is not None:
        watched["false_call"] = (~truth_N, called_N, promise.false_calls)
    return {
        "cases": count(int(truth_N.size), int(truth_N.size)),
        "table": table_of(truth_N, called_N),
        "watches": {key: _watch(*one, analysis) for key, one in watched.items()},
        "periods": _periods(columns["period"][chosen], truth_N, called_N, analysis),
    }


def _watch(event_N: NDArray[np.bool_], among_N: NDArray[np.bool_], promised: float | None, analysis: Analysis) -> Tree:
    """A watch for larger odds of an event among some of the cases, in their order, than was promised, or than theirs."""
    positions = np.flatnonzero(among_N)
    events_N = event_N[among_N]
    rate = wilson(int(events_N.sum()), int(events_N.size), analysis.confidence)
    known: Tree = {"n": int(events_N.size), "method": METHOD, "rate": estimate(rate), "events": int(events_N.sum())}
    expected = rate.value if promised is None else promised
    if not events_N.size or not 0 < expected < 1:
        return known | {"note": NO_EVENTS, "course": [], "alarms": []}
    odds = analysis.changed_odds * expected / (1 - expected)
    changed = odds / (1 + odds)
    stated = None if promised is None else analysis.promise.limit
    watch = Watch(expected, changed, stated or _limit(expected, changed, events_N.size / analysis.false_alarms))
    course = cusum(events_N, watch)
    return known | {
        "note": RETROSPECTIVE if promised is None else PROMISED,
        "promised": promised is not None,
        "expected": watch.expected,
        "changed": watch.changed,
        "limit": watch.limit,
        "cases_to_false_alarm": course.run_expected,
        "cases_to_alarm": course.run_changed,
        "alarms": [int(positions[one]) + 1 for one in course.alarms],
        "course": _thinned(course.sum_N, positions),
    }


@lru_cache(maxsize=64)
def _limit(expected: float, changed: float, run_length: float) -> float:
    """A second or so of linear algebra, for the same rates again and again."""
    return limit_for(expected, changed, run_length)


def _thinned(sum_N: NDArray[np.float64], positions: NDArray[np.int64]) -> list[list[float]]:
    """[case, sum] pairs; of very many cases the highest of each stretch, so that no alarm is lost."""
    stretch = -(-sum_N.size // COURSE_POINTS)
    highest = [start + int(np.argmax(sum_N[start : start + stretch])) for start in range(0, sum_N.size, stretch)]
    return [[int(positions[one]) + 1, float(sum_N[one])] for one in highest]


def _periods(period_N: NDArray[np.str_], truth_N: NDArray[np.bool_], called_N: NDArray[np.bool_], analysis: Analysis) -> Tree:
    """Rates by period. Rows without identifiers tell of no patients: a case stands for one here."""
    named_N = period_N != ""
    groups = groups_of("period", period_N) if named_N.any() else {}
    decided = release(groups, truth_N, np.arange(truth_N.size), analysis.smallest_cell)
    shown = []
    for name in decided.shown:
        truth, called = truth_N[groups[name]], called_N[groups[name]]
        hits, quiet = int((truth & called).sum()), int((~truth & ~called).sum())
        shown.append(
            {
                "period": name[1],
                "sensitivity": estimate(wilson(hits, int(truth.sum()), analysis.confidence)),
                "specificity": estimate(wilson(quiet, int((~truth).sum()), analysis.confidence)),
                "called": estimate(wilson(int(called.sum()), int(called.size), analysis.confidence)),
            }
        )
    return {"shown": shown, "withheld": [name[1] for name in decided.withheld]}
