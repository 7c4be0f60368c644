"""What is asked of an archive and when: rules with a given clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.domain.retrieval import Found, FoundSeries, FoundStudy, OffHours, StudyQuery, TokenBucket, choose, concerns, wanted_series
from ptx_node.errors import ConfigurationError, UsageError

PARIS = ZoneInfo("Europe/Paris")
NIGHT = OffHours.parse("22:00-06:00", PARIS)
STUDY = FoundStudy("1.2.3", "P1", "HOSPITAL", "A1", date(2026, 3, 1), ("DX", "SR"))


def at(text: str) -> datetime:
    """A moment by the clock in Paris."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"modalities": ("CR",)},
        {"patient_id": "*"},
        {"patient_id": "P?"},
        {"patient_id": "P1\\P2"},
        {"accession_number": " A1"},
        {"patient_id": "P1", "issuer_of_patient_id": "H*"},
        {"study_instance_uid": "1.2.3", "modalities": ("C*",)},
        {"issuer_of_patient_id": "HOSPITAL", "study_instance_uid": "1.2.3"},
        {"since": date(2026, 3, 2), "until": date(2026, 3, 1)},
    ],
)
def test_a_question_that_could_match_strangers_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        StudyQuery(**asked)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"patient_id": "P1"}, {"patient_id": "P10"}),
        ({"patient_id": "P1"}, {"patient_id": "p1"}),
        ({"patient_id": "P1"}, {"patient_id": ""}),
        ({"patient_id": "P1", "issuer_of_patient_id": "HOSPITAL"}, {"issuer_of_patient_id": "CLINIC"}),
        ({"patient_id": "P1", "issuer_of_patient_id": "HOSPITAL"}, {"issuer_of_patient_id": ""}),
        ({"accession_number": "A1"}, {"accession_number": "A11"}),
        ({"study_instance_uid": "1.2.3"}, {"study_instance_uid": "1.2.30"}),
        ({"since": date(2026, 3, 1), "until": date(2026, 3, 1)}, {"study_date": date(2026, 3, 2)}),
        ({"since": date(2026, 3, 1)}, {"study_date": None}),
        ({"patient_id": "P1", "modalities": ("DX", "CR")}, {"modalities": ("CT",)}),
    ],
)
def test_an_archive_that_answers_more_than_was_asked_is_not_believed(asked: dict[str, Any], answered: dict[str, Any]) -> None:
    assert concerns(StudyQuery(**asked), STUDY)
    assert not concerns(StudyQuery(**asked), replace(STUDY, **answered))


def test_an_archive_without_issuers_may_belong_to_one() -> None:
    asked = StudyQuery(patient_id="P1", issuer_of_patient_id="HOSPITAL")
    silent = FoundStudy("1.2.3", "P1")
    assert concerns(asked, silent, home_issuer="HOSPITAL")
    assert not concerns(asked, silent, home_issuer="CLINIC")


def test_a_study_whose_modalities_are_not_told_is_looked_at_by_series() -> None:
    assert concerns(StudyQuery(patient_id="P1", modalities=("DX",)), FoundStudy("1.2.3", "P1"))
    series = [FoundSeries("1.1", "DX"), FoundSeries("1.2", "PR"), FoundSeries("1.3", "")]
    assert [FoundSeries("1.1", "DX")] == wanted_series(series, ["DX", "CR"])
    assert series == wanted_series(series, [])


def test_one_number_of_two_issuers_is_asked_about() -> None:
    both = Found((STUDY, FoundStudy("1.2.4", "P1", "CLINIC")))
    with pytest.raises(UsageError, match="CLINIC, HOSPITAL"):
        choose(StudyQuery(patient_id="P1"), both)
    assert (STUDY,) == choose(StudyQuery(patient_id="P1", issuer_of_patient_id="HOSPITAL"), both)


def test_a_list_that_was_cut_short_is_no_answer() -> None:
    with pytest.raises(UsageError, match="more than 1 studies"):
        choose(StudyQuery(patient_id="P1"), Found((STUDY,), complete=False))


