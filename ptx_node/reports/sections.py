"""The sections of a report by their headings: in lines of their own, before a colon, or in capitals in the middle of a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptx_node.reports.lexicon import Lexicon
    from ptx_node.reports.text import Folded


class Part(IntEnum):
    """What a section is for."""

    BODY = 0
    """Before any heading."""
    TITLE = 1
    """The examination, its technique."""
    INDICATION = 2
    COMPARISON = 3
    PRELIMINARY = 4
    """A first read, later replaced."""
    FINDINGS = 5
    IMPRESSION = 6
    ADDENDUM = 7


@dataclass(frozen=True, slots=True)
class Section:
    """From the end of its heading to the next one, in characters of the folded text."""

    part: Part
    start: int
    end: int


COLON_OR_LINE = re.compile(r":|\n")
BEFORE_HEADING = re.compile(r"(?:\A|[\n.;:!?)\]*_=>#-]|\d/|[ ]{2})[ ]*\Z")
DECORATION = " \t*#=_>-.:"
CAPITALS = re.compile(r"[A-ZÀ-Ý](?<![^\s.:;].)[A-ZÀ-Ý]{3,}(?: [A-ZÀ-Ý]{2,}){0,2}(?=[ ]{1,3}(?!d[eu]s? |d'|of )(?:[A-ZÀ-Ý]?[a-zà-ÿ]|\d))")
INTRODUCES = re.compile(r"(?:au total|en conclusion|en resume|en synthese|in conclusion|in summary)\b(?![ ]?:),?")
AT_BEGINNING = re.compile(r"(?:\A|[.;\n])[ ]?\Z")
MOST_WORDS = 6
SHORTEST_CAPITALS = 4
LONGEST = 60
"""Characters of the longest heading that is looked for."""


def sections(folded: Folded, lexicon: Lexicon) -> list[Section]:
    """Cut the text at its headings, in reading order; a text without any is one body."""
    marks: list[tuple[int, int, Part]] = []
    for mark in sorted(_marks(folded, lexicon)):
        if not marks or mark[0] >= marks[-1][1]:
            marks.append(mark)
    found = [Section(Part.BODY, 0, marks[0][0] if marks else len(folded.text))]
    part = Part.BODY
    for place, (_, after, announced) in enumerate(marks):
        end = marks[place + 1][0] if place + 1 < len(marks) else len(folded.text)
        if announced is not Part.BODY:
            part = announced
        elif part < Part.PRELIMINARY:  # the name of an organ, and neither findings nor conclusions have begun
            part = Part.FINDINGS
        if after < end:
            found.append(Section(part, after, end))
    return [one for one in found if one.start < one.end]


def _marks(folded: Folded, lexicon: Lexicon) -> set[tuple[int, int, Part]]:
    """(start, end, part) of every heading."""
    text = folded.text
    marks: set[tuple[int, int, Part]] = set()
    line = 0
    for found in COLON_OR_LINE.finditer(text + "\n"):
        at = found.start()
        if found[0] == "\n":
            bare = text[line:at].strip(DECORATION) if at - line <= LONGEST else ""
            part = lexicon.headings.get(bare)
            if part is not None and (marks or part is not Part.BODY):  # a first line such as "Chest CT" is a title
                marks.add((line, at, part))
            line = at + 1
            continue
        marks |= _before_colon(folded, max(line, at - LONGEST), at, lexicon)
    for capitals in CAPITALS.finditer(folded.source):
        start = folded.at(capitals.start())
        part = lexicon.headings.get(text[start : folded.at(capitals.end())])
        if part is not None and part is not Part.BODY:
            marks.add((start, folded.at(capitals.end()), part))
    for found in INTRODUCES.finditer(text):
        if AT_BEGINNING.search(text[max(0, found.start() - 2) : found.start()]):
            marks.add((*found.span(), Part.IMPRESSION))
    return marks


def _before_colon(folded: Folded, start: int, colon: int, lexicon: Lexicon) -> set[tuple[int, int, Part]]:
    """The longest heading that ends at this colon. Organs and other weak names stand in capitals, or begin a line or sentence."""
    text = folded.text
    said = text[start:colon].rstrip()
    if said.endswith(")"):
        said = said[: max(said.rfind("("), 0)]
    words = said.split()[-MOST_WORDS:]
    for first in range(len(words)):
        name = " ".join(words[first:])
        part = lexicon.headings.get(name)
        if part is None:
            continue
        place = text.rfind(name, start, colon)
        if place < 0:
            continue
        if part is not Part.BODY and name not in lexicon.weak_headings:
            return {(place, colon + 1, part)}
        written = folded.source[slice(*folded.span(place, place + len(name)))]
        if BEFORE_HEADING.search(text, max(0, place - 4), place) or (written.isupper() and len(written) >= SHORTEST_CAPITALS):
            return {(place, colon + 1, part)}
    return set()
