"""Pseudonyms: the same within one key, others with any other, and dates that keep a patient's intervals."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.dicom.identity import uid_problem
from ptx_node.domain.pseudonym import LONGEST_SHIFT_DAYS, Pseudonyms, age_string_told, age_told, patient_identity
from ptx_node.errors import ConfigurationError

SECRET = b"a secret of the site, 32 bytes.."
PSEUDONYMS = Pseudonyms(SECRET, "2026")
text = st.text(max_size=40)
days = st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 1, 1))


def everything(pseudonyms: Pseudonyms, value: str) -> tuple[str, str, str]:
    return pseudonyms.patient(value), pseudonyms.accession(value), pseudonyms.uid(value)


@given(st.text(min_size=1, max_size=40).filter(lambda value: value.strip(" \0")))
def test_the_same_key_gives_the_same_and_every_other_key_another(value: str) -> None:
    assert everything(PSEUDONYMS, value) == everything(Pseudonyms(SECRET, "2026"), value)
    for other in (Pseudonyms(SECRET, "2027"), Pseudonyms(SECRET[::-1], "2026")):
        assert not set(everything(PSEUDONYMS, value)) & set(everything(other, value))


@given(st.lists(text, unique_by=lambda value: value.strip(" \0"), min_size=2, max_size=20))
def test_different_inputs_stay_different_and_kinds_do_not_meet(values: list[str]) -> None:
    for make in (PSEUDONYMS.patient, PSEUDONYMS.accession, PSEUDONYMS.uid):
        assert len({make(value) for value in values}) == len(values)


@given(text.filter(lambda value: value.strip(" \0")))
def test_pseudonyms_fit_their_attributes(value: str) -> None:
    assert re.fullmatch(r"P[A-Z2-7]{16}", PSEUDONYMS.patient(value))
    assert re.fullmatch(r"A[A-Z2-7]{15}", PSEUDONYMS.accession(value))
    assert uid_problem(PSEUDONYMS.uid(value)) is None
    assert PSEUDONYMS.uid(value).startswith("2.25.")


def test_padding_makes_no_other_person_and_nothing_stays_nothing() -> None:
    assert PSEUDONYMS.uid("1.2.3\0") == PSEUDONYMS.uid("1.2.3")
    assert PSEUDONYMS.accession("A1 ") == PSEUDONYMS.accession("A1")
    assert patient_identity(" 12 ", "HOSP") == patient_identity("12", "HOSP ")
    assert PSEUDONYMS.uid("") == PSEUDONYMS.accession(" ") == ""


def test_a_number_of_another_issuer_is_another_patient() -> None:
    identities = {patient_identity("12", "A"), patient_identity("12", "B"), patient_identity("12"), patient_identity("2", "A1")}
    assert len({PSEUDONYMS.patient(identity) for identity in identities}) == 4


@given(text, days, days)
def test_intervals_of_a_patient_stay_and_no_date_does(identity: str, first: date, second: date) -> None:
    moved, later = PSEUDONYMS.shifted(identity, first), PSEUDONYMS.shifted(identity, second)
    assert moved is not None
    assert later is not None
    assert later - moved == second - first
    assert timedelta(days=1) <= first - moved <= timedelta(days=LONGEST_SHIFT_DAYS)


@given(text, days)
def test_a_sunday_stays_a_sunday_where_that_is_asked_for(identity: str, day: date) -> None:
    moved = Pseudonyms(SECRET, keep_weekdays=True).shifted(identity, day)
    assert moved is not None
    assert moved.weekday() == day.weekday()
    assert 7 <= (day - moved).days <= LONGEST_SHIFT_DAYS


def test_shifts_differ_between_patients() -> None:
    shifts = {PSEUDONYMS.days(str(number)) for number in range(2000)}
    assert len(shifts) > 350
    assert max(shifts) <= -1
    assert min(shifts) >= -LONGEST_SHIFT_DAYS


def test_a_date_that_would_leave_the_calendar_is_none() -> None:
    assert PSEUDONYMS.shifted("x", date(1, 1, 1)) is None


@pytest.mark.parametrize("secret", [b"", b"short", b"x" * 31])
def test_a_secret_that_could_be_guessed_is_refused(secret: bytes) -> None:
    with pytest.raises(ConfigurationError, match="32"):
        Pseudonyms(secret)


def test_the_key_is_never_shown() -> None:
    assert SECRET.decode() not in repr(PSEUDONYMS)
    assert repr(PSEUDONYMS) == "Pseudonyms(keep_weekdays=False)"


@pytest.mark.parametrize(
    ("years", "told"), [(None, ""), (0.4, "0"), (67.9, "67"), (89.0, "89"), (89.9, "89"), (90.0, "90+"), (104.0, "90+")]
)
def test_ages_above_89_are_one_group(years: float | None, told: str) -> None:
    assert told == age_told(years)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        *(("067Y", "067Y"), ("67", "067Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("999M", "999M")),
        *(("006M", "006M"), ("010W", "010W"), ("003D", "003D"), ("old", ""), ("", ""), ("1200M", "")),
    ],
)
def test_age_strings_above_89_are_one_group(sent: str, told: str) -> None:
    assert told == age_string_told(sent)
