"""Everything that rules and models say of one instance: what routing acts on, and what `ptx rules explain` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.domain import eligibility as header
from ptx_node.domain.eligibility import Attributes, Refusal, Requirements, eligibility, first
from ptx_node.domain.routing import Rule, RuleVerdict, keywords_of, route
from ptx_node.domain.values import number_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ptx_node.domain.study import Origin

DEVICE_UID = "ContributingEquipmentSequence.DeviceUID"


@dataclass(frozen=True, slots=True)
class Policy:
    """A site's rules and models.

    Attributes:
        requirements_by_model: by model name; a rule's model that is not there refuses nothing, so that its job shows
            that the model is missing.
        own_device_uids: Device UIDs of the models here: what carries one was written by them, perhaps on another node.
    """

    rules: tuple[Rule, ...]
    requirements_by_model: Mapping[str, Requirements]
    own_device_uids: Collection[str] = frozenset()

    @property
    def keywords(self) -> frozenset[str]:
        """Every header keyword that a decision looks at."""
        return header.KEYWORDS | keywords_of(self.rules) | {DEVICE_UID}


@dataclass(frozen=True, slots=True)
class Placement:
    """One acting rule's view of an instance: `refusal` is None when its model reads it."""

    rule: Rule
    refusal: Refusal | None
    expected_count: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What every rule and every model says of one instance."""

    own_result: bool
    verdicts: tuple[RuleVerdict, ...]
    refusals: Mapping[str, Refusal | None]
    placements: tuple[Placement, ...]


def decide(policy: Policy, attributes: Attributes, origin: Origin) -> Decision:
    """Ask every rule and every model. One of our own results goes nowhere, whatever the rules say: that would be a loop."""
    own = any(value in policy.own_device_uids for value in attributes.get(DEVICE_UID, ()))
    verdicts = route(policy.rules, attributes, origin)
    refusals = {model: eligibility(attributes, requirements) for model, requirements in policy.requirements_by_model.items()}
    placements = tuple(
        Placement(one.rule, refusals.get(one.rule.model), expected_count(one.rule, attributes)) for one in verdicts if one.acts and not own
    )
    return Decision(own, verdicts, refusals, placements)


def expected_count(rule: Rule, attributes: Attributes) -> int | None:
    """How many instances complete the series or study, as far as the rule or the header says."""
    if not isinstance(rule.expected_count, str):
        return rule.expected_count
    number = number_of(first(attributes, rule.expected_count))
    return int(number) if number is not None and number >= 1 else None
