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
class Examined:
    """When an examination was, as far as it is known.

    Attributes:
        at: aware UTC; None where only the day is known, or nothing.
        on: the calendar day at the site, which is what "same day" means.
        ambiguous: the local time is one that summer time repeats or leaves out.
    """

    at: datetime | None = None
    on: date | None = None
    ambiguous: bool = False

    @classmethod
    def local(cls, moment: datetime, zone: ZoneInfo) -> Examined:
        """From a wall-clock time at the site, or from an aware time, whose day at the site is then found.

        Of an hour that comes twice in autumn the first is taken, one that is left out in spring is as long after midnight as it says.
        """
        if moment.tzinfo is not None:
            return cls(moment.astimezone(UTC), moment.astimezone(zone).date())
        here = moment.replace(tzinfo=zone)
        return cls(here.astimezone(UTC), moment.date(), ambiguous=here.utcoffset() != here.replace(fold=1).utcoffset())


@dataclass(frozen=True, slots=True)
class Examination:
    """What is kept of the images that one finding is about. Empty text and None where the header does not say.

    Attributes:
        patient_sex: `M`, `F`, `O`, as sent.
        patient_age_years: at the examination.
        view_position: of a radiograph, as sent (`PA`, `AP`).
        bits_stored: of a pixel.
        exposure_index: IEC 62494-1, as sent (0018,1411): proportional to the dose at the detector.
    """

    modality: str = ""
    examined: Examined = Examined()
    patient_sex: str = ""
    patient_age_years: float | None = None
    view_position: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    station_name: str = ""
    bits_stored: int | None = None
    exposure_index: float | None = None


def local_time(day: date, clock: time | None, zone: ZoneInfo, offset: timedelta | None = None) -> Examined:
    """A date and time of day as an examination's header gives them; the day alone where there is no time of day.

    Args:
        day: as written.
        clock: as written.
        zone: of the site.
        offset: of the written time from UTC, where it is stated: then it decides what moment it was, so that a header written in UTC
            and one written in local time fall on the same day.
    """
    if clock is None:
        return Examined(on=day)
    return Examined.local(datetime.combine(day, clock, None if offset is None else timezone(offset)), zone)
