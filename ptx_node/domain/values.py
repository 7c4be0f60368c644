"""DICOM values as text, turned into numbers and dates without a DICOM library. What cannot be read is None, never an error."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

AGE = re.compile(r"(\d{1,3})([DWMY])?")
YEARS_PER = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
LONGEST_NUMBER = 64


def number_of(value: str) -> float | None:
    """A finite number: DS, IS and binary integers as they are, an AS in years, a DA as YYYYMMDD."""
    text = value.strip()
    if not text or len(text) > LONGEST_NUMBER:
        return None
    if text[-1] in YEARS_PER:
        return age_years(text)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def age_years(value: str) -> float | None:
    """An Age String (PS3.5 6.2: `018Y`, `006M`, `010W`, `003D`) in years. A bare number, which some senders write, is years."""
    match = AGE.fullmatch(value.strip().upper())
    return int(match[1]) * YEARS_PER[match[2] or "Y"] if match else None


def date_of(value: str) -> date | None:
    """A DA (PS3.5 6.2: YYYYMMDD, or the retired YYYY.MM.DD)."""
    try:
        return datetime.strptime(value.strip().replace(".", "")[:8], "%Y%m%d").date()  # noqa: DTZ007 - a clinical local date
    except ValueError:
        return None
