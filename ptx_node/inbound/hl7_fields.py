"""Places in an HL7 message as the settings name them, and the values that stand there: times, patient numbers.

A place is `OBR-18`, `OBR-3.2`, `PID-3.4.2` or, in observations by their code, `OBX[113014]-5`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import PatientIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from ptx_node.inbound.hl7_message import Message, Segment

_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[([^\]]+)\])?-(\d{1,3})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?")
_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.\d{1,6})?)?)?)?([+-]\d{4})?")
_LONGEST_OFFSET = timedelta(hours=14)
OBSERVATION_CODE = 3


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a message. `code` chooses among segments of a name by their third field, as OBX-3."""

    segment: str
    field: int
    component: int = 1
    subcomponent: int = 1
    code: str = ""


def place(text: str) -> Place:
    """Read a place; the settings have checked its form.

    Raises:
        ValueError: it is none.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no place in an HL7 message, such as OBR-18, PID-3.4 or OBX[113014]-5")
    segment, code, field, component, subcomponent = found.groups()
    return Place(segment, int(field), int(component or 1), int(subcomponent or 1), code or "")


def first_value(message: Message, segments: Sequence[Segment], places: Iterable[str]) -> str:
    """The first place that holds something, within these segments of one report; empty if none does."""
    for one in map(place, places):
        for segment in segments:
            if segment.name != one.segment or (one.code and message.value(segment, OBSERVATION_CODE) != one.code):
                continue
            if value := message.value(segment, one.field, one.component, one.subcomponent):
                return value
    return ""


def read_time(value: str, zone: ZoneInfo) -> datetime | date | None:
    """A time stamp (DTM, or the older TS): a day, or a time with its offset, else on the sender's clock. None: not readable.

    A time needs at least its hour; months and years alone say nothing of a day.
    """
    found = _TIME.fullmatch(value.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day))
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute or 0), int(second or 0), tzinfo=zone)
        if offset is None:
            return moment
        shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:])) * (-1 if offset[0] == "-" else 1)
        return moment.replace(tzinfo=timezone(shift)) if abs(shift) <= _LONGEST_OFFSET else None
    except ValueError:
        return None


def examined(value: str, sender_zone: ZoneInfo, site_zone: ZoneInfo) -> Examined | None:
    """When the examination was, as the site's calendar has it; None where the value cannot be read."""
    moment = read_time(value, sender_zone)
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        return Examined(None, moment)
    told = moment.replace(tzinfo=None) if moment.tzinfo is sender_zone else moment
    try:
        here = Examined.local(told, sender_zone)
        return here if sender_zone.key == site_zone.key else Examined(here.at, Examined.local(moment, site_zone).on, here.ambiguous)
    except OverflowError:  # the year 1 or 9999, moved by an offset
        return None


def identities(message: Message, segment: Segment | None, field: int, *, authority: str) -> tuple[PatientIdentity, ...]:
    """The patient numbers of a field of type CX, every repetition; `authority` stands where one names none."""
    if segment is None:
        return ()
    found = []
    for repetition in message.repetitions(segment, field):
        value = message.part(repetition, 1)
        named = message.part(repetition, 4, 1) or message.part(repetition, 4, 2)
        if value:
            found.append(PatientIdentity(named or authority, message.part(repetition, 5), value))
    return tuple(found)
