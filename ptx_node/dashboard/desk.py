"""What the pages of those who run the node are given beyond the database: rules, destinations, models, exports. Made by the wiring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ptx_node.domain.rule_check import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from ptx_node.domain.eligibility import Requirements
    from ptx_node.domain.routing import Rule


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The site's rules, and what others are checked against.

    Attributes:
        rules: those that are in force.
        text: as the configuration file has them, without the rest of it; "" where there is no file.
        site: keywords, models and destinations that rules may name.
        path: where a stored instance's file lies.
    """

    rules: tuple[Rule, ...] = ()
    text: str = ""
    site: Site = field(default_factory=lambda: Site((), (), {}))
    requirements: Mapping[str, Requirements] = field(default_factory=dict)
    device_uids: Collection[str] = frozenset()
    path: Callable[[str], Path] | None = None


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """What the settings say of one destination.

    Attributes:
        kind: `dimse`, `dicomweb` or `folder`.
        address: as people know it, without credentials.
        result_kinds: what it may be given.
        deadline_s: how long a delivery is tried.
        echo: asks it whether it is there, in seconds; what it said. Raises an error of ours with what is wrong.
        certificates: when those end that lie here: a word for each, and the moment, or what is wrong with the file.
        peer_ends: when the one ends that it shows; None where it shows none. Raises as `echo` does.
    """

    kind: str
    address: str
    result_kinds: tuple[str, ...]
    deadline_s: float
    echo: Callable[[], str]
    certificates: Callable[[], Mapping[str, datetime | str]] = dict
    peer_ends: Callable[[], datetime | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that these pages may use; what is left out is not there on this node.

    `exports` is the folder in which packages lie, each in a folder of its number; None where nothing builds them.
    `models` reads and hashes the bundles anew: a row a model as `ptx models` has it, and its `card`.
    """

    rule_book: RuleBook = field(default_factory=RuleBook)
    destinations: Mapping[str, DestinationFacts] = field(default_factory=dict)
    exports: Path | None = None
    models: Callable[[], list[dict[str, Any]]] = list
