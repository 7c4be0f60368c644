"""The enqueue stage: every stored instance gets its answer to "who reads this?", once, and becomes work.

Headers are read outside any transaction; then one transaction locks what is still unrouted and writes jobs,
collections and the instances' outcomes together. Killed anywhere, either all of that is there or nothing is, and the
next call does the rest. Two callers at once may read the same headers, but never make two jobs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from ptx_node.db import audit, collections
from ptx_node.db.collections import Group, Member
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.dicom.attributes import read_attributes
from ptx_node.domain.audit_events import job_not_eligible, refused_by_routing
from ptx_node.domain.decision import Placement, Policy, decide
from ptx_node.domain.eligibility import Reason, Refusal, Requirements
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.job import JobState, LatePolicy, Trigger
from ptx_node.domain.study import Origin, Via
from ptx_node.errors import InputError, RetryableError
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Collection as Values
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.tables import Collection, Instance
    from ptx_node.domain.routing import Rule

log = get(__name__)


class RouteOutcome(StrEnum):
    """What became of an instance; the first of these that any rule gave it. Kept in `instances.route_outcome`."""

    QUEUED = "queued"
    COLLECTED = "collected"
    NOT_ELIGIBLE = "not_eligible"
    LATE_IGNORED = "late_ignored"
    OWN_RESULT = "own_result"
    UNREADABLE = "unreadable"
    RETRIEVED = "retrieved"
    NO_RULE = "no_rule"


REFUSED = (RouteOutcome.NOT_ELIGIBLE, RouteOutcome.LATE_IGNORED, RouteOutcome.UNREADABLE, RouteOutcome.NO_RULE)
"""No model reads the instance, and none will: an event of the audit trail."""

FETCHED = "fetched from an archive, for no rule to read"


class Store(Protocol):
    """Where stored instances lie."""

    def path(self, relative: str) -> Path:
        """The file of a stored relative path."""
        ...


@dataclass(frozen=True, slots=True)
class EnqueueOutcome:
    """What one call did. `more` says that it stopped at its limit and should be called again at once."""

    routed: int = 0
    jobs: int = 0
    more: bool = False

    def __bool__(self) -> bool:
        """Whether anything was routed, so that `while enqueue_new(…)` ends."""
        return self.routed > 0


@dataclass(slots=True)
class _Planned:
    """What is to become of one instance, before anything is written. `outcome` is set when no rule acts."""

    instance: Instance
    placements: tuple[Placement, ...] = ()
    outcome: RouteOutcome | None = None
    detail: str | None = None
    results: list[tuple[RouteOutcome, str]] = field(default_factory=list)

    def note(self, rule: Rule, outcome: RouteOutcome, refusal: Refusal | None = None) -> None:
        """Remember what `rule` made of the instance."""
        because = f" ({refusal.reason}: {refusal.detail})" if refusal else ""
        self.results.append((outcome, f"{rule.name}: {outcome}{because}"))


def enqueue_new(
    engine: Engine,
    store: Store,
    rules: Sequence[Rule],
    requirements_by_model: Mapping[str, Requirements],
    *,
    own_device_uids: Values[str] = frozenset(),
    limit: int = 200,
) -> EnqueueOutcome:
    """Route the oldest unrouted instances, at most `limit`: a job each, a place in a collection, or the reason for neither.

    What the arguments mean is said in `ptx_node.domain.decision.Policy`.

    Raises:
        DatabaseUnavailableError: nothing was written; call again.
        RetryableError: the store could not be read for any of them; they stay unrouted.
    """
    policy = Policy(tuple(rules), requirements_by_model, own_device_uids)
    keywords = policy.keywords
    with begin_read(engine) as session:
        instances = collections.unrouted(session, limit=limit)
        own = collections.own_results(session, [one.sop_instance_uid for one in instances])
    planned, unread = [], 0
    for instance in instances:
        if instance.via == Via.RETRIEVE:
            planned.append(_Planned(instance, outcome=RouteOutcome.RETRIEVED, detail=FETCHED))
            continue
        if instance.sop_instance_uid in own:
            planned.append(_Planned(instance, outcome=RouteOutcome.OWN_RESULT, detail="this node wrote it"))
            continue
        try:
            planned.append(_plan(instance, store.path(instance.path), policy, keywords))
        except OSError as error:
            unread += 1
            log.warning("store cannot be read", sop_instance_uid=instance.sop_instance_uid, error=type(error).__name__)
    if unread and not planned:
        raise RetryableError(f"none of {unread} stored instances can be read: check that the store's folder is mounted and readable")
    with begin_write(engine) as session:
        outcome = _write(session, planned, current_time())
    if outcome.routed:
        log.info("instances routed", routed=outcome.routed, jobs=outcome.jobs)
    return EnqueueOutcome(outcome.routed, outcome.jobs, more=len(instances) == limit and bool(planned))


def pass_by(engine: Engine, study_instance_uids: Values[str]) -> int:
    """Give what was fetched of these studies from an archive its outcome, which no rule has a part in; how many instances.

    Raises:
        DatabaseUnavailableError: nothing was written; call again.
    """
    with begin_write(engine) as session:
        ours = collections.lock_unrouted_retrieved(session, study_instance_uids)
        if not ours:
            return 0
        routed = {"routed_at": current_time(), "route_outcome": RouteOutcome.RETRIEVED, "route_detail": FETCHED}
        collections.mark_routed(session, [{"id": number, **routed} for number in ours])
    return len(ours)


def _plan(instance: Instance, path: Path, policy: Policy, keywords: Values[str]) -> _Planned:
    """Read one header and decide. A file that is gone or is not DICOM is said so and not tried again."""
    try:
        attributes = read_attributes(path, keywords)
    except FileNotFoundError:
        return _Planned(instance, outcome=RouteOutcome.UNREADABLE, detail="the file is missing from the store")
    except InputError as error:
        return _Planned(instance, outcome=RouteOutcome.UNREADABLE, detail=str(error))
    attributes.setdefault("TransferSyntaxUID", (instance.transfer_syntax_uid,))
    decision = decide(policy, attributes, origin_of(instance))
    if decision.own_result:
        return _Planned(instance, outcome=RouteOutcome.OWN_RESULT, detail="it carries the Device UID of a model here")
    if not decision.placements:
        return _Planned(instance, outcome=RouteOutcome.NO_RULE)
    return _Planned(instance, decision.placements)


def origin_of(instance: Instance) -> Origin:
    """Who sent a stored instance."""
    return Origin(Via(instance.via), instance.source, instance.calling_ae, instance.called_ae, instance.peer_address)


def _write(session: Session, planned: Sequence[_Planned], moment: datetime) -> EnqueueOutcome:
    mine = collections.lock_unrouted(session, [one.instance.id for one in planned]) if planned else set()
    ours = [one for one in planned if one.instance.id in mine]
    if not ours:
        return EnqueueOutcome()
    jobs = _queue_instances(session, ours, moment)
    for group, members in sorted(_groups(ours).items(), key=lambda item: (item[0].rule, item[0].level_uid)):
        _fill(session, group, members, moment)
    routed = [_routed(one, moment) for one in ours]
    collections.mark_routed(session, routed)
    for one, row in zip(ours, routed, strict=True):
        if row["route_outcome"] in REFUSED:
            audit.note(session, refused_by_routing(one.instance.sop_instance_uid, row["route_outcome"], row["route_detail"]))
    return EnqueueOutcome(len(ours), jobs)


def _routed(one: _Planned, moment: datetime) -> dict[str, Any]:
    outcome, detail = one.outcome, one.detail
    if one.results:
        order = list(RouteOutcome)
        outcome = min((outcome for outcome, _ in one.results), key=order.index)
        detail = "; ".join(text for _, text in one.results)
    return {"id": one.instance.id, "routed_at": moment, "route_outcome": outcome, "route_detail": detail}


def _queue_instances(session: Session, ours: Iterable[_Planned], moment: datetime) -> int:
    """Jobs of rules that read every instance by itself."""
    jobs: list[dict[str, Any]] = []
    inputs: dict[str, dict[str, Any]] = {}
    for one in ours:
        for placement in one.placements:
            if placement.rule.trigger is not Trigger.INSTANCE:
                continue
            instance, refusal = one.instance, placement.refusal
            group = Group(placement.rule.name, Trigger.INSTANCE, instance.sop_instance_uid, instance.study_instance_uid)
            job = _job(placement.rule, group, generation=1, moment=moment, refusal=refusal)
            received = instance.received_at
            jobs.append(job | {"first_instance_at": received, "last_instance_at": received, "complete_at": received})
            reason, detail = (refusal.reason, refusal.detail) if refusal else (None, None)
            inputs[job["idempotency_key"]] = {"instance_id": instance.id, "eligible": refusal is None, "reason": reason, "detail": detail}
            one.note(placement.rule, RouteOutcome.NOT_ELIGIBLE if refusal else RouteOutcome.QUEUED, refusal)
    made = collections.add_jobs(session, jobs)
    collections.add_inputs(session, [{"job_id": made[key], **values} for key, values in inputs.items() if key in made])
    return len(made)


def _job(rule: Rule, group: Group, *, generation: int, moment: datetime, refusal: Refusal | None) -> dict[str, Any]:
    """A job's row, without the times of its instances. Nothing to read makes it end here, unless the rule wants that reported."""
    ends = refusal is not None and not rule.report_not_eligible
    return {
        "idempotency_key": f"{group.rule}|{group.level}|{group.level_uid}|{generation}",
        "rule": rule.name,
        "model": rule.model,
        "level": str(group.level),
        "level_uid": group.level_uid,
        "study_instance_uid": group.study_instance_uid,
        "destinations": [{"name": one.name, "kinds": [str(kind) for kind in one.kinds or ResultKind]} for one in rule.destinations],
        "report_failed": rule.report_failed,
        "report_not_eligible": rule.report_not_eligible,
        "priority": rule.priority,
        "state": str(JobState.NOT_ELIGIBLE if ends else JobState.QUEUED),
        "attempts": 0,
        "cause": str(refusal.reason) if ends and refusal else None,
        "detail": refusal.detail if ends and refusal else None,
        "queued_at": moment,
    }


