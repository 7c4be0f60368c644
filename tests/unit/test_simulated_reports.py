"""The simulated radiologist's CT report: its label is true of the patient and of the text, and no two are alike."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest

from ptx_node.domain.finding import Laterality
from ptx_node.domain.truth import LabelValue
from ptx_node.simulator.patient import Confounder, Patient, Size, Wishes, draw_patient
from ptx_node.simulator.reports import CtReport, Odds, Part, write
from ptx_node.simulator.reports.grammar import GrammarError, expand

LANGUAGES = ("en", "fr")
NAMED = re.compile(
    r"p(ne|en)umo ?t(h[ro]|o)\w+|\bptx\b|\bpno\b|air-fluid level|panchement (pleural )?(gaz|a[ée]r|mixte|hydro-)|d[ée]collement",
    re.IGNORECASE,
)
DENIES = re.compile(
    r"\b(no|without|w/o|neither|nor|absence|absent|none|excluded|ruled out|negative|free of|clear of|not)\b"
    r"|\b(pas|ni|aucun|absence|absent|sans|ss|élimin|elimin|exclu|écart|ecart|non)",
    re.IGNORECASE,
)


@cache
def many(language: str, count: int = 600) -> tuple[tuple[Patient, CtReport], ...]:
    return tuple((patient, write(patient, language=language, seed=seed)) for seed in range(count) for patient in [draw_patient(seed)])


def deciding(report: CtReport) -> list[str]:
    return [report.text[start:end].replace("\n", " ") for start, end in report.spans]


def outside_of_indication(report: CtReport) -> str:
    kept = [one for one in report.sections if one.part in (Part.FINDINGS, Part.IMPRESSION, Part.CLOSING)]
    return " ".join(report.text[one.start : one.end] for one in kept)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_seed_writes_the_same_report_and_another_seed_another(language: str) -> None:
    patient = draw_patient(4)
    assert write(patient, language=language, seed=1) == write(patient, language=language, seed=1)
    assert len({write(patient, language=language, seed=seed).text for seed in range(50)}) > 45


@pytest.mark.parametrize("language", LANGUAGES)
def test_reports_of_different_patients_differ_and_so_do_their_deciding_sentences(language: str) -> None:
    reports = [report for _, report in many(language)]
    assert len(reports) == len({report.text for report in reports})
    assert len({one for report in reports for one in deciding(report)}) > 450


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_label_follows_the_patient(language: str) -> None:
    for patient, report in many(language):
        assert bool(patient.airs) is report.truth
        if patient.airs:
            assert report.label in (LabelValue.POSITIVE, LabelValue.UNCERTAIN)
            assert report.label is LabelValue.POSITIVE or patient.size in (Size.OCCULT, Size.SMALL)
        else:
            assert report.label is not LabelValue.POSITIVE
        if report.label is LabelValue.POSITIVE:
            assert (patient.laterality, patient.size) == (report.laterality, report.size)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_label_comes_up_about_as_often_as_its_odds_say(language: str) -> None:
    found = Counter(report.label for patient, report in many(language) if not patient.airs)
    total = sum(found.values())
    assert 0.14 < found[LabelValue.NOT_MENTIONED] / total < 0.27
    assert 0.04 < found[LabelValue.RESOLVED] / total < 0.13
    assert 0.003 < found[LabelValue.UNCERTAIN] / total < 0.05
    assert found[LabelValue.NEGATIVE] / total > 0.6


@pytest.mark.parametrize("language", LANGUAGES)
def test_odds_of_one_make_every_occult_one_uncertain_and_every_negative_resolved(language: str) -> None:
    odds = Odds(occult_uncertain=1, negative_resolved=1, negative_uncertain=0)
    sick = draw_patient(3, Wishes(laterality=Laterality.LEFT, size=Size.OCCULT))
    well = draw_patient(3, Wishes(laterality="none"))
    for seed in range(20):
        assert write(sick, language=language, seed=seed, odds=odds).label is LabelValue.UNCERTAIN
        assert write(sick, language=language, seed=seed, odds=odds).laterality is Laterality.LEFT
        assert write(well, language=language, seed=seed, odds=odds).label is LabelValue.RESOLVED


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_without_a_word_of_it_names_it_in_the_indication_at_most(language: str) -> None:
    silent = [report for _, report in many(language) if report.label is LabelValue.NOT_MENTIONED]
    assert [] == [report.text for report in silent if NAMED.search(outside_of_indication(report)) or report.spans]
    assert any(NAMED.search(report.text) for report in silent)


@pytest.mark.parametrize("language", LANGUAGES)
def test_spans_hold_whole_sentences_that_name_it_and_deny_it_in_negatives(language: str) -> None:
    for _, report in many(language):
        if report.label is LabelValue.NOT_MENTIONED:
            continue
        assert report.spans, report.text
        for one in deciding(report):
            assert NAMED.search(one), one
            assert one[-1] in ".?", one
            if report.label is LabelValue.NEGATIVE:
                assert DENIES.search(one), one


@pytest.mark.parametrize("language", LANGUAGES)
def test_spans_lie_in_findings_or_impression(language: str) -> None:
    for _, report in many(language):
        homes = [one for one in report.sections if one.part in (Part.FINDINGS, Part.IMPRESSION)]
        assert all(any(home.start <= start and end <= home.end for home in homes) for start, end in report.spans)


@pytest.mark.parametrize(("language", "words"), [("en", ("right", "left")), ("fr", ("droit", "gauche"))])
def test_a_positive_sentence_names_the_right_side(language: str, words: tuple[str, str]) -> None:
    checked = 0
    for patient, report in many(language):
        if report.label is not LabelValue.POSITIVE or patient.laterality is Laterality.BILATERAL:
            continue
        told = " ".join(deciding(report)).lower()
        here, there = words if patient.laterality is Laterality.RIGHT else words[::-1]
        abbreviated = re.search(rf"\b{here[0]}\b", told) is not None
        shift = re.search(r"mediastin|médiastin", told) is not None
        assert here in told or abbreviated, told
        assert there not in told or shift, told
        checked += 1
    assert checked > 200


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_measure_in_the_text_is_near_the_patients(language: str) -> None:
    told = [(patient, report) for patient, report in many(language) if report.depth_mm is not None]
    assert len(told) > 60
    for patient, report in told:
        assert any(abs(report.depth_mm / air.depth_mm - 1) < 0.35 for air in patient.airs), report.text
        millimetres = f"{report.depth_mm:.0f} mm"
        centimetres = {f"{report.depth_mm / 10:.1f} cm", f"{report.depth_mm / 10:.1f}".replace(".", ",") + " cm"}
        flat = report.text.lower().replace("\n", " ")
        assert millimetres in flat or any(one in flat for one in centimetres)


@pytest.mark.parametrize(("language", "words"), [("en", "effusion|fluid|hydro"), ("fr", "panchement|lame liquidienne|hydro|liquid")])
def test_an_effusion_is_told_of_those_who_have_one(language: str, words: str) -> None:
    for seed in range(40):
        patient = draw_patient(seed, Wishes(confounders=frozenset({Confounder.EFFUSION}), laterality="none"))
        report = write(patient, language=language, seed=seed)
        findings = outside_of_indication(report).replace("\n", " ")
        assert re.search(words, findings, re.IGNORECASE), findings
        assert not re.search(r"no (pleural )?effusion|ni épanchement|pas d'épanchement (pleural|liquidien)", findings, re.IGNORECASE), (
            findings
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_drain_is_told_exactly_when_there_is_one(language: str) -> None:
    for patient, report in many(language):
        assert (Confounder.CHEST_TUBE in patient.confounders) is report.drain


def test_some_french_reports_lose_their_accents_and_some_have_no_heading() -> None:
    reports = [report for _, report in many("fr")]
    plain = sum(report.text.isascii() for report in reports) / len(reports)
    bare = sum(not any(one.heading for one in report.sections) for report in reports) / len(reports)
    assert 0.1 < plain < 0.35
    assert 0.05 < bare < 0.3


def test_a_language_nobody_writes_is_refused() -> None:
    with pytest.raises(ValueError, match="'de'"):
        write(draw_patient(1), language="de", seed=1)  # type: ignore[arg-type]


def test_a_grammar_chooses_nests_and_leaves_out() -> None:
    said = {expand("a [b|[c|d] <e>|] .", np.random.default_rng(seed), {"e": ("f", "[g|h]")}) for seed in range(200)}
    assert {"a b.", "a c f.", "a d f.", "a c g.", "a d g.", "a c h.", "a d h.", "a."} == said


@pytest.mark.parametrize("sentence", ["a [b", "a ]b", "a | b", "<nobody>", "<loop>", "a <b"])
def test_a_sentence_that_is_not_well_formed_is_refused(sentence: str) -> None:
    with pytest.raises(GrammarError):
        expand(sentence, np.random.default_rng(0), {"loop": "<loop>"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_report_shows_the_grammar_it_was_made_with(language: str) -> None:
    for _, report in many(language):
        assert not re.search(r"[\[\]<>|]|  |\( | \)| \.(?!\d)", report.text), report.text
