"""What a site's secret does for an export, and which period of time may be told beside a case."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ptx_node.domain.reconciliation import Agreement
from ptx_node.errors import ConfigurationError, UsageError
from ptx_node.settings import load
from ptx_node.validation.case_course import Counted, course
from ptx_node.validation.case_rows import pseudonymous
from ptx_node.validation.case_tally import Tally
from ptx_node.validation.exclusions import Exclusion


def counted(day: date, patient: str, hour: int = 8, called: str = "1") -> Counted:
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return Counted(day, at, patient, "m", called, "0", patient)


def periods(cases: list[Counted], smallest: int) -> set[str]:
    return {row["period"] for row in course(cases, smallest)}


def test_the_period_is_the_month_or_the_quarter_or_not_told() -> None:
    cases = [counted(date(2026, month, 5), f"{month}-{number}") for month in (1, 2, 3, 4) for number in range(4)]
    assert {"2026-01", "2026-02", "2026-03", "2026-04"} == periods(cases, 4)
    assert {""} == periods(cases, 5)
    more = [counted(date(2026, 4, 6), f"more {number}") for number in range(8)]
    assert {"2026-Q1", "2026-Q2"} == periods(cases + more, 12)


def test_many_cases_of_one_patient_are_one_patient() -> None:
    assert {""} == periods([counted(date(2026, 1, 5), "A", hour) for hour in range(20)], 2)


def test_the_order_is_that_of_time_whatever_order_they_come_in() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(10)]
    cases = [counted(day, str(number), called=str(number % 2)) for number, day in enumerate(days)]
    assert [str(number % 2) for number in range(10)] == [row["called"] for row in course(cases[::-1], 1)]
    assert [] == list(course([], 1))


def test_without_a_secret_nothing_leaves_under_pseudonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().export.secret is None
    with pytest.raises(ConfigurationError, match="openssl rand -hex 32"):
        pseudonymous(None)
    with pytest.raises(ConfigurationError, match="has 5 bytes"):
        pseudonymous("short")
    (tmp_path / "ptx_export").write_text('{"secret": "%s"}' % ("5e" * 32))
    monkeypatch.setenv("PTX_SECRETS_DIR", str(tmp_path))
    secret = load().export.secret
    assert secret is not None
    assert "5e5e" not in repr(load())
    one, other = (pseudonymous(secret.get_secret_value(), name) for name in ("a", "b"))
    assert one.uid("1.2.3") == pseudonymous("5e" * 32, "a").uid("1.2.3") != other.uid("1.2.3")


def test_counts_that_do_not_add_up_are_no_chart() -> None:
    tally = Tally()
    tally.unread("ct", Exclusion.NO_RULE, "", 3)
    row = {"kind": "radiograph", "model": "m", "outcome_reason": "", "label": ""}
    tally.row({**row, "exclusion": "", "agreement": str(Agreement.FALSE_NEGATIVE)})
    tally.row({**row, "exclusion": "label_undecided", "agreement": str(Agreement.UNDECIDED)})
    assert [5, 2, 2, 2, 1] == [step.count for step in tally.flow().steps]
    assert ["read", "answered", "verified", "counted"] == [step.name for step in tally.flow("m").steps]
    tally.row({**row, "exclusion": "", "agreement": ""})
    with pytest.raises(UsageError, match="do not add up"):
        tally.flow()