def _groups(ours: Iterable[_Planned]) -> dict[Group, list[tuple[_Planned, Placement]]]:
    groups: dict[Group, list[tuple[_Planned, Placement]]] = {}
    for one in ours:
        for placement in one.placements:
            trigger = placement.rule.trigger
            if trigger is Trigger.INSTANCE:
                continue
            instance = one.instance
            uid = instance.series_instance_uid if trigger is Trigger.SERIES else instance.study_instance_uid
            # Without its UID nothing says what an instance belongs to: then it stays alone, never with a stranger's.
            group = Group(placement.rule.name, trigger, uid or f"only {instance.sop_instance_uid}", instance.study_instance_uid)
            groups.setdefault(group, []).append((one, placement))
    return groups


def _fill(session: Session, group: Group, arrivals: Sequence[tuple[_Planned, Placement]], moment: datetime) -> None:
    """Put instances of one series or study into its open collection; open one, or follow the rule's late policy."""
    rule = arrivals[0][1].rule
    collection = collections.latest(session, group)
    if collection is not None and collection.closed_at is not None:
        changes_answer = any(placement.refusal is None for _, placement in arrivals)
        if rule.late is LatePolicy.IGNORE or not changes_answer:
            for one, placement in arrivals:
                one.note(rule, RouteOutcome.LATE_IGNORED, placement.refusal)
            return
    if collection is None or collection.closed_at is not None:
        collection = collections.open_collection(session, group, after=collection, now=moment)
    members = []
    for one, placement in arrivals:
        refusal = placement.refusal
        reason, detail = (str(refusal.reason), refusal.detail) if refusal else (None, None)
        members.append(Member(one.instance.id, one.instance.received_at, reason, detail, placement.expected_count))
        one.note(rule, RouteOutcome.COLLECTED, refusal)
    collections.join(session, collection, members, quiet_s=rule.quiet_s)


