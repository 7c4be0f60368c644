"""What is wrong, or surprising, in a site's rules: for `ptx rules check`, before an instance shows it.

Reachability and overlap are judged from the conditions alone, on the safe side: "unreachable" is said only where it can
be proven, "may overlap" wherever the opposite cannot.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.domain.conditions import ORIGIN_SUBJECTS, All, Condition, Operator, Test, is_like
from ptx_node.domain.routing import Rule, parse_rule
from ptx_node.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

# Attributes with one value (VM 1): two different values of one of them cannot both be there.
SINGLE_VALUED = frozenset({"Modality", "SOPClassUID", "BodyPartExamined", "ViewPosition", "PatientSex", "Laterality", *ORIGIN_SUBJECTS})


class Severity(StrEnum):
    """An error stops the node from working as written; a warning is allowed, and perhaps not meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to look at."""

    severity: Severity
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Site:
    """What rules may name: keywords of PS3.6, models, and destinations with the kinds that each allows."""

    keywords: Collection[str]
    models: Collection[str]
    destinations: Mapping[str, Collection[str]]


def check_rules(raw: Sequence[Mapping[str, object]], site: Site) -> tuple[Problem, ...]:
    """Everything that is wrong in `[[rules]]`, not only the first; in the order of the rules."""
    problems: list[Problem] = []
    rules: list[Rule] = []
    for index, one in enumerate(raw):
        try:
            rule = parse_rule(one, index, site.keywords)
        except ConfigurationError as error:
            problems.append(Problem(Severity.ERROR, str(one.get("name", f"rules[{index}]")), str(error)))
            continue
        if rule.name in {other.name for other in rules}:
            problems.append(_error(rule, f"rule {rule.name!r} is there twice; names identify a rule's jobs, so give each its own"))
        problems.extend(_names(rule, site))
        problems.extend(_reach(rule, rules))
        rules.append(rule)
    if not raw:
        problems.append(Problem(Severity.WARNING, "", "there are no rules: instances are stored, and nothing is read"))
    return tuple(problems)


def _error(rule: Rule, message: str) -> Problem:
    return Problem(Severity.ERROR, rule.name, message)


def _warning(rule: Rule, message: str) -> Problem:
    return Problem(Severity.WARNING, rule.name, message)


def _names(rule: Rule, site: Site) -> Iterable[Problem]:
    if rule.model not in site.models:
        yield _error(rule, f"model {rule.model!r} is not here{_known(rule.model, site.models)}")
    for destination in rule.destinations:
        allowed = site.destinations.get(destination.name)
        if allowed is None:
            yield _error(rule, f"destination {destination.name!r} is not configured{_known(destination.name, site.destinations)}")
            continue
        for kind in destination.kinds:
            if kind not in allowed:
                yield _error(rule, f"destination {destination.name!r} does not allow {kind}: its kinds are {', '.join(sorted(allowed))}")
    if not rule.destinations:
        yield _warning(rule, "it names no destinations: results are written and stay on this node")


def _known(name: str, names: Iterable[str]) -> str:
    there = sorted(names)
    near = difflib.get_close_matches(name, there, n=1)
    if near:
        return f". Did you mean {near[0]}?"
    return f"; there are {', '.join(there)}" if there else "; there are none"


def _reach(rule: Rule, before: Sequence[Rule]) -> Iterable[Problem]:
    """Only rules of the same model stand in each other's way: the first that matches decides."""
    if not rule.enabled:
        return
    if never(rule.condition):
        yield _error(rule, "no instance can match it: its conditions contradict each other")
        return
    rivals = [other for other in before if other.enabled and other.model == rule.model and not never(other.condition)]
    for other in rivals:
        if covers(other.condition, rule.condition):
            yield _error(
                rule, f"it is never reached: rule {other.name!r} before it takes every instance that it matches, for the same model"
            )
            return
    for other in rivals:
        if not disjoint(other.condition, rule.condition):
            yield _warning(
                rule, f"it may overlap rule {other.name!r} for the same model: an instance that matches both follows {other.name!r} only"
            )


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that must all hold, nested `all` taken apart."""
    if isinstance(condition, All):
        return tuple(inner for part in condition.parts for inner in conjuncts(part))
    return (condition,)


def covers(wide: Condition, narrow: Condition) -> bool:
    """Whether whatever satisfies `narrow` certainly satisfies `wide`."""
    parts = conjuncts(narrow)
    return all(any(_implies(part, needed) for part in parts) for needed in conjuncts(wide))


def _implies(given: Condition, needed: Condition) -> bool:
    if given == needed or not isinstance(given, Test) or not isinstance(needed, Test) or given.subject != needed.subject:
        return given == needed
    match given.operator, needed.operator:
        case ((Operator.ANY_OF | Operator.LIKE | Operator.REGEX | Operator.RANGE), Operator.PRESENT):
            return True
        case (Operator.ANY_OF, Operator.ANY_OF) | (Operator.LIKE, Operator.LIKE):
            return set(given.operands) <= set(needed.operands)
        case Operator.ANY_OF, Operator.LIKE:
            return all(any(is_like(value, pattern) for pattern in needed.operands) for value in given.operands)
        case Operator.RANGE, Operator.RANGE:
            return _low(given) >= _low(needed) and _high(given) <= _high(needed)
        case _:
            return False


def disjoint(first: Condition, second: Condition) -> bool:
    """Whether nothing can satisfy both, as far as single comparisons show."""
    return never(All((first, second)))


def never(condition: Condition) -> bool:
    """Whether two comparisons that must both hold contradict each other."""
    tests = [part for part in conjuncts(condition) if isinstance(part, Test)]
    return any(_contradict(one, other) for index, one in enumerate(tests) for other in tests[index + 1 :] if one.subject == other.subject)


def _contradict(one: Test, other: Test) -> bool:
    if (one.operator is Operator.ABSENT) != (other.operator is Operator.ABSENT):
        return True
    if one.subject not in SINGLE_VALUED and one.operator is not Operator.RANGE:
        return False
    match one.operator, other.operator:
        case Operator.ANY_OF, Operator.ANY_OF:
            return not set(one.operands) & set(other.operands)
        case (Operator.ANY_OF, Operator.LIKE) | (Operator.LIKE, Operator.ANY_OF):
            values, patterns = (one, other) if one.operator is Operator.ANY_OF else (other, one)
            return not any(is_like(value, pattern) for value in values.operands for pattern in patterns.operands)
        case Operator.RANGE, Operator.RANGE:
            return _low(one) > _high(other) or _low(other) > _high(one)
        case _:
            return False


def _low(test: Test) -> float:
    return float("-inf") if test.at_least is None else test.at_least


def _high(test: Test) -> float:
    return float("inf") if test.at_most is None else test.at_most
