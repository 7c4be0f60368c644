"""How sentences become a page: headings or none, lists, numbers, wrapped lines; and where each sentence ended up in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.simulator.reports.report import Part, Section

if TYPE_CHECKING:
    import numpy as np

    from ptx_node.domain.truth import Span
    from ptx_node.simulator.reports.wording import Hand, Wording


@dataclass(frozen=True, slots=True)
class Sentence:
    """A finished sentence and where it belongs.

    Attributes:
        topic: key of the language's TOPICS, for reports that go organ by organ; "" outside the findings.
        decides: whether it carries the label.
    """

    part: Part
    text: str
    topic: str = ""
    decides: bool = False


class Headings(StrEnum):
    """How the parts are told apart."""

    BLOCK = "block"
    """A heading in its own line, the text below."""
    INLINE = "inline"
    """The heading, a colon and the text in one line."""
    ORGANS = "organs"
    """As inline, and the findings organ by organ."""
    IMPRESSION = "impression"
    """Only the impression has one."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Style:
    """How one report is laid out."""

    headings: Headings
    upper: bool
    bullet: str
    lines: bool
    width: int | None
    gap: str

    @property
    def headed(self) -> bool:
        """Whether indication and comparison stand under headings."""
        return self.headings not in (Headings.NONE, Headings.IMPRESSION)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Style:
        """By chance."""
        return cls(
            headings=Headings(str(rng.choice(list(Headings), p=(0.24, 0.3, 0.18, 0.13, 0.15)))),
            upper=bool(rng.random() < 0.5),
            bullet=str(rng.choice(["", "1. ", "1) ", "1/ ", "- "], p=(0.5, 0.2, 0.08, 0.06, 0.16))),
            lines=bool(rng.random() < 0.3),
            width=int(rng.choice([60, 72, 80])) if rng.random() < 0.3 else None,
            gap=str(rng.choice(["\n", "\n\n"], p=(0.6, 0.4))),
        )


@dataclass(slots=True)
class Page:
    """Text that grows, with the places of what was written."""

    style: Style
    text: str = ""
    sections: list[Section] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def write(self, words: str, *, decides: bool = False) -> None:
        """Append; a deciding sentence leaves its span."""
        if decides:
            self.spans.append((len(self.text), len(self.text) + len(words)))
        self.text += words


def lay_out(sentences: list[Sentence], style: Style, words: Wording, hand: Hand, rng: np.random.Generator) -> Page:
    """The page of these sentences, parts in their order."""
    page = Page(style)
    for part in Part:
        held = [one for one in sentences if one.part is part]
        if not held:
            continue
        if page.text:
            page.write(style.gap if style.headings is not Headings.NONE or style.lines else " ")
        start = len(page.text)
        heading = _heading(part, style, words, hand, rng)
        if heading:
            page.write(heading)
        if part is Part.FINDINGS and style.headings is Headings.ORGANS:
            _organs(page, held, words, hand, rng)
        else:
            _sentences(page, held)
        page.sections.append(Section(part, heading.strip(" :\n"), start, len(page.text)))
    page.text = _wrapped(page.text, style.width)
    return page


def _heading(part: Part, style: Style, words: Wording, hand: Hand, rng: np.random.Generator) -> str:
    known = words.tables.HEADINGS.get(part.value)
    if known is None or style.headings is Headings.NONE or (style.headings is Headings.IMPRESSION and part is not Part.IMPRESSION):
        return ""
    name = str(known[int(rng.integers(len(known)))])
    name = hand.spelt(name.upper() if style.upper else name[:1] + name[1:].lower())
    colon = " :" if words.language == "fr" else ":"
    if style.headings is Headings.BLOCK:
        return name + (colon if rng.random() < 0.5 else "") + "\n"
    return name + colon + " "


def _organs(page: Page, held: list[Sentence], words: Wording, hand: Hand, rng: np.random.Generator) -> None:
    """One line an organ, in the order in which the organs first come up."""
    colon = " : " if words.language == "fr" else ": "
    for topic in dict.fromkeys(one.topic for one in held):
        names = words.tables.TOPICS[topic]
        page.write("\n" + hand.spelt(str(names[int(rng.integers(len(names)))])) + colon)
        for place, one in enumerate(one for one in held if one.topic == topic):
            page.write(" " if place else "")
            page.write(one.text, decides=one.decides)


def _sentences(page: Page, held: list[Sentence]) -> None:
    """A paragraph, lines, or in the impression a list."""
    style = page.style
    listed = style.bullet if held[0].part is Part.IMPRESSION and style.headings is not Headings.NONE and len(held) > 1 else ""
    if listed and page.text and not page.text.endswith("\n"):
        page.write("\n")
    for place, one in enumerate(held):
        if place:
            page.write("\n" if listed or (style.lines and one.part is Part.FINDINGS) else " ")
        page.write(listed.replace("1", str(place + 1)))
        page.write(one.text, decides=one.decides)


def _wrapped(text: str, width: int | None) -> str:
    """Lines no longer than so many characters: spaces become line ends, so that no place in the text moves."""
    if width is None:
        return text
    page = list(text)
    start, space = 0, -1
    for place, letter in enumerate(text):
        if letter == "\n":
            start, space = place + 1, -1
        elif letter == " ":
            space = place
        if place - start >= width and space > start:
            page[space] = "\n"
            start, space = space + 1, -1
    return "".join(page)
