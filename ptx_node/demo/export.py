"""The day ends with an auditors' export of it, verified against its manifests and the node's trail, and computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from ptx_node.db.session import begin_read, now
from ptx_node.db.tables import ExaminationRow
from ptx_node.errors import PtxError
from ptx_node.validation import audit_segment, bag
from ptx_node.validation.package import SIMULATED, Request
from ptx_node.validation.recompute import differences
from ptx_node.wiring.export import run_export, trail_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console
    from sqlalchemy import Engine

    from ptx_node.settings import Settings

CELLS = ("true_positive", "false_positive", "false_negative", "true_negative")


def export_the_day(settings: Settings, engine: Engine, target: Path, console: Console) -> bool:
    """Write, verify and recompute a package of everything that the day brought; whether all of it is as it should be.

    Raises:
        PtxError: it cannot be written.
    """
    with begin_read(engine) as session:
        since = session.scalar(select(func.min(ExaminationRow.examined_on)))
    if since is None:
        raise PtxError("there is nothing to export: no image was examined")
    zone = settings.node.time_zone
    # Images of which no header was read belong to the day on which they came.
    request = Request(since, now().astimezone(ZoneInfo(zone)).date(), "demo", zone)
    done = run_export(settings, request, target, actor="user demo")
    problems = [f"{one.path}: {one.what}" for one in bag.problems(target)]
    broken = audit_segment.broken(target / bag.PAYLOAD, trail_of(settings))
    unlike = differences(target)
    console.print(f"export for auditors, de-identified: {target}", highlight=False, soft_wrap=True)
    console.print(f"  {done.cases} findings of {done.patients} patients, {done.counted} counted. {SIMULATED if done.simulated else ''}")
    for model in done.figures["models"].values():
        console.print(f"  {model['name']}: {_figures(model)}", highlight=False, soft_wrap=True)
    console.print(f"  verify: {problems or broken or 'every byte as written, audit rows in the trail of this node'}", highlight=False)
    console.print(f"  recompute: {', '.join(map(str, unlike)) or 'every figure the same to the last digit'}", highlight=False)
    return done.simulated and not problems and not broken and not unlike


def _figures(model: Mapping[str, Any]) -> str:
    """A model's 2x2 table and AUC."""
    table, area = model["answers"]["table"], model["discrimination"]["auc"]
    told = ", ".join(f"{table[name]['value']} {name.replace('_', ' ')}" for name in CELLS)
    value = "cannot be told" if area["value"] is None else f"{area['value']:.2f}"
    return f"{told}; AUC {value}"
