"""The words of one language for one report: its tables of sentences, and the facts as rules that the sentences ask for."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.patient import Confounder, Size
from ptx_node.simulator.reports import english, french

if TYPE_CHECKING:
    import numpy as np

    from ptx_node.simulator.patient import PleuralAir
    from ptx_node.simulator.reports.facts import Facts
    from ptx_node.simulator.reports.report import Language

ACROSS = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}
TABLES: dict[str, Any] = {"en": english, "fr": french}


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything that the sentences of one report share, drawn once, so that a report never contradicts itself."""

    language: Language
    tables: Any
    shared: dict[str, str | tuple[str, ...]]
    measures: dict[Laterality, tuple[str, float]]

    @classmethod
    def draw(cls, language: Language, facts: Facts, rng: np.random.Generator) -> Wording:
        """Measures are read off the screen, to the millimetre and not quite exactly."""
        measures = {}
        for air in facts.airs:
            depth_mm = float(max(1, round(air.depth_mm * rng.normal(1, 0.05))))
            measures[air.side] = (_measure(language, depth_mm, centimetres=bool(rng.random() < 0.3)), depth_mm)
        shared = _shared(language, facts, rng)
        return cls(language, TABLES[language], shared, measures)

    def side(self, side: Laterality, *, feminine: bool = False) -> str:
        """The word for a side."""
        if side is Laterality.BILATERAL:
            return str(self.tables.BOTH) + ("e" if feminine else "")
        return str((self.tables.SIDES_F if feminine else self.tables.SIDES)[side.value])

    def rules(self, side: Laterality, airs: tuple[PleuralAir, ...] = ()) -> dict[str, str | tuple[str, ...]]:
        """What sentences about this side may ask for."""
        larger = max(airs, key=lambda air: air.depth_mm) if airs else None
        size = larger.size if larger is not None else Size.SMALL
        measure = self.measures.get(larger.side if larger is not None else side, ("", 0.0))[0]
        french_too = self.language == "fr"
        rules: dict[str, str | tuple[str, ...]] = {
            **self.tables.RULES,
            **self.shared,
            "side": self.side(side),
            "other": self.side(ACROSS[side]),
            "size": self.tables.SIZES[size],
            "place": self.tables.PLACES[size],
            "measure": measure,
            "larger": self.side(side, feminine=french_too),
        }
        if french_too:
            rules |= {"side_f": self.side(side, feminine=True), "other_f": self.side(ACROSS[side], feminine=True)}
            rules["side_p"] = self.side(side, feminine=True) + "s"
        return rules


def _measure(language: Language, depth_mm: float, *, centimetres: bool) -> str:
    if not centimetres or depth_mm < 5:
        return f"{depth_mm:.0f} mm"
    said = f"{depth_mm / 10:.1f} cm"
    return said.replace(".", ",") if language == "fr" else said


def _shared(language: Language, facts: Facts, rng: np.random.Generator) -> dict[str, str | tuple[str, ...]]:
    """Sides, lobes and numbers of everything but the pneumothorax."""
    tables = TABLES[language]
    names = {
        "effusion": Confounder.EFFUSION,
        "bulla": Confounder.BULLA,
        "consolidation": Confounder.CONSOLIDATION,
        "emphysema": Confounder.SUBCUTANEOUS_AIR,
        "tube": Confounder.CHEST_TUBE,
    }
    shared: dict[str, str | tuple[str, ...]] = {}
    for name, confounder in names.items():
        side = facts.sides.get(confounder, Laterality.RIGHT)
        both = side is Laterality.BILATERAL
        shared[name] = tables.BOTH if both else tables.SIDES[side.value]
        if language == "fr":
            shared[name + "_f"] = "bilatérale" if both else tables.SIDES_F[side.value]
    shared["lobe"] = str(tables.LOBES[facts.lobe])
    person = {"en": ("man", "woman"), "fr": ("Homme", "Femme")}[language]
    shared["person"] = person[0 if facts.sex == "M" else 1]
    shared["age"] = str(facts.age_years)
    shared["date"] = f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/{rng.integers(2015, 2024)}"
    shared["fluid"] = str(rng.integers(8, 35))
    shared["above"] = str(rng.integers(2, 7))
    return shared


TYPOS = ("pneumothroax", "pneumothorx", "penumothorax", "pneumothoax", "pneumotorax", "pneumo thorax")


@dataclass(frozen=True, slots=True)
class Hand:
    """How this reader types: drawn once a report."""

    abbreviates: bool
    loses_accents: bool
    shouts: bool
    mistypes: float

    @classmethod
    def draw(cls, language: Language, rng: np.random.Generator) -> Hand:
        """Most readers type properly."""
        chance = rng.random(4)
        return cls(
            bool(chance[0] < 0.12),
            bool(language == "fr" and chance[1] < 0.2),
            bool(chance[2] < 0.05),
            0.25 if chance[3] < 0.06 else 0.0,
        )

    def typed(self, sentence: str, words: Wording, rng: np.random.Generator, *, stop: bool = True) -> str:
        """A finished sentence as this reader leaves it."""
        said = sentence
        if words.language == "en":
            said = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", said)
        if self.abbreviates:
            for long, short in words.tables.ABBREVIATIONS:
                edge = r"\b" if long.strip() == long else ""
                said = re.sub(edge + re.escape(long) + edge, short, said, flags=re.IGNORECASE)
        if self.mistypes and rng.random() < self.mistypes:
            said = said.replace("pneumothorax", TYPOS[int(rng.integers(len(TYPOS)))], 1)
        said = said[:1].upper() + said[1:]
        if stop and said[-1:] not in ".?!:":
            said += "."
        return self.spelt(said)

    def spelt(self, text: str) -> str:
        """Without what this reader's keyboard leaves out; for headings too."""
        if self.loses_accents:
            text = text.replace("œ", "oe").replace("Œ", "OE")
            text = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
        return text.upper() if self.shouts else text