@pytest.mark.parametrize(
    ("clock", "open_"),
    [
        ("2026-01-10T21:59:59", False),
        ("2026-01-10T22:00", True),
        ("2026-01-11T00:00", True),
        ("2026-01-11T05:59:59", True),
        ("2026-01-11T06:00", False),
        ("2026-07-10T22:00", True),
        ("2026-07-10T21:59", False),
    ],
)
def test_a_window_over_midnight(clock: str, open_: bool) -> None:
    """By the wall clock of the site, in winter as in summer."""
    assert open_ == NIGHT.is_open(at(clock).astimezone(UTC))


def test_the_next_opening_is_told_in_any_season() -> None:
    assert at("2026-01-10T22:00") == NIGHT.next_open(at("2026-01-10T12:34:56"))
    assert at("2026-07-10T22:00") == NIGHT.next_open(at("2026-07-10T06:00"))
    assert datetime(2026, 7, 10, 20, 0, tzinfo=UTC) == NIGHT.next_open(at("2026-07-10T06:00"))
    inside = at("2026-01-10T23:15:30")
    assert inside == NIGHT.next_open(inside)


def test_a_night_in_which_clocks_change() -> None:
    """29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00."""
    spring = sum(NIGHT.is_open(datetime(2026, 3, 28, 20, 0, tzinfo=UTC) + timedelta(minutes=m)) for m in range(14 * 60))
    autumn = sum(NIGHT.is_open(datetime(2026, 10, 24, 19, 0, tzinfo=UTC) + timedelta(minutes=m)) for m in range(14 * 60))
    assert (7 * 60, 9 * 60) == (spring, autumn)


def test_an_opening_time_that_the_clock_leaves_out() -> None:
    """Half past two does not exist that night: the window opens when the clock has passed it."""
    window = OffHours.parse("02:30-05:00", PARIS)
    assert datetime(2026, 3, 29, 1, 0, tzinfo=UTC) == window.next_open(at("2026-03-29T00:30"))


@pytest.mark.parametrize("text", ["22:00", "22:00-22:00", "25:00-06:00", "22-06-04", "night"])
def test_a_window_that_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError):
        OffHours.parse(text, PARIS)


def test_the_pace_is_kept_across_restarts() -> None:
    """Six a minute: one each ten seconds, whoever started the last one."""
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert timedelta() == TokenBucket.after([], per_minute=6).wait(noon)
    bucket = TokenBucket.after([noon], per_minute=6)
    assert timedelta(seconds=10) == bucket.wait(noon)
    assert timedelta(seconds=4) == bucket.wait(noon + timedelta(seconds=6))
    assert timedelta() == bucket.wait(noon + timedelta(seconds=10))
    assert timedelta(seconds=20) == TokenBucket.after([noon, noon], per_minute=6).wait(noon)


def test_a_full_bucket_lets_some_go_at_once() -> None:
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    three = TokenBucket.after([noon] * 3, per_minute=60, capacity=3)
    assert timedelta(seconds=1) == three.wait(noon)
    assert timedelta() == TokenBucket.after([noon] * 2, per_minute=60, capacity=3).wait(noon)
    assert timedelta() == three.wait(noon + three.memory)


@given(st.lists(st.integers(0, 600), max_size=40), st.sampled_from([1.0, 6.0, 30.0, 120.0]), st.sampled_from([1.0, 4.0]))
def test_who_waits_never_exceeds_the_rate(wishes: list[int], per_minute: float, capacity: float) -> None:
    """In no minute more starts than the rate and what the bucket holds."""
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    bucket, starts, clock = TokenBucket.after([], per_minute=per_minute, capacity=capacity), [], noon
    for wish in sorted(wishes):
        clock = max(clock, noon + timedelta(seconds=wish))
        clock += bucket.wait(clock)
        bucket = bucket.take(clock)
        starts.append(clock)
    for start in starts:
        inside = sum(start <= other < start + timedelta(minutes=1) for other in starts)
        assert inside <= per_minute + capacity + 0.001
