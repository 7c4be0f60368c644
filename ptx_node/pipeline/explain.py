"""What the rules and models say of a file or of stored instances, in full: for `ptx rules explain`. Changes nothing.

The answer holds header values that may identify the patient. It goes to the person at the terminal and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Instance
from ptx_node.dicom.attributes import read_attributes
from ptx_node.domain.decision import Policy, decide
from ptx_node.domain.eligibility import first
from ptx_node.domain.study import Origin, Via
from ptx_node.errors import InputError, PtxError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.domain.conditions import Verdict
    from ptx_node.domain.decision import Decision


@dataclass(frozen=True, slots=True)
class Subject:
    """One instance to explain. `routed` is what routing wrote when it came, None when it has not been routed."""

    sop_instance_uid: str
    path: Path
    origin: Origin
    routed: Mapping[str, Any] | None = None


def stored(engine: Engine, to_path: Callable[[str], Path], uid: str, *, limit: int) -> list[Subject]:
    """The stored instances of a Study, Series or SOP Instance UID, oldest first.

    Raises:
        PtxError: nothing of that UID is stored.
    """
    named = or_(Instance.study_instance_uid == uid, Instance.series_instance_uid == uid, Instance.sop_instance_uid == uid)
    with begin_read(engine) as session:
        instances = session.scalars(select(Instance).where(named).order_by(Instance.id).limit(limit)).all()
    if not instances:
        raise PtxError(f"{uid} is no file, and no study, series or instance of this UID is stored. Check the UID, or name a file")
    return [
        Subject(
            one.sop_instance_uid,
            to_path(one.path),
            Origin(Via(one.via), one.source, one.calling_ae, one.called_ae, one.peer_address),
            {"outcome": one.route_outcome, "detail": one.route_detail, "at": one.routed_at} if one.routed_at else None,
        )
        for one in instances
    ]


def explain(policy: Policy, subject: Subject) -> dict[str, Any]:
    """Which rule acts on one instance, what each condition saw, and what each model says of it; as JSON has it."""
    try:
        attributes = read_attributes(subject.path, policy.keywords | {"SOPInstanceUID"})
    except (InputError, OSError) as error:
        detail = error.detail if isinstance(error, InputError) else error.strerror
        return {"sop_instance_uid": subject.sop_instance_uid, "file": str(subject.path), "error": detail, "rules": [], "models": {}}
    decision = decide(policy, attributes, subject.origin)
    return {
        "sop_instance_uid": subject.sop_instance_uid or first(attributes, "SOPInstanceUID"),
        "file": str(subject.path),
        "error": None,
        "own_result": decision.own_result,
        "routed": subject.routed,
        "rules": _rules(decision),
        "models": {model: _eligible(decision, model) for model in decision.refusals},
    }


def _rules(decision: Decision) -> list[dict[str, Any]]:
    acting = {placement.rule.name for placement in decision.placements}
    return [
        {
            "rule": one.rule.name,
            "acts": one.rule.name in acting,
            "why": "the instance is one of our own results, which are never read" if one.acts and decision.own_result else one.why,
            "model": one.rule.model,
            "trigger": str(one.rule.trigger),
            "destinations": [destination.name for destination in one.rule.destinations],
            "condition": _condition(one.verdict),
        }
        for one in decision.verdicts
    ]


def _condition(verdict: Verdict) -> dict[str, Any]:
    shown: dict[str, Any] = {"held": verdict.held, "condition": verdict.text}
    if verdict.parts:
        return shown | {"parts": [_condition(part) for part in verdict.parts]}
    return shown | {"seen": list(verdict.seen)}


def _eligible(decision: Decision, model: str) -> dict[str, Any]:
    refusal = decision.refusals[model]
    if refusal is None:
        return {"eligible": True, "reason": None, "sentence": None, "detail": None}
    return {"eligible": False, "reason": str(refusal.reason), "sentence": refusal.sentence, "detail": refusal.detail}
