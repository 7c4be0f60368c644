"""A hospital that does not rest while things break: a sender that retries, faults by name, and what must be true at the end."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import redis
from sqlalchemy import func, select

from ptx_node.db import audit
from ptx_node.db.session import begin_read
from ptx_node.db.tables import CommitmentRequest, Conflict, Delivery, FindingRow, Instance, Job, Result
from ptx_node.errors import PtxError
from ptx_node.simulator.modality import send_files
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port, free_ports, port_answers, running, wait_until
from tests.conftest import PostgresServer
from tests.factories import Place, Size, as_file, dx
from tests.node import FINAL, Node, data_set_bytes, dimse_destination, stow

SMALL = Size(64, 56)
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


@dataclass
class Sender(threading.Thread):
    """A modality that sends small studies until told to stop, and each instance again until it is acknowledged.

    A study has two frontal views, and every fifth a lateral one, which is not eligible. Every third study goes by STOW-RS.
    """

    node: Node
    folder: Path
    first_study: int
    pause_s: float
    acknowledged: dict[str, Path] = field(default_factory=dict)
    lateral: set[str] = field(default_factory=set)
    studies: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        super().__init__(name=f"sender {self.first_study}", daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._send_study(self.first_study + self.studies)
                self.studies += 1
                self.stopping.wait(self.pause_s)
        except Exception as error:  # noqa: BLE001 - shown by whoever joins
            self.failure = error

    def stop(self) -> None:
        """Finish the study on its way and end.

        Raises:
            PtxError: something was not acknowledged within two minutes.
        """
        self.stopping.set()
        self.join(120)
        if self.is_alive() or self.failure is not None:
            raise PtxError(f"the sender did not get everything acknowledged: {self.failure!r}, refused so far {self.refused}")

    def _send_study(self, study: int) -> None:
        paths = {}
        for number, view in enumerate(["PA", "AP"] + ["LL"] * (study % 5 == 0), start=1):
            ds = dx(Place(study=study, instance=number), size=SMALL, ViewPosition=view, ViewCodeSequence=[])
            path = self.folder / f"{ds.SOPInstanceUID}.dcm"
            path.write_bytes(as_file(ds))
            paths[str(ds.SOPInstanceUID)] = path
            if view == "LL":
                self.lateral.add(str(ds.SOPInstanceUID))
        end = time.monotonic() + 100
        while paths:
            for uid in self._try(paths, by_stow=study % 3 == 0):
                self.acknowledged[uid] = paths.pop(uid)
            if paths:
                if time.monotonic() > end:
                    raise PtxError(f"{len(paths)} instances were not acknowledged for 100 s")
                time.sleep(0.1)

    def _try(self, paths: dict[str, Path], *, by_stow: bool) -> list[str]:
        """The instances that were acknowledged this time."""
        if not by_stow:
            try:
                rows = send_files(list(paths.values()), self.node.peer)
            except PtxError as error:
                self.refused[type(error).__name__] += 1
                return []
            self.refused.update(str(row["status"]) for row in rows if row["verdict"] != "accepted")
            return [row["sop_instance_uid"] for row in rows if row["verdict"] == "accepted"]
        try:
            answer = stow(self.node, *(path.read_bytes() for path in paths.values()))
        except httpx.HTTPError as error:
            self.refused[type(error).__name__] += 1
            return []
        if answer.status_code not in (200, 202):
            self.refused[f"HTTP {answer.status_code}"] += 1
            return []
        return [item["00081155"]["Value"][0] for item in answer.json().get("00081199", {}).get("Value", [])]


@dataclass
class Hospital:
    """A node, a PACS and their servers, each of which can be broken by name."""

    folder: Path
    node: Node
    pacs_ports: tuple[int, int]
    dice: random.Random
    postgres: PostgresServer | None = None
    redis_port: int | None = None
    broken: Counter[str] = field(default_factory=Counter)
    _pacs: ExitStack = field(default_factory=ExitStack)
    _redis: ExitStack = field(default_factory=ExitStack)
    _up: ExitStack = field(default_factory=ExitStack)
    pacs: Pacs | None = None

    def start_pacs(self) -> None:
        modalities = {"ptx": ("PTX", "127.0.0.1", self.node.port)}
        self.pacs = self._pacs.enter_context(running_pacs(self.folder / "pacs", ports=self.pacs_ports, modalities=modalities))

    def start_redis(self) -> None:
        assert self.redis_port is not None
        port = self.redis_port
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self._redis.enter_context(running(command, log=self.folder / "redis.log", ready=lambda: port_answers(port)))

    def start_node(self) -> None:
        self._up.enter_context(self.node.up())

    def close(self) -> None:
        for one in (self._up, self._redis, self._pacs):
            one.close()

    def faults(self) -> dict[str, Callable[[], None]]:
        """Every fault that this hospital can have."""
        found: dict[str, Callable[[], None]] = {
            "receiver process killed": lambda: self._kill("receive", "dimse", fork=True),
            "receiver parent killed": lambda: self._kill("receive", "dimse"),
            "STOW-RS door killed": lambda: self._kill("receive", "stow"),
            "inference process killed": lambda: self._kill("worker", "infer", fork=True),
            "inference worker killed": lambda: self._kill("worker", "infer"),
            "flow worker killed": lambda: self._kill("worker", "flow"),
            "scheduler killed": lambda: self._kill("schedule"),
            "Redis flushed": self._flush_redis,
            "Redis killed": self._kill_redis,
            "PACS away": self._pacs_away,
            "whole node killed": self._kill_node,
        }
        if self.postgres is not None:
            found["PostgreSQL restarted"] = self._restart_postgres
        return found

    def break_something(self, name: str) -> None:
        self.faults()[name]()
        self.broken[name] += 1

    def _kill(self, *words: str, fork: bool = False) -> None:
        """SIGKILL a role's process, or one of the processes that it forked; nothing when it is just being started again."""
        assert self.node.process is not None
        parents = [one for one in self.node.processes(*words) if one.ppid() == self.node.process.pid]
        targets = [child for one in parents for child in one.children()] if fork else parents
        for one in self.dice.sample(targets, min(1, len(targets))):
            one.kill()

    def _redis_url(self) -> str:
        if self.redis_port is not None:
            return f"redis://127.0.0.1:{self.redis_port}/0"
        return (self.node.loaded.home / "broker.url").read_text(encoding="ascii").strip()

    def _flush_redis(self) -> None:
        try:
            redis.Redis.from_url(self._redis_url()).flushall()
        except redis.ConnectionError:
            self.broken["Redis flushed"] -= 1  # it was away at this moment

    def _kill_redis(self) -> None:
        if self.redis_port is None:
            self._kill(str(self.node.loaded.home / "redis.conf"))
            return
        (server,) = [
            one for one in psutil.Process().children() if one.name() == "redis-server" and str(self.redis_port) in one.cmdline()[0]
        ]
        server.kill()
        self._redis.close()
        time.sleep(self.dice.uniform(0, 1))
        self.start_redis()

    def _pacs_away(self) -> None:
        self._pacs.close()
        time.sleep(self.dice.uniform(0.5, 3))
        self.start_pacs()

    def _restart_postgres(self) -> None:
        assert self.postgres is not None
        self.postgres.stop("immediate")
        time.sleep(self.dice.uniform(0, 1))
        self.postgres.start()

    def _kill_node(self) -> None:
        """`ptx up` dies at once and is started again, as systemd would; its roles find out by themselves."""
        assert self.node.process is not None
        self.node.process.kill()
        self._up.close()
        self.start_node()


