"""The cases that count in their true order, with no name and no day: what a watch over time is computed from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Counted:
    """A case that counts, in the order of the examinations; of one moment in the order of the pseudonyms."""

    examined_on: date
    examined_at: datetime
    case_id: str
    model: str
    called: str
    truth: str
    patient: str


def course(cases: Sequence[Counted], smallest: int) -> Iterator[dict[str, str]]:
    """The rows of over_time.csv.

    The period is the month if each month has at least `smallest` patients, else the quarter if each quarter has, else it is not told.
    """
    told = next((one for one in (_month, _quarter) if _enough(cases, one, smallest)), None)
    for position, case in enumerate(sorted(cases), 1):
        yield {
            "position": str(position),
            "model": case.model,
            "called": case.called,
            "truth": case.truth,
            "period": told(case.examined_on) if told else "",
        }


def _enough(cases: Sequence[Counted], period: Callable[[date], str], smallest: int) -> bool:
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for case in cases:
        patients[period(case.examined_on)].add(case.patient)
    return all(len(some) >= smallest for some in patients.values())


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def _quarter(day: date) -> str:
    return f"{day.year:04d}-Q{(day.month + 2) // 3}"