def queue_due(engine: Engine, rules: Sequence[Rule], now: datetime | None = None, *, limit: int = 100) -> int:
    """Close the collections that are complete at `now` and queue a job for each; how many jobs. Call again while it is `limit`.

    A collection whose rule is no longer in the configuration waits until it is there again.

    Raises:
        DatabaseUnavailableError: nothing was written; call again.
    """
    moment = now or current_time()
    by_name = {rule.name: rule for rule in rules}
    with begin_write(engine) as session:
        ripe = collections.due(session, by_name.keys(), now=moment, limit=limit)
        refusals = collections.refusals(session, [one.id for one in ripe])
        jobs = [_closing_job(by_name[one.rule], one, refusals.get(one.id, []), moment) for one in ripe]
        made = collections.add_jobs(session, jobs)
        for collection, job in zip(ripe, jobs, strict=True):
            collection.closed_at = moment
            job_id = made.get(job["idempotency_key"])
            if job_id is None:
                continue
            if job["state"] == JobState.NOT_ELIGIBLE:
                audit.note(session, job_not_eligible(job, job_id))
            collections.copy_inputs(session, collection.id, job_id)
            if collection.generation > 1:
                collections.supersede(session, collection, job_id)
    if made:
        log.info("collections queued", jobs=len(made))
    return len(made)


def _closing_job(rule: Rule, collection: Collection, counts: Sequence[Any], moment: datetime) -> dict[str, Any]:
    refusal = None
    if not any(row.eligible for row in counts) and counts:
        told = ", ".join(f"{row.count} {row.reason}" for row in counts)
        refusal = Refusal(Reason(counts[0].reason), f"none of {collection.instance_count} instances: {told}")
    group = Group(collection.rule, collection.level, collection.level_uid, collection.study_instance_uid)
    job = _job(rule, group, generation=collection.generation, moment=moment, refusal=refusal)
    return job | {
        "first_instance_at": collection.first_instance_at,
        "last_instance_at": collection.last_instance_at,
        "complete_at": moment,
    }
