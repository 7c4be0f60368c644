"""Radiology reports labelled a second, on one core: ordinary ones of about a thousand characters, in both languages.

Run by hand: `make bench BENCH=label`. Processor time, so that a busy machine is not held against the labeller; beside it what any
reader of the same texts would do first: letters without accents by the standard library, and one word looked for.
"""

from __future__ import annotations

import argparse
import re
import time
import unicodedata
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from ptx_node.reports import label_report
from ptx_node.simulator.patient import draw_patient
from ptx_node.simulator.reports import Part, write
from ptx_node.simulator.reports.report import CtReport, Language

BOUND_PER_S = 2000.0
"""At least so many reports a second on one core."""
CHARACTERS = 1000
"""What an ordinary report has; simulated ones are shorter, so the findings of others are added."""
ROUNDS = 5
WORD = re.compile(r"\bpneumothorax\b")


def reports(language: Language, count: int) -> list[str]:
    """SIMULATED reports; organs of other reports, without a word of a pneumothorax, make them as long as ordinary ones."""
    written = [write(draw_patient(seed), language=language, seed=seed) for seed in range(count)]
    fillers = [_organs(one) for one in written]
    texts = []
    for number, one in enumerate(written):
        text, place = one.text, number
        home = next((section for section in one.sections if section.part is Part.FINDINGS), one.sections[-1])
        while len(text) < CHARACTERS:
            place = (place + 1) % count
            text = text[: home.start + len(home.heading) + 2] + fillers[place] + " " + text[home.start + len(home.heading) + 2 :]
        texts.append(text)
    return texts


def _organs(report: CtReport) -> str:
    """The findings without the sentences that decide."""
    home = next((one for one in report.sections if one.part is Part.FINDINGS), report.sections[-1])
    inside = [span for span in report.spans if home.start <= span[0] < home.end]
    pieces, done = [], home.start + len(home.heading)
    for start, end in inside:
        pieces.append(report.text[done:start])
        done = end
    return " ".join("".join([*pieces, report.text[done : home.end]]).split()).lstrip(": ")


def peer(text: str) -> bool:
    """Plain letters, and whether the word stands in them."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(one))
    return WORD.search(plain) is not None


def per_second(texts: list[str], read: Callable[[str], object]) -> float:
    """The best of some rounds, in reports a second of processor time."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for text in texts:
            read(text)
        taken.append(time.process_time() - begun)
    return len(texts) / min(taken)


def main() -> int:
    """Print the table; 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=300, help="of each language")
    arguments = parser.parse_args()
    table = Table(title=f"radiology reports labelled on one core, {arguments.reports} of each language", title_justify="left")
    columns = (
        "language",
        "characters each",
        "a second, language given",
        "a second, language told by its words",
        "folded, one word looked for",
    )
    for column in (*columns, "its time / ours"):
        table.add_column(column, justify="right")
    slowest = float("inf")
    languages: tuple[Language, ...] = ("en", "fr")
    for language in languages:
        texts = reports(language, arguments.reports)
        given, told = per_second(texts, partial(label_report, language=language)), per_second(texts, label_report)
        other = per_second(texts, peer)
        slowest = min(slowest, given, told)
        length = sum(map(len, texts)) / len(texts)
        table.add_row(language, f"{length:.0f}", f"{given:.0f}", f"{told:.0f}", f"{other:.0f}", f"{told / other:.2f}")
    Console(width=120).print(table)
    print(f"bound: {BOUND_PER_S:.0f} a second: {'kept' if slowest >= BOUND_PER_S else 'MISSED'}")
    return 0 if slowest >= BOUND_PER_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
