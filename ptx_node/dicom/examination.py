"""When, of whom and with what images were made, read from their headers."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import TYPE_CHECKING

from ptx_node.dicom.attributes import UNREADABLE
from ptx_node.domain.examination import LONGEST_OFFSET, Examination, Examined, local_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from pydicom import Dataset

TIMES = ("Acquisition", "Content", "Series", "Study")
"""From the moment of the exposure to that of the visit: the first that can be read counts."""
DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
TIME = re.compile(r"(\d\d):?(?:(\d\d):?(?:(\d\d)(?:\.(\d{1,6}))?)?)?")
OFFSET = re.compile(r"([+-])(\d\d)(\d\d)")
AGE = re.compile(r"(\d{1,3})([DWMY])")
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
OLDEST_YEARS = 130.0
WHOLE = re.compile(r"[1-9][0-9]{0,2}")
MOST_BITS = 64
LARGEST_EXPOSURE_INDEX = 1e6
"""Ordinary ones are some hundreds; what is beyond is another number in the wrong place."""


def examination_of(headers: Sequence[Dataset], zone: ZoneInfo) -> Examination:
    """What the headers of one radiograph, or of the slices of one series, say together; the earliest moment counts.

    Never raises for what a header holds: what cannot be read is left out.

    Args:
        headers: one or more, of one series.
        zone: of the site, for times without an offset.
    """
    if not headers:
        return Examination()
    moments = [moment for ds in headers if (moment := examined(ds, zone)).on is not None]
    first = headers[0]
    return Examination(
        modality=_text(first, "Modality"),
        examined=min(moments, key=lambda one: (one.at is None, one.at or one.on, one.on), default=Examined()),
        patient_sex=_text(first, "PatientSex"),
        patient_age_years=_age_years(first, moments[0].on if moments else None),
        view_position=_text(first, "ViewPosition"),
        manufacturer=_text(first, "Manufacturer"),
        manufacturer_model_name=_text(first, "ManufacturerModelName"),
        station_name=_text(first, "StationName"),
        bits_stored=_bits(first),
        exposure_index=_exposure_index(first),
    )


def examined(ds: Dataset, zone: ZoneInfo) -> Examined:
    """When an image was acquired: Acquisition DateTime, else the date and time of acquisition, content, series or study.

    A date whose time is missing counts only where no later choice has both. Nothing is known where there is no date at all.
    """
    common = _offset(_text(ds, "TimezoneOffsetFromUTC"))
    acquired = _text(ds, "AcquisitionDateTime")
    day_only = Examined()
    if (day := _date(acquired[:8])) is not None:
        body, sign, rest = _split_offset(acquired)
        moment = local_time(day, _time(body[8:]), zone, _offset(sign + rest) or common)
        if moment.at is not None:
            return moment
        day_only = moment
    for name in TIMES:
        if (day := _date(_text(ds, f"{name}Date"))) is not None:
            moment = local_time(day, _time(_text(ds, f"{name}Time")), zone, common)
            if moment.at is not None and day_only.on in (None, moment.on):
                return moment
            day_only = moment if day_only.on is None else day_only
    return day_only


def content_time(ds: Dataset, zone: ZoneInfo) -> Examined:
    """When an instance's content was made: Content Date and Content Time."""
    day = _date(_text(ds, "ContentDate"))
    if day is None:
        return Examined()
    return local_time(day, _time(_text(ds, "ContentTime")), zone, _offset(_text(ds, "TimezoneOffsetFromUTC")))


def _text(ds: Dataset, keyword: str) -> str:
    try:
        value = ds.get(keyword)
    except UNREADABLE:
        return ""
    return "" if value is None else str(value).strip()


def _bits(ds: Dataset) -> int | None:
    text = _text(ds, "BitsStored")
    return int(text) if WHOLE.fullmatch(text) and int(text) <= MOST_BITS else None


def _exposure_index(ds: Dataset) -> float | None:
    try:
        found = float(_text(ds, "ExposureIndex"))
    except ValueError:
        return None
    return found if 0 < found < LARGEST_EXPOSURE_INDEX else None


def _date(text: str) -> date | None:
    found = DATE.fullmatch(text)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _time(text: str) -> time | None:
    found = TIME.fullmatch(text.strip())
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    try:
        # A leap second is counted to the second before it, which is all that comparing days and hours needs.
        return time(int(hours), int(minutes or 0), min(int(seconds or 0), 59), int((fraction or "0").ljust(6, "0")))
    except ValueError:
        return None


def _split_offset(text: str) -> tuple[str, str, str]:
    for sign in "+-":
        body, found, rest = text.partition(sign)
        if found:
            return body, sign, rest
    return text, "", ""


def _offset(text: str) -> timedelta | None:
    found = OFFSET.fullmatch(text)
    if not found:
        return None
    sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    return offset if abs(offset) <= LONGEST_OFFSET else None


def _age_years(ds: Dataset, day: date | None) -> float | None:
    """From the birth date where both dates are there, else Patient's Age; None where neither says something that can be."""
    born = _date(_text(ds, "PatientBirthDate"))
    if born is not None and day is not None:
        years = (day - born).days / 365.25
        return years if 0 <= years <= OLDEST_YEARS else None
    found = AGE.fullmatch(_text(ds, "PatientAge"))
    return int(found[1]) * YEARS[found[2]] if found else None
