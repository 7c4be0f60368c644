"""Builds and verifies what people asked for on the dashboard: each in a process of its own, one at a time, from rows that outlive it."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ptx_node.db import exports
from ptx_node.db.export_tables import ExportRow
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import DatabaseUnavailableError, PtxError
from ptx_node.log import get
from ptx_node.pipeline.leases import renewing
from ptx_node.settings import load
from ptx_node.validation import audit_segment, bag, partial_folder
from ptx_node.validation.package import Request
from ptx_node.wiring.export_folder import exports_folder
from ptx_node.wiring.node import open_database
from ptx_node.worker.schedule import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from ptx_node.settings import Settings

log = get(__name__)

LOOKS_EVERY_S = 2.0
MOST_PROBLEMS = 20
TOLD = ("cases", "patients", "counted", "images", "simulated")


@contextlib.contextmanager
def working(settings: Settings, engine: Engine) -> Iterator[None]:
    """Do what is asked for while the block runs; at its end what is under way is stopped, and begun anew next time."""
    stop = threading.Event()
    words = {"interval_s": LOOKS_EVERY_S}
    thread = threading.Thread(target=run, args=(stop, lambda: _look(settings, engine, stop)), kwargs=words, name="exports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def _look(settings: Settings, engine: Engine, stop: threading.Event) -> None:
    with begin_read(engine) as session:
        if not exports.anything_open(session):
            return
    with begin_write(engine) as session:
        row = exports.claim(session, now())
        number = row.id if row is not None else None
    if number is None:
        return
    try:
        _in_a_process(settings, engine, number, stop)
    except DatabaseUnavailableError:
        raise  # the row goes on waiting: whoever finds it when its lease has ended begins anew
    except Exception as error:  # the edge of a thread: people wait for what this row says
        log.exception("an export failed", export=number)
        with begin_write(engine) as session:
            exports.failed(session, number, _unexpected(error, settings), now())


def _unexpected(error: Exception, settings: Settings) -> str:
    """What the system says, such as a full disk, and where, if that is in the packages' own folder.

    Other words of an error, and paths of the store, may quote what auditors are not to see.
    """
    what = ""
    if isinstance(error, OSError) and error.strerror:
        what = f": {error.strerror}"
        if isinstance(error.filename, str) and Path(error.filename).is_relative_to(exports_folder(settings)):
            what += f": {error.filename}"
    return f"an unexpected {type(error).__name__} ended it{what}. The dashboard's log has more"


def _in_a_process(settings: Settings, engine: Engine, number: int, stop: threading.Event) -> None:
    """Tables and figures take memory that the dashboard gets back only so; a crash there is a row that says so here."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(settings.config_file, number), daemon=True)
    process.start()
    try:
        with renewing(engine, lambda session: exports.renew(session, number, now()), lease_s=exports.LEASE.total_seconds()):
            while process.is_alive() and not stop.is_set():
                process.join(LOOKS_EVERY_S)
    finally:
        if process.is_alive():
            process.terminate()
            process.join(5)
    if not stop.is_set():
        shutil.rmtree(exports_folder(settings) / f"{number}{partial_folder.SUFFIX}", ignore_errors=True)  # what a killed one left
        why = f"its process ended with {process.exitcode} before the package was there; the dashboard's log may have more"
        with begin_write(engine) as session:
            exports.failed(session, number, why, now())


def work(config: Path | None, number: int) -> None:
    """One row, in its own process: what was asked for, or the error that people see."""
    settings = load(config)
    engine = open_database(settings)
    with begin_read(engine) as session:
        row = session.get_one(ExportRow, number)
        task, wanted, by = row.task, dict(row.request), row.asked_by
    try:
        if task == exports.VERIFY:
            found = _problems(settings, exports_folder(settings) / str(number))
            with begin_write(engine) as session:
                exports.verified(session, number, found, now())
            return
        _build(settings, engine, number, wanted, by)
    except PtxError as error:
        log.warning("an export came to nothing", export=number, error=str(error))
        with begin_write(engine) as session:
            exports.failed(session, number, str(error), now())
    except Exception as error:  # the edge of a process: its end alone would not say why
        log.exception("an export failed", export=number)
        with begin_write(engine) as session:
            exports.failed(session, number, _unexpected(error, settings), now())


def request_of(told: dict[str, object], time_zone: str) -> Request:
    """A request as its row keeps it."""
    return Request(
        date.fromisoformat(str(told["since"])),
        date.fromisoformat(str(told["until"])),
        str(told["name"]),
        time_zone,
        TruthKind(str(told["truth"])),
        bool(told["identified"]),
        bool(told["with_images"]),
        bool(told["with_report_text"]),
        str(told.get("cohort", "")),  # rows of an earlier version have neither of these
        None if told.get("prevalence") is None else float(str(told["prevalence"])),
    )


def _build(settings: Settings, engine: Engine, number: int, wanted: dict[str, object], by: str) -> None:
    from ptx_node.wiring.export import run_export  # noqa: PLC0415 - figures take seconds to load: only where they are made

    def tell(step: str) -> None:
        with begin_write(engine) as session:
            exports.tell(session, number, step)

    folder = exports_folder(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts: dict[str, object] = {}
    if (folder / str(number)).is_dir():  # the process died between the last byte and its word: a package that has its name is whole
        digest = bag.bag_digest(folder / str(number))
    else:
        done = run_export(settings, request_of(wanted, settings.node.time_zone), folder / str(number), actor=by, tell=tell)
        digest = done.digest
        counts = {name: getattr(done, name) for name in TOLD} | {"look at": list(done.to_look_at[:MOST_PROBLEMS])}
    with begin_write(engine) as session:
        exports.built(session, number, digest, counts, now())


def _problems(settings: Settings, folder: Path) -> list[str]:
    """As `ptx export verify --config`: bytes against manifests, rows against this node's trail."""
    from ptx_node.wiring.export import trail_of  # noqa: PLC0415 - as above

    found = [f"{one.path}: {one.what}" for one in bag.problems(folder)]
    if not found:
        broken = audit_segment.broken(folder / bag.PAYLOAD, trail_of(settings))
        found += [f"audit trail: {broken}"] if broken else []
    return found[:MOST_PROBLEMS]
