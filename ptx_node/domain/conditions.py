"""Conditions of a rule, as a frozen tree, and what each of them says of one instance.

Evaluation returns the whole tree of answers with the values that were seen, so that `ptx rules explain` shows exactly
what routing decided, and the two cannot drift apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.domain.values import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ptx_node.domain.eligibility import Attributes
    from ptx_node.domain.study import Origin

LONGEST_MATCHED_VALUE = 256
"""A regular expression sees no more of a value than this many characters, so that no sender can stall routing."""

ORIGIN_SUBJECTS = ("source", "calling_ae", "called_ae", "peer_address", "via")


class Operator(StrEnum):
    """How a value is compared."""

    ANY_OF = "any_of"
    LIKE = "like"
    REGEX = "regex"
    RANGE = "range"
    ABSENT = "absent"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison. It holds when any one value of the attribute satisfies it.

    Attributes:
        subject: a keyword, a dotted path of keywords, or one of `ORIGIN_SUBJECTS`.
        operands: folded texts of any_of, wildcard patterns of like, the one pattern of regex.
        written: the same as the site wrote them, to show.
        at_least, at_most: of range, inclusive; ages in years, dates as YYYYMMDD.
    """

    subject: str
    operator: Operator
    operands: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    pattern: re.Pattern[str] | None = field(default=None, repr=False, compare=False)
    written: tuple[str, ...] = field(default=(), repr=False, compare=False)

    __test__ = False  # pytest would collect a class of this name

    @property
    def text(self) -> str:
        """The condition as a site reads it."""
        quoted = " or ".join(repr(operand) for operand in self.written or self.operands)
        match self.operator:
            case Operator.ANY_OF:
                return f"{self.subject} is {quoted}"
            case Operator.LIKE:
                return f"{self.subject} is like {quoted}"
            case Operator.REGEX:
                return f"{self.subject} matches {quoted}"
            case Operator.RANGE:
                parts = (("at least", self.at_least), ("at most", self.at_most))
                return f"{self.subject} is " + " and ".join(f"{words} {bound:.12g}" for words, bound in parts if bound is not None)
            case _:
                return f"{self.subject} is {self.operator}"


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without parts, always."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = Test | All | Any | Not


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one condition says of one instance. `seen` are the values compared: they may identify the patient."""

    held: bool
    text: str
    seen: tuple[str, ...] = ()
    parts: tuple[Verdict, ...] = ()


def evaluate(condition: Condition, attributes: Attributes, origin: Origin) -> Verdict:
    """What `condition` and each of its parts say of an instance."""
    match condition:
        case Test():
            seen = _seen(condition.subject, attributes, origin)
            return Verdict(_holds(condition, seen), condition.text, seen)
        case All():
            parts = tuple(evaluate(part, attributes, origin) for part in condition.parts)
            return Verdict(all(part.held for part in parts), "all of" if parts else "every instance", parts=parts)
        case Any():
            parts = tuple(evaluate(part, attributes, origin) for part in condition.parts)
            return Verdict(any(part.held for part in parts), "any of", parts=parts)
        case Not():
            part = evaluate(condition.part, attributes, origin)
            return Verdict(not part.held, "not", parts=(part,))


def tests_of(condition: Condition) -> Iterator[Test]:
    """Every comparison in the tree."""
    match condition:
        case Test():
            yield condition
        case All() | Any():
            for part in condition.parts:
                yield from tests_of(part)
        case Not():
            yield from tests_of(condition.part)


def folded(text: str) -> str:
    """Text as `any_of` and `like` compare it: without surrounding spaces or padding, in one case."""
    return text.strip(" \0").casefold()


def is_like(value: str, pattern: str) -> bool:
    """Whether the whole of a folded value fits a DICOM wildcard pattern: `*` any text, `?` any one character (PS3.4 C.2.2.2.4).

    Not by way of a regular expression: the time is at most the product of the two lengths, whatever the value.
    """
    at, star, resume = 0, -1, 0
    here = 0
    while here < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", value[here]}:
            at, here = at + 1, here + 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def _seen(subject: str, attributes: Attributes, origin: Origin) -> tuple[str, ...]:
    if subject in ORIGIN_SUBJECTS:
        value = str(getattr(origin, subject))
        return (value,) if value else ()
    return tuple(value for value in attributes.get(subject, ()) if value.strip(" \0"))


def _holds(test: Test, seen: tuple[str, ...]) -> bool:
    match test.operator:
        case Operator.ANY_OF:
            return any(folded(value) in test.operands for value in seen)
        case Operator.LIKE:
            return any(is_like(folded(value), pattern) for value in seen for pattern in test.operands)
        case Operator.REGEX:
            pattern = test.pattern or re.compile(test.operands[0])
            return any(pattern.search(value[:LONGEST_MATCHED_VALUE]) for value in seen)
        case Operator.RANGE:
            return any(_within(test, number_of(value)) for value in seen)
        case Operator.ABSENT:
            return not seen
        case Operator.PRESENT:
            return bool(seen)


def _within(test: Test, number: float | None) -> bool:
    if number is None:
        return False
    return (test.at_least is None or number >= test.at_least) and (test.at_most is None or number <= test.at_most)
