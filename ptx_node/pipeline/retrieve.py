"""The retrieve stage: works through the studies that are wanted from an archive, gently, and says of each what became of it.

What counts is what the node has: after each attempt the instances of the study are counted in the database, and the next attempt asks
for those series only that are not whole. Killed anywhere, the lease runs out and the study is begun again; instances that are here
already are recognised by the one way in and stored once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from ptx_node.db import retrievals
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.retrieval import MAX_ATTEMPTS, RetrievalState, TokenBucket, wanted_series
from ptx_node.domain.study import Origin, Via
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError
from ptx_node.log import get
from ptx_node.pipeline.archive_intake import ArchiveIntake
from ptx_node.pipeline.leases import renewing
from ptx_node.pipeline.part import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from ptx_node.db.retrievals import Claim
    from ptx_node.domain.retrieval import Fetched, Found, FoundSeries, Incoming, OffHours, StudyQuery
    from ptx_node.pipeline.receive import Receiver

log = get(__name__)

TOLD = 3
"""So many refusals are told of one study."""


class Archive(Protocol):
    """Somewhere to fetch studies from. Adapters in `ptx_node.outbound` satisfy it; library errors are mapped there, once."""

    @property
    def name(self) -> str:
        """The name that the rows carry."""

    @property
    def ae_title(self) -> str:
        """Its AE title, empty where it has none."""

    @property
    def address(self) -> str:
        """Its host, or the root of its service."""

    def find_studies(self, query: StudyQuery, *, limit: int) -> Found:
        """Studies that the archive says match, at most `limit`; who asks looks at them again.

        Raises:
            DestinationUnavailableError: it does not answer, or not now.
            DestinationRefusedError: it does not take the question.
        """

    def find_series(self, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study; none when the archive does not have it.

        Raises:
            DestinationUnavailableError, DestinationRefusedError: as `find_studies`.
        """

    def fetch(self, study_instance_uid: str, series_instance_uids: Sequence[str], begin: Callable[[], Incoming]) -> Fetched:
        """Have series sent: each instance to what `begin` gives, or to the node's own Storage SCP.

        Raises:
            DestinationUnavailableError: it does not answer, broke off, or cannot now; some instances may have come.
            DestinationRefusedError: it does not send them.
        """


@dataclass(frozen=True, slots=True)
class Pace:
    """How gently an archive is asked.

    Attributes:
        studies_per_minute: begun, at most, by all processes together.
        hours: when studies may be begun; None: at any time. One that has begun is finished.
        lease_s: how long a silent process is believed to be alive.
        first_delay_s, max_delay_s: wait after a failed attempt, doubled each time.
    """

    studies_per_minute: float = 6.0
    hours: OffHours | None = None
    lease_s: float = 60.0
    first_delay_s: float = 5.0
    max_delay_s: float = 600.0

    def delay(self, attempts: int) -> timedelta:
        """Wait after so many attempts (1 or more)."""
        return timedelta(seconds=min(self.max_delay_s, self.first_delay_s * 2.0 ** min(attempts - 1, 60)))


@dataclass(frozen=True, slots=True)
class Step:
    """What one call did: a study was worked on (`retrieval_id`), or there is to wait (`wait_until`), or nothing is left (neither).

    `blocked` says why the archive, or the node itself, could not do anything for any study just now: come back later.
    """

    retrieval_id: int | None = None
    state: RetrievalState | None = None
    wait_until: datetime | None = None
    blocked: str | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: RetrievalState
    error: str | None = None
    blocked: bool = False
    counted: Mapping[str, Any] = field(default_factory=dict)


