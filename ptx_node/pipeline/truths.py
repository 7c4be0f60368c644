"""Truth that is not a radiology report's: readers' labels and masks taken in, and masks held against what the model drew.

One transaction a portion of a file: killed, the file is given again and nothing is there twice. A reading whose image is not here waits:
nothing has to be done when it comes but to measure its mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ptx_node.db import audit, truths
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.audit_events import decision
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.db.truths import Unmeasured
    from ptx_node.domain.reading import Reading

log = get(__name__)

AT_ONCE = 50
"""Masks measured between two looks at the database."""


class Store(Protocol):
    """Where the masks and the images are kept."""

    def put(self, relative_path: str, data: bytes) -> object:
        """Write one whole file durably; the same name again is replaced."""
        ...

    def path(self, relative: str) -> Path:
        """Where a stored file lies on disk."""
        ...


class Measure(Protocol):
    """Holds a reader's mask against an image and the model's mask; satisfied by `ptx_node.dicom.mask_figures`."""

    def __call__(self, pair: Unmeasured, store: Store, /) -> dict[str, Any]:
        """`area_mm2`, `area_reason`, `dice` and `dice_reason`; never raises for what a file holds."""
        ...


class TruthIntake:
    """Takes readings for one person.

    Args:
        engine: opened in this process.
        store: keeps masks.
        who: the person who imports, for the audit trail.
    """

    def __init__(self, engine: Engine, store: Store, *, who: str) -> None:
        self._engine = engine
        self._store = store
        self._who = who

    def keep(self, sha256: str, data: bytes) -> str:
        """Keep a mask's file, durably; the same bytes have the same name. Returns the name in the store.

        Raises:
            StorageFullError: there is no room.
        """
        path = f"truths/{sha256[:2]}/{sha256}.dcm"
        self._store.put(path, data)
        return path

    def take(self, readings: Sequence[tuple[str, Reading]], *, file: str, sha256: str, path: str | None = None) -> tuple[int, int]:
        """Take some readings of a file, each with its place in it; (how many were new, how many were here already).

        Raises:
            DatabaseUnavailableError: none of them was written; the file may be taken in again.
        """
        with begin_write(self._engine) as session:
            new = truths.add(session, readings, truths.Origin(file, self._who, path), now=current_time())
            told = {"file_sha256": sha256, "readings": len(readings), "new": len(new), "first": min(new, default=None)}
            audit.note(session, decision(self._who, "truth import", **told))
        return len(new), len(readings) - len(new)


def measure_masks(engine: Engine, store: Store, measure: Measure) -> int:
    """Measure every mask whose image is here and that was not held against its findings yet; how many pairs.

    Killed in between, what was measured is there, and the next call does the rest.

    Raises:
        DatabaseUnavailableError: call again.
    """
    total = 0
    while True:
        with begin_read(engine) as session:
            waiting = truths.unmeasured(session, AT_ONCE)
        if not waiting:
            break
        figures = [{"truth_id": one.truth_id, "finding_id": one.finding_id, **measure(one, store)} for one in waiting]
        now = current_time()
        with begin_write(engine) as session:
            truths.record_figures(session, [{**row, "measured_at": now} for row in figures])
        total += len(waiting)
    if total:
        log.info("masks were held against findings", masks=total)
    return total
