"""The demonstration from beginning to end. Its exit code says whether every answer came, was read back, and is true."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from ptx_node import log
from ptx_node.db.journey import Journey, journeys
from ptx_node.db.session import begin_read, now
from ptx_node.demo import display
from ptx_node.demo.afternoon import afternoon
from ptx_node.demo.read_back import Found, read_back
from ptx_node.demo.site import MODALITY_AE, NODE_AE, Site, prepare, write_settings
from ptx_node.errors import PtxError
from ptx_node.outbound.association import DimsePeer
from ptx_node.settings import load
from ptx_node.simulator.modality import all_taken, send_files
from ptx_node.simulator.pacs import orthanc_program, running_pacs
from ptx_node.simulator.processes import port_answers, running
from ptx_node.wiring import open_database
from ptx_node.wiring.dashboard_address import announcement
from ptx_node.worker.supervisor import role_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.demo.studies import DemoStudy
    from ptx_node.settings import Settings
    from ptx_node.simulator.pacs import Pacs

PATIENCE_S = 240.0
WIDTH = 140
NO_PACS = "[yellow]Orthanc is not installed, so results go to a folder. For a real PACS: apt-get install orthanc orthanc-dicomweb[/yellow]"


def run(folder: Path, *, once: bool, with_pacs: bool, stop: threading.Event) -> int:
    """Start the node and the PACS, send the studies, show and check every answer; 0 when all is as it should be.

    Raises:
        PtxError: a part does not start, an instance is refused, or a result is missing.
    """
    log.configure(level="WARNING", json=False)  # the node tells its story in its own log files
    console = Console()
    if not console.is_terminal or console.width < WIDTH:
        console = Console(width=WIDTH)  # the table is one line a study
    site = prepare(folder)
    with ExitStack() as stack:
        pacs = _start_pacs(site, stack, console) if with_pacs else None
        write_settings(site, pacs)
        settings = load(site.config)
        console.print("starting the node (receiver, workers, scheduler, SQLite, embedded Redis) and simulating the studies")
        process = stack.enter_context(
            running(
                role_command("up", "--config", str(site.config)),
                log=site.folder / "node.log",
                ready=lambda: port_answers(site.dicom_port),
                timeout_s=60,
                end_timeout_s=30,  # each of its processes has half of that
            )
        )
        studies = _simulate(site)
        engine = open_database(settings)
        stack.callback(engine.dispose)
        seen = _send_and_watch(site, studies, engine, console)
        found = read_back(settings, engine, list(seen))
        good = _report(console, studies, seen, found)
        good = afternoon(engine, studies, site.hl7_port, console) and good
        good = _export(settings, engine, site, console) and good
        for one in found:
            console.print(f"  {one.kind.upper():3}  {one.sop_instance_uid}  {one.summary}", highlight=False, soft_wrap=True)
        _where_to_look(console, site, pacs, announcement(settings))
        if not once:
            console.print("running until Ctrl-C")
            while not stop.wait(0.5) and process.poll() is None:
                pass
    return 0 if good else 1


def _export(settings: Settings, engine: Engine, site: Site, console: Console) -> bool:
    """The export of the day."""
    from ptx_node.demo.export import export_the_day  # noqa: PLC0415 - figures load while the reports arrive

    return export_the_day(settings, engine, site.folder / "export", console)


def _start_pacs(site: Site, stack: ExitStack, console: Console) -> Pacs | None:
    if orthanc_program() is None:
        console.print(NO_PACS)
        return None
    node = {"ptx": (NODE_AE, "127.0.0.1", site.dicom_port)}
    return stack.enter_context(running_pacs(site.folder / "pacs", modalities=node))


def _simulate(site: Site) -> list[DemoStudy]:
    from ptx_node.demo.studies import simulate_day  # noqa: PLC0415 - numpy and codecs load while the node starts

    return simulate_day(site.folder / "modality")


def _send_and_watch(site: Site, studies: Sequence[DemoStudy], engine: Engine, console: Console) -> dict[str, Journey]:
    """Send in a thread, as a modality does, and show the rows as they change until every study is answered."""
    sent_at: dict[str, datetime] = {}
    failures: list[str] = []

    def send() -> None:
        peer = DimsePeer("127.0.0.1", site.dicom_port, NODE_AE, MODALITY_AE)
        try:
            for study in studies:
                sent_at[study.expected.study_instance_uid] = now()
                rows = send_files(study.files, peer)
                if not all_taken(rows):
                    failures.append(f"{study.expected.label}: {rows}")
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whatever it is, it is told below, and nobody waits for it
            failures.append(str(error) or type(error).__name__)

    sender = threading.Thread(target=send, name="modality", daemon=True)
    sender.start()
    expected = [study.expected for study in studies]
    uids = [one.study_instance_uid for one in expected]
    begun = now()
    with Live(console=console, refresh_per_second=8) as live:
        while True:
            with begin_read(engine) as session:
                seen = journeys(session, uids)
            live.update(display.table(expected, seen, sent_at))
            if failures:
                raise PtxError(f"the node did not take an instance: {failures[0]}")
            if not sender.is_alive() and all(one.finished for one in seen.values()):
                return seen
            waited = (now() - begun).total_seconds()
            if waited > PATIENCE_S:
                late = ", ".join(one.label for one in expected if not seen[one.study_instance_uid].finished)
                raise PtxError(f"no complete answer after {waited:.0f} s for: {late}. See {site.folder / 'node' / 'logs'}")
            threading.Event().wait(0.15)


def _report(console: Console, studies: Sequence[DemoStudy], seen: Mapping[str, Journey], found: Sequence[Found]) -> bool:
    verdicts = [display.agrees(study.expected, seen[study.expected.study_instance_uid]) for study in studies]
    failed = sum(journey.failed_deliveries for journey in seen.values())
    ways = " and ".join(sorted({one.by for one in found}))
    console.print(f"\n{len(found)} results read back ({ways}); {failed} deliveries failed")
    console.print(
        f"{sum(map(bool, verdicts))} of {len(verdicts)} answers agree with the simulator's truth (simulated patients, demonstration models)"
    )
    return failed == 0 and bool(found) and all(verdicts)


def _where_to_look(console: Console, site: Site, pacs: Pacs | None, dashboard: list[str]) -> None:
    lines = [f"ptx status -c {site.config}", f"ptx jobs -c {site.config}", f"ptx deliveries -c {site.config}"]
    if pacs:
        lines.insert(0, f"{pacs.http_url}/app/explorer.html  (Orthanc, while the demonstration runs)")
    console.print("look at:")
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    for line in dashboard:
        console.print(line, highlight=False, soft_wrap=True)
