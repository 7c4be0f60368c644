"""What a report says of the pneumothorax itself: which label the reader gives, and the sentences that carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue
from ptx_node.simulator.patient import Confounder, Size
from ptx_node.simulator.reports.grammar import pick

if TYPE_CHECKING:
    import numpy as np

    from ptx_node.simulator.patient import PleuralAir
    from ptx_node.simulator.reports.facts import Facts
    from ptx_node.simulator.reports.report import Odds
    from ptx_node.simulator.reports.wording import Wording

SIDES = (Laterality.RIGHT, Laterality.LEFT)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is decided before a word is written.

    Attributes:
        side: told by an uncertain or resolved report, or of the larger pneumothorax.
    """

    label: LabelValue
    side: Laterality
    airs: tuple[PleuralAir, ...]

    @property
    def other(self) -> Laterality:
        """The side across."""
        return Laterality.LEFT if self.side is Laterality.RIGHT else Laterality.RIGHT


def decide(facts: Facts, odds: Odds, rng: np.random.Generator) -> Statement:
    """The label of the report: the truth, but for what the odds leave open or unsaid."""
    chance = float(rng.random())
    if facts.airs:
        larger = max(facts.airs, key=lambda air: air.depth_mm)
        open_odds = {Size.OCCULT: odds.occult_uncertain, Size.SMALL: odds.small_uncertain}.get(larger.size, 0.0)
        label = LabelValue.POSITIVE
        if chance < odds.missed:
            label = LabelValue.NEGATIVE
        elif chance < odds.missed + open_odds:
            label = LabelValue.UNCERTAIN
        return Statement(label, larger.side, facts.airs)
    side = SIDES[int(rng.integers(2))]
    for confounder in (Confounder.CHEST_TUBE, Confounder.BULLA):
        side = facts.sides.get(confounder, side)
    ladder = (
        (LabelValue.UNCERTAIN, odds.negative_uncertain),
        (LabelValue.RESOLVED, odds.negative_resolved),
        (LabelValue.NOT_MENTIONED, odds.negative_not_mentioned),
    )
    for label, share in ladder:
        if chance < share:
            return Statement(label, side, ())
        chance -= share
    return Statement(LabelValue.NEGATIVE, side, ())


def long_form(statement: Statement, facts: Facts, words: Wording, rng: np.random.Generator) -> list[str]:
    """As among the findings: one sentence, or one a side."""
    text = words.tables
    if statement.label is LabelValue.POSITIVE:
        if len(statement.airs) > 1 and rng.random() < 0.5:
            return [pick(text.POSITIVE_BOTH, rng, words.rules(statement.side, statement.airs))]
        return [_positive(air, facts, words, rng) for air in statement.airs]
    sentences = {
        LabelValue.NEGATIVE: _negative(facts, words, rng),
        LabelValue.UNCERTAIN: text.UNCERTAIN,
        LabelValue.RESOLVED: text.RESOLVED,
        LabelValue.NOT_MENTIONED: (),
    }[statement.label]
    return [pick(sentences, rng, words.rules(statement.side, statement.airs))] if sentences else []


def short_form(statement: Statement, words: Wording, rng: np.random.Generator) -> list[str]:
    """As in the impression."""
    text = words.tables
    if statement.label is LabelValue.POSITIVE:
        if len(statement.airs) > 1 and rng.random() < 0.6:
            return [pick(text.POSITIVE_BOTH_SHORT, rng, words.rules(statement.side, statement.airs))]
        return [pick(text.POSITIVE_SHORT, rng, words.rules(air.side, (air,))) for air in statement.airs]
    sentences = {
        LabelValue.NEGATIVE: text.NEGATIVE_SHORT,
        LabelValue.UNCERTAIN: text.UNCERTAIN_SHORT,
        LabelValue.RESOLVED: text.RESOLVED_SHORT,
        LabelValue.NOT_MENTIONED: (),
    }[statement.label]
    return [pick(sentences, rng, words.rules(statement.side, statement.airs))] if sentences else []


def besides(statement: Statement, words: Wording, rng: np.random.Generator) -> list[str]:
    """What a positive report denies or adds: the other side, tension, the collapsed lung. These never decide the label."""
    if statement.label is not LabelValue.POSITIVE or len(statement.airs) != 1:
        return []
    air = statement.airs[0]
    rules = words.rules(air.side, statement.airs)
    said = []
    if rng.random() < 0.3:
        said.append(pick(words.tables.REST_OTHER, rng, rules))
    if air.size is not Size.TENSION and rng.random() < 0.25:
        said.append(pick(words.tables.REST_MILD, rng, rules))
    if air.size in (Size.MEDIUM, Size.LARGE, Size.TENSION) and rng.random() < 0.35:
        said.append(pick(words.tables.REST_COLLAPSED, rng, rules))
    return said


def _positive(air: PleuralAir, facts: Facts, words: Wording, rng: np.random.Generator) -> str:
    text = words.tables
    special: list[tuple[str, ...]] = []
    if air.size is Size.OCCULT:
        special.append(text.POSITIVE_OCCULT)
    if air.size is Size.TENSION:
        special.append(text.POSITIVE_TENSION)
    if facts.has(Confounder.CHEST_TUBE, air.side):
        special.append(text.POSITIVE_DRAINED)
    if facts.has(Confounder.EFFUSION, air.side):
        special.append(text.POSITIVE_FLUID)
    table = text.POSITIVE
    if special and rng.random() < 0.5:
        table = special[int(rng.integers(len(special)))]
    return pick(table, rng, words.rules(air.side, (air,)))


def _negative(facts: Facts, words: Wording, rng: np.random.Generator) -> tuple[str, ...]:
    """Denials that fit what else the patient has: nobody writes "no effusion or pneumothorax" of an effusion."""
    text = words.tables
    fitting: list[tuple[str, ...]] = [text.NEGATIVE]
    if not facts.has(Confounder.EFFUSION):
        fitting += [text.NEGATIVE_CLEAN] * 2
        if not facts.has(Confounder.CONSOLIDATION):
            fitting.append(text.NEGATIVE_CLEAR)
    if facts.skin_fold:
        fitting.append(text.NEGATIVE_FOLD)
    if facts.has(Confounder.BULLA):
        fitting.append(text.NEGATIVE_BULLA)
    if facts.has(Confounder.CHEST_TUBE):
        fitting.append(text.NEGATIVE_TUBE)
    return fitting[int(rng.integers(len(fitting)))]
