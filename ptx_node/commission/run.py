"""A commissioning run from beginning to end: make phantoms, send them, wait for every answer, read it back, judge it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ptx_node import __version__
from ptx_node.commission.checks import Returned, checks
from ptx_node.commission.phantoms import Order, phantoms
from ptx_node.commission.read_back import read_back
from ptx_node.commission.report import Line, Report, table, write
from ptx_node.db.answers import answers
from ptx_node.db.journey import journeys
from ptx_node.db.schema import require_latest
from ptx_node.db.session import begin_read, now
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.domain.result_policy import DestinationPolicy
from ptx_node.errors import PtxError
from ptx_node.outbound.storage_scu import StorageScu
from ptx_node.simulator.modality import all_taken, send_files
from ptx_node.wiring import make_destinations, open_database
from ptx_node.wiring.models import describe_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from rich.console import Console
    from sqlalchemy import Engine

    from ptx_node.commission.phantoms import Phantom
    from ptx_node.commission.read_back import ReadBack
    from ptx_node.db.answers import Answers
    from ptx_node.db.journey import Journey
    from ptx_node.outbound.association import DimsePeer
    from ptx_node.settings import Settings

LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked for.

    Attributes:
        peer: where the phantoms go, and as whom: the node's door, or the PACS that routes to it.
        routed: whether the peer is not the node itself but a PACS that decides what to send on.
        grace_s: so long a PACS may take to send on what no model reads, after everything else is answered: it may never come.
        timeout_s: from the last sending to the last proof.
        out: folder of the report.
        keep: whether the phantoms' files stay there too.
    """

    peer: DimsePeer
    order: Order = field(default_factory=Order)
    routed: bool = False
    grace_s: float = 10.0
    timeout_s: float = 300.0
    out: Path = Path("commissioning")
    keep: bool = False


def commission(settings: Settings, run: Run, console: Console) -> Report:
    """Send known phantoms through the site and judge every answer; the report is written and printed.

    Raises:
        PtxError: the phantoms cannot be sent, or the node's database cannot be read.
    """
    began = now()
    name = began.strftime("%Y%m%dT%H%M%S")
    engine = open_database(settings)
    try:
        _ready(engine, run)
        with _folder(run, name) as folder, console.status("simulating the phantoms") as status:
            sent_at: dict[str, datetime] = {}
            made: list[Phantom] = []
            for phantom in phantoms(run.order, folder, name, began.astimezone(ZoneInfo(settings.node.time_zone))):
                status.update(f"sent {len(made)}; next: {phantom.label}")
                sent_at[phantom.study_instance_uid] = now()
                _send(phantom, run.peer)
                made.append(phantom)
            status.update(f"waiting for the answers to {len(made)} phantoms")
            seen = _wait(engine, made, run)
            with begin_read(engine) as session:
                returned = answers(session, list(sent_at))
            status.update("reading the results back")
            report = _judge(settings, run, name, began, made, (returned, seen, sent_at))
    finally:
        engine.dispose()
    paths = write(report, run.out)
    console.print(table(report))
    good = sum(line.passed for line in report.lines)
    console.print(
        f"{good} of {len(report.lines)} SIMULATED phantoms came back as known; report: {' and '.join(map(str, paths))}", soft_wrap=True
    )
    return report


def _ready(engine: Engine, run: Run) -> None:
    """Find out before any work what would spoil it: no node's database, nobody who answers, no room for the report.

    Raises:
        PtxError: one of these.
    """
    require_latest(engine)
    StorageScu("commission", run.peer).echo()
    try:
        run.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PtxError(f"the report's folder {run.out} cannot be made: {error.strerror}. Give another one with --out") from error


@contextmanager
def _folder(run: Run, name: str) -> Iterator[Path]:
    """Where the phantoms' files lie: for the time of the run, unless they are to be kept."""
    if run.keep:
        yield run.out / f"phantoms-{name}"
        return
    with tempfile.TemporaryDirectory(prefix="ptx-commission-") as folder:
        yield Path(folder)


def _send(phantom: Phantom, peer: DimsePeer) -> None:
    rows = send_files(phantom.paths, peer)
    if not all_taken(rows):
        bad = next(row for row in rows if not all_taken([row]))
        raise PtxError(
            f"{peer} did not take a phantom ({phantom.label}): {bad['verdict']} {bad['status'] or ''} {bad['detail'] or ''}".rstrip()
        )


