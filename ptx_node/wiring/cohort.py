"""Builds a cohort: its patients are looked for, their radiographs fetched, chosen and read, turn by turn, until nobody is missing.

Everything that is known is in rows: killed anywhere, the same command goes on.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ptx_node.db import cohorts, jobs, schema, thresholds
from ptx_node.db.cohort_merges import counted_twice
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.cohort import CohortState, MemberState, Terms
from ptx_node.errors import DestinationUnavailableError, UsageError
from ptx_node.model.metadata import describe
from ptx_node.pipeline import cohort_select
from ptx_node.pipeline.cohort_choose import Chooser, modalities_of, rule_of
from ptx_node.pipeline.cohort_search import Search
from ptx_node.pipeline.cohort_settle import finish, open_jobs, settle, turn
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.pipeline.retrieve import Retriever
from ptx_node.validation.cohort import Figures, figures_of, flow_of
from ptx_node.wiring.models import bundle_folder, bundle_folders, known_models
from ptx_node.wiring.node import open_database, open_store, settings_sha256
from ptx_node.wiring.reports import find_patients, load_authorities
from ptx_node.wiring.retrieval import STOPPED, Left, find_archive, make_archive, make_intake, make_pace, work_off

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import date

    from sqlalchemy import Engine

    from ptx_node.db.tables import Cohort
    from ptx_node.domain.cohort import Choice
    from ptx_node.pipeline.infer import Inference
    from ptx_node.settings import Settings
    from ptx_node.validation.flow import Flow

PORTION = 50
"""Members that are looked for in one turn; what is fetched is read when they are all here."""
LOOK_AGAIN_S = 1.0
IDLE_TURNS = 5
"""So often in a row nothing may go forward, while another process is believed to be at it."""
UNROUTED = "some of the images were sent to the node by a modality and wait to be routed: start the node (ptx up)"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; None: the only archive, the only model that reads radiographs."""

    name: str
    since: date
    until: date
    choice: Choice
    wanted: int | None
    seed: int
    archive: str | None
    model: str | None
    interval_s: float | None
    after_too: bool


class CohortBuild:
    """One cohort of this site.

    Args:
        settings: of the site.
        wish: what is asked for.
        any_hour: work outside the archive's window too.

    Raises:
        UsageError: it is not clear which archive or model.
        ModelError: the model cannot be used.
        PtxError: the database is not of this version.
    """

    def __init__(self, settings: Settings, wish: Wish, *, any_hour: bool) -> None:
        self._settings = settings
        self._engine = open_database(settings)
        schema.require_latest(self._engine)
        archive = find_archive(settings, wish.archive)
        name = _radiograph_model(settings, wish.model)
        self._model = describe(bundle_folder(settings, name))
        self._terms = Terms(
            name=wish.name,
            since=wish.since,
            until=wish.until,
            choice=wish.choice,
            wanted=wish.wanted,
            seed=wish.seed,
            archive=archive.name,
            model=name,
            weights_sha256=self._model.identity.weights_sha256,
            interval_s=wish.interval_s,
            after_too=wish.after_too,
        )
        self._home_issuer = archive.issuer_of_patient_id
        self._archive = make_archive(archive, settings)
        self._pace = make_pace(archive, settings, any_hour=any_hour)
        self._idle = 0

    def run(self, *, by: str, stop: threading.Event, told: Callable[[dict[str, int]], None]) -> Left:
        """Begin the cohort, or go on with it, until it is complete or something has to be waited for.

        Args:
            by: who decided it, for the audit trail.
            stop: ends the work after what has begun.
            told: called now and then with how many members are in each state.

        Returns:
            Why it could not go on; neither reason nor time when the cohort is complete.

        Raises:
            UsageError: the name is taken by a cohort of other terms.
            DestinationRefusedError: the archive does not take the question.
            DatabaseUnavailableError, RetryableError: give the command again.
        """
        find_patients(self._settings, self._engine)()
        with begin_read(self._engine) as session:
            own = thresholds.in_force(session)
        threshold = own.get(self._model.identity.weights_sha256, self._model.decision.class_threshold)
        now_holds = cohort_select.Circumstances(self._model.identity, threshold, by, settings_sha256(self._settings))
        cohort, _ = cohort_select.begin(self._engine, self._terms, now_holds)
        left = Left()
        with ThreadPoolExecutor(self._settings.worker.decode_threads) as pool:
            reader = _Reader(self._settings, self._engine, cohort, pool)
            while cohort.state == CohortState.BUILDING and not _waits(left):
                left = self._turn(cohort, reader, stop, told)
                if not _waits(left) and finish(self._engine, cohort):
                    break
                if stop.is_set():
                    left = Left(blocked=STOPPED)
        reconcile(self._engine, until=stop.is_set)
        return left

    def _turn(self, cohort: Cohort, reader: _Reader, stop: threading.Event, told: Callable[[dict[str, int]], None]) -> Left:
        left, looked_for = self._look(cohort, stop)

        def tell() -> None:
            with begin_read(self._engine) as session:
                told(_by_state(cohorts.counts(session, cohort.id)))

        tell()
        fetched = self._fetch(cohort, stop, tell)
        chooser = Chooser(
            self._engine,
            cohort,
            open_store(self._settings),
            self._model.requirements,
            known_models(self._settings).device_uids,
            load_authorities(self._settings),
            ZoneInfo(self._settings.node.time_zone),
        )
        moved = looked_for + chooser.run() + reader.read(stop)
        tell()
        if _waits(fetched) or _waits(left) or moved:
            self._idle = 0
            return fetched if _waits(fetched) else left
        self._idle += 1
        stop.wait(LOOK_AGAIN_S)  # another process holds what is to be done next
        return Left(blocked=UNROUTED) if self._idle >= IDLE_TURNS else left

    def _look(self, cohort: Cohort, stop: threading.Event) -> tuple[Left, int]:
        """Ask the archive for those whose turn it is; how many. In its window only: a whole period's questions are work for it."""
        moment = now()
        members = turn(self._engine, cohort, PORTION)
        if members and self._pace.hours and not self._pace.hours.is_open(moment):
            return Left(opens_at=self._pace.hours.next_open(moment)), 0
        search = Search(
            self._engine,
            cohort,
            self._archive,
            load_authorities(self._settings),
            modalities_of(self._model.requirements),
            self._home_issuer,
        )
        for number, member in enumerate(members):
            if stop.is_set():
                return Left(blocked=STOPPED), number
            try:
                search.look(member)
            except DestinationUnavailableError as error:
                return Left(blocked=str(error)), number
        return Left(), len(members)

    def _fetch(self, cohort: Cohort, stop: threading.Event, tell: Callable[[], None]) -> Left:
        with begin_read(self._engine) as session:
            fetching = cohorts.members_in(session, cohort.id, MemberState.FETCHING)
            wanted = cohorts.retrievals_of(session, cohort, (uid for one in fetching for uid in one.study_instance_uids))
        if not wanted:
            return Left()
        intake = make_intake(self._engine, self._settings)
        retriever = Retriever(self._engine, intake, self._archive, self._pace, only={row.id for row in wanted.values()})
        return work_off(retriever, self._pace, stop=stop, told=lambda _: tell())


