"""What addresses and bodies may say: numbers that a database can hold, days that an archive can have. In one place for all pages."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import HTTPException, Path, Query
from pydantic import AfterValidator

BEYOND = 2**63
"""The first number that a column of either database cannot hold."""
FIRST_YEAR, LAST_YEAR = 1900, 9000
"""Wide enough for every archive, and a day before and after can still be written in any time zone."""

Number = Annotated[int, Path(ge=1, lt=BEYOND)]
"""Of a row, in a path."""
Named = Annotated[int | None, Query(ge=1, lt=BEYOND)]
"""Of a row, in a query, where it may be left out."""


def _of_an_archive(found: date) -> date:
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError(f"{found} is outside every archive")
    return found


Day = Annotated[date, AfterValidator(_of_an_archive)]
"""In a body."""


def day(text: str, name: str) -> date | None:
    """The day that a query gives under this name; None where the field was left empty.

    Raises:
        HTTPException: 422, it is no day, or one outside every archive.
    """
    if not text:
        return None
    try:
        return _of_an_archive(date.fromisoformat(text))
    except ValueError:
        words = f"{name}: {text[:40]!r} is no day of an archive; write a day such as 2026-03-01"
        raise HTTPException(422, words) from None
