"""The labeller of radiology reports: on sets written for it in two languages, on the simulator's reports, and on text that is none."""

from __future__ import annotations

import json
import random
import re
import time
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptx_node.cli.app import main
from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue, ReportLabel, ReviewReason
from ptx_node.reports import label_report, labeller
from ptx_node.reports.lexicon import lexicon
from ptx_node.reports.sections import Part, sections
from ptx_node.reports.text import fold
from ptx_node.simulator.patient import draw_patient
from ptx_node.simulator.reports import write

SETS = Path(__file__).with_name("report_sets")
LANGUAGES = {"english": "en", "french": "fr"}
STAGES = ("development", "held", "blind", "shorthand")


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    value: LabelValue
    laterality: Laterality | None
    depth_mm: float | None
    drain: bool


def cases(language: str, stage: str) -> list[Case]:
    """Reports of one file: a line `@ label side depth drain`, then the text up to the next such line."""
    path = SETS / f"{language}_{stage}.txt"
    found = []
    for number, block in enumerate(path.read_text(encoding="utf-8").split("\n@ ")[1:], start=1):
        head, text = block.split("\n", 1)
        value, *more = head.split()
        side = next((Laterality(word) for word in more if word in list(Laterality)), None)
        depth = next((float(word.removesuffix("mm")) for word in more if word.endswith("mm")), None)
        found.append(Case(f"{path.stem}-{number}", text.rstrip("\n"), LabelValue(value), side, depth, "drain" in more))
    return found


EVERY = [(language, case) for language in LANGUAGES for stage in STAGES for case in cases(language, stage)]


@pytest.mark.parametrize(("language", "case"), EVERY, ids=[case.name for _, case in EVERY])
def test_a_report_of_our_sets_is_labelled_as_its_writer_meant_it(language: str, case: Case) -> None:
    found = label_report(case.text)
    assert (case.value, LANGUAGES[language]) == (found.value, found.language), found
    if case.value in (LabelValue.POSITIVE, LabelValue.UNCERTAIN):
        assert (case.laterality, case.depth_mm, case.drain) == (found.laterality, found.depth_mm, found.drain), found


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("Tiny left apical pneumothorax. Moderate right effusion.", "tiny"),
        ("Moderate-sized right pneumothorax, small effusion.", "moderate-sized"),
        ("Small to moderate right pneumothorax.", "small to moderate"),
        ("Right pneumothorax with small pleural effusion.", ""),
        ("No large pneumothorax.", ""),
        ("Volumineux pneumothorax gauche, petit épanchement liquidien.", "volumineux"),
        ("Pneumothorax droit de faible abondance.", "de faible abondance"),
        ("Pneumothorax droit.", ""),
    ],
)
def test_the_words_for_its_size_are_its_own(text: str, size: str) -> None:
    assert size == label_report(text).size


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sets_are_large_and_hold_every_label(language: str) -> None:
    held = [case for one, case in EVERY if one == language]
    assert len(held) >= 200
    assert len({case.text for case in held}) == len(held)
    assert set(LabelValue) == {case.value for case in held}
    assert min(Counter(case.value for case in held if case.value is not LabelValue.NOT_COVERED).values()) >= 8


@cache
def simulated(language: str, count: int = 200) -> list[tuple[object, ReportLabel]]:
    written = [write(draw_patient(seed), language=language, seed=seed) for seed in range(30_000, 30_000 + count)]  # type: ignore[arg-type]
    return [(report, label_report(report.text)) for report in written]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_simulated_reports_are_read_as_they_were_meant(language: str) -> None:
    """Another grammar than the rules', by another hand, but in the same house: a check of the reading, no measure of accuracy."""
    read = simulated(language)
    agree: Counter[str] = Counter()
    for report, found in read:
        agree["label"] += report.label is found.value  # type: ignore[attr-defined]
        agree["language"] += found.language == language
        agree["drain"] += report.drain is found.drain  # type: ignore[attr-defined]
        positive = report.label is LabelValue.POSITIVE  # type: ignore[attr-defined]
        agree["side"] += not positive or report.laterality is found.laterality  # type: ignore[attr-defined]
        agree["depth"] += not positive or report.depth_mm == found.depth_mm  # type: ignore[attr-defined]
    assert {key: count for key, count in agree.items() if count < 0.97 * len(read)} == {}
    wrong = [found for report, found in read if found.value is LabelValue.POSITIVE and report.label is not LabelValue.POSITIVE]  # type: ignore[attr-defined]
    assert wrong == []


