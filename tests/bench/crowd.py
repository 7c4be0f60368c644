"""Whether people who look slow down what arrives: 20 studies a second with nobody at the dashboard, and with fifty people.

    python -m tests.bench.crowd [--jobs 1000000] [--rounds 3] [--seconds 20]

`ptx up` on a PostgreSQL with a year of a million jobs; no rule takes what is sent, so that no model runs. Each study is one small
radiograph in an association of its own. People stay on Now, Find, a study or Performance: each asks every five seconds, as the page does by
itself, or every second, as fast as a person presses reload. Rounds without and with them alternate; a rate is held against that of the
same round. Modalities, people, node and database share this machine, which makes it harder than at a site.
Must: 95 % of the rate without people.
Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from ptx_node.db import users, web_sessions
from ptx_node.db.session import begin_write, now
from ptx_node.db.web_sessions import Lifetimes
from ptx_node.domain.access import Role
from ptx_node.simulator.processes import free_port, port_answers, wait_until
from tests.bench.crowd_parts import Done, look, send
from tests.bench.pages import filled, spent_s

if TYPE_CHECKING:
    from tests.node import Node

PER_SECOND = 20.0
PEOPLE = 50
CROWDS = {"nobody": 0.0, "50 people, each every 5 s": 5.0, "50 people, each every second": 1.0}
MUST = 0.95
RULES = """
[[rules]]
name = "nothing that is sent"
model = "tiny-cxr"
trigger = "instance"
match = { keyword = "Modality", equals = "RF" }
destinations = []
"""
PARTS = {
    "receiver": ("receive",),
    "routing": ("worker", "flow"),
    "model worker": ("worker", "infer"),
    "sweeper": ("schedule",),
    "dashboard": ("dashboard",),
}


@dataclass(frozen=True, slots=True)
class Round:
    """One crowd for some seconds: what arrived, what was looked at, and processor seconds by part."""

    sent: Done
    looked: Done | None
    seconds: float
    spent: Mapping[str, float]


def main() -> int:
    """Fill, send, look, print; 1 if a bound was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    wanted = parser.parse_args()
    with filled(wanted.jobs) as (server, url), tempfile.TemporaryDirectory(prefix="ptx-crowd-") as name:
        postmaster = psutil.Process(int((server.folder / "data" / "postmaster.pid").read_text().split()[0]))
        with running(Path(name), url) as (node, port), ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            people = sign_in(node, wanted.jobs)
            warm_up(port, people)

            def part(crowd: float, seconds: float) -> Round:
                before = spent(node, postmaster)
                looking = pool.submit(look, port, people, crowd, seconds) if crowd else None
                sending = pool.submit(send, node.port, PER_SECOND, seconds)
                sent, looked = sending.result(), looking.result() if looking else None
                after = spent(node, postmaster)
                used = {one: after[one] - before.get(one, 0.0) for one in after}
                used |= {"modalities": sent.processor_s, "people": looked.processor_s if looked else 0.0}
                return Round(sent, looked, seconds, used)

            for crowd in CROWDS.values():
                part(crowd, min(5.0, wanted.seconds))
            names = list(CROWDS)
            rounds: dict[str, list[Round]] = {one: [] for one in names}
            for number in range(wanted.rounds):
                for one in names[number % len(names) :] + names[: number % len(names)]:
                    rounds[one].append(part(CROWDS[one], wanted.seconds))
    return report(rounds, wanted.jobs)


@contextmanager
def running(folder: Path, url: str) -> Iterator[tuple[Node, int]]:
    """`ptx up` with its dashboard, on that database; the node, and the dashboard's port."""
    from tests.node import Node, write_bundles  # noqa: PLC0415 - brings torch, which the processes of the crowds need not load

    port = free_port()
    settings = {"database": {"url": url}, "dashboard": {"enabled": True, "port": port}, "drift": {"enabled": False}}
    node = Node(folder / "node", write_bundles(folder / "bundles"), [], settings, rules=RULES)
    with node.up():
        wait_until(lambda: port_answers(port), what="the dashboard", timeout_s=120)
        yield node, port


