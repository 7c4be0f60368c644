"""What the node tells people by itself: conditions that begin, last and end, and the notices that say so. No patient is in any of it.

A condition is one thing that is wrong (`kind`, and `subject` where there may be several). A notice is one message about it to one
recipient; its id stays the same however often it has to be sent.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LONGEST_NAME = 120


class NoticeKind(StrEnum):
    """What people are told of: the closed list.

    first_failure: a reading or a delivery failed where nothing failed before. quarantine: jobs are set aside. silent_source: nothing comes
    from a sender that usually sends at this hour. backlog: work waits for too long. drift_alarm: an alarm of the watch or of a stop rule
    waits for a person. audit_broken: the audit trail's chain does not hold. test: somebody asked for a notice.
    """

    FIRST_FAILURE = "first_failure"
    QUARANTINE = "quarantine"
    SILENT_SOURCE = "silent_source"
    BACKLOG = "backlog"
    DRIFT_ALARM = "drift_alarm"
    AUDIT_BROKEN = "audit_broken"
    TEST = "test"


TOLD_ONCE = frozenset({NoticeKind.FIRST_FAILURE})
"""Not repeated while they last: what follows a first failure has kinds of its own."""


class Step(StrEnum):
    """Where in a condition's life a notice stands."""

    BEGAN = "began"
    LASTS = "lasts"
    OVER = "over"


class NoticeState(StrEnum):
    """Life of one notice. given_up: its deadline passed, and nobody had taken it."""

    WAITING = "waiting"
    SENDING = "sending"
    TOLD = "told"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class NamedStudy:
    """A study that a condition is about; told only to receivers whose settings ask for identifiers."""

    study_instance_uid: str
    accession_number: str


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong at this moment.

    Attributes:
        subject: which one of its kind; stays the same while the condition lasts.
        facts: plain JSON values for the templates: numbers, closed words, names of the site's own parts; times as ISO 8601.
        studies: whom it concerns; empty where nobody asked for identifiers.
    """

    kind: NoticeKind
    subject: str
    facts: Mapping[str, Any]
    studies: tuple[NamedStudy, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same condition at the next look."""
        return self.kind.value, self.subject


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one recipient.

    Attributes:
        notice_id: a UUID; the same at each attempt, so that a receiver knows a doubled one.
        condition_id: a UUID that the notices of one condition share.
        said_at: when it was written down, whenever it is sent.
        ended_at: of a condition that is over.
    """

    notice_id: str
    condition_id: str
    kind: NoticeKind
    step: Step
    subject: str
    began_at: datetime
    said_at: datetime
    ended_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    studies: tuple[NamedStudy, ...] = ()


def plain_name(text: str) -> str:
    """A name from outside, such as an AE title, as one line that prints: no control or format characters, at most 120 characters."""
    printing = "".join(one if unicodedata.category(one)[0] != "C" else " " for one in text)
    line = " ".join(printing.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"
