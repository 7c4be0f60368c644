"""What monitoring and orchestrators ask: `/livez`, `/readyz`, `/statusz`, `/metrics`. No patient data in any of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError
from starlette.responses import JSONResponse

from ptx_node import __version__, log
from ptx_node.dashboard.entry import needs, open_to_anybody
from ptx_node.dashboard.exporter import Exporter
from ptx_node.dashboard.page import Page
from ptx_node.db import schema
from ptx_node.db.audit_checks import Checked
from ptx_node.db.gauges import gauges
from ptx_node.db.session import begin_read, now
from ptx_node.domain.access import Permission
from ptx_node.errors import PtxError

logger = log.get(__name__)

State = Literal["ok", "degraded", "failed"]
NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the node: `degraded` is a part without which nothing is lost and nothing refused."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What readiness looks at.

    Attributes:
        engine: the node's database.
        destinations: names in the settings.
        folder: on the disk of the file store.
        watermark_bytes: below so much room instances are refused.
        ask_broker: raises `PtxError` where the broker does not answer.
    """

    engine: Engine
    destinations: tuple[str, ...]
    folder: Path
    watermark_bytes: int
    ask_broker: Callable[[], object]

    def checks(self) -> list[Check]:
        """Database and disk, without which instances are refused; the broker, without which work waits."""
        return [
            _tried("database", self._database, "failed"),
            _tried("disk", self._disk, "failed"),
            _tried("broker", self._broker, "degraded"),
        ]

    def _database(self) -> str:
        schema.require_latest(self.engine)
        return f"{self.engine.dialect.name} at revision {schema.latest()}"

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise PtxError(f"the store's folder {self.folder} cannot be looked at: {error.strerror}") from error
        if free < self.watermark_bytes:
            raise PtxError(f"{free >> 20} MiB free, below store.watermark_bytes: every instance is refused (A700). Make room")
        return f"{free >> 20} MiB free"

    def _broker(self) -> str:
        self.ask_broker()
        return "answers"


def router(probe: Probe, exporter: Exporter, *, anybody: Sequence[Any] = (), monitoring: Sequence[Any] = ()) -> APIRouter:
    """The routes.

    Args:
        probe: what `/readyz` and `/statusz` look at.
        exporter: what `/metrics` prints.
        anybody: FastAPI dependencies of `/livez` and `/readyz`, which say no more than a word.
        monitoring: FastAPI dependencies of `/statusz` and `/metrics`: a token, or an allowed network.
    """
    made = APIRouter(include_in_schema=False)

    @made.get("/livez", dependencies=anybody)
    async def live() -> Response:
        """This process answers. It looks at nothing else, and waits for no thread that a silent database may hold: else it were killed."""
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    @made.get("/readyz", dependencies=anybody)
    def ready() -> Response:
        """200 where instances can be taken, though perhaps slowly worked on; 503 where not. Which part it is, but not why."""
        checks = probe.checks()
        state = overall(checks)
        told = {"status": state, "checks": {one.name: one.state for one in checks}}
        return JSONResponse(told, 503 if state == "failed" else 200, headers=NO_STORE)

    @made.get("/statusz", dependencies=monitoring)
    def status() -> Response:
        """The checks in words, and how the node stands."""
        checks = probe.checks()
        told: dict[str, Any] = {"version": __version__, "status": overall(checks), "checks": [asdict(one) for one in checks]}
        return JSONResponse(told | _state(probe), headers=NO_STORE)

    @made.get("/metrics", dependencies=monitoring)
    def metrics() -> Response:
        """Prometheus's text format."""
        return Response(exporter.text(), media_type=CONTENT_TYPE_LATEST, headers=NO_STORE)

    return made


def page(probe: Probe, exporter: Exporter) -> Page:
    """The routes as a part of the dashboard's application, behind its tokens; none stands in the menu."""
    made = router(probe, exporter, anybody=[open_to_anybody()], monitoring=[needs(Permission.METRICS)])
    return Page("Health", "/statusz", Permission.METRICS, (made,), menu=False)


def overall(checks: Sequence[Check]) -> State:
    """The worst of them."""
    states = {one.state for one in checks}
    return "failed" if "failed" in states else "degraded" if "degraded" in states else "ok"


def _tried(name: str, look: Callable[[], str], otherwise: State) -> Check:
    try:
        return Check(name, "ok", look())
    except PtxError as error:
        logger.warning("not ready", check=name, error=str(error))
        return Check(name, otherwise, str(error))


def _state(probe: Probe) -> dict[str, Any]:
    """As JSON takes it: times as ISO 8601, groups as lists."""
    moment = now()
    try:
        with begin_read(probe.engine) as session:
            state = gauges(session, destinations=probe.destinations, now=moment)
    except (PtxError, ProgrammingError):  # the checks have said what is wrong
        return {}
    return {
        "at": moment.isoformat(),
        "waiting": [asdict(one) | {"oldest_at": one.oldest_at.isoformat()} for one in state.waiting],
        "destinations": [asdict(one) | {"oldest_at": one.oldest_at and one.oldest_at.isoformat()} for one in state.backlog],
        "jobs_quarantined": state.quarantined,
        "deliveries_failed": state.failed,
        "sources": [asdict(one) | {"last_received_at": one.last_received_at.isoformat()} for one in state.heard],
        "unmatched_recent": [{"side": side, "reason": reason, "count": count} for (side, reason), count in state.unmatched.items()],
        "processes": [{"process": one.process, "role": one.role, "beat_at": one.beat_at.isoformat()} for one in state.beats],
        "audit_rows": state.audit_head[0] if state.audit_head else 0,
        "audit_trail": _audit(state.audit_checked),
    }


def _audit(checked: Checked | None) -> dict[str, Any]:
    """What the scheduler's verification of the audit trail last found."""
    if checked is None:
        return {"state": "not verified yet"}
    return {
        "state": "intact" if checked.broken_sequence is None else f"broken at row {checked.broken_sequence}: see ptx audit verify",
        "verified_rows": checked.head.sequence,
        "verified_at": checked.checked_at.isoformat(),
        "all_rows_verified_at": checked.passed_at and checked.passed_at.isoformat(),
        "found_at": checked.broken_at and checked.broken_at.isoformat(),
    }
