"""Which kinds of result go where: what a rule asks for, cut down to what each destination may receive at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ptx_node.domain.finding import ResultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """What the site has decided for a destination.

    Attributes:
        kinds: what may go there, whatever a rule asks (some clearances forbid showing where the finding is).
        deadline_s: how long delivery is tried.
    """

    kinds: frozenset[ResultKind]
    deadline_s: float


@dataclass(frozen=True, slots=True)
class ResultDestination:
    """Where results of one job go: the kinds that both the rule asks for and the destination may receive."""

    name: str
    kinds: frozenset[ResultKind]
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a rule asked for and does not get, and why; for the log."""

    destination: str
    kinds: frozenset[ResultKind]
    reason: str


def agree(
    asked: Iterable[Mapping[str, Any]], policies: Mapping[str, DestinationPolicy]
) -> tuple[tuple[ResultDestination, ...], tuple[Withheld, ...]]:
    """Bring a rule's wishes (`[{"name": "pacs", "kinds": ["seg", "sr"]}]`) and the destinations' policies together.

    A destination that the site no longer has is withheld as a whole.
    """
    agreed: list[ResultDestination] = []
    withheld: list[Withheld] = []
    for wish in asked:
        name, wanted = str(wish["name"]), frozenset(ResultKind(kind) for kind in wish["kinds"])
        policy = policies.get(name)
        if policy is None:
            withheld.append(Withheld(name, wanted, "no such destination is configured"))
            continue
        if wanted - policy.kinds:
            withheld.append(Withheld(name, wanted - policy.kinds, "the destination's policy does not allow it"))
        if wanted & policy.kinds:
            agreed.append(ResultDestination(name, wanted & policy.kinds, policy.deadline_s))
    return tuple(agreed), tuple(withheld)
