"""What is asked of an archive, what it answers, and when it may be asked: identity, off-hours, pace. Pure: no network, no clock.

Archives differ in which keys they match by and which they return. What an archive answers is therefore never believed to match: `concerns`
looks at every study again, and doubt about whose it is keeps it out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from ptx_node.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

BY_HAND = "by hand"
"""Why a study is wanted, where a person asked for it; else a cohort's name."""

MAX_ATTEMPTS = 5
"""A study that could not be fetched so often has failed; who asks for it again begins anew."""

WILD = re.compile(r"[*?\\]")
"""PS3.4 C.2.2.2: these make a key match others than the one that was meant."""


class RetrievalState(StrEnum):
    """Life of a wanted study. Terminal: done, failed, not_found."""

    WAITING = "waiting"
    FETCHING = "fetching"
    DONE = "done"
    FAILED = "failed"
    NOT_FOUND = "not_found"


TERMINAL = (RetrievalState.DONE, RetrievalState.FAILED, RetrievalState.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """Which studies are wanted; every field that is set must agree. Empty text and None: not asked.

    Attributes:
        since, until: Study Date, both included: the calendar of the hospital, as the archive writes it.
        modalities: the study has a series of one of them.

    Raises:
        UsageError: nothing is asked, or a key would match more than what it says.
    """

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_instance_uid: str = ""
    since: date | None = None
    until: date | None = None
    modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not any((self.patient_id, self.accession_number, self.study_instance_uid, self.since, self.until)):
            raise UsageError("say which studies: by study UID, accession number, patient, or date")
        for field in fields(self):
            value = getattr(self, field.name)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and (WILD.search(text) or text != text.strip()):
                    raise UsageError(f"{field.name}: {text!r} has a wild card, a backslash or blanks around it; give the exact value")
        if self.issuer_of_patient_id and not self.patient_id:
            raise UsageError("an issuer without a patient ID says nothing: give both")
        if self.since and self.until and self.until < self.since:
            raise UsageError(f"the period ends ({self.until}) before it begins ({self.since})")


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as an archive answered it; empty text and None: it did not say."""

    study_instance_uid: str
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_date: date | None = None
    modalities: tuple[str, ...] | None = None
    instance_count: int | None = None


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series as an archive answered it."""

    series_instance_uid: str
    modality: str = ""
    instance_count: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Studies that an archive answered; `complete` is false when there are more than were asked for."""

    studies: tuple[FoundStudy, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an archive says of a retrieval: how it sent, how many it sent and could not send (None: it did not say), and its last word."""

    method: str
    sent: int | None = None
    failed: int | None = None
    answer: str = ""


class Incoming(Protocol):
    """One instance on its way in as a Part 10 file. `abort` leaves nothing behind and may follow anything."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of the file."""

    def finish(self) -> int:
        """Make the instance safe; a storage status (PS3.4 B.2.3), 0x0000 when it is."""

    def abort(self) -> None:
        """Leave nothing behind of what was not finished."""


def concerns(query: StudyQuery, study: FoundStudy, *, home_issuer: str = "") -> bool:
    """Whether an answered study is one that was asked for. What the archive does not say is held against it, but for modalities.

    Args:
        query: what was asked.
        study: what was answered.
        home_issuer: who issued the patient IDs that the archive answers without an issuer; empty: unknown.
    """
    issuer = study.issuer_of_patient_id or home_issuer
    return (
        (not query.study_instance_uid or study.study_instance_uid == query.study_instance_uid)
        and (not query.patient_id or study.patient_id == query.patient_id)
        and (not query.issuer_of_patient_id or issuer == query.issuer_of_patient_id)
        and (not query.accession_number or study.accession_number == query.accession_number)
        and _in_period(query, study.study_date)
        and (not query.modalities or study.modalities is None or not set(query.modalities).isdisjoint(study.modalities))
    )


def _in_period(query: StudyQuery, day: date | None) -> bool:
    if query.since is None and query.until is None:
        return True
    return day is not None and (query.since is None or query.since <= day) and (query.until is None or day <= query.until)


def choose(query: StudyQuery, found: Found, *, home_issuer: str = "") -> tuple[FoundStudy, ...]:
    """Those of the answered studies that were asked for, each once, in their order.

    Raises:
        UsageError: there are more than were asked for at once, or one patient ID stands for patients of several issuers.
    """
    if not found.complete:
        raise UsageError(f"more than {len(found.studies)} studies match: ask for a shorter period, or say more about them")
    chosen = {one.study_instance_uid: one for one in found.studies if concerns(query, one, home_issuer=home_issuer)}
    if query.patient_id and not query.issuer_of_patient_id:
        issuers = {one.issuer_of_patient_id or home_issuer for one in chosen.values()}
        if len(issuers) > 1:
            told = ", ".join(sorted(issuer or "(none)" for issuer in issuers))
            raise UsageError(f"this patient ID is known of several issuers ({told}): say which one")
    return tuple(chosen.values())


def wanted_series(series: Iterable[FoundSeries], modalities: Sequence[str]) -> list[FoundSeries]:
    """The series of these modalities; of any when none is named."""
    return [one for one in series if not modalities or one.modality in modalities]


@dataclass(frozen=True, slots=True)
class OffHours:
    """The hours of a day in which an archive may be asked for studies, by the clock on the site's wall; the end is not included.

    An end before the beginning lies on the next day. When clocks are changed, the wall clock counts: a night in spring is an hour shorter.
    """

    opens: time
    closes: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> OffHours:
        """`22:00-06:00`.

        Raises:
            ConfigurationError: it is not two different times of day.
        """
        try:
            opens, closes = (time.fromisoformat(part.strip()) for part in text.split("-"))
        except ValueError:
            raise ConfigurationError(f"{text!r} is not a window such as 22:00-06:00") from None
        if opens == closes:
            raise ConfigurationError(f"the window {text!r} has no length; leave it out to allow any time")
        return cls(opens, closes, zone)

    def is_open(self, moment: datetime) -> bool:
        """Whether `moment` (aware) lies inside."""
        clock = moment.astimezone(self.zone).time()
        if self.opens < self.closes:
            return self.opens <= clock < self.closes
        return clock >= self.opens or clock < self.closes

    def next_open(self, moment: datetime) -> datetime:
        """`moment` itself if it lies inside, else the first minute (aware, UTC) that does.

        Looks minute by minute: right also for an opening time that a change of clocks leaves out, or has twice.
        """
        if self.is_open(moment):
            return moment
        minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
        while not self.is_open(minute):
            minute += timedelta(minutes=1)
        return minute


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """How often an archive may be asked: `capacity` at once, then one each `1 / per_minute` minutes. A value: taking makes a new one.

    `tokens` is what was in it at `filled_at`; None: full from the beginning of time.
    """

    per_minute: float
    capacity: float = 1.0
    tokens: float = 1.0
    filled_at: datetime | None = None

    @classmethod
    def after(cls, starts: Iterable[datetime], *, per_minute: float, capacity: float = 1.0) -> TokenBucket:
        """The bucket as these starts left it, whoever made them. Those longer ago than `memory` make no difference."""
        bucket = cls(per_minute, capacity, capacity)
        for start in sorted(starts):
            bucket = bucket.take(start)
        return bucket

    @property
    def memory(self) -> timedelta:
        """After so long without a start the bucket is full again."""
        return timedelta(minutes=self.capacity / self.per_minute)

    def take(self, moment: datetime) -> TokenBucket:
        """Without one token; the number may become negative when somebody did not wait."""
        return TokenBucket(self.per_minute, self.capacity, self._at(moment) - 1.0, moment)

    def wait(self, moment: datetime) -> timedelta:
        """How long until there is a token."""
        missing = 1.0 - self._at(moment)
        return timedelta(minutes=max(0.0, missing) / self.per_minute)

    def _at(self, moment: datetime) -> float:
        if self.filled_at is None:
            return self.tokens
        minutes = max(0.0, (moment - self.filled_at).total_seconds() / 60.0)
        return min(self.capacity, self.tokens + minutes * self.per_minute)