class _Reader:
    """Has the chosen radiographs read in this process, beside any worker that does so too."""

    def __init__(self, settings: Settings, engine: Engine, cohort: Cohort, pool: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._engine = engine
        self._cohort = cohort
        self._pool = pool
        self._inference: Inference | None = None

    def read(self, stop: threading.Event) -> int:
        """Until no radiograph of the cohort waits, or `stop`; what a dead process held is waited for. How many members ended."""
        while open_jobs(self._engine, self._cohort) and not stop.is_set():
            with begin_write(self._engine) as session:
                jobs.reap(session, now=now())
            if not self._load().run(until=stop.is_set):
                stop.wait(LOOK_AGAIN_S)
        return settle(self._engine, self._cohort)

    def _load(self) -> Inference:
        if self._inference is None:
            from ptx_node.wiring.inference import build_offline  # noqa: PLC0415 - torch, only where something is to be read

            self._inference = build_offline(self._settings, self._engine, self._pool, rule=rule_of(self._cohort))
        return self._inference


@dataclass(frozen=True, slots=True)
class Shown:
    """A cohort as it stands."""

    cohort: Cohort
    flow: Flow
    figures: Figures
    labels_changed: int
    patients_merged: int


def show_cohort(settings: Settings, name: str) -> Shown:
    """The flow chart and the figures of a cohort.

    Raises:
        UsageError: there is none of this name.
    """
    engine = open_database(settings)
    schema.require_latest(engine)
    with begin_read(engine) as session:
        cohort = cohorts.cohort_named(session, name)
        figures = figures_of(cohorts.members(session, cohort.id))
        flow = flow_of(cohorts.counts(session, cohort.id), figures.table)
        return Shown(cohort, flow, figures, cohorts.labels_changed(session, cohort.id), counted_twice(session, cohort.id))


def every_cohort(settings: Settings) -> list[tuple[Cohort, dict[str, int]]]:
    """All cohorts, the newest first, with how many members are in each state."""
    engine = open_database(settings)
    schema.require_latest(engine)
    with begin_read(engine) as session:
        return cohorts.every(session)


def _waits(left: Left) -> bool:
    return left.blocked is not None or left.opens_at is not None


def _by_state(counts: dict[tuple[str, str | None, str | None], int]) -> dict[str, int]:
    return {str(state): sum(count for (here, _, _), count in counts.items() if here == state) for state in MemberState}


def _radiograph_model(settings: Settings, name: str | None) -> str:
    """The model of this name; without a name the only one that reads radiographs.

    Raises:
        UsageError: it reads something else, or it is not clear which.
    """
    known = known_models(settings).requirements
    reading = [one for one in bundle_folders(settings) if one in known and known[one].reads == "radiograph"]
    if name is not None and name not in bundle_folders(settings):
        raise UsageError(f"this node has no model {name!r}; see: ptx models")
    if name is not None and name not in reading:
        raise UsageError(f"the model {name} does not read radiographs; these do: {', '.join(reading) or 'none'}")
    if name is None and len(reading) != 1:
        raise UsageError(f"say which model, with --model: {', '.join(reading) or 'none of this node reads radiographs'}")
    return name or reading[0]
