"""What one sentence says of a pneumothorax, mention by mention: cues before and after it, and how far they reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.domain.truth import Span
    from ptx_node.reports.lexicon import Lexicon

BEFORE, AFTER = 260, 200
"""Characters that a cue may reach: long enough for lists, short enough to stay linear."""
JOINED = re.compile(r"[ ]?(?:,|/|or|and|nor|et|ou|ni|,[ ]?(?:or|nor|and|ni|ou|et))[ ](?:[a-z'-]+[ ]?){0,3}\Z")
SEPARATOR = re.compile(r"[,/(]|\band\b|\bet\b")


@dataclass(frozen=True, slots=True)
class Mention:
    """One mention, read.

    Attributes:
        value: None where it is only asked for, or is a risk.
        rule: which rule decided.
        named: the name itself, in the sentence; `evidence` with the cue that decided.
        limited: a denial of one kind, side or time only.
        qualified: a denial of a large one or of tension only.
        untold: an earlier one whose outcome the sentence does not tell.
        sign: a sign of it, not its name.
    """

    value: LabelValue | None
    rule: str
    named: Span
    evidence: Span
    limited: bool = False
    qualified: bool = False
    untold: bool = False
    sign: bool = False


@dataclass(frozen=True, slots=True)
class _Cue:
    kind: str
    start: int
    end: int


def read(sentence: str, lexicon: Lexicon) -> list[Mention]:
    """Every mention of a sentence of folded text, in its order; spans are places in the sentence."""
    everything = list(lexicon.mention.finditer(sentence))
    names = [one for one in everything if one.lastgroup is None]
    found = _read(sentence, names, lexicon)
    if any(one.value is not None for one in found):  # "pleural air, possibly a pneumothorax": the name counts, not its description
        return found
    return found + _read(sentence, [one for one in everything if one.lastgroup is not None], lexicon)


def _read(sentence: str, named: list[re.Match[str]], lexicon: Lexicon) -> list[Mention]:
    if not named:
        return []
    masked = lexicon.mask.sub(lambda one: "~" * len(one[0]) if not lexicon.mention.search(one[0]) else one[0], sentence)
    ends = [one.start() for one in lexicon.clause.finditer(masked)]
    found = []
    for place, one in enumerate(named):
        start = max([0, *(end for end in ends if end <= one.start())])
        stop = min([len(masked), *(end for end in ends if end >= one.end())])
        earlier = named[place - 1].end() if place else 0
        later = named[place + 1] if place + 1 < len(named) else None
        before = _before(masked, max(start, one.start() - BEFORE), earlier, one.start(), lexicon)
        after = masked[one.end() : min(stop, one.end() + AFTER)]
        if later is not None and later.start() < stop and not JOINED.match(masked, one.end(), later.start()):
            after = masked[one.end() : min(later.start(), one.end() + AFTER)]
        elif later is not None and later.start() < stop:
            after = masked[one.end() : later.start()] + " " * len(later[0]) + masked[later.end() : min(stop, later.end() + AFTER)]
        found.append(_decide(one, before, after, lexicon))
    return found + _untold_tail(masked, named[-1], found[-1], lexicon)


def _before(masked: str, start: int, earlier: int, mention: int, lexicon: Lexicon) -> str:
    """What stands before a mention in its clause; from the mention before it on, if cues or a statement of its own stand between."""
    if start < earlier:
        own = masked[earlier:mention]
        if (
            lexicon.before.search(own)
            or lexicon.breaks.search(own)
            or "~" in own
            or (SEPARATOR.search(own) and lexicon.new_phrase.search(own))
        ):
            return own
    return masked[start:mention]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A mention with what stands around it: the cue before it whose reach includes it, and the first of each kind behind it."""

    before: str
    after: str
    cue: _Cue | None
    follows: Mapping[str, _Cue]
    told_earlier: bool
    lexicon: Lexicon

    @property
    def kind(self) -> str:
        return self.cue.kind if self.cue is not None else ""

    @property
    def between(self) -> str:
        """From the cue, or from the beginning, to the mention."""
        return self.before[self.cue.end if self.cue is not None else 0 :]

    @property
    def persists(self) -> bool:
        return "persist" in self.follows or self.lexicon.persist.search(self.between) is not None

    def first(self, kind: str) -> bool:
        """Whether a cue of this kind follows, and nothing before it says that it is still there."""
        if kind not in self.follows:
            return False
        return "persist" not in self.follows or self.follows[kind].start < self.follows["persist"].start


