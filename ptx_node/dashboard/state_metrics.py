"""How the node stands at this moment, as gauges for Prometheus."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from ptx_node.dashboard.instruments import gauge, single
from ptx_node.db.heartbeats import INTERVAL_S
from ptx_node.domain.job import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from ptx_node.dashboard.instruments import Limit
    from ptx_node.db.audit_checks import Checked
    from ptx_node.db.gauges import Beat, Gauges

ALIVE = timedelta(seconds=3 * INTERVAL_S)
KINDS = (("job", "queued"), ("job", "running"), ("delivery", "waiting"), ("instance", "not_routed"), ("series", "not_complete"))
"""What always has a value, so that an alarm sees 0 and not nothing."""
ROLES = ("receive", "schedule", "worker-flow", "worker-infer")
"""Without these nothing moves: one that was stopped must show as 0, not as nothing."""
GPU = {
    "utilisation": ("ptx_gpu_utilisation_ratio", "How busy a worker's GPU was when it last gave a sign of life."),
    "memory_used_bytes": ("ptx_gpu_memory_used_bytes", "Memory in use on a worker's GPU."),
    "memory_bytes": ("ptx_gpu_memory_bytes", "Memory of a worker's GPU."),
}
"""Keys of the dictionary `gpu` in the detail of a heartbeat."""


def state_metrics(state: Gauges, pairs: Mapping[tuple[str, str, str], int], moment: datetime, limit: Limit) -> Iterator[Metric]:
    """The gauges of `state` at `moment`, and recent `pairs` by (model, version, agreement); texts from outside go through `limit`."""
    yield from _waiting(state, moment, limit)
    yield from _failures(state, limit)
    yield from _notices(state, moment, limit)
    heard: dict[tuple[str, ...], float] = {}
    for one in state.heard:
        source = (one.kind, limit("source", one.source))
        heard[source] = max(heard.get(source, 0.0), one.last_received_at.timestamp())
    yield gauge("ptx_last_received_timestamp_seconds", "When a source was last heard.", ("kind", "source"), heard)
    yield gauge(
        "ptx_unmatched_recent",
        "Findings and reports without a partner, reconciled in the last 7 days.",
        ("side", "reason"),
        state.unmatched,
    )
    told: Counter[tuple[str, ...]] = Counter()
    for (model, version, agreement), count in pairs.items():
        told[limit("model", model), limit("version", version), agreement] += count
    yield gauge("ptx_pairs_recent", "Primary pairs of examinations of the last 7 days.", ("model", "version", "agreement"), told)
    yield from _processes(state.beats, moment, limit)
    if state.audit_head is not None:
        yield single("ptx_audit_rows", "Number of the newest row of the audit trail.", state.audit_head[0])
        yield single("ptx_audit_head_timestamp_seconds", "Time of the newest row of the audit trail.", state.audit_head[1].timestamp())
    if state.audit_checked is not None:
        yield from _audit(state.audit_checked)


def _audit(checked: Checked) -> Iterator[Metric]:
    yield single("ptx_audit_intact", "Whether every row of the audit trail fits that was verified.", int(checked.broken_sequence is None))
    yield single("ptx_audit_verified_rows", "Rows of the audit trail that were seen to follow.", checked.head.sequence)
    yield single("ptx_audit_verified_timestamp_seconds", "When new rows were last verified.", checked.checked_at.timestamp())
    whole = checked.passed_at.timestamp() if checked.passed_at else 0.0
    yield single("ptx_audit_walked_timestamp_seconds", "When the last walk over all rows ended and found nothing; 0: none has.", whole)


def _waiting(state: Gauges, moment: datetime, limit: Limit) -> Iterator[Metric]:
    counts = dict.fromkeys(KINDS, 0) | {(one.kind, one.state): one.count for one in state.waiting}
    ages = dict.fromkeys(KINDS, 0.0) | {(one.kind, one.state): (moment - one.oldest_at).total_seconds() for one in state.waiting}
    yield gauge("ptx_waiting", "What waits, by its state.", ("kind", "state"), counts)
    yield gauge("ptx_oldest_waiting_seconds", "How long the oldest of them waits; 0: nothing waits.", ("kind", "state"), ages)
    waiting: dict[str, float] = {}
    oldest: dict[str, float] = {}
    suspended: dict[str, float] = {}
    unreached: dict[str, float] = {}
    for one in state.backlog:
        key = limit("destination", one.destination)
        waiting[key], suspended[key], unreached[key] = one.waiting, int(one.suspended), one.failures_in_a_row
        oldest[key] = (moment - one.oldest_at).total_seconds() if one.oldest_at else 0.0
    for name, words, values in (
        ("ptx_deliveries_waiting", "Deliveries not yet accepted.", waiting),
        ("ptx_deliveries_oldest_seconds", "How long the oldest of them waits.", oldest),
        ("ptx_destination_suspended", "Whether a person or a limit has suspended it.", suspended),
        ("ptx_destination_failures_in_a_row", "To reach it at all.", unreached),
    ):
        yield gauge(name, words, ("destination",), {(key,): value for key, value in values.items()})


def _failures(state: Gauges, limit: Limit) -> Iterator[Metric]:
    causes = {(str(cause),): 0 for cause in Cause} | {(limit("cause", cause),): count for cause, count in state.quarantined.items()}
    yield gauge("ptx_jobs_quarantined", "Jobs that are set aside now.", ("cause",), causes)
    failed = {(limit("destination", name),): count for name, count in state.failed.items()}
    yield gauge("ptx_deliveries_failed", "Deliveries that were given up, and not begun again.", ("destination",), failed)


def _notices(state: Gauges, moment: datetime, limit: Limit) -> Iterator[Metric]:
    waiting: dict[tuple[str, ...], float] = {}
    oldest: dict[tuple[str, ...], float] = {}
    given_up: dict[tuple[str, ...], float] = {}
    for one in state.notices:
        key = (limit("receiver", one.receiver),)
        waiting[key], given_up[key] = one.waiting, one.given_up
        oldest[key] = (moment - one.oldest_at).total_seconds() if one.oldest_at else 0.0
    for name, words, values in (
        ("ptx_notices_waiting", "Notices that their receiver has not taken yet.", waiting),
        ("ptx_notices_oldest_seconds", "How long the oldest of them waits; 0: none waits.", oldest),
        ("ptx_notices_given_up_recent", "Notices that were given up in the last 7 days, and not begun again.", given_up),
    ):
        yield gauge(name, words, ("receiver",), values)


def _processes(beats: list[Beat], moment: datetime, limit: Limit) -> Iterator[Metric]:
    alive: Counter[tuple[str, ...]] = Counter({(role,): 0 for role in ROLES})
    newest: dict[tuple[str, ...], float] = {}
    for beat in beats:
        role = (limit("role", beat.role),)
        alive[role] += moment - beat.beat_at <= ALIVE
        newest[role] = max(newest.get(role, 0.0), beat.beat_at.timestamp())
    yield gauge("ptx_processes", "Processes that gave a sign of life in the last 30 seconds.", ("role",), alive)
    yield gauge("ptx_heartbeat_timestamp_seconds", "The newest sign of life of a role.", ("role",), newest)
    for key, (name, words) in GPU.items():
        told = {
            (limit("process", beat.process), str(index)): float(gpu[key])
            for beat in beats
            for index, gpu in enumerate(beat.detail.get("gpus", ()))
            if moment - beat.beat_at <= ALIVE and key in gpu
        }
        yield gauge(name, words, ("process", "gpu"), told)
