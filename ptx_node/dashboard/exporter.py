"""Prometheus metrics, computed from the database by one process. No patient data; the number of label values is bounded.

Gauges are what stands in the rows now. Counters and histograms count what happened since this process began, told `SETTLED` late: see
docs/decisions/metrics-count-spans-of-rows.md.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import ProgrammingError

from ptx_node import __version__, log
from ptx_node.dashboard.instruments import Histogram, Limit, gauge, single
from ptx_node.dashboard.state_metrics import state_metrics
from ptx_node.db import events
from ptx_node.db.gauges import gauges, recent_pairs
from ptx_node.db.session import begin_read, now
from ptx_node.domain.finding import Outcome
from ptx_node.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from prometheus_client.metrics_core import Metric
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

logger = log.get(__name__)

SETTLED = timedelta(minutes=2)
"""After so long a row's transaction is over, and what its time says is counted."""
LONGEST_SPAN = timedelta(minutes=10)
"""At most so much is caught up at one scrape: after a long silence of Prometheus the next scrapes do the rest."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the exporter looks at beside the rows.

    Attributes:
        destinations: names in the settings.
        folder: on the disk of the file store.
        watermark_bytes: below so much room instances are refused.
        receivers: of notices, names in the settings.
    """

    destinations: tuple[str, ...]
    folder: Path
    watermark_bytes: int
    receivers: tuple[str, ...] = ()


@dataclass
class _Counted:
    """What was counted since this process began."""

    durations: Histogram = field(default_factory=Histogram)
    received: Counter[tuple[str, ...]] = field(default_factory=Counter)
    findings: Counter[tuple[str, ...]] = field(default_factory=Counter)
    refusals: Counter[tuple[str, ...]] = field(default_factory=Counter)


class Exporter(Collector):
    """The node's metrics. One a site: two would each count everything.

    Args:
        engine: the node's database.
        watched: names and folders of the settings.
        clock: the present moment, aware.
    """

    def __init__(self, engine: Engine, watched: Watched, clock: Callable[[], datetime] = now) -> None:
        self._engine, self._watched, self._clock = engine, watched, clock
        self._lock = threading.Lock()
        self._counted_until = clock() - SETTLED
        self._counted = _Counted()
        self._limit = Limit()
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def text(self) -> bytes:
        """One scrape, in Prometheus's text format."""
        return generate_latest(self.registry)

    def describe(self) -> list[Metric]:
        """Nothing is asked of the database when the exporter is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric; with a database that is away, what is known without it."""
        began = time.perf_counter()
        with self._lock:
            yield gauge("ptx_build_info", "Version of ptx-node.", ("version",), {(__version__,): 1})
            yield from self._disk()
            try:
                with begin_read(self._engine) as session:
                    self._count(session)
                    moment = self._clock()
                    watched = self._watched
                    state = gauges(session, destinations=watched.destinations, receivers=watched.receivers, now=moment)
                    pairs = recent_pairs(session, now=moment)
                yield from state_metrics(state, pairs, moment, self._limit)
                up = 1
            except (DatabaseUnavailableError, ProgrammingError) as error:  # away, or without the views of this version
                logger.warning("metrics without the database", error=str(error))
                up = 0
            yield from self._counters()
            yield single("ptx_database_up", "Whether the database answered this scrape.", up)
            yield single("ptx_counted_until_timestamp_seconds", "Counters tell what happened before.", self._counted_until.timestamp())
            yield single("ptx_scrape_seconds", "What this scrape took.", time.perf_counter() - began)

    def _count(self, session: Session) -> None:
        """Go on from where the last scrape ended; a scrape that fails has counted nothing."""
        until = min(self._clock() - SETTLED, self._counted_until + LONGEST_SPAN)
        if until <= self._counted_until:
            return
        found = events.between(session, self._counted_until, until)
        for stage, rule, seconds in found.durations_s:
            self._counted.durations.observe((stage, self._limit("rule", rule)), seconds)
        for (source, modality), count in found.received.items():
            self._counted.received[self._limit("source", source), self._limit("modality", modality)] += count
        for (model, version, outcome), count in found.findings.items():
            key = (self._limit("model", model), self._limit("version", version))
            for every in Outcome:  # a class that comes for the first time must have been 0 before
                self._counted.findings[*key, every] += 0
            self._counted.findings[*key, outcome] += count
        for (reason,), count in found.refusals.items():
            self._counted.refusals[(self._limit("reason", reason),)] += count
        self._counted_until = until

    def _counters(self) -> Iterator[Metric]:
        yield self._counted.durations.metric("ptx_stage_seconds", "How long jobs took for a stage, by its end.", ("stage", "rule"))
        for name, words, labels, counts in (
            ("ptx_instances_received", "Instances that were acknowledged.", ("source", "modality"), self._counted.received),
            ("ptx_findings", "Answers of the models.", ("model", "version", "outcome"), self._counted.findings),
            ("ptx_refusals", "Instances and associations that were refused.", ("reason",), self._counted.refusals),
        ):
            family = CounterMetricFamily(name, words, labels=labels)
            for key, count in sorted(counts.items()):
                family.add_metric(key, count)
            yield family

    def _disk(self) -> Iterator[Metric]:
        try:
            usage = shutil.disk_usage(self._watched.folder)
        except OSError as error:
            logger.warning("the store's disk cannot be looked at", folder=str(self._watched.folder), error=str(error))
            return
        yield single("ptx_disk_free_bytes", "Room on the store's disk.", usage.free)
        yield single("ptx_disk_size_bytes", "Size of the store's disk.", usage.total)
        yield single("ptx_disk_watermark_bytes", "Below so much room instances are refused.", self._watched.watermark_bytes)
