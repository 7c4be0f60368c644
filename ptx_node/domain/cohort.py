"""A retrospective cohort: what was asked for, in which order patients are looked for, and why somebody is not counted. Pure.

One member is one radiology report of the period. Who is drawn depends on the seed and on the patients' numbers alone, never on the order
in which reports or images came here, nor on how often the work was interrupted.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LENGTH = re.compile(r"(\d+(?:\.\d+)?)(h|m|min)")


class Choice(StrEnum):
    """How patients are chosen."""

    CONSECUTIVE = "consecutive"
    """Everybody of the period."""
    BALANCED = "balanced"
    """The same number with and without a pneumothorax, drawn by the seed."""


class CohortState(StrEnum):
    """Life of a cohort; a complete one never changes."""

    BUILDING = "building"
    COMPLETE = "complete"


class MemberState(StrEnum):
    """Life of a member. Terminal: counted, excluded."""

    WAITING = "waiting"
    """Its turn has not come."""
    FETCHING = "fetching"
    """The archive has studies of the day, and they are wanted."""
    READING = "reading"
    """A radiograph is chosen, and a job is to read it."""
    COUNTED = "counted"
    EXCLUDED = "excluded"


IN_WORK = (MemberState.FETCHING, MemberState.READING, MemberState.COUNTED)
"""From the first to the last; a patient has one member at most in these states."""


class Exclusion(StrEnum):
    """Why a report of the period is not counted: the closed list."""

    NOT_CT = "not_ct"
    WITHDRAWN = "withdrawn"
    PRELIMINARY = "preliminary"
    NO_TEXT = "no_text"
    NOT_LABELLED = "not_labelled"
    NOT_THORAX = "not_thorax"
    LABEL_UNCERTAIN = "label_uncertain"
    NO_PATIENT = "no_patient"
    PATIENT_AMBIGUOUS = "patient_ambiguous"
    OTHER_GROUP = "other_group"
    OTHER_CT = "other_ct"
    NOT_DRAWN = "not_drawn"
    PATIENT_NOT_IN_ARCHIVE = "patient_not_in_archive"
    NO_RADIOGRAPH_THAT_DAY = "no_radiograph_that_day"
    RETRIEVAL_FAILED = "retrieval_failed"
    OTHER_PATIENT = "other_patient"
    REPORT_CHANGED = "report_changed"
    NOT_ELIGIBLE = "not_eligible"
    ONLY_AFTER_CT = "only_after_ct"
    NEARER_TO_OTHER_CT = "nearer_to_other_ct"
    ORDER_UNKNOWN = "order_unknown"
    TOO_FAR_APART = "too_far_apart"
    UNREADABLE = "unreadable"
    MODEL_FAILED = "model_failed"


WORDS: Mapping[Exclusion, str] = {
    Exclusion.NOT_CT: "report of another examination than a CT",
    Exclusion.WITHDRAWN: "report withdrawn",
    Exclusion.PRELIMINARY: "report preliminary only",
    Exclusion.NO_TEXT: "report without text that can be read",
    Exclusion.NOT_LABELLED: "report without a label",
    Exclusion.NOT_THORAX: "CT does not show the thorax",
    Exclusion.LABEL_UNCERTAIN: "report leaves it open",
    Exclusion.NO_PATIENT: "report names no patient number that an archive can be asked for",
    Exclusion.PATIENT_AMBIGUOUS: "report names numbers of several patients",
    Exclusion.OTHER_GROUP: "patient is in the other group by an earlier CT",
    Exclusion.OTHER_CT: "patient is counted with another CT",
    Exclusion.NOT_DRAWN: "patient not drawn",
    Exclusion.PATIENT_NOT_IN_ARCHIVE: "patient unknown in the archive",
    Exclusion.NO_RADIOGRAPH_THAT_DAY: "no radiograph of the same day in the archive",
    Exclusion.RETRIEVAL_FAILED: "radiograph could not be fetched",
    Exclusion.OTHER_PATIENT: "images that came are of another patient",
    Exclusion.REPORT_CHANGED: "report no longer counts",
    Exclusion.NOT_ELIGIBLE: "no radiograph of the day that the model reads",
    Exclusion.ONLY_AFTER_CT: "radiograph only after the CT",
    Exclusion.NEARER_TO_OTHER_CT: "radiograph belongs to another CT of the day",
    Exclusion.ORDER_UNKNOWN: "no time tells whether radiograph or CT came first",
    Exclusion.TOO_FAR_APART: "more time between radiograph and CT than allowed",
    Exclusion.UNREADABLE: "pixels could not be read",
    Exclusion.MODEL_FAILED: "model failed",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked for. The same name with other terms is another cohort.

    Attributes:
        since, until: local days of the CT examinations, both included.
        wanted: patients a group, of a balanced cohort; None of a consecutive one.
        archive, model: the site's names.
        weights_sha256: of that model when the cohort was begun.
        interval_s: longest time between radiograph and CT; None: the day.
        after_too: where no radiograph was made before the CT, the nearest after it counts.

    Raises:
        UsageError: they make no cohort.
    """

    name: str
    since: date
    until: date
    choice: Choice
    wanted: int | None
    seed: int
    archive: str
    model: str
    weights_sha256: str
    interval_s: float | None = None
    after_too: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} is no name of a cohort: small letters, digits, - and _, as in siim-2026")
        if self.until < self.since:
            raise UsageError(f"the period ends ({self.until}) before it begins ({self.since})")
        if (self.choice is Choice.BALANCED) != (self.wanted is not None) or (self.wanted is not None and self.wanted < 1):
            raise UsageError("say --balanced N, with N patients in each group, or --consecutive")

    def differences(self, other: Terms) -> list[str]:
        """What another wish for the same name says differently, for people."""
        return [
            f"{field.name} is {_plain(mine)}, not {_plain(theirs)}"
            for field in fields(self)
            if (mine := getattr(self, field.name)) != (theirs := getattr(other, field.name))
        ]


