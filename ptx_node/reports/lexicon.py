"""What the rules need of one language: its tables compiled, and the words that both languages share."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ptx_node.reports import english, french, procedures
from ptx_node.reports.sections import Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

LABELLER = "3"
"""Counts changes of the reading itself; changes of the tables show in the digest beside it."""

TERM = (
    r"(?:(?:hydro|ha?emo|hemato|pyo|chylo|hydro-?pyo|hydro-?ha?emo)[- ]?)?"
    r"(?:[pn][neumo]{3,8}(?:\s?-\s{0,4}|\s{1,4})?(?:ha?emo|hydro|pyo)?-?t[hrota]{2,7}(?:x(?:e?s)?|ces|cies|ses|s)\b"
    r"(?! (?:protocol|series|precautions|kit|catheters?|tubes?)\b)"
    r"|p(?:tx|nx|ntx|no|nt)s?\b)"
)
"""Pneumothorax however it is spelt, singular and plural, and its abbreviations."""


WORD_START = r"(?:\b|(?=\W))"
"""No cue begins within a word: most places of a text are passed over with one look."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Compiled tables; every pattern reads folded text.

    Attributes:
        language: "en" or "fr".
        mention: names of a pneumothorax; a description of one is in the group `air`, a sign of one in `sign`.
        mask: phrases with a negation in them that say that something exists.
        clause: where one statement of a sentence ends.
        before: cues that stand before a mention, one named group a kind.
        after: cues that stand after it; `after_denial` those of them that can still change a denial.
        breaks: what ends the reach of a cue that stands before.
        after_breaks: what ends the reach of a cue that stands after.
        new_phrase: a size, a side, a change: what begins a statement of its own after a comma.
        joins: "or", "nor": what continues a list.
        persist: that something is still there, or has a size.
        qualified: words that make a negation one of a kind only; `other_side` that make it one of a place or a time only.
        confirmed: what makes a suspicion a statement.
        known: what makes "not seen" an outcome.
        growth: what directly behind a denied mention turns the denial on its growth.
        earlier: a mention of an earlier one, before it; `earlier_after` after it.
        ellipsis: the other side's, told without naming it again; `unsure_tail` a doubt that follows a negation.
        side: words for a side, groups `left`, `right`, `both`.
        other_owner: what else a side or a measure may belong to.
        size: words for a size.
        drain: a pleural drain; `drain_gone` says of one that it is not there.
        headings: folded heading to section; `weak_headings` count at the beginning of a line or sentence only.
        technique: a sentence about the acquisition, before which a report without headings tells why it was asked for.
        thorax: that the thorax was examined; `elsewhere`: that another region was.
    """

    language: str
    mention: re.Pattern[str]
    mask: re.Pattern[str]
    clause: re.Pattern[str]
    before: re.Pattern[str]
    after: re.Pattern[str]
    after_denial: re.Pattern[str]
    breaks: re.Pattern[str]
    after_breaks: re.Pattern[str]
    new_phrase: re.Pattern[str]
    joins: re.Pattern[str]
    persist: re.Pattern[str]
    qualified: re.Pattern[str]
    other_side: re.Pattern[str]
    confirmed: re.Pattern[str]
    known: re.Pattern[str]
    growth: re.Pattern[str]
    earlier: re.Pattern[str]
    earlier_after: re.Pattern[str]
    ellipsis: re.Pattern[str]
    unsure_tail: re.Pattern[str]
    side: re.Pattern[str]
    other_owner: re.Pattern[str]
    size: re.Pattern[str]
    drain: re.Pattern[str]
    drain_gone: re.Pattern[str]
    drain_gone_after: re.Pattern[str]
    technique: re.Pattern[str]
    thorax: re.Pattern[str]
    elsewhere: re.Pattern[str]
    headings: Mapping[str, Part]
    weak_headings: frozenset[str]


@cache
def lexicon(language: str) -> Lexicon:
    """The tables of "en" or "fr".

    Raises:
        KeyError: for another language.
    """
    words = {"en": english, "fr": french}[language]
    headings = {name: Part[part] for part, names in words.HEADINGS.items() for name in names}
    return Lexicon(
        language=language,
        mention=re.compile(rf"\b(?=[{words.INITIALS}])(?:{TERM}|(?P<air>{_any(words.TERMS)})|(?P<sign>{_any(words.SIGNS)}))"),
        mask=re.compile(rf"\b{_any(words.MASKS)}"),
        clause=re.compile(WORD_START + _any(words.CLAUSES)),
        before=_kinds(words.BEFORE),
        after=_kinds(words.AFTER),
        after_denial=_kinds({"hard": words.AFTER["hard"]}),
        breaks=re.compile(WORD_START + _any(words.BREAKS)),
        after_breaks=re.compile(WORD_START + _any(words.AFTER_BREAKS)),
        new_phrase=re.compile(rf"\b{_any(words.NEW_PHRASE)}"),
        joins=re.compile(rf"\b{_any(words.JOINS)}\b"),
        persist=re.compile(WORD_START + _any(words.AFTER["persist"])),
        qualified=re.compile(rf"\b{_any(words.QUALIFIED)}\b"),
        other_side=re.compile(rf"\b{_any(words.OTHER_SIDE)}"),
        known=re.compile(rf"\b{_any(words.KNOWN)}\b"),
        growth=re.compile(_any(words.GROWTH)),
        confirmed=re.compile(rf"\b{_any(words.CONFIRMED)}"),
        earlier=re.compile(rf"\b{_any(words.EARLIER)}"),
        earlier_after=re.compile(_any(words.EARLIER_AFTER)),
        ellipsis=re.compile(rf"\b{_any(words.ELLIPSIS)}"),
        unsure_tail=re.compile(rf"\b{_any(words.UNSURE_TAIL)}"),
        side=re.compile("|".join(rf"(?P<{name}>\b{_any(said)}\b)" for name, said in words.SIDES.items())),
        other_owner=re.compile(rf"\b{_any(words.OTHER_OWNERS)}"),
        size=re.compile(rf"\b{_any(words.SIZES)}(?!\w)"),
        drain=re.compile(rf"\b{_any(words.DRAIN)}"),
        drain_gone=re.compile(_any(words.DRAIN_GONE)),
        drain_gone_after=re.compile(_any(words.DRAIN_GONE_AFTER)),
        technique=re.compile(rf"\b{_any(words.TECHNIQUE)}"),
        thorax=re.compile(rf"\b{_any(words.THORAX)}"),
        elsewhere=re.compile(rf"\b{_any(words.ELSEWHERE)}"),
        headings=headings,
        weak_headings=frozenset(words.WEAK_HEADINGS),
    )


@cache
def labeller() -> str:
    """Version of the labeller: its number and a digest of every table, so that no rule changes unseen."""
    digest = hashlib.sha256(TERM.encode())
    for words in (english, french, procedures):
        digest.update(repr(_tables(words)).encode())
    return f"{LABELLER}-{digest.hexdigest()[:12]}"


def _tables(words: ModuleType) -> list[tuple[str, object]]:
    return sorted((name, value) for name, value in vars(words).items() if name.isupper())


def _any(patterns: tuple[str, ...]) -> str:
    return f"(?:{'|'.join(patterns)})"


def _kinds(table: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    return re.compile(WORD_START + f"(?:{'|'.join(rf'(?P<{kind}>{_any(patterns)})' for kind, patterns in table.items())})")