@contextmanager
def hospital(folder: Path, bundles: Path, *, seed: int, postgres: PostgresServer | None = None) -> Iterator[Hospital]:
    """On SQLite with the embedded Redis, or on PostgreSQL with a Redis server."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(4)
    settings: dict[str, dict[str, object]] = {"dicom": {"idle_timeout_s": 10.0}}
    redis_port = None
    if postgres is not None:
        redis_port = free_port()
        settings["database"] = {"url": postgres.new_database(f"faults{seed}")}
        settings["broker"] = {"url": f"redis://127.0.0.1:{redis_port}/0"}
    pacs = Pacs("PACS", ports[2], ports[3], folder / "pacs", None)  # type: ignore[arg-type]  # for its address only
    node = Node(folder / "node", bundles, [dimse_destination(pacs)], settings=settings, port=ports[0], stow_port=ports[1])
    given = Hospital(folder, node, (ports[2], ports[3]), random.Random(seed), postgres, redis_port)
    try:
        if redis_port is not None:
            given.start_redis()
        given.start_pacs()
        given.start_node()
        yield given
    finally:
        given.close()


def settle(given: Hospital, senders: list[Sender], *, timeout_s: float) -> int:
    """Wait until everything acknowledged is answered and committed; jobs that lost three workers are retried by hand: how many."""
    node, expected = given.node, {uid for one in senders for uid in one.acknowledged}
    retried: set[int] = set()

    def done() -> bool:
        jobs = node.jobs()
        lost = [job["id"] for job in jobs if job["state"] == "quarantined" and job["cause"] == "worker_lost"]
        if lost:
            retried.update(lost)
            node.retry_jobs()
        counted = len(jobs) == len(expected) and all(job["state"] in FINAL for job in jobs) and not lost
        return counted and all(one["state"] == "committed" for one in node.deliveries())

    wait_until(done, what="everything to be answered and committed", timeout_s=timeout_s, interval_s=0.3)
    return len(retried)


def check(given: Hospital, senders: list[Sender]) -> dict[str, int]:
    """What must be true at the end, whatever happened; the figures of the run."""
    node = given.node
    sent = {uid: path for one in senders for uid, path in one.acknowledged.items()}
    lateral = set().union(*(one.lateral for one in senders)) & sent.keys()
    instances = node.instances()
    assert instances.keys() == sent.keys()
    for uid, path in sent.items():
        assert data_set_bytes(node.store / instances[uid].path) == data_set_bytes(path), uid
    assert files_below(node.store / "instances") == {one.path for one in instances.values()}
    jobs = {job["level_uid"]: job for job in node.jobs()}
    assert jobs.keys() == sent.keys()
    assert {uid for uid, job in jobs.items() if job["state"] == "not_eligible"} == lateral
    assert {uid for uid, job in jobs.items() if job["state"] == "done"} == sent.keys() - lateral
    assert_one_set_of_results_each(given, len(sent) - len(lateral))
    assert_the_audit_trail_tells_it(node, sent.keys())
    with begin_read(node.engine) as session:
        leases = session.scalar(select(func.count()).select_from(Job).where(Job.lease_owner.is_not(None))) or 0
        leases += session.scalar(select(func.count()).select_from(Delivery).where(Delivery.lease_owner.is_not(None))) or 0
        unrouted = session.scalar(select(func.count()).select_from(Instance).where(Instance.routed_at.is_(None)))
        conflicts = session.scalar(select(func.count()).select_from(Conflict))
        requests = session.scalar(select(func.count()).select_from(CommitmentRequest).where(CommitmentRequest.reported_at.is_(None)))
    assert (leases, unrouted, conflicts, requests) == (0, 0, 0, 0)
    abandoned = age_temporary_files(node)
    given.faults()["scheduler killed"]()  # a new one tidies when it starts, then hourly
    wait_until(lambda: not any((node.store / "incoming").iterdir()), what="abandoned temporary files to be removed", timeout_s=30)
    again = sum(one["attempts"] - 1 for one in node.deliveries())
    return {
        "instances": len(sent),
        "results": 2 * (len(sent) - len(lateral)),
        "jobs attempted again": sum(job["attempts"] > 1 for job in jobs.values()),
        "deliveries sent again": again,
        "temporary files left by kills": abandoned,
    }


def assert_one_set_of_results_each(given: Hospital, eligible: int) -> None:
    """One finding, one SEG and one SR for each eligible instance: in the rows, on disk and in the PACS, the same UIDs."""
    assert given.pacs is not None
    with begin_read(given.node.engine) as session:
        findings = session.scalars(select(FindingRow)).all()
        results = session.scalars(select(Result)).all()
        deliveries = session.scalars(select(Delivery)).all()
    assert len({tuple(one.sop_instance_uids) for one in findings}) == len(findings) == eligible
    assert Counter(one.kind for one in results) == Counter({"seg": eligible, "sr": eligible})
    assert {(one.state, one.destination) for one in deliveries} == {("committed", "pacs")}
    assert sorted(one.result_id for one in deliveries) == sorted(one.id for one in results)
    in_pacs = [tags["SOPInstanceUID"] for tags in given.pacs.instances()]
    assert sorted(in_pacs) == sorted(one.sop_instance_uid for one in results)
    assert files_below(given.node.store / "results") == {one.path for one in results}


def assert_the_audit_trail_tells_it(node: Node, sent: Iterable[str]) -> None:
    """The chain is whole; each instance was stored once, each result is an inference's, each delivery's proof is there."""
    with begin_read(node.engine) as session:
        assert audit.verify(session).broken is None
        events = [json.loads(one.body) for one in audit.entries(session)]
        results = session.scalars(select(Result)).all()
    told = {kind: [one["detail"] for one in events if one["kind"] == kind] for kind in ("receipt", "inference", "delivery")}
    stored = Counter(one["sop_instance_uid"] for one in told["receipt"] if one["outcome"] == "stored")
    assert stored == Counter(dict.fromkeys(sent, 1))
    outputs = {(output["sop_instance_uid"], output["sha256"]) for one in told["inference"] for output in one.get("outputs", ())}
    assert {(one.sop_instance_uid, one.sha256) for one in results} <= outputs
    committed = {one["sop_instance_uid"] for one in told["delivery"] if one["state"] == "committed"}
    assert committed == {one.sop_instance_uid for one in results}


def files_below(folder: Path) -> set[str]:
    """Names relative to the store."""
    return {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file()}


def age_temporary_files(node: Node) -> int:
    """Let temporary files look a day old, as they would be when nobody comes back for them; how many there are."""
    import os  # noqa: PLC0415

    left = list((node.store / "incoming").iterdir())
    for path in left:
        os.utime(path, (time.time() - 86_400, time.time() - 86_400))
    return len(left)
