"""`ptx truth`: readers' labels and masks of this node, and the look that holds masks against findings."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ptx_node.db import schema
from ptx_node.inbound.report_files import Problem
from ptx_node.inbound.tables import load_map
from ptx_node.inbound.truth_files import TruthCount, TruthImport, import_truths
from ptx_node.inbound.truth_table import TruthMap
from ptx_node.pipeline.truths import TruthIntake, measure_masks
from ptx_node.wiring.node import open_database, open_store
from ptx_node.wiring.reports import load_authorities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.db.truths import Unmeasured
    from ptx_node.domain.reading import TruthKind
    from ptx_node.pipeline.truths import Store
    from ptx_node.settings import Settings


def run(
    settings: Settings,
    files: Sequence[Path],
    *,
    who: str,
    reader: str,
    columns: Path | None = None,
    kind: TruthKind | None = None,
    tell: Callable[[Problem], None],
) -> tuple[TruthCount, int]:
    """Take files in, one after the other; `tell` is called for each problem. Returns the count, and how much was wrong.

    Raises:
        UsageError: the mapping of columns is wrong; nothing was taken.
        DatabaseUnavailableError: what was taken is there, and the same command goes on.
    """
    mapping = load_map(columns, TruthMap) if columns else None
    engine, store = open_database(settings), open_store(settings)
    schema.require_latest(engine)
    intake = TruthIntake(engine, store, who=who)
    how = TruthImport(mapping, reader, kind, load_authorities(settings), ZoneInfo(settings.node.time_zone))
    total, wrong = TruthCount(), 0
    for path in files:
        for one in import_truths(intake, path, how):
            if isinstance(one, Problem):
                wrong += 1
                tell(one)
            else:
                total += one
    measure(engine, store)
    engine.dispose()
    return total, wrong


def measure(engine: Engine, store: Store) -> int:
    """Hold masks against findings, where what reads masks is installed (ptx-node[worker]); how many pairs."""
    if importlib.util.find_spec("highdicom") is None:
        return 0
    return measure_masks(engine, store, _figures)


def _figures(pair: Unmeasured, store: Store, /) -> dict[str, Any]:
    from ptx_node.dicom.mask_figures import figures  # noqa: PLC0415 - loaded where there is a mask, and nowhere else

    return figures(
        pair.level,
        store.path(pair.path),
        store.path(pair.own_path) if pair.own_path else None,
        store.path(pair.image_path),
        sop_instance_uid=pair.sop_instance_uids[0],
        outcome=pair.outcome,
    )
