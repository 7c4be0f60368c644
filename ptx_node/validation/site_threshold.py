"""A site's own threshold, step by step: propose, apply, set, withdraw; each step is a row, and a decision stands in the audit trail.

`ptx thresholds` and the dashboard's page Models do the same by these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ptx_node.db import audit, thresholds
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.thresholds import Action
from ptx_node.domain.audit_events import decision
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from sqlalchemy import Engine

    from ptx_node.validation.statistics import Aim, Proposal


@dataclass(frozen=True, slots=True)
class Of:
    """A model by its name and the SHA-256 of its weights: a threshold is for these weights alone."""

    model: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that is kept. `evidence` is what was computed, as JSON; nothing was proposed where its threshold has no value."""

    number: int
    found: Proposal
    evidence: dict[str, Any]

    @property
    def value(self) -> float | None:
        """The threshold; None where too few cases are known."""
        value: float | None = self.evidence["threshold"]["value"]
        return value


def propose(engine: Engine, of: Of, aim: Aim, *, since: date | None = None, until: date | None = None, seed: int = 1, by: str) -> Proposed:
    """Propose a threshold from findings whose CT report is known, and keep the proposal. Nothing changes until it is applied."""
    from ptx_node.validation import local_threshold  # noqa: PLC0415 - numpy's part of the statistics only here

    with begin_read(engine) as session:
        cases = thresholds.verified(session, of.weights_sha256, since, until)
    found = local_threshold.propose(cases, aim, seed=seed)
    evidence = local_threshold.evidence(found) | {
        "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None,
        "patients": len({one.person_id for one in cases}),
    }
    with begin_write(engine) as session:
        number = thresholds.record(
            session,
            Action.PROPOSED,
            model=of.model,
            weights_sha256=of.weights_sha256,
            value=evidence["threshold"]["value"],
            evidence=evidence,
            decided_by=by,
            now=now(),
        )
    return Proposed(number, found, evidence)


def apply(engine: Engine, proposal: int, weights_of: Callable[[str], str], *, note: str, by: str) -> tuple[int, Of, float]:
    """Use a proposed threshold from now on; the step's number, whose it is, and the threshold.

    Raises:
        UsageError: there is no such proposal, it proposes nothing, it is for other weights, or nobody says why.
    """
    with begin_read(engine) as session:
        found = thresholds.step(session, proposal)
    if found is None or found.action != Action.PROPOSED:
        raise UsageError(f"there is no proposal {proposal}: see ptx thresholds list")
    if found.value is None:
        raise UsageError(f"proposal {proposal} proposes nothing: there were too few cases")
    of = Of(found.model, found.weights_sha256)
    if weights_of(of.model) != of.weights_sha256:
        raise UsageError(f"proposal {proposal} is for other weights than model {of.model} has now: propose again")
    return use(engine, of, found.value, note=note, by=by, proposal=proposal), of, found.value


def use(engine: Engine, of: Of, value: float, *, note: str, by: str, proposal: int | None = None) -> int:
    """Use this threshold from now on, 0 to 1; the step's number.

    Raises:
        UsageError: nobody says why, or it is no probability.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"a threshold is a probability from 0 to 1, not {value:g}")
    return _decide(engine, Action.APPLIED, of, value, note=note, by=by, proposal=proposal)


def withdraw(engine: Engine, of: Of, *, note: str, by: str) -> int:
    """Go back to the threshold that came with the model; the step's number.

    Raises:
        UsageError: the model has no threshold of this site's own, or nobody says why.
    """
    with begin_read(engine) as session:
        if of.weights_sha256 not in thresholds.in_force(session):
            raise UsageError(f"model {of.model} has no threshold of this site's own: there is nothing to withdraw")
    return _decide(engine, Action.WITHDRAWN, of, None, note=note, by=by)


def _decide(engine: Engine, action: Action, of: Of, value: float | None, *, note: str, by: str, proposal: int | None = None) -> int:
    if not note.strip():
        raise UsageError("say why: --note 'agreed with Dr …'")
    with begin_write(engine) as session:
        number = thresholds.record(
            session,
            action,
            model=of.model,
            weights_sha256=of.weights_sha256,
            value=value,
            decided_by=by,
            note=note,
            proposal_id=proposal,
            now=now(),
        )
        told = {"threshold": number, "model": of.model, "weights_sha256": of.weights_sha256, "value": value}
        audit.note(session, decision(by, f"threshold {action}", **told))
    return number