@dataclass(frozen=True, slots=True)
class _Verdict:
    value: LabelValue | None
    rule: str
    cue: _Cue | None = None
    limited: bool = False
    qualified: bool = False
    untold: bool = False


def _left_open(scene: _Scene) -> _Verdict | None:
    """By "cannot be excluded", which holds a negation, before anything else that may hold one."""
    if scene.kind == "hard" or (scene.kind == "asked" and not {"hard", "limits"}.isdisjoint(scene.follows)):
        return _Verdict(LabelValue.UNCERTAIN, "uncertain-before", scene.cue)
    return _Verdict(LabelValue.UNCERTAIN, "uncertain-after", scene.follows["hard"]) if scene.first("hard") else None


def _gone(scene: _Scene) -> _Verdict | None:
    if scene.kind == "resolved":
        return _Verdict(LabelValue.RESOLVED, "resolved-before", scene.cue)
    if scene.kind != "neg" and "resolved" in scene.follows:
        return _Verdict(LabelValue.RESOLVED, "resolved-after", scene.follows["resolved"])
    return None


def _denied_before(scene: _Scene) -> _Verdict | None:
    """By "no …"; a denial of its growth, as in "no pneumothorax enlargement", says that it is there."""
    if scene.kind != "neg":
        return None
    words = scene.lexicon
    if words.growth.match(scene.after):
        return _Verdict(LabelValue.POSITIVE, "growth-denied", scene.cue)
    qualified = words.qualified.search(scene.between) is not None
    limited = qualified or words.other_side.search(scene.between) is not None or words.other_side.search(scene.after[:40]) is not None
    return _Verdict(LabelValue.NEGATIVE, "negated-before", scene.cue, limited=limited, qualified=qualified)


def _denied_after(scene: _Scene) -> _Verdict | None:
    """By "… is not seen"; where it was known to be there, that is an outcome; where it was only suspected, a denial."""
    if not scene.first("neg"):
        return None
    words = scene.lexicon
    known = scene.told_earlier or words.known.search(scene.before) is not None or words.known.search(scene.after) is not None
    suspected = scene.kind == "soft" or "soft" in scene.follows
    if known and not suspected:
        return _Verdict(LabelValue.RESOLVED, "resolved-not-seen", scene.follows["neg"])
    return _Verdict(LabelValue.NEGATIVE, "negated-after", scene.follows["neg"])


def _asked_or_past(scene: _Scene) -> _Verdict | None:
    if scene.kind == "asked":
        return _Verdict(None, "asked", scene.cue)
    if scene.kind == "history" and not scene.persists:
        return _Verdict(LabelValue.RESOLVED, "history", scene.cue)
    return None


def _doubted(scene: _Scene) -> _Verdict | None:
    """By "possible …", unless the sentence confirms what was suspected."""
    confirmed = scene.lexicon.confirmed
    if confirmed.search(scene.before) is not None or confirmed.search(scene.after) is not None:
        return None
    if scene.kind == "soft":
        return _Verdict(LabelValue.UNCERTAIN, "doubted-before", scene.cue)
    return _Verdict(LabelValue.UNCERTAIN, "doubted-after", scene.follows["soft"]) if "soft" in scene.follows else None


def _earlier_only(scene: _Scene) -> _Verdict | None:
    if scene.told_earlier and not scene.persists and scene.kind != "soft":
        return _Verdict(LabelValue.RESOLVED, "earlier", untold=True)
    return None


