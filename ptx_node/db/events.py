"""What happened in a span of time, for counters: each event once, by the time that stands in its row. Read only.

Spans are half open and follow one another, so that nothing is counted twice. Whoever asks leaves the newest minutes out: a row's time is
older than its commit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ptx_node.db.tables import FindingRow, Instance, Job, Refusal

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.orm import InstrumentedAttribute, Session

STAGES: dict[str, tuple[InstrumentedAttribute[Any], InstrumentedAttribute[Any]]] = {
    "received_to_queued": (Job.last_instance_at, Job.queued_at),
    "queued_to_inferred": (Job.queued_at, Job.inferred_at),
    "inferred_to_delivered": (Job.inferred_at, Job.accepted_at),
    "received_to_delivered": (Job.last_instance_at, Job.accepted_at),
    "delivered_to_committed": (Job.accepted_at, Job.committed_at),
}
"""Each with the columns of its beginning and its end, at which it counts."""


@dataclass(frozen=True, slots=True)
class Events:
    """What happened in a span.

    Attributes:
        durations_s: (stage, rule, seconds) of every stage that a job ended.
        received: instances, by (source, modality).
        findings: by (model, version, outcome).
        refusals: by reason.
    """

    durations_s: list[tuple[str, str, float]] = field(default_factory=list)
    received: Counter[tuple[str, ...]] = field(default_factory=Counter)
    findings: Counter[tuple[str, ...]] = field(default_factory=Counter)
    refusals: Counter[tuple[str, ...]] = field(default_factory=Counter)


def between(session: Session, begin: datetime, end: datetime) -> Events:
    """The events from `begin` on and before `end`."""
    durations = []
    for stage, (first, last) in STAGES.items():
        ended = select(Job.rule, first, last).where(last >= begin, last < end, first.is_not(None))
        durations += [(stage, rule, (late - early).total_seconds()) for rule, early, late in session.execute(ended)]
    instance, finding, refusal = Instance.received_at, FindingRow.inferred_at, Refusal.refused_at
    answer = (FindingRow.model_name, FindingRow.model_version, FindingRow.outcome)
    return Events(
        durations,
        _counted(session, select(Instance.source, Instance.modality, func.count()).where(instance >= begin, instance < end)),
        _counted(session, select(*answer, func.count()).where(finding >= begin, finding < end)),
        _counted(session, select(Refusal.reason, func.count()).where(refusal >= begin, refusal < end)),
    )


def _counted(session: Session, query: Select[*tuple[Any, ...]]) -> Counter[tuple[str, ...]]:
    columns = list(query.selected_columns)[:-1]
    return Counter({tuple(str(value) for value in row[:-1]): int(row[-1]) for row in session.execute(query.group_by(*columns))})
