"""Sentences of a section: ends of sentences, items of lists, lines that are sentences, and lines that are only wrapped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptx_node.domain.truth import Span
    from ptx_node.reports.text import Folded

END = re.compile(
    r"[.!?\n\d*](?:(?<=[.!])(?=\s|\Z)|(?<=[a-z]{3}\.)(?=[a-z]{3})|(?<=\?)(?=\s+[^\s,;?]{2})|(?<=\n)"
    r"|(?<=\s\d)\d?[.)/][ ]+(?=[a-z])|(?<=\s[*])(?=[ ]))"
)
"""Ends of sentences, and the numbers and bullets of items, which begin one."""
SHORT = re.compile(r"\b(?:dr|mr|mrs|ms|pr|prof|vs|approx|max|min|env|cf|ca|e\.g|i\.e|fig|ext|inf|sup|ant|post|lat|resp|diam|ep)\Z")
BULLET = re.compile(r"[ ]*(?:[-*>+]|\d{1,2}[.)/-])[ ]*\S")
LETTER = re.compile(r"\S")
ENDS = (".", "!", "?", "\n")
STOPS = ".:!?"
NARROWEST = 40
"""Texts whose longest line is shorter are lists, not wrapped paragraphs."""
LONGEST = 1500
"""A sentence is cut after so many characters, whatever it says: rules stay linear on text without any full stop."""


def sentences(folded: Folded, start: int, end: int, width: int, *, beyond: tuple[int, int] | None = None) -> list[Span]:
    """Spans of the sentences between two places of the folded text, without the space around them.

    Args:
        folded: the text.
        start: first character of the section.
        end: one past its last.
        width: length of the text's longest line, by which wrapped lines are told.
        beyond: (place, count): where given, no more sentences are cut than the one after this place, and so many at least.
    """
    text = folded.text
    found: list[Span] = []
    begun = start
    for stop in END.finditer(text, start, end):
        at = stop.start()
        if at < begun or (stop[0] in "?." and _no_end(text, begun, at)) or (stop[0] == "?" and _goes_on(folded, at)):
            continue
        if stop[0] == "\n" and _runs_on(folded, at, width):
            continue
        after = stop.end() if stop[0] in ENDS else at
        _add(found, text, begun, after)
        begun = after
        if beyond is not None and len(found) >= beyond[1] and found[-1][0] > beyond[0]:
            return found
    _add(found, text, begun, end)
    return found


def _no_end(text: str, begun: int, at: int) -> bool:
    """Whether a stop ends no sentence: after an abbreviation or an item's number, or a question mark that comes first."""
    return SHORT.search(text, max(begun, at - 8), at) is not None or not text[begun:at].strip(" \n0123456789")


def _goes_on(folded: Folded, at: int) -> bool:
    """Whether a small letter follows a question mark, as in "skin fold ? pneumothorax ?"."""
    following = LETTER.search(folded.text, at + 1, at + 8)
    return following is not None and folded.source[folded.span(*following.span())[0]].islower()


def _add(found: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end].lstrip()
    start = end - len(piece)
    end = start + len(piece.rstrip())
    while end - start > LONGEST:
        found.append((start, start + LONGEST))
        start += LONGEST
    if start < end:
        found.append((start, end))


def _runs_on(folded: Folded, at: int, width: int) -> bool:
    """Whether the line that ends here goes on in the next: it is about as long as lines get, and the next begins no sentence."""
    text = folded.text
    line = text.rfind("\n", 0, at) + 1
    before, rest = text[line:at].rstrip(), text[at + 1 : at + 400]
    if not before or before[-1] in STOPS or not rest.strip() or rest.lstrip(" ").startswith("\n") or BULLET.match(rest):
        return False
    word = rest.split(None, 1)[0]
    first = folded.source[folded.span(at + 1 + rest.index(word), at + 2 + rest.index(word))[0]]
    lower = first.islower() or not first.isalpha()
    if before[-1] in ",(-" or before.endswith(
        (" the", " a", " of", " de", " du", " un", " une", " and", " or", " et", " ou", " no", " ni")
    ):
        return True
    reach = len(before) + len(word) + 1
    return width >= NARROWEST and reach >= width * (0.55 if lower else 0.9)
