"""Keyed pseudonyms: what stands for a patient, a study, an instance or a date in a file that leaves the site.

HMAC-SHA256 (RFC 2104) with the site's secret: the same input gives the same pseudonym within one export key, nobody without the secret
can try names or numbers against it, and nothing is stored that leads back. Never log what goes in here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from datetime import date, timedelta

from ptx_node.domain.values import age_years
from ptx_node.errors import ConfigurationError

SHORTEST_SECRET_BYTES = 32
LONGEST_SHIFT_DAYS = 364
"""52 weeks: a date never moves further than a year."""

OLDEST_AGE_TOLD = 89
"""Years. Who is older is one of few: they are all `90+`."""

PATIENT_CHARACTERS = 16
STATION_CHARACTERS = 12
REPORT_CHARACTERS = 16
ACCESSION_CHARACTERS = 15  # with its letter it fits SH, 16 characters


class Pseudonyms:
    """The pseudonyms of one export key: a site's secret and the export's name.

    Another name, or another secret, gives pseudonyms that cannot be linked with these. The object never shows its key.

    Args:
        secret: of the site, at least 32 bytes, from a random source.
        export: separates exports that must not be linked; the same name keeps them linked.
        keep_weekdays: move dates by whole weeks, so that a Sunday stays a Sunday.

    Raises:
        ConfigurationError: the secret is too short to withstand guessing.
    """

    __slots__ = ("_key", "keep_weekdays")

    def __init__(self, secret: bytes, export: str = "", *, keep_weekdays: bool = False) -> None:
        if len(secret) < SHORTEST_SECRET_BYTES:
            raise ConfigurationError(
                f"the secret for pseudonyms has {len(secret)} bytes; give at least {SHORTEST_SECRET_BYTES} from a random source, "
                "for example of `openssl rand -hex 32`"
            )
        self._key = hmac.digest(secret, _message("export", export), hashlib.sha256)
        self.keep_weekdays = keep_weekdays

    def __repr__(self) -> str:
        return f"{type(self).__name__}(keep_weekdays={self.keep_weekdays})"

    def patient(self, identity: str) -> str:
        """`P` and 16 letters and digits. For `identity` see `patient_identity`."""
        return "P" + self._text("patient", identity, PATIENT_CHARACTERS)

    def accession(self, accession_number: str) -> str:
        """`A` and 15 letters and digits, which fits the DICOM attribute; empty for an empty one."""
        number = _plain(accession_number)
        return "A" + self._text("accession", number, ACCESSION_CHARACTERS) if number else ""

    def uid(self, uid: str) -> str:
        """A UID below 2.25 (PS3.5 B.2) for one of a study, series, instance or anything else; empty for an empty one.

        What is not a valid UID, as in some public data, gets a valid one.
        """
        plain = _plain(uid)
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', plain)[:16], version=5).int}" if plain else ""

    def station(self, name: str) -> str:
        """`D` and 12 letters and digits, of an apparatus; empty for an empty one."""
        plain = _plain(name)
        return "D" + self._text("station", plain, STATION_CHARACTERS) if plain else ""

    def report(self, source: str, number: str) -> str:
        """`R` and 16 letters and digits, of a radiology report: who sends it and the number it has there."""
        return "R" + self._text("report", _message(source, number).decode("utf-8", "surrogatepass"), REPORT_CHARACTERS)

    def words(self, words: str) -> str:
        """64 hexadecimal digits that are the same for the same words, and from which nobody can try words without the secret."""
        return self._digest("words", words).hex()

    def days(self, identity: str) -> int:
        """How far this patient's dates move: -1 to -364 days, with `keep_weekdays` -7 to -364 in weeks; never 0, always into the past."""
        drawn = int.from_bytes(self._digest("days", identity)[:8], "big")
        step = 7 if self.keep_weekdays else 1
        return -step * (1 + drawn % (LONGEST_SHIFT_DAYS // step))

    def shifted(self, identity: str, day: date) -> date | None:
        """The day moved by the patient's shift, so that intervals of a patient stay; None before the year 1."""
        try:
            return day + timedelta(days=self.days(identity))
        except OverflowError:
            return None

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, _message(*parts), hashlib.sha256)

    def _text(self, kind: str, value: str, characters: int) -> str:
        return base64.b32encode(self._digest(kind, value)).decode()[:characters]


def patient_identity(patient_id: str, issuer: str = "") -> str:
    """What one patient is called within the site, for `Pseudonyms`: the number and who gave it, apart from padding.

    Where a site's numbers have been merged, give the number that counts now: a patient has one pseudonym and one shift of dates.
    """
    return _message(_plain(issuer), _plain(patient_id)).decode("utf-8", "surrogatepass")


def age_told(years: float | None) -> str:
    """Whole years as text, `90+` above 89, empty where it is not known."""
    if years is None:
        return ""
    return f"{OLDEST_AGE_TOLD + 1}+" if years >= OLDEST_AGE_TOLD + 1 else str(int(years))


def age_string_told(value: str) -> str:
    """An Age String (PS3.5 6.2) that may be told: above 89 years `090Y`, a bare number in years, empty where it cannot be read."""
    years = age_years(value)
    if years is None:
        return ""
    if years >= OLDEST_AGE_TOLD + 1:
        return f"{OLDEST_AGE_TOLD + 1:03d}Y"
    text = value.strip().upper()
    number, unit = (text[:-1], text[-1]) if text[-1] in "DWMY" else (text, "Y")
    return f"{int(number):03d}{unit}"


def _plain(value: str) -> str:
    """Without the padding that DICOM values carry."""
    return value.strip(" \0")


def _message(*parts: str) -> bytes:
    """Parts with their lengths, so that no two lists of parts give the same bytes."""
    return b"".join(b"%d:%b;" % (len(data), data) for data in (part.encode("utf-8", "surrogatepass") for part in parts))