def sign_in(node: Node, jobs: int) -> list[tuple[str, str]]:
    """The people with their sessions: cookie and address of each."""
    day = now().date() - timedelta(days=1)
    pages: list[Callable[[int], str]] = [
        lambda _: "/now/live",
        lambda one: f"/find?q=A{jobs // 2 + 10 * one}",
        lambda one: f"/studies/{jobs // 3 + 10 * one}",
        lambda _: f"/performance?since={day}&until={day}",
    ]
    found = []
    with begin_write(node.engine) as session:
        for number in range(PEOPLE):
            user = users.add(session, f"crowd{number}", Role.VIEWER, by="bench", now=now())
            secret = web_sessions.begin(session, user.id, how="password", address="", now=now(), life=Lifetimes())
            found.append((secret, pages[number % len(pages)](number)))
    return found


def warm_up(port: int, people: list[tuple[str, str]]) -> None:
    """Each page once, and until the figures of Performance are there, which are made beside the pages."""
    for cookie, address in people[:8]:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies={"ptx-session": cookie}, timeout=120) as client:
            assert client.get(address).status_code == 200, address
            if address.startswith("/performance"):
                wait_until(lambda: "Sensitivity" in client.get(address).text, what="figures", timeout_s=300, interval_s=1)  # noqa: B023


def spent(node: Node, postmaster: psutil.Process) -> dict[str, float]:
    """Processor seconds of each part since it began."""
    found = {"PostgreSQL": spent_s(postmaster)}
    for name, words in PARTS.items():
        found[name] = sum(sum(one.cpu_times()[:2]) for one in node.processes(*words))
    return found


def report(rounds: Mapping[str, list[Round]], jobs: int) -> int:
    """Print the tables; 1 if a bound was not kept."""
    alone = rounds["nobody"]
    print(f"\n{PER_SECOND:.0f} studies a second onto {jobs:,} jobs, {len(alone)} rounds of {alone[0].seconds:.0f} s each:\n")
    print("| at the dashboard | studies a second | / without | answer, ms: half, 95 of 100 | pages a second | page, ms: half, 95 of 100 |")
    print("|---|---|---|---|---|---|")
    missed, failed = [], 0
    for name, some in rounds.items():
        ratio = statistics.median(one.sent.per_second / other.sent.per_second for one, other in zip(some, alone, strict=True))
        missed += [name] if ratio < MUST else []
        failed += sum(one.sent.failed + (one.looked.failed if one.looked else 0) for one in some)
        pages = [took for one in some if one.looked for took in one.looked.took_s]
        rate = statistics.mean(one.sent.per_second for one in some)
        seen = f"{len(pages) / sum(one.seconds for one in some):.1f} | {two(pages)}" if pages else "- | -"
        print(f"| {name} | {rate:.2f} | {ratio:.3f} | {two([took for one in some for took in one.sent.took_s])} | {seen} |")
    print("\nProcessor time by part, in hundredths of one core:\n")
    parts = list(dict.fromkeys(part for some in rounds.values() for one in some for part in one.spent))
    print(f"| at the dashboard | {' | '.join(parts)} |\n|---|{'---|' * len(parts)}")
    for name, some in rounds.items():
        cells = [f"{100 * sum(one.spent[part] for one in some) / sum(one.seconds for one in some):.0f}" for part in parts]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nat least {MUST:.0%} of the rate without people: {'yes' if not missed else 'NO: ' + '; '.join(missed)}")
    print(f"studies refused or pages without an answer: {failed or 'none'}")
    return int(bool(missed or failed))


def two(seconds: list[float]) -> str:
    """Median and 95 of 100, in milliseconds."""
    if len(seconds) < 2:
        return "-"
    return f"{statistics.median(seconds) * 1000:.0f}, {statistics.quantiles(seconds, n=20)[-1] * 1000:.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