def _wait(engine: Engine, made: Sequence[Phantom], run: Run) -> Mapping[str, Journey]:
    """Until every phantom is here as a whole and settled, or the time is over."""
    begun = read_at = now()
    expected = {phantom.study_instance_uid: phantom for phantom in made}
    while True:
        with begin_read(engine) as session:
            seen = journeys(session, list(expected))
        open_ones = [one for uid, one in expected.items() if not seen[uid].finished or seen[uid].instances < len(one.sop_instance_uids)]
        may_never_come = run.routed and all(_unread_and_absent(one, seen) for one in open_ones)
        if not may_never_come:
            read_at = now()
        if not open_ones or (now() - begun).total_seconds() > run.timeout_s or (now() - read_at).total_seconds() > run.grace_s:
            return seen
        threading.Event().wait(LOOK_S)


def _unread_and_absent(phantom: Phantom, seen: Mapping[str, Journey]) -> bool:
    return phantom.outcome is Outcome.NOT_ELIGIBLE and seen[phantom.study_instance_uid].instances == 0


_Seen = tuple["Mapping[str, Answers]", "Mapping[str, Journey]", "Mapping[str, datetime]"]


def _judge(settings: Settings, run: Run, name: str, began: datetime, made: Sequence[Phantom], seen: _Seen) -> Report:
    returned, travelled, sent_at = seen
    read = _read(settings, returned)
    policies = {
        one.name: DestinationPolicy(frozenset(ResultKind(kind) for kind in one.kinds), one.retry.deadline_s)
        for one in settings.destinations
    }
    lines = []
    for phantom in made:
        uid = phantom.study_instance_uid
        found = checks(phantom, Returned(returned[uid], read, policies, run.routed))
        lines.append(_line(phantom, returned[uid], found, _seconds(travelled[uid], sent_at[uid])))
    return Report(
        site=settings.node.site,
        run=name,
        began_at=began.isoformat(timespec="seconds"),
        software=f"ptx-node {__version__}",
        route=f"{run.peer.calling_ae} → {run.peer}",
        models=_models(settings, returned),
        rules_sha256=hashlib.sha256(json.dumps(settings.rules, sort_keys=True, default=str).encode()).hexdigest(),
        read_back_by={name: back.by for name, back in read.items()},
        lines=lines,
    )


def _read(settings: Settings, returned: Mapping[str, Answers]) -> dict[str, ReadBack]:
    """What each destination that got something gives back."""
    sent = [one for answer in returned.values() for one in answer.sent]
    read = {}
    for name, (destination, _) in make_destinations(settings).items():
        if mine := [one for one in sent if one.destination == name]:
            read[name] = read_back(destination, mine)
    return read


def _line(phantom: Phantom, answer: Answers, found: list[Any], seconds: float | None) -> Line:
    first = answer.said[0] if answer.said else None
    said = "no answer" if first is None else " ".join(part for part in (first.outcome, first.laterality, first.reason) if part)
    truth = " ".join(str(part) for part in (phantom.outcome, phantom.laterality, phantom.reason) if part)
    probability = first.probability if first else None
    uids = phantom.study_instance_uid, phantom.sop_instance_uids
    return Line(phantom.label, phantom.patient_id, *uids, truth, said, probability, seconds, found)


def _seconds(journey: Journey, sent_at: datetime) -> float | None:
    """From sending to the last that is known of a settled phantom."""
    moments = (journey.received_at, journey.queued_at, journey.inferred_at, journey.accepted_at, journey.committed_at)
    last = max((moment for moment in moments if moment), default=None)
    return max(0.0, (last - sent_at).total_seconds()) if last and journey.finished else None


def _models(settings: Settings, returned: Mapping[str, Answers]) -> list[dict[str, Any]]:
    """Who answered. The digest is that of the bundle on this machine, which may not be the worker's: hence the Device UID."""
    here = {row.get("device_uid"): row for row in describe_models(settings)}
    said = {(one.model, one.version, one.device_uid) for answer in returned.values() for one in answer.said if one.device_uid}
    return [
        {"name": name, "version": version, "device_uid": uid, "weights": here.get(uid, {}).get("weights_sha256")}
        for name, version, uid in sorted(said)
    ]