PIECES = [*"nNoO .,;:?!\n\r\t-éÉùœßİﬁ\u00a0\u00ad\u0301\u0327\u200b\u2019\u2013x1\U0001f600", "\r\n", "pneumothorax", "pas de ", "no "]
ODD = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
SAID = st.sampled_from(
    [
        "No pneumothorax",
        "Small left PNEUMOTHORAX",
        "Épanchement gazeux pleural",
        "pneumo-\nthorax",
        "pneu-\nmothorax persists",
        "Pas de pneumothorax",
    ]
)


@given(before=ODD, said=SAID, after=ODD)
@settings(max_examples=150, deadline=None)
def test_the_evidence_lies_in_its_sentence_and_names_it_in_the_text_as_it_came(before: str, said: str, after: str) -> None:
    text = f"{before}\n\n{said}.\n\n{after}"
    found = label_report(text)
    if found.sentence is None or found.evidence is None:
        assert found.value in (LabelValue.NOT_MENTIONED, LabelValue.NOT_COVERED)
        return
    assert 0 <= found.sentence[0] <= found.evidence[0] < found.evidence[1] <= found.sentence[1] <= len(text)
    assert lexicon(found.language).mention.search(fold(text[slice(*found.evidence)]).text) is not None
    assert text[slice(*found.evidence)] in text[slice(*found.sentence)]


@given(ODD)
@settings(max_examples=150, deadline=None)
def test_folding_keeps_the_way_back(text: str) -> None:
    folded = fold(text)
    places = range(len(text)) if folded.places is None else folded.places
    assert len(places) == len(folded.text)
    assert list(places) == sorted(places)
    for start in range(len(folded.text)):
        first, last = folded.span(start, start + 1)
        assert 0 <= first < last <= len(text)


@given(st.text(max_size=300), st.sampled_from(["en", "fr", "auto"]))
@settings(max_examples=100, deadline=None)
def test_any_text_has_a_label(text: str, language: str) -> None:
    assert label_report(text, language).labeller == labeller()  # type: ignore[arg-type]


@pytest.mark.parametrize("spelling", ["NFC", "NFD"])
def test_accents_may_be_composed_or_not(spelling: Literal["NFC", "NFD"]) -> None:
    text = unicodedata.normalize(spelling, "Résultats\u00a0: épan\u00adchement gazeux pleural gauche. Œdème.")
    found = label_report(text)
    assert (LabelValue.POSITIVE, Laterality.LEFT) == (found.value, found.laterality)
    assert found.evidence is not None
    assert unicodedata.normalize("NFC", text[slice(*found.evidence)]) == "épan\u00adchement gazeux"


def test_line_ends_and_wrapped_words_do_not_change_the_label() -> None:
    text = "FINDINGS:\nThere is no focal consolidation, pleural effusion or\npneumothorax. The me-\ndiastinum is stable."
    for ends in ("\n", "\r\n", "\r"):
        assert label_report(text.replace("\n", ends)).value is LabelValue.NEGATIVE
    assert label_report("Small left pneumo-\r\nthorax.").value is LabelValue.POSITIVE
    assert label_report("Small left pneumotho-\nrax.").value is LabelValue.POSITIVE


