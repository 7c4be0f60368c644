"""The CT report of a simulated patient: what is said is decided first, then worded, then laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue
from ptx_node.simulator.reports.compose import compose
from ptx_node.simulator.reports.facts import Facts
from ptx_node.simulator.reports.layout import Sentence, Style, lay_out
from ptx_node.simulator.reports.report import CtReport, Odds, Part
from ptx_node.simulator.reports.statement import decide
from ptx_node.simulator.reports.wording import TABLES, Hand, Wording

if TYPE_CHECKING:
    from ptx_node.simulator.patient import Patient
    from ptx_node.simulator.reports.layout import Page
    from ptx_node.simulator.reports.report import Language
    from ptx_node.simulator.reports.statement import Statement

USUAL = Odds()


def write(patient: Patient, *, language: Language, seed: int, odds: Odds = USUAL) -> CtReport:
    """What the radiologist dictates of this patient's CT; the same seed writes the same report.

    Raises:
        ValueError: for a language other than "en" and "fr".
    """
    if language not in TABLES:
        raise ValueError(f"reports are written in {' and '.join(TABLES)}, not in {language!r}")
    rng = np.random.default_rng([patient.seed, seed, 5, *language.encode()])
    facts = Facts.of(patient)
    statement = decide(facts, odds, rng)
    words, hand, style = Wording.draw(language, facts, rng), Hand.draw(language, rng), Style.draw(rng)
    draft = compose(facts, statement, words, rng, headed=style.headed)
    typed = [
        Sentence(one.part, hand.typed(one.text, words, rng, stop=one.part is not Part.TITLE), one.topic, one.decides)
        for one in draft.sentences
    ]
    page = lay_out(typed, style, words, hand, rng)
    positive = statement.label is LabelValue.POSITIVE
    return CtReport(
        text=page.text,
        sections=tuple(page.sections),
        language=language,
        label=statement.label,
        truth=bool(patient.airs),
        laterality=_laterality(statement),
        size=max(statement.airs, key=lambda air: air.depth_mm).size if positive else None,
        depth_mm=_depth_mm(page, words) if positive else None,
        drain=draft.drain,
        spans=tuple(page.spans),
        status="final" if rng.random() < odds.final else str(rng.choice(["preliminary", "corrected"])),
    )


def _laterality(statement: Statement) -> Laterality | None:
    if statement.label is LabelValue.POSITIVE:
        return statement.side if len(statement.airs) == 1 else Laterality.BILATERAL
    return statement.side if statement.label is LabelValue.UNCERTAIN else None


def _depth_mm(page: Page, words: Wording) -> float | None:
    """The largest measure that found its way into a deciding sentence."""
    told = [page.text[start:end].replace("\n", " ").lower() for start, end in page.spans]
    depths = [depth_mm for said, depth_mm in words.measures.values() if any(said.lower() in one for one in told)]
    return max(depths) if depths else None
