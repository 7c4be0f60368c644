"""A site's rules: which instances go to which model, when, how urgently, and where the results go.

Of the rules that match an instance, the first one of each model counts: two models may read the same image, one model
never reads it twice. See docs/rules.md for how they are written.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.domain.condition_parsing import check_keyword, parse_condition
from ptx_node.domain.conditions import ORIGIN_SUBJECTS, Condition, Verdict, evaluate, tests_of
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.job import LatePolicy, Trigger
from ptx_node.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ptx_node.domain.eligibility import Attributes
    from ptx_node.domain.study import Origin

DEFAULT_QUIET_S = 20.0
DEFAULT_PRIORITY = 50
HIGHEST_PRIORITY = 100
LONGEST_NAME = 64
KEYS = (
    *("name", "enabled", "match", "model", "priority", "trigger", "quiet_s", "expected_count", "late"),
    *("report_failed", "report_not_eligible", "destinations"),
)


@dataclass(frozen=True, slots=True)
class RuleDestination:
    """A destination of a rule's results, and which kinds it gets; no kinds means all that the destination allows."""

    name: str
    kinds: tuple[ResultKind, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        condition: what an instance must be.
        priority: 0 to 100, higher first.
        trigger: queue every instance at once, or its series or study when that is complete.
        quiet_s: a series or study is complete when nothing more came for so long.
        expected_count: complete at once with so many matching instances; a keyword takes the number from the header.
        late: what an instance does that comes after completion.
        report_failed, report_not_eligible: whether these outcomes are written and delivered too.
    """

    name: str
    model: str
    condition: Condition
    priority: int = DEFAULT_PRIORITY
    trigger: Trigger = Trigger.INSTANCE
    quiet_s: float = DEFAULT_QUIET_S
    expected_count: int | str | None = None
    late: LatePolicy = LatePolicy.SUPERSEDE
    report_failed: bool = True
    report_not_eligible: bool = False
    enabled: bool = True
    destinations: tuple[RuleDestination, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule says of one instance: whether its conditions held, and whether it is the one that acts."""

    rule: Rule
    verdict: Verdict
    acts: bool
    why: str


def route(rules: Sequence[Rule], attributes: Attributes, origin: Origin) -> tuple[RuleVerdict, ...]:
    """What every rule says of an instance, in their order."""
    taken: dict[str, str] = {}
    verdicts = []
    for rule in rules:
        verdict = evaluate(rule.condition, attributes, origin)
        if not rule.enabled:
            acts, why = False, "the rule is not enabled"
        elif not verdict.held:
            acts, why = False, "its conditions do not hold"
        elif rule.model in taken:
            acts, why = False, f"rule {taken[rule.model]!r} stands before it and sends the instance to the same model"
        else:
            acts, why = True, "its conditions hold"
            taken[rule.model] = rule.name
        verdicts.append(RuleVerdict(rule, verdict, acts, why))
    return tuple(verdicts)


def keywords_of(rules: Iterable[Rule]) -> frozenset[str]:
    """Every header keyword that the rules look at."""
    named = {test.subject for rule in rules for test in tests_of(rule.condition)} - set(ORIGIN_SUBJECTS)
    counted = {rule.expected_count for rule in rules if isinstance(rule.expected_count, str)}
    return frozenset(named | counted)


def parse_rules(raw: Sequence[Mapping[str, object]], known_keywords: Collection[str] | None = None) -> tuple[Rule, ...]:
    """The rules of `ptx.toml`. Without `known_keywords` any keyword passes.

    Raises:
        ConfigurationError: names the rule, the place in it, and what is allowed.
    """
    rules = tuple(parse_rule(one, index, known_keywords) for index, one in enumerate(raw))
    names = [rule.name for rule in rules]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigurationError(f"rule {name!r} is there twice; names identify a rule's jobs, so give each its own")
    return rules


def parse_rule(raw: Mapping[str, object], index: int, known_keywords: Collection[str] | None = None) -> Rule:
    """One table of `[[rules]]`; `index` counts from 0 and is named in errors while there is no name.

    Raises:
        ConfigurationError: as `parse_rules`.
    """
    name = _text(raw, "name", f"rules[{index}]")
    if len(name) > LONGEST_NAME or "|" in name:
        raise ConfigurationError(f"rules[{index}].name: at most {LONGEST_NAME} characters and no '|', got {name!r}")
    place = f"rule {name!r}"
    for key in raw:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            hint = f". Did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"{place}: {key!r} is not known; allowed are {', '.join(KEYS)}{hint}")
    trigger = Trigger(_choice(raw, "trigger", [one.value for one in Trigger], Trigger.INSTANCE, place))
    if trigger is Trigger.INSTANCE and (surplus := [key for key in ("quiet_s", "expected_count", "late") if key in raw]):
        raise ConfigurationError(f'{place}: {" and ".join(surplus)} needs trigger = "series" or "study"; this one is "instance"')
    return Rule(
        name=name,
        model=_text(raw, "model", place),
        condition=parse_condition(raw.get("match", {}), f"{place}: match", known_keywords),
        priority=int(_number(raw, "priority", DEFAULT_PRIORITY, HIGHEST_PRIORITY, place)),
        trigger=trigger,
        quiet_s=_number(raw, "quiet_s", DEFAULT_QUIET_S, 86400, place),
        expected_count=_expected_count(raw, place, known_keywords),
        late=LatePolicy(_choice(raw, "late", [one.value for one in LatePolicy], LatePolicy.SUPERSEDE, place)),
        report_failed=_flag(raw, "report_failed", default=True, place=place),
        report_not_eligible=_flag(raw, "report_not_eligible", default=False, place=place),
        enabled=_flag(raw, "enabled", default=True, place=place),
        destinations=_destinations(raw.get("destinations", []), place),
    )


def _text(raw: Mapping[str, object], key: str, place: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f'{place}: {key} is missing or empty; write {key} = "…"')
    return value.strip()


def _flag(raw: Mapping[str, object], key: str, *, default: bool, place: str) -> bool:
    value = raw.get(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{place}: {key} is true or false, got {value!r}")
    return value


def _number(raw: Mapping[str, object], key: str, default: float, highest: float, place: str) -> float:
    value = raw.get(key, default)
    whole = isinstance(default, int)
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 <= value <= highest:
        raise ConfigurationError(f"{place}: {key} is {kind} from 0 to {highest:g}, got {value!r}")
    return float(value)


def _choice(raw: Mapping[str, object], key: str, allowed: list[str], default: str, place: str) -> str:
    value = raw.get(key, default)
    if value not in allowed:
        raise ConfigurationError(f"{place}: {key} is one of {', '.join(allowed)}, got {value!r}")
    return str(value)


def _expected_count(raw: Mapping[str, object], place: str, known_keywords: Collection[str] | None) -> int | str | None:
    value = raw.get("expected_count")
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    if isinstance(value, str) and value:
        check_keyword(value, f"{place}: expected_count", known_keywords)
        return value
    raise ConfigurationError(
        f'{place}: expected_count is a whole number above 0, or a keyword such as "ImagesInAcquisition", got {value!r}'
    )


def _destinations(raw: object, place: str) -> tuple[RuleDestination, ...]:
    if not isinstance(raw, list):
        raise ConfigurationError(f'{place}: destinations is a list such as [{{ name = "pacs", kinds = ["seg", "sr"] }}], got {raw!r}')
    found = tuple(_destination(one, f"{place}: destinations[{index}]") for index, one in enumerate(raw))
    names = [destination.name for destination in found]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{place}: a destination is named twice in {', '.join(names)}")
    return found


def _destination(raw: object, place: str) -> RuleDestination:
    table = {"name": raw} if isinstance(raw, str) else raw
    if not isinstance(table, dict) or table.keys() - {"name", "kinds"}:
        raise ConfigurationError(f'{place}: expected {{ name = "pacs", kinds = ["seg", "sr"] }}, got {raw!r}')
    kinds = table.get("kinds", [])
    allowed = [kind.value for kind in ResultKind]
    if not isinstance(kinds, list) or any(kind not in allowed for kind in kinds):
        raise ConfigurationError(f"{place}: kinds is a list of {', '.join(allowed)}, got {kinds!r}")
    return RuleDestination(_text(table, "name", place), tuple(ResultKind(kind) for kind in kinds))
