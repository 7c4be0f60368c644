"""`[rules.match]` tables of `ptx.toml` turned into conditions, with errors that name the place and what is allowed."""

from __future__ import annotations

import difflib
import re
from datetime import date
from typing import TYPE_CHECKING

from ptx_node.domain.conditions import LONGEST_MATCHED_VALUE, ORIGIN_SUBJECTS, All, Any, Condition, Not, Operator, Test, folded
from ptx_node.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

COMPARISONS = ("equals", "any_of", "like", "regex", "at_least", "at_most", "absent")
GROUPS = ("all", "any", "not")
MAX_DEPTH = 8

# A repeat directly inside a repeated group, such as (a+)+ or (\w*\s?)*: time grows as a power of two.
NESTED_REPEAT = re.compile(r"\((?:[^()\\]|\\.)*(?:[+*]|\{\d+,\d*\})(?:[^()\\]|\\.)*\)(?:[+*]|\{\d+,\d*\})")


def parse_condition(raw: object, place: str, known_keywords: Collection[str] | None = None, *, depth: int = 0) -> Condition:
    """One condition table. Without `known_keywords` any keyword passes.

    Raises:
        ConfigurationError: the message starts with `place` and says what is allowed.
    """
    if not isinstance(raw, dict):
        raise ConfigurationError(f'{place}: expected a condition such as {{ keyword = "Modality", any_of = ["CR", "DX"] }}, got {raw!r}')
    if depth > MAX_DEPTH:
        raise ConfigurationError(f"{place}: conditions are nested more than {MAX_DEPTH} deep")
    if not raw:
        if depth == 0:
            return All()
        raise ConfigurationError(f"{place}: an empty condition")
    groups = [key for key in GROUPS if key in raw]
    if groups:
        if len(raw) > 1:
            others = ", ".join(sorted(raw.keys() - {groups[0]}))
            raise ConfigurationError(f"{place}: {groups[0]!r} stands beside {others}; put them together inside all = [ … ]")
        return _parse_group(groups[0], raw[groups[0]], place, known_keywords, depth)
    origin = [key for key in ORIGIN_SUBJECTS if key in raw]
    if origin:
        return _parse_origin(raw, origin, place)
    if "keyword" not in raw:
        allowed = ", ".join(("keyword", *ORIGIN_SUBJECTS, *GROUPS))
        raise ConfigurationError(f"{place}: {', '.join(raw)} is not a condition; it starts with one of {allowed}{_nearest(raw, allowed)}")
    return _parse_keyword(raw, place, known_keywords)


def _parse_group(key: str, raw: object, place: str, known: Collection[str] | None, depth: int) -> Condition:
    if key == "not":
        return Not(parse_condition(raw, f"{place}.not", known, depth=depth + 1))
    if not isinstance(raw, list) or not raw:
        raise ConfigurationError(f"{place}.{key}: expected a list of conditions with at least one in it")
    parts = tuple(parse_condition(part, f"{place}.{key}[{index}]", known, depth=depth + 1) for index, part in enumerate(raw))
    return All(parts) if key == "all" else Any(parts)


def _parse_origin(raw: Mapping[str, object], keys: list[str], place: str) -> Condition:
    if len(raw) > 1:
        raise ConfigurationError(f"{place}: one condition a table: put {', '.join(raw)} into all = [ … ] as tables of their own")
    subject = keys[0]
    texts = _texts(raw[subject], f"{place}.{subject}")
    wild = any(one in text for text in texts for one in "*?")
    return _test(subject, Operator.LIKE if wild else Operator.ANY_OF, texts)


