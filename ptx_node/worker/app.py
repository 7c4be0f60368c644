"""The Celery application. A task says only "there is work": what the work is stands in rows (decisions/0001).

Settings follow what is known to go wrong with Redis as a broker: late acknowledgement, no prefetching, one visibility
time-out for every process, hard limits well below it. Losing or repeating any message changes nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from celery import Celery, signals

from ptx_node.errors import DatabaseUnavailableError
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Callable

VISIBILITY_TIMEOUT_S = 7200
HARD_LIMIT_S = 1800

INFER = "infer"
FLOW = "flow"
"""`infer` needs the model (and a GPU where there is one); `flow` is routing and delivery, on threads."""

log = get(__name__)


class Stages(Protocol):
    """What the tasks wake. Built once a process by the composition root, after the fork."""

    def enqueue(self) -> None:
        """Route what was received and is not routed yet."""
        ...

    def infer(self) -> None:
        """Work through the waiting jobs."""
        ...

    def deliver(self, destination: str) -> None:
        """Send what is due to one destination."""
        ...

    def prove(self, destination: str) -> None:
        """Ask one destination for proof of what it accepted."""
        ...

    def close(self) -> None:
        """Give back threads and connections."""
        ...


def make_app(broker_url: str) -> Celery:
    """The application as every process sees it: enough to ring. A worker adds the tasks (`work`)."""
    app = Celery("ptx", set_as_current=False)
    app.conf.update(
        broker_url=broker_url,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_time_limit=HARD_LIMIT_S,
        task_default_queue=FLOW,
        task_routes={"ptx.infer": {"queue": INFER}},
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


class _Lazy:
    """The stages of this process: built once, whichever thread asks first."""

    def __init__(self, build: Callable[[], Stages]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._stages: Stages | None = None

    def get(self) -> Stages:
        with self._lock:
            if self._stages is None:
                self._stages = self._build()
            return self._stages

    def close(self) -> None:
        with self._lock:
            if self._stages is not None:
                self._stages.close()
            self._stages = None


class OneAtATime:
    """Runs work of one name once at a time in this process; asked again meanwhile, it runs once more afterwards.

    So a destination that hangs holds one thread, however often the bell rings for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._again: set[str] = set()

    def run(self, name: str, work: Callable[[], None]) -> None:
        """Do `work`, or leave word for the thread that is doing it."""
        with self._lock:
            if name in self._running:
                self._again.add(name)
                return
            self._running.add(name)
        try:
            while True:
                work()
                with self._lock:
                    if name not in self._again:
                        self._running.discard(name)
                        return
                    self._again.discard(name)
        except BaseException:
            with self._lock:
                self._running.discard(name)
                self._again.discard(name)
            raise


def _register(app: Celery, stages: _Lazy) -> None:
    single = OneAtATime()

    @app.task(name="ptx.enqueue")  # type: ignore[untyped-decorator]
    def enqueue() -> None:
        _guarded("enqueue", lambda: single.run("enqueue", stages.get().enqueue))

    @app.task(name="ptx.infer")  # type: ignore[untyped-decorator]
    def infer() -> None:
        _guarded("infer", stages.get().infer)

    @app.task(name="ptx.deliver")  # type: ignore[untyped-decorator]
    def deliver(destination: str) -> None:
        _guarded("deliver", lambda: single.run(f"deliver {destination}", lambda: stages.get().deliver(destination)))

    @app.task(name="ptx.prove")  # type: ignore[untyped-decorator]
    def prove(destination: str) -> None:
        _guarded("prove", lambda: single.run(f"prove {destination}", lambda: stages.get().prove(destination)))


def _guarded(name: str, work: Callable[[], None]) -> None:
    """The task wrapper: nothing that fails here loses work, since the rows stay; the sweeper rings again."""
    try:
        work()
    except DatabaseUnavailableError as error:
        log.warning("task stopped, the database is away; the sweeper rings again", task=name, error=str(error))
    except Exception:
        log.exception("task failed; its rows stay and the sweeper rings again", task=name)


def work(app: Celery, queue: str, build: Callable[[], Stages], *, concurrency: int, log_level: str = "WARNING") -> int:
    """Run a Celery worker for one queue in this process until it is told to stop; its exit code.

    `infer` runs in one prefork child a GPU (torch is never touched in the parent), which loads its model when it
    starts; `flow` runs on threads. `build` is called in the process that runs the tasks, once.
    """
    stages = _Lazy(build)
    _register(app, stages)
    if queue == INFER:
        signals.worker_process_init.connect(lambda **_: stages.get(), weak=False)
        signals.worker_process_shutdown.connect(lambda **_: stages.close(), weak=False)
    pool = "prefork" if queue == INFER else "threads"
    worker = app.Worker(
        queues=[queue],
        pool=pool,
        concurrency=concurrency,
        loglevel=log_level,
        hostname=f"{queue}@%h",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    stages.close()
    return int(worker.exitcode or 0)
