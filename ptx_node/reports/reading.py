"""A whole report read: every mention with the section and the sentence in which it stands."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.reports.details import size
from ptx_node.reports.mentions import Mention, read
from ptx_node.reports.sections import Part, Section, sections
from ptx_node.reports.sentences import sentences

if TYPE_CHECKING:
    from ptx_node.domain.truth import Span
    from ptx_node.reports.lexicon import Lexicon
    from ptx_node.reports.text import Folded

MOST = 500
"""So many mentions are read; a report that has more is for a person."""
FIRST = 2
"""Sentences of a report without headings that may be a request."""
OPENING = 6
"""Sentences among which the technique is told, where it is told."""
SHORTEST_FINDINGS = 8
"""Characters of findings that are more than a heading followed by the next one."""
EMPTY = " \n_-=*:."
BEFORE_FINDINGS = (Part.INDICATION, Part.TITLE, Part.COMPARISON)


@dataclass(frozen=True, slots=True)
class Told:
    """One mention in its place.

    Attributes:
        sentence: in the folded text.
        following: the sentence after it in the same section, or "".
        bare: in a report without headings, in the first two sentences and without a word for its size: what a request looks like.
        preamble: in a report without headings, before the sentence on the technique.
    """

    part: Part
    mention: Mention
    sentence: Span
    following: str = ""
    bare: bool = False
    preamble: bool = False


def told(folded: Folded, cut: list[Section], lexicon: Lexicon) -> tuple[list[Told], bool]:
    """All mentions of these sections in reading order, and whether there were more than are read."""
    names = [one.start() for _, one in zip(range(MOST + 1), lexicon.mention.finditer(folded.text.replace("\n", " ")), strict=False)]
    if not names:
        return [], False
    width = longest_line(folded)
    found: list[Told] = []
    for section in cut:
        if bisect_left(names, section.start) < bisect_left(names, section.end):
            found += _of_section(section, folded, lexicon, (names, width))
    return found, len(names) > MOST


def _of_section(section: Section, folded: Folded, lexicon: Lexicon, known: tuple[list[int], int]) -> list[Told]:
    names, width = known
    within = names[bisect_left(names, section.start) : bisect_left(names, section.end)]
    spans = sentences(folded, section.start, section.end, width, beyond=(within[-1], OPENING))
    technique = -1
    if section.part is Part.BODY:
        technique = next((place for place, span in enumerate(spans[:OPENING]) if _is_technique(folded.text[slice(*span)], lexicon)), -1)
    found: list[Told] = []
    starts = [start for start, _ in spans]
    for place in sorted({bisect_right(starts, name) - 1 for name in within} - {-1}):
        if len(found) >= MOST:
            break
        start, end = spans[place]
        following = folded.text[slice(*spans[place + 1])] if place + 1 < len(spans) else ""
        sentence = folded.text[start:end].replace("\n", " ")
        first = section.part is Part.BODY and place < FIRST
        for one in read(sentence, lexicon):
            bare = first and not size(sentence, *one.named, lexicon)
            found.append(Told(section.part, one, (start, end), following.replace("\n", " "), bare=bare, preamble=place < technique))
    return found


def _is_technique(sentence: str, lexicon: Lexicon) -> bool:
    return lexicon.technique.search(sentence) is not None and lexicon.mention.search(sentence) is None


def longest_line(folded: Folded) -> int:
    """Its length in characters, by which wrapped lines are told."""
    return max(map(len, folded.text.split("\n")))


def parts(folded: Folded, lexicon: Lexicon) -> list[Section]:
    """The sections, with findings found where no heading announces them.

    Where no heading says where they begin, that is behind the first paragraph of the last section before them.

    Without an empty line it is the first line, and in a report of one line the first sentence.
    """
    cut = sections(folded, lexicon)
    kinds = [one.part for one in cut]
    if not any(part in BEFORE_FINDINGS for part in kinds):
        return cut
    if any(one.part is Part.FINDINGS and len(folded.text[one.start : one.end].strip(EMPTY)) >= SHORTEST_FINDINGS for one in cut):
        return [Section(Part.TITLE, cut[0].start, cut[0].end), *cut[1:]] if cut[0].part is Part.BODY else cut
    last = max(place for place, part in enumerate(kinds) if part in BEFORE_FINDINGS)
    section = cut[last]
    begin = _first_end(section, folded, longest_line(folded))
    pieces = [Section(section.part, section.start, begin), Section(Part.FINDINGS, begin, section.end)]
    return [*cut[:last], *(one for one in pieces if one.start < one.end), *cut[last + 1 :]]


def _first_end(section: Section, folded: Folded, width: int) -> int:
    text = folded.text
    start = section.start
    while start < section.end and text[start] in " \n":
        start += 1
    for mark in ("\n\n", "\n"):
        place = text.find(mark, start, section.end)
        if place >= 0:
            return place
    spans = sentences(folded, start, section.end, width, beyond=(start - 1, 1))
    return spans[0][1] if spans else section.end