class Retriever:
    """Works on the studies of one archive, one at a time.

    Args:
        engine, receiver: opened in this process.
        archive: whom to ask.
        pace: how gently.
        only: ids of the rows to work on; None: all of this archive.
        seen: called after each instance that came on our own connection.
        clock: the present moment, aware.
    """

    def __init__(
        self,
        engine: Engine,
        receiver: Receiver,
        archive: Archive,
        pace: Pace,
        *,
        only: Collection[int] | None = None,
        seen: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = current_time,
    ) -> None:
        self._engine = engine
        self._receiver = receiver
        self._archive = archive
        self._pace = pace
        self._only = only
        self._seen = seen
        self._clock = clock

    def step(self) -> Step:
        """Work on the next study, if there is one and it is time.

        Raises:
            DatabaseUnavailableError: call again; a study that was begun is begun again when its lease has run out.
        """
        moment = self._clock()
        due = self._due(moment)
        if due is None or due > moment:
            return Step(wait_until=due)
        lease = timedelta(seconds=self._pace.lease_s)
        owner = uuid.uuid4().hex
        with begin_write(self._engine) as session:
            one = retrievals.claim(session, self._archive.name, owner=owner, lease=lease, now=moment, only=self._only)
        if one is None:
            return Step(wait_until=moment + timedelta(seconds=1))
        with renewing(self._engine, lambda session: retrievals.renew(session, one, self._clock() + lease), lease_s=self._pace.lease_s):
            outcome = self._work(one)
        return self._settle(one, outcome)

    def _due(self, moment: datetime) -> datetime | None:
        """When the next study may be begun: its own wait, the window and the rate taken together; None when none is left."""
        rate = self._pace.studies_per_minute
        memory = TokenBucket(rate).memory
        with begin_read(self._engine) as session:
            due = retrievals.next_due(session, self._archive.name, now=moment, only=self._only)
            starts = retrievals.starts(session, self._archive.name, since=moment - memory)
        if due is None:
            return None
        due = max(due, moment + TokenBucket.after(starts, per_minute=rate).wait(moment))
        return self._pace.hours.next_open(due) if self._pace.hours else due

    def _work(self, one: Claim) -> _Outcome:
        try:
            series = self._archive.find_series(one.study_instance_uid)
        except DestinationUnavailableError as error:
            return _Outcome(RetrievalState.WAITING, str(error), blocked=True)
        except DestinationRefusedError as error:
            return _Outcome(RetrievalState.FAILED, str(error))
        wanted = wanted_series(series, one.modalities)
        if not wanted:
            told = f"of its {len(series)} series none is {' or '.join(one.modalities)}" if series else "the archive does not have it"
            return _Outcome(RetrievalState.NOT_FOUND, told)
        return self._fetch(one, wanted)

    def _fetch(self, one: Claim, wanted: Sequence[FoundSeries]) -> _Outcome:
        here = self._here(one)
        missing = [series.series_instance_uid for series in wanted if _short(series, here)]
        origin = Origin(Via.RETRIEVE, self._archive.name, self._archive.ae_title, "", self._archive.address)
        intake = ArchiveIntake(self._receiver, origin, Asked(one.study_instance_uid, one.patient_id, one.issuer_of_patient_id), self._seen)
        fetched: Fetched | None = None
        error, state = "", RetrievalState.WAITING
        try:
            if missing:
                fetched = self._archive.fetch(one.study_instance_uid, missing, intake.begin)
        except DestinationUnavailableError as unavailable:
            error = str(unavailable)
        except DestinationRefusedError as refused:
            error, state = str(refused), RetrievalState.FAILED
        here = self._here(one)
        counted = _counts(wanted, here) | ({"method": fetched.method} if fetched else {})
        if not error and not _still_missing(wanted, here, fetched):
            return _Outcome(RetrievalState.DONE, intake.kept_aside, counted=counted)
        if intake.blocked:
            return _Outcome(RetrievalState.WAITING, intake.blocked, blocked=True, counted=counted)
        expected = "" if counted["expected_count"] is None else f" of {counted['expected_count']}"
        words = (
            error,
            f"{counted['received_count']}{expected} instances are here",
            *intake.refusals[:TOLD],
            fetched.answer if fetched else "",
        )
        return _Outcome(state, "; ".join(word for word in words if word), counted=counted)

    def _here(self, one: Claim) -> dict[str, int]:
        with begin_read(self._engine) as session:
            return retrievals.instances_here(session, one.study_instance_uid)

    def _settle(self, one: Claim, outcome: _Outcome) -> Step:
        moment = self._clock()
        state = outcome.state
        values: dict[str, Any] = {**outcome.counted, "error": outcome.error}
        if state is RetrievalState.WAITING and not outcome.blocked and one.attempts >= MAX_ATTEMPTS:
            state = RetrievalState.FAILED
        if state is RetrievalState.WAITING:
            values["not_before_at"] = moment + self._pace.delay(one.attempts)
            values["attempts"] = one.attempts - outcome.blocked
        else:
            values["finished_at"] = moment
        with begin_write(self._engine) as session:
            held = retrievals.settle(session, one, state, **values)
        level = log.info if state is RetrievalState.DONE else log.warning
        level(
            "study retrieved" if state is RetrievalState.DONE else "study not retrieved",
            archive=self._archive.name,
            study_instance_uid=one.study_instance_uid,
            state=state.value,
            error=outcome.error,
            lease_lost=not held,
        )
        return Step(one.retrieval_id, state, blocked=outcome.error if outcome.blocked else None)


def _short(series: FoundSeries, here: Mapping[str, int]) -> bool:
    """Whether a series is not known to be whole."""
    return series.instance_count is None or here.get(series.series_instance_uid, 0) < series.instance_count


def _still_missing(wanted: Sequence[FoundSeries], here: Mapping[str, int], fetched: Fetched | None) -> bool:
    """Whether anything is missing after a retrieval. Of a series that the archive does not count, its own word is taken."""
    uncounted = [series for series in wanted if series.instance_count is None]
    nothing_came = any(not here.get(series.series_instance_uid) for series in uncounted)
    failed = bool(uncounted and fetched and fetched.failed)
    return nothing_came or failed or any(_short(series, here) for series in wanted if series.instance_count is not None)


def _counts(wanted: Sequence[FoundSeries], here: Mapping[str, int]) -> dict[str, Any]:
    counts = [series.instance_count for series in wanted if series.instance_count is not None]
    return {
        "expected_count": sum(counts) if len(counts) == len(wanted) else None,
        "received_count": sum(here.get(series.series_instance_uid, 0) for series in wanted),
    }
