"""Every page of the dashboard, and every answer of its API, on a year of a million jobs in PostgreSQL.

    python -m tests.bench.pages [--jobs 1000000] [--rounds 20] [--only find] [--plans FILE]

Starts a PostgreSQL of its own, with its default settings, fills it inside the server (`tests.year`, `tests.year_of_pages`), and asks a real
dashboard as a person who is signed in, by HTTP, another study each time. Times are on the wall, from the request to the last byte, and of
processor (this process, which is server and browser, + PostgreSQL's); on a busy machine only the latter means something.
Must: 95 of 100 answers of each within 200 ms. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import psutil
from fastapi.routing import APIRoute

from ptx_node.dashboard import health
from ptx_node.dashboard.desk import Desk, DestinationFacts
from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.db import schema
from ptx_node.db.session import now, open_engine
from ptx_node.domain.access import Role
from ptx_node.settings import load
from ptx_node.wiring.desk import cards
from tests import year
from tests.bench.questions import NOT_ASKED, Question, questions
from tests.conftest import PostgresServer
from tests.dashboard import Dashboard, serving
from tests.dashboard_desk import rule_book
from tests.year_of_pages import PAGE_ROWS

BOUND_MS = 200.0
DESTINATIONS = ("pacs0", "pacs1", "pacs2")
READY_S = 240.0


def main() -> int:
    """Fill, ask, print; 1 if a bound was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--plans", type=Path, help="write the plans of statements that took the server 30 ms or more into this file")
    wanted = parser.parse_args()
    asked = [one for one in questions(wanted.jobs) if wanted.only.casefold() in one.what.casefold()]
    with (
        filled(wanted.jobs, log_plans=wanted.plans is not None) as (server, url),
        tempfile.TemporaryDirectory(prefix="ptx-pages-") as folder,
    ):
        with dashboard(url, Path(folder), server) as served:
            if not wanted.only:
                complain_of_forgotten(served, asked)
            answers = ask_all(served, server, asked, wanted.jobs, wanted.rounds)
        if wanted.plans is not None:
            wanted.plans.write_bytes((server.folder / "log").read_bytes())
    return report(answers, wanted.jobs, wanted.rounds)


@contextmanager
def filled(jobs: int, *, log_plans: bool = False) -> Iterator[tuple[PostgresServer, str]]:
    """A PostgreSQL with default settings and a year of so many jobs that ends today; its database's address."""
    with tempfile.TemporaryDirectory(prefix="ptx-year-") as folder:
        server = PostgresServer(Path(folder) / "server")
        if log_plans:
            server.options += (
                " -c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=30 -c auto_explain.log_analyze=on"
            )
            server.options += " -c auto_explain.log_buffers=on -c auto_explain.log_parameter_max_length=80"
        server.create()
        server.start()
        try:
            url, began = server.url("postgres"), time.perf_counter()
            engine = open_engine(url)
            schema.upgrade(engine)
            year.fill(engine, jobs, begins=now().date() - timedelta(days=364), rows=PAGE_ROWS)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")  # as the server does it by itself before long
                size = connection.exec_driver_sql("SELECT pg_database_size(current_database()) / 1e9").scalar_one()
                connection.exec_driver_sql("CHECKPOINT")
            engine.dispose()
            print(f"{jobs:,} jobs of a year, {size:.1f} GB, written in {time.perf_counter() - began:.0f} s", flush=True)
            yield server, url
        finally:
            server.stop("immediate")


@contextmanager
def dashboard(url: str, folder: Path, server: PostgresServer) -> Iterator[Dashboard]:
    """The dashboard of this database, with everything that a node's has."""
    config = folder / "ptx.toml"
    config.write_text('[node]\nhome = "home"\n', encoding="utf-8")
    facts = DestinationFacts("dimse", "PACS@127.0.0.1:104", ("seg", "sr"), 3600.0, lambda: "")
    desk = Desk(rule_book(folder), dict.fromkeys(DESTINATIONS, facts), folder, partial(cards, load(config)))
    engine = open_engine(url, pool_size=10)
    probe = health.Probe(engine, DESTINATIONS, server.folder, 1, lambda: None)
    monitoring = health.page(probe, Exporter(engine, Watched(DESTINATIONS, server.folder, 1)))
    try:
        with serving(engine, folder, destinations=DESTINATIONS, desk=desk, more_pages=(monitoring,)) as served:
            gc.collect()
            gc.freeze()  # as `ptx dashboard` does before it listens
            yield served
    finally:
        engine.dispose()


