"""The parts of a metric: a histogram that remembers, a gauge from rows, and a bound on how many values a label takes."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client.metrics_core import Metric

OTHER = "other"
MOST_VALUES = 100
"""Sources, rules, models: a site has a few. What comes in from outside must not make a monitoring system run out of memory."""
BUCKETS_S = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)


class Histogram:
    """Durations counted into buckets, for each combination of labels."""

    def __init__(self, bounds: Sequence[float] = BUCKETS_S) -> None:
        self.bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * (len(bounds) + 1))
        self._sums: dict[tuple[str, ...], float] = defaultdict(float)

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """Count one value; a bucket holds what is not above its bound."""
        self._counts[labels][bisect_left(self.bounds, value)] += 1
        self._sums[labels] += max(value, 0.0)  # clocks of two machines may differ, but a sum must not fall

    def metric(self, name: str, words: str, labels: Sequence[str]) -> Metric:
        """As Prometheus takes it."""
        family = HistogramMetricFamily(name, words, labels=labels)
        for values, counts in sorted(self._counts.items()):
            total, buckets = 0, []
            for bound, count in zip([*(f"{bound:g}" for bound in self.bounds), "+Inf"], counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(values, buckets, self._sums[values])
        return family


class Limit:
    """The values that a label has had: the first `MOST_VALUES`, every later one is called `other`."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._known: dict[str, set[str]] = defaultdict(set)

    def __call__(self, label: str, value: str) -> str:
        """`value`, or `other`. A value once given is given for ever, so that no counter falls."""
        known = self._known[label]
        if value not in known:
            if len(known) >= self._most:
                return OTHER
            known.add(value)
        return value


def gauge(name: str, words: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    """A gauge with one value for each combination of labels; the keys of `values` are tuples of texts."""
    family = GaugeMetricFamily(name, words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def single(name: str, words: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, words, value=value)
