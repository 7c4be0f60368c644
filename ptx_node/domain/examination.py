"""When, of whom and with what an image was made: what findings are compared by, apart from any file format.

The **local** day of the examination decides which CT report belongs to a radiograph. It comes from the acquisition, never from the
time at which a message or a file was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LONGEST_OFFSET = timedelta(hours=14)
"""Of local time from UTC (PS3.3 C.12.1.1.8: -1200 to +1400)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as far as it is known.

    Attributes:
        day: local date at the place of examination.
        at: aware UTC; None where only the day is known.
    """

    day: date
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """What is kept of the images that one finding is about. Empty text and None where the header does not say.

    Attributes:
        examined: when; None where no date can be read.
        patient_sex: `M`, `F`, `O`, as sent.
        patient_age_years: at the examination.
        view_position: of a radiograph, as sent (`PA`, `AP`).
    """

    modality: str = ""
    examined: Moment | None = None
    patient_sex: str = ""
    patient_age_years: float | None = None
    view_position: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    station_name: str = ""


def local_moment(day: date, clock: time | None, zone: ZoneInfo, offset: timedelta | None = None) -> Moment:
    """A date and time of day as an examination's header gives them.

    A stated offset decides what moment it was; the day is that of the site's zone at this moment, so that a header written in UTC and
    one written in local time fall on the same day. Without an offset the time is the site's own: of an hour that comes twice in
    autumn the first is taken, one that is left out in spring is as long after midnight as it says.

    Args:
        day: as written.
        clock: as written; None where only a date is given.
        zone: of the site.
        offset: of the written time from UTC.
    """
    if clock is None:
        return Moment(day)
    if offset is not None:
        at = datetime.combine(day, clock, timezone(offset)).astimezone(UTC)
        return Moment(at.astimezone(zone).date(), at)
    return Moment(day, datetime.combine(day, clock, zone).astimezone(UTC))
