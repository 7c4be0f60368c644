"""A small grammar that turns one written sentence into many: `[a|b]` is a choice, `<name>` is another rule or a fact.

Choices nest, and an empty alternative leaves the words out. Nothing here knows a language or a finding.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

_Node = tuple[str, tuple["tuple[_Node, ...]", ...]]
"""("text", ()), ("name", ()) written as "<name>", or ("[", alternatives)."""

_TOKEN = re.compile(r"\[|\]|\||<\w+>|[^\[\]|<]+")
DEEPEST = 12


class GrammarError(ValueError):
    """A sentence of the grammar is not well formed: a bracket without its pair or a rule that does not exist."""


def expand(sentence: str, rng: np.random.Generator, rules: Mapping[str, str | tuple[str, ...]]) -> str:
    """One way to say it, with single spaces and none before a comma or full stop.

    Raises:
        GrammarError: for a bracket without its pair, an unknown rule, or rules that name each other for ever.
    """
    said = _say(_parse(sentence), rng, rules, 0)
    return re.sub(r" +([,.)])|(\() +", r"\1\2", re.sub(r"\s+", " ", said)).strip()


def pick(sentences: Sequence[str], rng: np.random.Generator, rules: Mapping[str, str | tuple[str, ...]]) -> str:
    """One of several sentences, said in one way."""
    return expand(sentences[int(rng.integers(len(sentences)))], rng, rules)


def _say(nodes: tuple[_Node, ...], rng: np.random.Generator, rules: Mapping[str, str | tuple[str, ...]], depth: int) -> str:
    if depth > DEEPEST:
        raise GrammarError("rules name each other for ever: one of them needs an alternative that ends")
    said = []
    for word, alternatives in nodes:
        if word == "[":
            said.append(_say(alternatives[int(rng.integers(len(alternatives)))], rng, rules, depth + 1))
        elif word.startswith("<"):
            said.append(_say(_parse(_rule(word[1:-1], rng, rules)), rng, rules, depth + 1))
        else:
            said.append(word)
    return "".join(said)


def _rule(name: str, rng: np.random.Generator, rules: Mapping[str, str | tuple[str, ...]]) -> str:
    if name not in rules:
        raise GrammarError(f"the sentence asks for <{name}>, which no rule gives")
    rule = rules[name]
    return rule if isinstance(rule, str) else rule[int(rng.integers(len(rule)))]


@lru_cache(maxsize=4096)
def _parse(sentence: str) -> tuple[_Node, ...]:
    tokens = _TOKEN.findall(sentence)
    nodes, rest = _sequence(tokens, 0, nested=False)
    if rest != len(tokens) or "".join(tokens) != sentence:
        raise GrammarError(f"a bracket without its pair in {sentence!r}")
    return nodes


def _sequence(tokens: list[str], at: int, *, nested: bool) -> tuple[tuple[_Node, ...], int]:
    """Nodes up to the bar or bracket that ends this alternative, and where that stands."""
    nodes: list[_Node] = []
    while at < len(tokens) and not (nested and tokens[at] in "|]"):
        if tokens[at] == "[":
            alternatives = []
            while tokens[at] != "]":
                alternative, at = _sequence(tokens, at + 1, nested=True)
                alternatives.append(alternative)
                if at >= len(tokens):
                    raise GrammarError(f"a bracket without its pair in {''.join(tokens)!r}")
            nodes.append(("[", tuple(alternatives)))
        elif tokens[at] in "|]":
            raise GrammarError(f"a bar or bracket without its pair in {''.join(tokens)!r}")
        else:
            nodes.append((tokens[at], ()))
        at += 1
    return tuple(nodes), at
