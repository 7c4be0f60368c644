"""Which version of a report counts, whatever order the versions came in; what "the same report again" means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import (
    Effective,
    Examination,
    Held,
    PatientIdentity,
    ReportFlag,
    ReportStatus,
    ReportVersion,
    effective,
    storable,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRELIMINARY, FINAL, CORRECTED = ReportStatus.PRELIMINARY, ReportStatus.FINAL, ReportStatus.CORRECTED
ADDENDUM, WITHDRAWN = ReportStatus.ADDENDUM, ReportStatus.WITHDRAWN


def chain(*versions: tuple[ReportStatus, str]) -> list[Held]:
    return [Held(n, status, NOON + timedelta(minutes=n), text) for n, (status, text) in enumerate(versions)]


@pytest.mark.parametrize(
    ("versions", "orders", "status", "text"),
    [
        ([(PRELIMINARY, "a")], (0,), PRELIMINARY, "a"),
        ([(PRELIMINARY, "a"), (PRELIMINARY, "b")], (1,), PRELIMINARY, "b"),
        ([(PRELIMINARY, "a"), (FINAL, "b")], (1,), FINAL, "b"),
        ([(FINAL, "b"), (PRELIMINARY, "a")], (0,), FINAL, "b"),
        ([(FINAL, "a"), (CORRECTED, "b")], (1,), CORRECTED, "b"),
        ([(CORRECTED, "a"), (FINAL, "b")], (1,), FINAL, "b"),
        ([(FINAL, "a"), (WITHDRAWN, "")], (1,), WITHDRAWN, ""),
        ([(FINAL, "a"), (WITHDRAWN, ""), (PRELIMINARY, "b")], (1,), WITHDRAWN, ""),
        ([(FINAL, "a"), (WITHDRAWN, ""), (FINAL, "b")], (2,), FINAL, "b"),
        ([(FINAL, "a"), (ADDENDUM, "b"), (ADDENDUM, "c")], (0, 1, 2), ADDENDUM, "a\n\nADDENDUM:\nb\n\nADDENDUM:\nc"),
        ([(FINAL, "a"), (ADDENDUM, "Addendum: b")], (0, 1), ADDENDUM, "a\n\nAddendum: b"),
        ([(ADDENDUM, "b"), (FINAL, "a")], (1, 0), ADDENDUM, "a\n\nADDENDUM:\nb"),
        ([(FINAL, "a"), (ADDENDUM, "b"), (CORRECTED, "c")], (2,), CORRECTED, "c"),
        ([(FINAL, "a"), (ADDENDUM, "b"), (FINAL, "a\n b")], (2,), FINAL, "a\n b"),
        ([(FINAL, "a"), (ADDENDUM, "a and more")], (1,), ADDENDUM, "a and more"),
        ([(ADDENDUM, "b")], (0,), ADDENDUM, "b"),
        ([(FINAL, ""), (ADDENDUM, "no pneumothorax")], (0, 1), ADDENDUM, ""),
        ([(FINAL, "a"), (ADDENDUM, "b"), (PRELIMINARY, "z")], (0, 1), ADDENDUM, "a\n\nADDENDUM:\nb"),
    ],
)
def test_the_version_that_counts(
    versions: list[tuple[ReportStatus, str]], orders: tuple[int, ...], status: ReportStatus, text: str
) -> None:
    assert Effective(orders, status, text) == effective(chain(*versions))


def test_when_the_source_dates_its_versions_their_order_of_arrival_does_not_matter() -> None:
    dated = chain((PRELIMINARY, "a"), (FINAL, "b"), (CORRECTED, "c"), (ADDENDUM, "d"))
    for mixed in permutations(dated):
        arrived = [replace(one, order=order) for order, one in enumerate(mixed)]
        assert "c\n\nADDENDUM:\nd" == effective(arrived).text


def version(**changes: object) -> ReportVersion:
    made = ReportVersion(
        source="ris",
        external_id="R1",
        status=FINAL,
        patients=(PatientIdentity("hospital", "MR", "123"),),
        examination=Examination(accession_number="A1"),
        examined=Examined(NOON, date(2026, 3, 1)),
        issued_at=NOON,
        text="No pneumothorax.",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_same_content_has_the_same_digest_whatever_was_flagged() -> None:
    assert version().content_sha256 == version(flags=frozenset({ReportFlag.CHARSET_DOUBTFUL})).content_sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "Pneumothorax."},
        {"status": CORRECTED},
        {"patients": (PatientIdentity("hospital", "MR", "124"),)},
        {"examined": Examined(NOON, date(2026, 3, 2))},
        {"examination": Examination(accession_number="A2")},
        {"issued_at": None},
    ],
)
def test_another_content_has_another_digest(changes: dict[str, object]) -> None:
    assert version().content_sha256 != version(**changes).content_sha256


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("moment", "at", "on", "ambiguous"),
    [
        ("2026-03-01T00:30", datetime(2026, 2, 28, 23, 30, tzinfo=UTC), date(2026, 3, 1), False),
        ("2026-07-01T00:30", datetime(2026, 6, 30, 22, 30, tzinfo=UTC), date(2026, 7, 1), False),
        ("2026-06-30T23:30+00:00", datetime(2026, 6, 30, 23, 30, tzinfo=UTC), date(2026, 7, 1), False),
        ("2026-10-25T02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), date(2026, 10, 25), True),
        ("2026-03-29T02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), date(2026, 3, 29), True),
    ],
    ids=["winter", "summer", "with its offset", "the hour twice", "the hour that is not"],
)
def test_the_day_is_the_sites_and_summer_time_is_seen(moment: str, at: datetime, on: date, *, ambiguous: bool) -> None:
    assert Examined(at, on, ambiguous) == Examined.local(datetime.fromisoformat(moment), PARIS)


def test_text_is_what_a_database_can_keep() -> None:
    assert "a\nb\nc\ufffd\ufffd" == storable("a\r\nb\rc\x00\ud800")
