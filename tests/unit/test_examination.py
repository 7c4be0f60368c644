"""When an image was made: which of the many times in a header counts, and on which local day it falls."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from ptx_node.dicom.examination import examination_of, examined
from ptx_node.domain.examination import Examination, Examined

PARIS = ZoneInfo("Europe/Paris")


def header(**values: str) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("values", "day", "at"),
    [
        ({"StudyDate": "20260704", "StudyTime": "081500"}, date(2026, 7, 4), datetime(2026, 7, 4, 6, 15, tzinfo=UTC)),
        ({"StudyDate": "20260704"}, date(2026, 7, 4), None),
        # The exposure, not the visit that began the evening before.
        (
            {"StudyDate": "20260703", "StudyTime": "235900", "AcquisitionDate": "20260704", "AcquisitionTime": "000130.5"},
            date(2026, 7, 4),
            datetime(2026, 7, 3, 22, 1, 30, 500_000, tzinfo=UTC),
        ),
        ({"AcquisitionDateTime": "20260115103000.000+0100"}, date(2026, 1, 15), datetime(2026, 1, 15, 9, 30, tzinfo=UTC)),
        # Written in UTC shortly before midnight: the next day where the patient was.
        (
            {"StudyDate": "20260703", "StudyTime": "233000", "TimezoneOffsetFromUTC": "+0000"},
            date(2026, 7, 4),
            datetime(2026, 7, 3, 23, 30, tzinfo=UTC),
        ),
        # A date of acquisition without a time keeps its day, and takes no time of another day.
        ({"AcquisitionDate": "20260704", "StudyDate": "20260703", "StudyTime": "2200"}, date(2026, 7, 4), None),
        (
            {"AcquisitionDate": "20260704", "StudyDate": "20260704", "StudyTime": "22"},
            date(2026, 7, 4),
            datetime(2026, 7, 4, 20, tzinfo=UTC),
        ),
        # The hour that comes twice, and the one that never comes.
        ({"StudyDate": "20261025", "StudyTime": "023000"}, date(2026, 10, 25), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ({"StudyDate": "20260329", "StudyTime": "023000"}, date(2026, 3, 29), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_moment_of_the_exposure_in_the_sites_own_day(values: dict[str, str], day: date, at: datetime | None) -> None:
    found = examined(header(**values), PARIS)
    assert (day, at) == (found.on, found.at)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", ["", "20261301", "00000000", "yesterday", "2026070", "99999999999999"])
def test_a_date_that_is_none_is_no_date(text: str) -> None:
    ds = Dataset()
    ds.add_new("StudyDate", "LO", text)
    ds.add_new("AcquisitionDateTime", "LO", text)
    assert Examined() == examined(ds, PARIS)


def test_the_earliest_slice_counts_and_the_rest_is_the_patients() -> None:
    about = {"Modality": "CT", "PatientSex": "F", "PatientBirthDate": "19560704", "StudyDate": "20260704", "Manufacturer": "SIMULATED"}
    slices = [header(**about, StudyTime=clock) for clock in ("101500", "101200", "101800")]
    found = examination_of(slices, PARIS)
    assert found.examined == Examined(datetime(2026, 7, 4, 8, 12, tzinfo=UTC), date(2026, 7, 4))
    assert ("CT", "F", "SIMULATED") == (found.modality, found.patient_sex, found.manufacturer)
    assert found.patient_age_years == pytest.approx(70, abs=0.01)
    assert examination_of([], PARIS) == Examination()


@pytest.mark.parametrize(("age", "years"), [("070Y", 70.0), ("018M", 1.5), ("014D", 14 / 365.25), ("70", None), ("", None)])
def test_an_age_may_stand_for_a_birth_date(age: str, years: float | None) -> None:
    found = examination_of([header(StudyDate="20260704", PatientAge=age)], PARIS).patient_age_years
    assert found == (years if years is None else pytest.approx(years))


@given(st.text(max_size=30), st.text(max_size=20))
def test_no_header_breaks_it(day: str, clock: str) -> None:
    ds = Dataset()
    for keyword in ("AcquisitionDateTime", "AcquisitionDate", "StudyDate", "PatientBirthDate", "PatientAge"):
        ds.add_new(keyword, "LO", day)
    ds.add_new("StudyTime", "LO", clock)
    ds.add_new("TimezoneOffsetFromUTC", "LO", clock)
    assert examination_of([ds], PARIS).modality == ""