RULES = (_left_open, _gone, _denied_before, _denied_after, _asked_or_past, _doubted, _earlier_only)
"""In their order; what none of them takes is affirmed."""


def _decide(one: re.Match[str], before: str, after: str, lexicon: Lexicon) -> Mention:
    """The verdict of the first rule that has one."""
    cue = _cue_before(before, after, lexicon)
    kind = cue.kind if cue is not None else ""
    near = before[cue.end :] if cue is not None else before
    told_earlier = lexicon.earlier.search(near) is not None or lexicon.earlier_after.search(after) is not None
    scene = _Scene(
        before, after, cue, _cues_after(after, lexicon.after_denial if kind == "neg" else lexicon.after, lexicon), told_earlier, lexicon
    )
    verdict = next((found for rule in RULES if (found := rule(scene)) is not None), None)
    if verdict is None:
        verdict = _Verdict(LabelValue.POSITIVE, "persists" if scene.persists else "affirmed", scene.follows.get("persist"))
    start, end = one.span()
    if verdict.cue is not None:
        shift = start - len(before) if verdict.cue is cue else end
        start, end = min(start, verdict.cue.start + shift), max(end, verdict.cue.end + shift)
    return Mention(
        value=verdict.value,
        rule=verdict.rule,
        named=one.span(),
        evidence=(start, end),
        limited=verdict.limited,
        qualified=verdict.qualified,
        untold=verdict.untold,
        sign=one.lastgroup == "sign",
    )


def _cue_before(before: str, after: str, lexicon: Lexicon) -> _Cue | None:
    """The nearest cue whose reach includes the mention; a doubt or a history that is itself denied is a denial."""
    cues = [_Cue(str(one.lastgroup), *one.span()) for one in lexicon.before.finditer(before)]
    if not cues or not _reaches(before[cues[-1].end :], after, lexicon):
        return None
    last = cues[-1]
    if last.kind in ("soft", "history", "asked"):
        for one in reversed(cues[:-1]):
            if not _reaches(before[one.end : last.start] + "|", "", lexicon):
                break
            if one.kind in ("neg", "hard") or (one.kind == "asked" and last.kind == "soft"):
                return _Cue(one.kind, one.start, last.end)
    return last


def _reaches(gap: str, after: str, lexicon: Lexicon) -> bool:
    """Whether nothing between a cue and a mention begins a statement of its own."""
    if lexicon.breaks.search(gap):
        return False
    separators = list(SEPARATOR.finditer(gap))
    if not separators:
        return True
    segment = gap[separators[-1].end() :]
    if lexicon.joins.search(segment) or lexicon.joins.match(after.lstrip(" ,")):
        return True
    return lexicon.new_phrase.search(segment) is None


def _cues_after(after: str, cues: re.Pattern[str], lexicon: Lexicon) -> dict[str, _Cue]:
    """The first cue of each kind behind the mention that nothing separates from it."""
    stop = lexicon.after_breaks.search(after)
    found: dict[str, _Cue] = {}
    for one in cues.finditer(after):
        if stop is not None and one.start() > stop.start():
            break
        found.setdefault(str(one.lastgroup), _Cue(str(one.lastgroup), *one.span()))
    return found


def _untold_tail(masked: str, last: re.Match[str], mention: Mention, lexicon: Lexicon) -> list[Mention]:
    """What follows the last mention and speaks of it without a name: "…; the right persists", "…, although one cannot be excluded"."""
    if mention.value not in (LabelValue.RESOLVED, LabelValue.NEGATIVE):
        return []
    for pattern, value, rule in (
        (lexicon.ellipsis, LabelValue.POSITIVE, "other-side-persists"),
        (lexicon.unsure_tail, LabelValue.UNCERTAIN, "uncertain-tail"),
    ):
        tail = pattern.search(masked, last.end(), last.end() + AFTER)
        if tail is not None:
            return [Mention(value, rule, tail.span(), tail.span())]
    return []