def _plain(value: object) -> str:
    return "none" if value is None else str(value)


def interval_of(text: str) -> float | None:
    """`6h`, `90m` in seconds; None for nothing.

    Raises:
        UsageError: it is no length of time, or longer than the day that both examinations share.
    """
    if not text:
        return None
    found = LENGTH.fullmatch(text.strip())
    seconds = float(found[1]) * (3600 if found[2] == "h" else 60) if found else 0.0
    if not 0 < seconds <= 24 * 3600:
        raise UsageError(f"{text!r} is no time between radiograph and CT: write 6h or 90m, at most 24h")
    return seconds


@dataclass(frozen=True, slots=True)
class Candidate:
    """A report that says yes or no about a known patient.

    Attributes:
        names: source and number of the report, which tell two of the same moment apart.
    """

    report_id: int
    person_id: int
    positive: bool
    examined_on: date
    examined_at: datetime | None
    names: tuple[str, str]

    @property
    def moment(self) -> tuple[str, bool, str, tuple[str, str]]:
        """Order in time; one without a time of day comes last of its day."""
        return (
            self.examined_on.isoformat(),
            self.examined_at is None,
            self.examined_at.isoformat() if self.examined_at else "",
            self.names,
        )


@dataclass(frozen=True, slots=True)
class Arranged:
    """`turns`: report -> its place in the order in which patients are looked for; `other_group`: reports that do not count."""

    turns: Mapping[int, int]
    other_group: frozenset[int]


def arrange(candidates: Iterable[Candidate], patient_keys: Mapping[int, str], choice: Choice, seed: int) -> Arranged:
    """Put patients in order, and give each to one group: that of his first CT of the period.

    A patient's later CTs that say the same follow as second choices, those that say otherwise are left out. Consecutive: by the time
    of the first CT; balanced: by a hash of the seed and `patient_keys` (person -> a text that does not depend on what came when).
    """
    of_person: dict[int, list[Candidate]] = {}
    for one in sorted(candidates, key=lambda one: one.moment):
        of_person.setdefault(one.person_id, []).append(one)

    def place(person: int) -> tuple[object, ...]:
        if choice is Choice.BALANCED:
            return (hashlib.sha256(f"{seed}\n{patient_keys[person]}".encode()).hexdigest(), patient_keys[person])
        return (of_person[person][0].moment, patient_keys[person])

    ordered = [one for person in sorted(of_person, key=place) for one in of_person[person]]
    mine = [one for one in ordered if one.positive == of_person[one.person_id][0].positive]
    turns = {one.report_id: number for number, one in enumerate(mine, start=1)}
    return Arranged(turns, frozenset(one.report_id for one in ordered if one.report_id not in turns))


@dataclass(frozen=True, slots=True)
class Standing:
    """A member that has a turn, as far as drawing needs it."""

    member_id: int
    person_id: int
    positive: bool
    turn: int
    state: MemberState


def in_turn(standings: Sequence[Standing], wanted: int | None) -> list[int]:
    """Members whose turn it is now, in order: one a patient, and as many patients a group as are still missing.

    Patients who are in work count as if they would succeed, so that at any moment those who were looked at are the first of the order,
    and the first `wanted` who succeed are in, whatever was interrupted when.
    """
    busy = {one.person_id for one in standings if one.state in IN_WORK}
    groups = {person: one.positive for one in standings if (person := one.person_id) in busy}
    taken = {positive: sum(group == positive for group in groups.values()) for positive in (True, False)}
    found: list[int] = []
    for one in sorted(standings, key=lambda one: one.turn):
        full = wanted is not None and taken[one.positive] >= wanted
        if one.state is MemberState.WAITING and one.person_id not in busy and not full:
            busy.add(one.person_id)
            taken[one.positive] += 1
            found.append(one.member_id)
    return found


@dataclass(frozen=True, slots=True)
class Sibling:
    """A member of a patient who was several when the cohort was begun; `turn` None: it never had one."""

    member_id: int
    candidate: Candidate
    turn: int | None
    state: MemberState


def joined(siblings: Sequence[Sibling]) -> tuple[frozenset[int], frozenset[int]]:
    """What it costs members that they are one patient's: who leaves for the other group, and who waits again.

    The first CT decides the group, as for everybody. Of several in work the one that came furthest stays; the others stand in for it,
    should it fail.
    """
    group = min(siblings, key=lambda one: one.candidate.moment).candidate.positive
    still_in = [one for one in siblings if one.state is not MemberState.EXCLUDED]
    leave = frozenset(one.member_id for one in still_in if one.candidate.positive != group)
    in_work = [one for one in still_in if one.state in IN_WORK and one.member_id not in leave]
    in_work.sort(key=lambda one: (-IN_WORK.index(one.state), one.turn or 0))
    return leave, frozenset(one.member_id for one in in_work[1:])