def complain_of_forgotten(served: Dashboard, asked: list[Question]) -> None:
    """Every route that only reads is asked, or is named with the reason why not.

    Raises:
        SystemExit: one is not.
    """
    reads = {one.path for one in served.shell.inside.routes if isinstance(one, APIRoute) and "GET" in (one.methods or ())}
    open_ = {path for path in reads if path.startswith(("/sign-in", "/welcome", "/static"))}
    forgotten = reads - open_ - {one.route for one in asked} - NOT_ASKED.keys()
    if forgotten:
        raise SystemExit(f"not measured: {', '.join(sorted(forgotten))}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question took, in milliseconds: on the wall each time, of processor on average; and its bytes."""

    what: str
    wall_ms: list[float]
    ours_ms: float
    theirs_ms: float
    size: int

    @property
    def p95_ms(self) -> float:
        return statistics.quantiles(self.wall_ms, n=20)[-1] if len(self.wall_ms) > 1 else self.wall_ms[0]


def ask_all(served: Dashboard, server: PostgresServer, asked: list[Question], jobs: int, rounds: int) -> list[Answer]:
    """Each question so often; the first time of each warms up and is not counted."""
    chosen = random.Random(7)
    postmaster = psutil.Process(int((server.folder / "data" / "postmaster.pid").read_text().split()[0]))
    with served.person("anna", Role.ADMINISTRATOR) as anna, served.person("ben", Role.AUDITOR) as ben:
        found = []
        for one in asked:
            visitor = ben if one.auditor else anna
            if one.ready:
                wait_until_ready(visitor, one)
            get(served, visitor, one, jobs, chosen)
            walls, size = [], 0
            ours, theirs = time.process_time(), spent_s(postmaster)
            for _ in range(rounds):
                took_ms, size = get(served, visitor, one, jobs, chosen)
                walls.append(took_ms)
            ours, theirs = time.process_time() - ours, spent_s(postmaster) - theirs
            found.append(Answer(one.what, walls, ours / rounds * 1000, theirs / rounds * 1000, size))
        return found


def get(served: Dashboard, visitor: httpx.Client, one: Question, jobs: int, chosen: random.Random) -> tuple[float, int]:
    """Ask once: milliseconds, bytes.

    Raises:
        SystemExit: the answer is another one.
    """
    number = 10 * chosen.randrange(1, jobs // 10 - 10) + 2  # a study with a report, of a day that is over
    patient = 1 + number % (jobs * 3 // 5)
    if one.fresh:
        served.shell.inside.state.watch._seen = None
    address, told = (text.replace("NUMBER", str(number)).replace("PATIENT", str(patient)) for text in (one.address, one.told))
    began = time.perf_counter()
    answer = visitor.get(address)
    took_ms = (time.perf_counter() - began) * 1000
    if answer.status_code != 200 or told not in answer.text:
        raise SystemExit(f"{one.what}: {address} answers {answer.status_code} without {told!r}:\n{answer.text[:3000]}")
    return took_ms, len(answer.content)


def wait_until_ready(visitor: httpx.Client, one: Question) -> None:
    """Figures are made beside the pages: a page that shows them is asked until they are there."""
    end = time.monotonic() + READY_S
    while one.told not in visitor.get(one.address).text and time.monotonic() < end:
        time.sleep(0.5)


def spent_s(postmaster: psutil.Process) -> float:
    """Processor time of a PostgreSQL with all its processes, those that have ended included."""
    times = postmaster.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    for child in postmaster.children(recursive=True):
        try:
            mine = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += mine.user + mine.system
    return spent


def report(answers: list[Answer], jobs: int, rounds: int) -> int:
    """Print the table; 1 if a bound was not kept."""
    print(f"\nA year of {jobs:,} jobs in PostgreSQL, {rounds} rounds:\n")
    print("| page | KB | median, ms | 95 of 100, ms | processor, ms (dashboard + PostgreSQL) |\n|---|---|---|---|---|")
    for one in answers:
        late = "**" if one.p95_ms > BOUND_MS else ""
        print(
            f"| {one.what} | {one.size / 1000:.0f} | {statistics.median(one.wall_ms):.0f} | {late}{one.p95_ms:.0f}{late} "
            f"| {one.ours_ms:.0f} + {one.theirs_ms:.0f} |"
        )
    missed = [one.what for one in answers if one.p95_ms > BOUND_MS]
    much = [one.what for one in answers if one.ours_ms + one.theirs_ms > BOUND_MS]
    print(f"\n95 of 100 answers of each within {BOUND_MS:.0f} ms on the wall: {'yes' if not missed else 'NO: ' + '; '.join(missed)}")
    print(f"processor time of each below {BOUND_MS:.0f} ms: {'yes' if not much else 'NO: ' + '; '.join(much)}")
    return int(bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
