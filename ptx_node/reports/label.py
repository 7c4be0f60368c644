"""The label of a radiology report: which of its statements decides, and what else the deciding statements say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue, ReportLabel, ReviewReason
from ptx_node.reports import details
from ptx_node.reports.language import language_of
from ptx_node.reports.lexicon import labeller, lexicon
from ptx_node.reports.reading import Told, parts, told
from ptx_node.reports.sections import Part
from ptx_node.reports.text import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.reports.lexicon import Lexicon
    from ptx_node.reports.text import Folded

Language = Literal["en", "fr", "auto"]
STRENGTH = (LabelValue.POSITIVE, LabelValue.UNCERTAIN, LabelValue.RESOLVED, LabelValue.NEGATIVE)
"""What is said in one section: the first of these that is said decides."""
BEGINNING = 300
"""Characters in which an examination names itself."""
WEAK = ("history", "earlier")
"""Rules that tell of the past only: anything said of today is stronger."""


def label_report(text: str, language: Language = "auto") -> ReportLabel:
    """What the report says of a pneumothorax now; the same text and rules give the same label. Takes any text, of any length.

    Args:
        text: as it came from the information system.
        language: "en", "fr", or "auto" to tell by the words.
    """
    folded = fold(text)
    spoken = language_of(folded) if language == "auto" else language
    words = lexicon(spoken)
    cut = parts(folded, words)
    everything, cut_off = told(folded, cut, words)
    chosen, review = _decide(everything)
    drain = any(details.drain(folded.text[one.start : one.end].replace("\n", " "), words) for one in cut if one.part is not Part.INDICATION)
    if cut_off:
        review.append(ReviewReason.TOO_LONG)
    if chosen is None or chosen.mention.value is None:
        value, rule = _silent(folded.text, words, asked=bool(everything))
        return ReportLabel(value, rule, spoken, labeller(), drain=drain, review=tuple(review))
    value = chosen.mention.value
    if chosen.part is Part.COMPARISON:
        value = LabelValue.RESOLVED
    if _elsewhere(folded.text[:BEGINNING], words):
        review.append(ReviewReason.OTHER_REGION)
    telling = [one for one in everything if one.mention.value is value and one.part not in (Part.INDICATION, Part.COMPARISON)]
    described = value in (LabelValue.POSITIVE, LabelValue.UNCERTAIN)
    start, end = chosen.sentence
    first, last = chosen.mention.evidence
    return ReportLabel(
        value=value,
        rule=chosen.mention.rule if chosen.part is not Part.COMPARISON else "comparison-only",
        language=spoken,
        labeller=labeller(),
        laterality=_laterality(telling, everything, folded, words) if described else None,
        size=_size([chosen, *telling], folded, words) if described else "",
        depth_mm=_depth_mm(telling, folded, words) if value is LabelValue.POSITIVE else None,
        drain=drain,
        sentence=folded.span(start, end),
        evidence=folded.span(start + first, start + last),
        review=tuple(dict.fromkeys(review)),
    )


def _decide(everything: Sequence[Told]) -> tuple[Told | None, list[ReviewReason]]:
    """The statement that decides, and what a person should look at."""
    everything = _named(everything)
    review: list[ReviewReason] = []
    findings = _strongest(_current([one for one in everything if one.part in (Part.FINDINGS, Part.BODY)]), review)
    impression = _strongest([one for one in everything if one.part is Part.IMPRESSION], review)
    chosen = _between(impression, findings, review)
    addendum = _strongest([one for one in everything if one.part is Part.ADDENDUM], review)
    if addendum is not None:
        if chosen is not None and chosen.mention.value is not addendum.mention.value:
            review.append(ReviewReason.ADDENDUM_AGAINST_REPORT)
        chosen = addendum
    if chosen is None:
        chosen = _strongest([one for one in everything if one.part is Part.PRELIMINARY or _tells_in_title(one)], review)
        if chosen is not None:
            review.append(ReviewReason.OUTSIDE_FINDINGS)
    if chosen is None:
        chosen = _strongest([one for one in everything if one.part is Part.COMPARISON], review)
        if chosen is not None and chosen.mention.value not in (LabelValue.POSITIVE, LabelValue.RESOLVED):
            return None, []
    if chosen is not None:
        review += _doubts(chosen)
    return chosen, review


def _named(everything: Sequence[Told]) -> list[Told]:
    """Without signs where it is named as well, and without signs that are denied."""
    names = [one for one in everything if not one.mention.sign]
    if any(one.part is Part.BODY or (one.mention.value is not None and one.part >= Part.FINDINGS) for one in names):
        return names
    return [one for one in everything if not one.mention.sign or one.mention.value in (LabelValue.POSITIVE, LabelValue.UNCERTAIN)]


def _current(found: list[Told]) -> list[Told]:
    """In a report without headings, without what is asked before the technique or, as a bare doubt, in the first sentences."""
    later = [one for one in found if not one.preamble]
    if any(one.mention.value is not None for one in later) or any(one.preamble for one in found):
        found = later
    firm = [one for one in found if not (one.bare and one.mention.rule.startswith("doubted"))]
    told_firmly = any(one.mention.value is not None and not one.mention.limited and one.mention.rule not in WEAK for one in firm)
    return firm if told_firmly else found


def _strongest(found: Sequence[Told], review: list[ReviewReason]) -> Told | None:
    """The statement that decides among those of one section; the first of the strongest."""
    said = [one for one in found if one.mention.value is not None]
    firm = [one for one in said if one.mention.rule not in WEAK] or said
    for value in STRENGTH:
        of_value = [one for one in firm if one.mention.value is value]
        if not of_value:
            continue
        if value is LabelValue.POSITIVE and any(one.mention.value is LabelValue.NEGATIVE and not one.mention.limited for one in firm):
            review.append(ReviewReason.CONTRADICTION)
        return of_value[0]
    return None


def _between(impression: Told | None, findings: Told | None, review: list[ReviewReason]) -> Told | None:
    """The impression decides, but for a denial of tension or of another side only, and for what is only told of the past."""
    if impression is None or findings is None:
        return impression or findings
    short, long = impression.mention, findings.mention
    if short.value is long.value:
        return impression
    if short.rule in WEAK or (short.limited and long.value is not LabelValue.NEGATIVE):
        return findings
    if long.rule in WEAK or long.limited:
        return impression
    if {short.value, long.value} == {LabelValue.RESOLVED, LabelValue.NEGATIVE}:
        return impression if short.value is LabelValue.RESOLVED else findings
    if not (short.value is LabelValue.POSITIVE and long.value is LabelValue.UNCERTAIN):
        review.append(ReviewReason.IMPRESSION_AGAINST_FINDINGS)
    return impression


def _tells_in_title(one: Told) -> bool:
    """A title that names it without a word more is only a request."""
    return one.part is Part.TITLE and one.mention.rule != "affirmed"


def _doubts(chosen: Told) -> list[ReviewReason]:
    mention = chosen.mention
    doubts = {
        ReviewReason.SIGN_WITHOUT_NAME: mention.sign,
        ReviewReason.QUALIFIED_NEGATION: mention.qualified,
        ReviewReason.OUTCOME_NOT_TOLD: mention.untold,
    }
    return [reason for reason, applies in doubts.items() if applies]


def _silent(text: str, words: Lexicon, *, asked: bool) -> tuple[LabelValue, str]:
    """What a report is that says nothing of it: of the thorax, or of something else."""
    if asked:
        return LabelValue.NOT_MENTIONED, "asked-only"
    if _elsewhere(text[:BEGINNING], words) or (words.elsewhere.search(text) is not None and words.thorax.search(text) is None):
        return LabelValue.NOT_COVERED, "other-region"
    return LabelValue.NOT_MENTIONED, "silent"


def _elsewhere(beginning: str, words: Lexicon) -> bool:
    """Whether the examination names another region at the beginning, and not the thorax before or close behind it."""
    region = words.elsewhere.search(beginning)
    return region is not None and words.thorax.search(beginning, 0, region.end() + 40) is None


def _laterality(telling: Sequence[Told], everything: Sequence[Told], folded: Folded, words: Lexicon) -> Laterality | None:
    """All sides that the deciding statements tell, or else the only one that the report tells of it anywhere."""
    for group in (telling, everything):
        sides = {_side(one, folded, words) for one in group} - {None}
        if sides:
            left_and_right = Laterality.BILATERAL in sides or len(sides) > 1
            if left_and_right and group is everything and group is not telling:
                return None
            return Laterality.BILATERAL if left_and_right else sides.pop()
    return details.drain_side(folded.text.replace("\n", " "), words)


def _side(one: Told, folded: Folded, words: Lexicon) -> Laterality | None:
    start, end = one.mention.named
    sentence = folded.text[slice(*one.sentence)].replace("\n", " ")
    if one.mention.rule == "other-side-persists":
        return details.side(sentence[start:end], 0, 0, words)
    return details.side(sentence, start, end, words)


def _size(telling: Sequence[Told], folded: Folded, words: Lexicon) -> str:
    for one in telling:
        said = details.size(folded.text[slice(*one.sentence)].replace("\n", " "), *one.mention.named, words)
        if said:
            return said
    return ""


def _depth_mm(telling: Sequence[Told], folded: Folded, words: Lexicon) -> float | None:
    depths: list[float] = []
    for one in telling:
        depths += details.depths_mm(folded.text[slice(*one.sentence)].replace("\n", " "), *one.mention.named, words)
        depths += details.more_depths_mm(one.following)
    return max(depths, default=None)