ADVERSARIAL = {
    "one word": "pneumothorax " * 20_000,
    "no end": "no change in the " * 15_000 + "pneumothorax",
    "negations": "no or without, " * 17_000 + "pneumothorax",
    "spaces": " " * 250_000 + "pneumothorax",
    "lines": "\n" * 250_000 + "pneumothorax",
    "questions": "? " * 125_000 + "pneumothorax",
    "colons": "findings: " * 25_000 + "pneumothorax",
    "hyphens": "pneu-\n" * 40_000,
    "almost": "pneumo" * 40_000,
    "digits": "1.2.3 x 4 " * 25_000 + "mm pneumothorax",
    "accents": "é\u0301" * 120_000 + " pneumothorax",
    "air": "air in the air within " * 11_000 + "pneumothorax",
    "épanchement": "épanchement pleural " * 12_000 + "gazeux",
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_text_made_to_be_slow_is_not(name: str) -> None:
    """A quarter of a million characters each; quadratic work would take minutes. Twice the text takes about twice the time."""
    for language in ("en", "fr"):
        begun = time.process_time()
        label_report(ADVERSARIAL[name], language)
        assert time.process_time() - begun < 3.0


def test_a_megabyte_of_random_words_is_read_in_seconds() -> None:
    said = "no small left pneumothorax effusion or , . ; : \n of seen is not with cannot be excluded pas de épanchement gazeux 12 mm drain"
    words = re.split(" ", said)
    text = " ".join(random.Random(1).choices(words, k=190_000))
    begun = time.process_time()
    found = label_report(text)
    assert time.process_time() - begun < 8.0
    assert ReviewReason.TOO_LONG in found.review


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FINDINGS: Small left pneumothorax. IMPRESSION: No pneumothorax.", ReviewReason.IMPRESSION_AGAINST_FINDINGS),
        ("FINDINGS: No pneumothorax. IMPRESSION: Small left pneumothorax.", ReviewReason.IMPRESSION_AGAINST_FINDINGS),
        ("RESULTATS : Pneumothorax gauche. CONCLUSION : Pas de pneumothorax.", ReviewReason.IMPRESSION_AGAINST_FINDINGS),
        ("FINDINGS: Small left pneumothorax. No pneumothorax is seen.", ReviewReason.CONTRADICTION),
        ("IMPRESSION: No pneumothorax.\nADDENDUM: There is a small left pneumothorax.", ReviewReason.ADDENDUM_AGAINST_REPORT),
        ("No tension pneumothorax.", ReviewReason.QUALIFIED_NEGATION),
        ("Previously noted left pneumothorax. Lungs are clear.", ReviewReason.OUTCOME_NOT_TOLD),
        ("Visceral pleural line at the left apex.", ReviewReason.SIGN_WITHOUT_NAME),
        ("WET READ: small left pneumothorax", ReviewReason.OUTSIDE_FINDINGS),
        ("CT ABDOMEN AND PELVIS. Small right pneumothorax on the uppermost slices.", ReviewReason.OTHER_REGION),
    ],
)
def test_what_is_doubtful_says_why(text: str, reason: ReviewReason) -> None:
    found = label_report(text)
    assert reason in found.review, found
    assert found.needs_review


@pytest.mark.parametrize(
    "text",
    [
        "FINDINGS: Small left apical pneumothorax. No tension pneumothorax. No right pneumothorax. IMPRESSION: Small left pneumothorax.",
        "No pneumothorax.",
        "FINDINGS: Possible pneumothorax. IMPRESSION: Small left pneumothorax.",
    ],
)
def test_what_is_plain_is_not_for_review(text: str) -> None:
    assert not label_report(text).needs_review


def test_sections_are_found_with_and_without_colons_in_lines_and_in_one_line() -> None:
    kinds = [Part.INDICATION, Part.COMPARISON, Part.FINDINGS, Part.IMPRESSION]
    for text in (
        "INDICATION: pain. COMPARISON: None. FINDINGS: Clear. IMPRESSION: Normal.",
        "INDICATION: pain COMPARISON: None FINDINGS: Clear IMPRESSION: Normal",
        "Indication\npain\nComparison\nNone\nFindings\nClear.\nImpression\nNormal.",
        "INDICATION Pain for days. COMPARISON None. FINDINGS The lungs are clear. IMPRESSION Normal chest.",
    ):
        assert kinds == [one.part for one in sections(fold(text), lexicon("en"))]
    french = "RENSEIGNEMENTS CLINIQUES : toux.\nComparaison : aucune.\nRESULTATS\nRAS.\nAu total, normal."
    assert kinds == [one.part for one in sections(fold(french), lexicon("fr"))]


def test_the_version_names_the_rules() -> None:
    number, digest = labeller().split("-")
    assert number.isdigit()
    assert len(digest) == 12
    assert label_report("").labeller == labeller()


def test_the_command_reads_text_files_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "label", "Petit pneumothorax gauche de 8 mm.", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert ("positive", "left", 8.0, "fr") == (said["label"], said["laterality"], said["depth_mm"], said["language"])
    assert said["evidence_text"] == "pneumothorax"
    report = tmp_path / "report.txt"
    report.write_bytes("Épanchement gazeux pleural droit.\r\n".encode("cp1252"))
    assert main(["reports", "label", str(report), "--lang", "fr"]) == 0
    assert "positive" in capsys.readouterr().out
    report.write_text("No pneumothorax.\n\nSmall left ptx\n", encoding="utf-8")
    assert main(["reports", "label", str(report), "--lines"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(1, "negative"), (2, "not_mentioned"), (3, "positive")] == [(row["line"], row["label"]) for row in rows]


def test_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "label", "no such file", "--lines"]) == 2
    assert "there is no file 'no such file'" in capsys.readouterr().err
