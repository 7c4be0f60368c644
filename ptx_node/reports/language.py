"""English or French, told by the small words that no report of either does without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptx_node.reports.text import Folded

ENGLISH = frozenset((
    "and", "are", "at", "be", "been", "cannot", "chest", "clear", "ct", "decreasing", "effusion", "either", "evidence", "findings",
    "for", "has", "have", "head", "heart", "history", "in", "increasing", "interval", "is", "knee", "known", "large", "left",
    "line", "liver", "lung", "lungs", "moderate", "mri", "negative", "new", "no", "normal", "not", "of", "on", "or", "out",
    "possible", "post", "previously", "prior", "resolved", "right", "rule", "seen", "since", "small", "space", "stable", "the",
    "there", "tiny", "to", "tube", "ultrasound", "unchanged", "versus", "vs", "was", "were", "which", "with", "without",
))  # fmt: skip
FRENCH = frozenset((
    "absence", "apparition", "au", "aucun", "aucune", "aux", "avec", "ce", "cerebral", "ces", "conclusion", "connu", "dans",
    "de", "decollement", "des", "disparition", "doute", "droit", "droite", "droites", "droits", "du", "echographie", "elimine",
    "en", "epanchement", "est", "et", "exclu", "foie", "gauche", "gauches", "gazeuse", "gazeux", "genou", "il", "inchange", "irm",
    "la", "lame", "le", "les", "minime", "minimes", "ne", "ni", "non", "on", "par", "pas", "persistance", "petit",
    "petite", "petits", "pleurale", "pleurales", "plevre", "pno", "poumon", "poumons", "presence", "quelques", "recidive",
    "regression", "residuel", "resolu", "resultats", "sans", "scanner", "sont", "stabilite", "sur", "suspicion", "tdm", "un", "une",
    "visible",
))  # fmt: skip
GAPS = str.maketrans(dict.fromkeys(".,;:'()/-?!\"", " "))
ELIDED = (" d'", " l'", " n'")
"""Of folded text; a letter alone is a side or an answer in either language."""
FRENCH_MARKS = ("é", "è", "à", "É", " :", " ;", "\u00a0:")
"""Accents, and the space that French puts before these marks."""
READ = 2000
"""So many characters are enough."""


def language_of(folded: Folded) -> str:
    """One of "en" and "fr"; English where nothing tells."""
    words = folded.text[:READ].translate(GAPS).split()
    french = len([word for word in words if word in FRENCH]) + sum(folded.text.count(mark, 0, READ) for mark in ELIDED)
    french += sum(folded.source.count(mark, 0, READ) for mark in FRENCH_MARKS)
    return "fr" if french > len([word for word in words if word in ENGLISH]) else "en"
