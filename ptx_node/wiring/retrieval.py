"""Archives as the settings name them, and the loop that works off what is wanted from one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo

from ptx_node.db import audit, retrievals, schema
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.audit_events import decision
from ptx_node.domain.retrieval import BY_HAND, OffHours, choose
from ptx_node.errors import UsageError
from ptx_node.outbound.archive_dicomweb import DicomwebArchive
from ptx_node.outbound.archive_dimse import DimseArchive, Retrieve
from ptx_node.outbound.association import DimsePeer
from ptx_node.outbound.dicomweb import DicomwebService
from ptx_node.pipeline.receive import Receiver
from ptx_node.pipeline.retrieve import Pace, Retriever
from ptx_node.settings import DicomwebArchive as DicomwebArchiveSettings
from ptx_node.settings import DimseArchive as DimseArchiveSettings
from ptx_node.wiring.node import make_tls, open_database, open_store

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from sqlalchemy import Engine

    from ptx_node.db.tables import Retrieval
    from ptx_node.domain.retrieval import FoundStudy, StudyQuery
    from ptx_node.pipeline.retrieve import Archive, Step
    from ptx_node.settings import Archive as ArchiveSettings
    from ptx_node.settings import Settings

MOST_STUDIES = 10_000
"""So many studies may be asked for at once; who wants more asks for shorter periods."""

TURN_S = 5.0
STOPPED = "stopped"


def find_archive(settings: Settings, name: str | None) -> ArchiveSettings:
    """The archive of this name; without a name the only one.

    Raises:
        UsageError: there is none, or it is not clear which.
    """
    names = [one.name for one in settings.archives]
    if not names:
        raise UsageError("no archive to ask: name your PACS in [[archives]] of ptx.toml")
    if name is None and len(names) > 1:
        raise UsageError(f"say which archive, with --archive: {', '.join(names)}")
    for one in settings.archives:
        if name in (None, one.name):
            return one
    raise UsageError(f"there is no archive {name!r}; ptx.toml has: {', '.join(names)}")


def make_archive(one: ArchiveSettings, settings: Settings) -> Archive:
    """The adapter of one archive; nothing is connected yet."""
    match one:
        case DimseArchiveSettings():
            peer = DimsePeer(one.host, one.port, one.called_ae, one.calling_ae, one.timeout_s, make_tls(one.tls, settings))
            return DimseArchive(one.name, peer, Retrieve(one.retrieve, settings.dicom.retrieve_ae_title, one.move_timeout_s))
        case DicomwebArchiveSettings():
            basic = (one.username, one.password.get_secret_value()) if one.username and one.password else None
            token = one.bearer_token.get_secret_value() if one.bearer_token else None
            return DicomwebArchive(one.name, DicomwebService(one.url, token, basic, one.timeout_s, make_tls(one.tls, settings)))
        case _:
            assert_never(one)


def make_pace(one: ArchiveSettings, settings: Settings, *, any_hour: bool = False) -> Pace:
    """How gently the archive is asked.

    Raises:
        ConfigurationError: its window has no length.
    """
    hours = OffHours.parse(one.window, ZoneInfo(settings.node.time_zone)) if one.window else None
    return Pace(studies_per_minute=one.studies_per_minute, hours=None if any_hour else hours)


def make_intake(engine: Engine, settings: Settings) -> Receiver:
    """The one function that every instance goes through. It rings for nobody: nothing waits for what was retrieved."""
    return Receiver(
        engine,
        open_store(settings),
        invalid_uid=settings.dicom.invalid_uid,
        max_instance_bytes=settings.dicom.max_instance_bytes,
        ring=lambda: None,
    )


def in_the_background(settings: Settings, engine: Engine, stop: threading.Event) -> Iterator[tuple[str, Callable[[], None], float]]:
    """For the scheduler, each archive: a name, a look that works on what may be fetched now, and how often to look."""
    for one in settings.archives:
        retriever = Retriever(engine, make_intake(engine, settings), make_archive(one, settings), make_pace(one, settings))

        def look(retriever: Retriever = retriever) -> None:
            while not stop.is_set():
                step = retriever.step()
                if step.retrieval_id is None or step.blocked:
                    return

        yield f"retrieve {one.name}", look, TURN_S


@dataclass(frozen=True, slots=True)
class Left:
    """What a pull left over: why nothing more could be fetched now, or when the window opens; neither when all is settled."""

    blocked: str | None = None
    opens_at: datetime | None = None


def work_off(retriever: Retriever, pace: Pace, *, stop: threading.Event, told: Callable[[Step], None]) -> Left:
    """Have a retriever work until its studies are settled, the window is closed, the archive is away, or `stop`; `told` after each."""
    while not stop.is_set():
        step = retriever.step()
        if step.blocked:
            return Left(blocked=step.blocked)
        if step.retrieval_id is not None:
            told(step)
        elif step.wait_until is None:
            return Left()
        elif pace.hours and not pace.hours.is_open(now()):
            return Left(opens_at=step.wait_until)
        else:
            stop.wait(min(TURN_S, max(0.0, (step.wait_until - now()).total_seconds())))
    return Left(blocked=STOPPED)


class Pull:
    """One question by hand: look, note what is wanted, fetch it.

    Args:
        settings: of the site.
        archive: name of an archive, or None where there is one only.
        any_hour: fetch outside the archive's window too.

    Raises:
        UsageError: it is not clear which archive.
        PtxError: the database is not of this version.
    """

    def __init__(self, settings: Settings, archive: str | None, *, any_hour: bool) -> None:
        one = find_archive(settings, archive)
        self.name = one.name
        self._settings = settings
        self._home_issuer = one.issuer_of_patient_id
        self._archive = make_archive(one, settings)
        self._pace = make_pace(one, settings, any_hour=any_hour)
        self._engine = open_database(settings)
        schema.require_latest(self._engine)

    def find(self, query: StudyQuery) -> tuple[FoundStudy, ...]:
        """The studies that the archive has of what is asked.

        Raises:
            UsageError: too many, or one number of several issuers.
            DestinationUnavailableError, DestinationRefusedError: the archive does not answer.
        """
        return choose(query, self._archive.find_studies(query, limit=MOST_STUDIES), home_issuer=self._home_issuer)

    def want(self, query: StudyQuery, studies: Collection[FoundStudy], *, by: str) -> list[int]:
        """Note them, and in the audit trail who wants them (`by`); the ids of their rows. From now on a kill loses nothing."""
        wanted = retrievals.Wanted(
            self.name,
            [one.study_instance_uid for one in studies],
            BY_HAND,
            query.modalities,
            query.patient_id,
            query.issuer_of_patient_id,
        )
        with begin_write(self._engine) as session:
            ids = retrievals.want(session, wanted, now=now(), again=True)
            audit.note(session, decision(by, "pull studies", archive=self.name, retrieval_ids=ids))
        return ids

    def fetch(
        self, ids: Collection[int], *, stop: threading.Event, told: Callable[[Step], None], seen: Callable[[], None] = lambda: None
    ) -> Left:
        """Work them off in this process, until they are settled, the window is closed, the archive is away, or `stop`.

        Args:
            ids: of the rows; what another process holds is waited for.
            stop: ends the waiting.
            told: called after each study.
            seen: called after each instance that comes on our own connection.
        """
        intake = make_intake(self._engine, self._settings)
        return work_off(Retriever(self._engine, intake, self._archive, self._pace, only=ids, seen=seen), self._pace, stop=stop, told=told)

    def rows(self, ids: Collection[int]) -> list[Retrieval]:
        """What became of them."""
        with begin_read(self._engine) as session:
            return retrievals.rows(session, ids)
