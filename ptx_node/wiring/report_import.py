"""`ptx reports import`: files through the intake of this node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ptx_node.db import schema
from ptx_node.inbound.report_files import Count, Import, Problem, import_file
from ptx_node.inbound.report_table import ColumnMap
from ptx_node.inbound.tables import load_map
from ptx_node.wiring.node import open_database
from ptx_node.wiring.reports import make_intake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ptx_node.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all files: versions that were new or known, how many of them wait for their patient, and how much was wrong."""

    new: int
    known: int
    parked: int
    wrong: int


def run(settings: Settings, files: Sequence[Path], *, columns: Path | None, source: str, tell: Callable[[Problem], None]) -> Outcome:
    """Take files in, one after the other; `tell` is called for each problem as it is found.

    Raises:
        UsageError: the mapping of columns is wrong; nothing was taken.
        DatabaseUnavailableError: the database went away; what was taken is there, and the same command goes on.
    """
    mapping = load_map(columns, ColumnMap) if columns else None
    engine = open_database(settings)
    schema.require_latest(engine)
    intake = make_intake(settings, engine)
    how = Import(mapping, source, ZoneInfo(settings.node.time_zone))
    total, wrong = Count(), 0
    for path in files:
        for one in import_file(intake, path, how):
            if isinstance(one, Problem):
                wrong += 1
                tell(one)
            else:
                total += one
    engine.dispose()
    return Outcome(total.new, total.known, total.parked, wrong)