def _parse_keyword(raw: Mapping[str, object], place: str, known: Collection[str] | None) -> Condition:
    keyword = raw["keyword"]
    if not isinstance(keyword, str) or not keyword:
        raise ConfigurationError(f'{place}.keyword: expected a PS3.6 keyword such as "BodyPartExamined", got {keyword!r}')
    check_keyword(keyword, f"{place}.keyword", known)
    comparisons = [key for key in raw if key != "keyword"]
    unknown = [key for key in comparisons if key not in COMPARISONS]
    if unknown:
        allowed = ", ".join(COMPARISONS)
        raise ConfigurationError(f"{place}: {unknown[0]!r} is no comparison; allowed are {allowed}{_nearest(unknown, COMPARISONS)}")
    if not comparisons:
        raise ConfigurationError(f"{place}: {keyword} is compared with nothing; add one of {', '.join(COMPARISONS)}")
    if len(comparisons) > 1 and set(comparisons) != {"at_least", "at_most"}:
        raise ConfigurationError(f"{place}: {' and '.join(comparisons)} in one condition; only at_least and at_most go together")
    return _parse_comparison(keyword, comparisons[0], raw, place)


def _parse_comparison(keyword: str, comparison: str, raw: Mapping[str, object], place: str) -> Test:
    where = f"{place}.{comparison}"
    value = raw[comparison]
    match comparison:
        case "equals" | "any_of":
            return _test(keyword, Operator.ANY_OF, _texts(value, where))
        case "like":
            return _test(keyword, Operator.LIKE, _texts(value, where))
        case "regex":
            return _regex(keyword, value, where)
        case "absent":
            if not isinstance(value, bool):
                raise ConfigurationError(f"{where}: expected true or false, got {value!r}")
            return Test(keyword, Operator.ABSENT if value else Operator.PRESENT)
        case _:
            low = _number(raw["at_least"], f"{place}.at_least") if "at_least" in raw else None
            high = _number(raw["at_most"], f"{place}.at_most") if "at_most" in raw else None
            if low is not None and high is not None and low > high:
                raise ConfigurationError(f"{place}: at_least {low:g} is above at_most {high:g}: nothing can match")
            return Test(keyword, Operator.RANGE, at_least=low, at_most=high)


def check_keyword(keyword: str, place: str, known: Collection[str] | None) -> None:
    """Refuse what is no PS3.6 keyword, or no dotted path of them, and say what is near.

    Raises:
        ConfigurationError: with up to three suggestions.
    """
    if known is None:
        return
    for part in keyword.split("."):
        if part not in known:
            raise ConfigurationError(f"{place}: {part!r} is not a keyword of PS3.6{_nearest([part], known)}")


def _regex(keyword: str, value: object, where: str) -> Test:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: expected a regular expression in quotes, got {value!r}")
    if NESTED_REPEAT.search(value):
        raise ConfigurationError(f"{where}: {value!r} repeats a group that repeats inside, which can take for ever; write it without")
    try:
        pattern = re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"{where}: {value!r} is not a regular expression: {error}") from error
    return Test(keyword, Operator.REGEX, (value,), pattern=pattern)


def _test(subject: str, operator: Operator, texts: tuple[str, ...]) -> Test:
    return Test(subject, operator, tuple(folded(text) for text in texts), written=texts)


def _texts(value: object, where: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ConfigurationError(f"{where}: an empty list matches nothing")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise ConfigurationError(f"{where}: expected text or a list of texts, got {one!r}")
        if isinstance(one, str) and (not folded(one) or len(one) > LONGEST_MATCHED_VALUE):
            raise ConfigurationError(f"{where}: expected 1 to {LONGEST_MATCHED_VALUE} characters; for no value write absent = true")
    return tuple(str(one) for one in values)


def _number(value: object, where: str) -> float:
    if isinstance(value, date):
        return float(value.strftime("%Y%m%d"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{where}: expected a number (ages in years) or a date such as 2026-01-31, got {value!r}")
    return float(value)


def _nearest(words: Collection[str], allowed: Collection[str] | str) -> str:
    choices = allowed.split(", ") if isinstance(allowed, str) else allowed
    near = difflib.get_close_matches(next(iter(words)), choices, n=3, cutoff=0.7)
    return f". Did you mean {' or '.join(near)}?" if near else ""
