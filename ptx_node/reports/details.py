"""Side, size, depth and drain: what the words around a mention say of it beside whether it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ptx_node.domain.finding import Laterality

if TYPE_CHECKING:
    from ptx_node.reports.lexicon import Lexicon

NUMBER = r"(\d{1,3}(?:[.,]\d{1,2})?)"
MEASURE = re.compile(rf"(?<![\d.,/]){NUMBER}(?:[ ]?(?:mm|cm)?[ ]?(?:-|to|a|x|by)[ ]?{NUMBER})?[ -]?(mm|cm|millimet\w*|centimet\w*)\b")
FORMER = re.compile(
    r"\b(?:previously|formerly|prior|from|versus|vs|compared (?:to|with)|contre|anterieurement|precedemment)\b[^,;0-9]{0,25}\Z"
)
SAYS_MORE = re.compile(
    r"(?:it|this|which|il|elle|ce dernier|the|its|sa|son|avec)?[ ]?(?:pneumothorax )?(?:measur|maxim|depth|thickness|width|greatest|up to"
    r"|epaisseur|decollement|mesur|taille|estime)"
)
DEEPEST_MM = 300.0
NEAR = 80
"""Characters around a mention within which a word for a side or a size may belong to it."""
ENDS = re.compile(r"[;.(]|\b(?:with|without|avec|sans|pas|no|and|et|mais|but|than|que)\b")
TOWARDS = re.compile(r"\b(?:to the|toward|towards|vers la|vers le)[ ]\Z")


def side(text: str, start: int, end: int, lexicon: Lexicon) -> Laterality | None:
    """Side of the mention `text[start:end]` in its sentence; None where the sentence tells none."""
    before = text[max(0, start - NEAR) : start]
    phrase = before[max(before.rfind(mark) for mark in (",", ";", ":", "(", " with ", " avec ")) + 1 :]
    after = text[end : end + NEAR]
    stop = ENDS.search(after)
    following = after[: stop.start()] if stop is not None else after
    places = ((phrase, True), (following, False)) if lexicon.language == "en" else ((following, False), (phrase, True))
    if any(one.lastgroup == "both" and _own(after, one, lexicon) for one in lexicon.side.finditer(re.split(r"[;.(,]", after)[0])):
        return Laterality.BILATERAL
    for piece, nearest_last in places:
        found = [one for one in lexicon.side.finditer(piece) if _own(piece, one, lexicon)]
        if any(one.lastgroup == "both" for one in found):
            return Laterality.BILATERAL
        if found:
            return Laterality(str(found[-1 if nearest_last else 0].lastgroup))
    whole = [
        (abs(one.start() - start), one)
        for one in lexicon.side.finditer(text)
        if not TOWARDS.search(text, max(0, one.start() - 12), one.start())
    ]
    own = [pair for pair in whole if _own(text, pair[1], lexicon)]
    if not whole:
        return None
    name = min(own or whole, key=lambda pair: pair[0])[1].lastgroup
    return Laterality.BILATERAL if name == "both" else Laterality(str(name))


def _own(text: str, word: re.Match[str], lexicon: Lexicon) -> bool:
    """Whether a side is not that of a tube, a rib or a shift: nothing else that has sides stands close to it."""
    if TOWARDS.search(text, max(0, word.start() - 12), word.start()):
        return False
    if lexicon.language == "en":
        near = text[word.end() : word.end() + 30].split(",", 1)[0]
    else:
        near = text[max(0, word.start() - 30) : word.start()].rsplit(",", 1)[-1]
    return lexicon.other_owner.search(near) is None


def size(text: str, start: int, end: int, lexicon: Lexicon) -> str:
    """The words for its size nearest to the mention, or ""."""
    first = max(0, start - NEAR)
    before = [one for one in lexicon.size.finditer(text, first, start) if lexicon.other_owner.search(text, one.end(), start) is None]
    after = [
        one
        for one in lexicon.size.finditer(text, end, end + NEAR)
        if lexicon.other_owner.search(text, end, min(one.end() + 25, len(text))) is None
    ]
    both = [(start - one.end(), one[0]) for one in before] + [(one.start() - end, one[0]) for one in after]
    return min(both)[1].strip() if both else ""


def depths_mm(text: str, start: int, end: int, lexicon: Lexicon) -> list[float]:
    """Measures of the mention in its sentence, in mm; of a range the larger; not those of an earlier examination."""
    found = []
    for one in MEASURE.finditer(text):
        gap = text[end : one.start()] if one.start() >= end else text[one.end() : start]
        if one.end() <= start and (
            ";" in gap or lexicon.other_owner.search(gap) or lexicon.other_owner.search(text, max(0, one.start() - 25), one.start())
        ):
            continue
        if (
            lexicon.other_owner.search(re.split(r"[,(]", gap)[-1]) is None
            and lexicon.other_owner.match(text, one.end() + 1) is None
            and not FORMER.search(text, 0, one.start())
        ):
            found += _mm(one)
    return found


def more_depths_mm(sentence: str) -> list[float]:
    """Measures in a sentence that goes on about the mention before it: "It measures …"; empty for any other."""
    return [depth for one in MEASURE.finditer(sentence) for depth in _mm(one)] if SAYS_MORE.match(sentence) else []


def _mm(measure: re.Match[str]) -> list[float]:
    numbers = [float(one.replace(",", ".")) for one in measure.groups()[:2] if one]
    depth = max(numbers) * (10 if measure[3].startswith("c") else 1)
    return [round(depth, 2)] if 0 < depth <= DEEPEST_MM else []


def drain_side(text: str, lexicon: Lexicon) -> Laterality | None:
    """Side of the pleural drains that are told, where it is one; a pneumothorax named without a side is looked for there."""
    sides = {
        word.lastgroup
        for one in lexicon.drain.finditer(text)
        for word in [*lexicon.side.finditer(text, max(0, one.start() - 25), min(one.end() + 20, len(text)))]
    }
    return Laterality(str(sides.pop())) if len(sides) == 1 and "both" not in sides else None


def drain(text: str, lexicon: Lexicon) -> bool:
    """Whether a pleural drain is told that is not told to be gone, absent or only considered."""
    for one in lexicon.drain.finditer(text):
        before, after = text[max(0, one.start() - 60) : one.start()], text[one.end() : one.end() + 80]
        before = before[max(before.rfind(mark) for mark in (".", ";", ":")) + 1 :]
        if lexicon.drain_gone.search(before) is None and lexicon.drain_gone_after.match(after) is None:
            return True
    return False
