"""The sentences of a report, part by part, each true of the patient; what they say of the pneumothorax comes from `statement`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue
from ptx_node.simulator.patient import Confounder
from ptx_node.simulator.reports.grammar import pick
from ptx_node.simulator.reports.layout import Sentence
from ptx_node.simulator.reports.report import Part
from ptx_node.simulator.reports.statement import besides, long_form, short_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ptx_node.simulator.reports.facts import Facts
    from ptx_node.simulator.reports.statement import Statement
    from ptx_node.simulator.reports.wording import Wording

WHERE = {
    LabelValue.POSITIVE: (0.30, 0.08),
    LabelValue.NEGATIVE: (0.62, 0.10),
    LabelValue.UNCERTAIN: (0.40, 0.10),
    LabelValue.RESOLVED: (0.50, 0.10),
    LabelValue.NOT_MENTIONED: (1.0, 0.0),
}
"""Odds that the label stands in the findings only, and in the impression only."""


FLUID = re.compile("effusion|fluid|[ée]panchement", re.IGNORECASE)


@dataclass(slots=True)
class Draft:
    """Sentences not yet typed, and whether one of them says that a drain is in place."""

    facts: Facts
    statement: Statement
    words: Wording
    rng: np.random.Generator
    sentences: list[Sentence] = field(default_factory=list)
    drain: bool = False

    def say(self, part: Part, sentences: Sequence[str], topic: str = "") -> None:
        """One of these, unless it would say the same twice."""
        said = Sentence(part, pick(sentences, self.rng, self.words.rules(self.statement.side, self.statement.airs)), topic)
        if said not in self.sentences:
            self.sentences.append(said)

    def chance(self, odds: float) -> bool:
        """Whether it happens this time."""
        return bool(self.rng.random() < odds)


def compose(facts: Facts, statement: Statement, words: Wording, rng: np.random.Generator, *, headed: bool) -> Draft:
    """All sentences, in the order in which they are read; `headed` where indication and comparison will have their headings."""
    draft = Draft(facts, statement, words, rng)
    findings_only, impression_only = WHERE[statement.label]
    chance = float(rng.random())
    in_findings = not findings_only <= chance < findings_only + impression_only
    in_impression = chance >= findings_only
    _before(draft, headed=headed)
    _findings(draft, states=in_findings)
    _impression(draft, states=in_impression)
    if draft.chance(0.2):
        draft.say(Part.CLOSING, words.tables.CLOSING)
    return draft


def _before(draft: Draft, *, headed: bool) -> None:
    """Title, indication, technique, comparison: what may name a pneumothorax and never decides.

    Without a heading a reader cannot tell an indication from a finding: then they name none that would change the label. A
    comparison that tells of one makes it history, so that no report without another word of it has one.
    """
    tables, label = draft.words.tables, draft.statement.label
    known = {LabelValue.POSITIVE: 0.3, LabelValue.RESOLVED: 0.6, LabelValue.NEGATIVE: 0.08 if headed else 0}.get(label, 0.0)
    asked = 0.4 if headed or label is not LabelValue.NOT_MENTIONED else 0.0
    tells = 0.2 if headed and label is not LabelValue.NOT_MENTIONED else 0.0
    if draft.chance(0.5):
        draft.say(Part.TITLE, tables.TITLES)
    if draft.chance(0.9):
        chance = float(draft.rng.random())
        if chance < known:
            draft.say(Part.INDICATION, tables.INDICATION_KNOWN)
        else:
            draft.say(Part.INDICATION, tables.INDICATION_ASKED if chance < known + asked else tables.INDICATION)
    if draft.chance(0.7):
        draft.say(Part.TECHNIQUE, tables.TECHNIQUE)
    if draft.chance(0.6):
        draft.say(Part.COMPARISON, tables.COMPARISON_TELLS if draft.chance(tells) else tables.COMPARISON)


def _findings(draft: Draft, *, states: bool) -> None:
    """Organ by organ, in the order that this reader goes."""
    organs = [_lungs, _middle, _wall, _devices]
    order = [int(place) for place in draft.rng.permutation(len(organs))] if draft.chance(0.4) else list(range(len(organs)))
    first = draft.chance(0.45)
    if first:
        _pleura(draft, states=states)
    for place in order:
        organs[place](draft)
        if not first and organs[place] is _lungs:
            _pleura(draft, states=states)


def _pleura(draft: Draft, *, states: bool) -> None:
    facts, tables = draft.facts, draft.words.tables
    if states:
        said = long_form(draft.statement, facts, draft.words, draft.rng)
        draft.sentences += [Sentence(Part.FINDINGS, one, "pleura", decides=True) for one in said]
        draft.sentences += [Sentence(Part.FINDINGS, one, "pleura") for one in besides(draft.statement, draft.words, draft.rng)]
    side = facts.sides.get(Confounder.EFFUSION)
    if side is not None:
        draft.say(Part.FINDINGS, tables.EFFUSION_BOTH if side is Laterality.BILATERAL else tables.EFFUSION, "pleura")
    elif draft.chance(0.3) and not any(one.decides and FLUID.search(one.text) for one in draft.sentences):
        draft.say(Part.FINDINGS, tables.NO_EFFUSION, "pleura")


def _lungs(draft: Draft) -> None:
    facts, tables = draft.facts, draft.words.tables
    if facts.has(Confounder.CONSOLIDATION):
        draft.say(Part.FINDINGS, tables.CONSOLIDATION, "lungs")
    elif draft.chance(0.6) or not draft.sentences:
        draft.say(Part.FINDINGS, tables.LUNGS_CLEAR, "lungs")
    if facts.has(Confounder.BULLA):
        draft.say(Part.FINDINGS, tables.BULLA, "lungs")
    if draft.chance(0.4):
        draft.say(Part.FINDINGS, tables.LUNGS, "lungs")


def _middle(draft: Draft) -> None:
    for _ in range(int(draft.rng.integers(0, 3))):
        draft.say(Part.FINDINGS, draft.words.tables.MEDIASTINUM, "middle")


def _wall(draft: Draft) -> None:
    if draft.facts.has(Confounder.SUBCUTANEOUS_AIR):
        draft.say(Part.FINDINGS, draft.words.tables.SUBCUTANEOUS, "wall")
    if draft.chance(0.5):
        draft.say(Part.FINDINGS, draft.words.tables.BONES, "wall")


def _devices(draft: Draft) -> None:
    tables = draft.words.tables
    if draft.facts.has(Confounder.CHEST_TUBE):
        draft.say(Part.FINDINGS, tables.TUBE, "devices")
        draft.drain = True
    for device in draft.facts.devices:
        if draft.chance(0.8):
            draft.say(Part.FINDINGS, tables.DEVICES[device.value], "devices")


def _impression(draft: Draft, *, states: bool) -> None:
    """What the reader takes home; left out by some where the findings already say it."""
    facts, tables = draft.facts, draft.words.tables
    if not states and draft.chance(0.25):
        return
    items = []
    if states:
        items = [Sentence(Part.IMPRESSION, one, decides=True) for one in short_form(draft.statement, draft.words, draft.rng)]
    found = len(draft.sentences)
    for confounder, table in ((Confounder.CONSOLIDATION, tables.CONSOLIDATION), (Confounder.BULLA, tables.BULLA)):
        if facts.has(confounder) and draft.chance(0.6):
            draft.say(Part.IMPRESSION, table)
    if facts.has(Confounder.EFFUSION) and draft.chance(0.6):
        both = facts.sides[Confounder.EFFUSION] is Laterality.BILATERAL
        draft.say(Part.IMPRESSION, tables.EFFUSION_BOTH if both else tables.EFFUSION)
    others = draft.sentences[found:]
    del draft.sentences[found:]
    if not facts.sides and not facts.airs and draft.statement.label is not LabelValue.UNCERTAIN and (not states or draft.chance(0.3)):
        draft.say(Part.IMPRESSION, tables.IMPRESSION_PLAIN)
        others = draft.sentences[found:]
        del draft.sentences[found:]
    draft.sentences += items + others if draft.chance(0.7) else others + items
