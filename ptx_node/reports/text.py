"""Text folded for reading by rules: lower case, no accents, plain spaces and hyphens; and the way back to the text as it came."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.domain.truth import Span

LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
PLAIN = {
    **dict.fromkeys("\t\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " "),
    **dict.fromkeys(LINE_ENDS, "\n"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2022\u2023\u25cf\u25aa\u25e6\u00b7", "*"),
}
SPELT = {"œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae", "ß": "ss", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "…": "..."}
ODD = re.compile(r"[^\x00-\x09\x0b-\x1f!-,.-\x7f](?:(?<=[^\x00-\x7f])|(?<=-)[ ]*\n[ ]*|(?<= )(?:[ ]*\n[ ]*|[ ]+)|(?<=\n)[ ]+)")
"""What is not one plain character: other letters, words torn at the end of a line, and runs of space."""
FOREIGN = re.compile(r"[^\x00-\x7f]")
RUNS = ("  ", " \n", "\n ", "-\n")
BEFORE_WRAP = re.compile(r"[a-z]{2,12}\Z")
AFTER_WRAP = re.compile(r"[a-z]{2,12}")
TORN = re.compile(r"p[neumo]{4,6}t[hora]{3,5}[xc]")


@lru_cache(maxsize=4096)
def _letters(character: str) -> str:
    """One character of any script in plain letters; nothing for accents that stand alone, soft hyphens and zero widths."""
    if character in PLAIN:
        return PLAIN[character]
    if character in SPELT:
        return SPELT[character]
    pieces = (one for one in unicodedata.normalize("NFKD", character) if unicodedata.category(one) not in ("Mn", "Cf"))
    return "".join(PLAIN.get(one, one) for one in pieces).lower()


TABLE = {number: _letters(chr(number)) for number in (*range(0x80, 0x250), *range(0x2000, 0x2070)) if len(_letters(chr(number))) == 1}
TABLE |= {ord(character): plain for character, plain in PLAIN.items()}


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text.

    Attributes:
        text: what the rules read.
        source: the text as it came.
        places: of each folded character, its place in the source; None where both run alike.
    """

    text: str
    source: str
    places: Sequence[int] | None = None

    def span(self, start: int, end: int) -> Span:
        """Where `text[start:end]` stands in the source, with the accents that belong to its last letter.

        Args:
            start: first character, in the folded text.
            end: one past the last; more than `start`.
        """
        if self.places is None:
            return start, end
        after = self.places[end] if end < len(self.places) else len(self.source)
        return self.places[start], max(self.places[end - 1] + 1, after)

    def at(self, place: int) -> int:
        """The folded place of a place in the source, or the next one that was kept."""
        return place if self.places is None else bisect_left(self.places, place)


def fold(source: str) -> Folded:
    """Fold any text; never fails, in time linear to its length."""
    text = source.replace("\r\n", " \n").replace("\r", "\n").translate(TABLE).lower()
    if any(mark in text for mark in RUNS):
        return _mapped(text, source, ODD)
    return Folded(text, source) if text.isascii() else _mapped(text, source, FOREIGN)


def _mapped(text: str, source: str, odd: re.Pattern[str]) -> Folded:
    """Replace what is odd, and remember where everything stood."""
    pieces: list[str] = []
    places: list[int] = []
    done = 0
    for found in odd.finditer(text):
        start, end = found.span()
        kept = _kept(text, start, end)
        if kept == found[0]:
            continue
        pieces += (text[done:start], kept)
        places.extend(range(done, start))
        places.extend([start] * len(kept))
        done = end
    if not done:
        return Folded(text, source)
    pieces.append(text[done:])
    places.extend(range(done, len(text)))
    return Folded("".join(pieces), source, places)


def _kept(text: str, start: int, end: int) -> str:
    """What the rules read in place of something odd."""
    if text[start] > "\x7f":
        return _letters(text[start])
    if text[start] == "-":
        return "" if _torn(text, start, end) else "-\n"
    return "\n" if "\n" in text[start:end] else " "


def _torn(text: str, start: int, end: int) -> bool:
    """Whether a hyphen at the end of a line tears the word in two that everything turns on."""
    before, after = BEFORE_WRAP.search(text, max(0, start - 12), start), AFTER_WRAP.match(text, end)
    return before is not None and after is not None and TORN.match(before[0] + after[0]) is not None
