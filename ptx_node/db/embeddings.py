"""What the network saw of each finding's images: written with the finding, read by the watch over drift, forgotten when it is old."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import BigInteger, and_, delete, func, not_, select

from ptx_node.db import bulk
from ptx_node.db.watch_tables import DriftLook, FindingEmbedding

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from ptx_node.db.tables import FindingRow

EMBEDDING = "embedding"
"""The name of its figure."""
KEEP = timedelta(days=400)
STORED = np.dtype("<f2")


def record(session: Session, finding: FindingRow, embedding: NDArray[np.float16] | None) -> None:
    """Keep what the network saw, or nothing where a finding that is recorded again has none. `finding` is flushed."""
    row = session.get(FindingEmbedding, finding.id)
    if embedding is None:
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = FindingEmbedding(finding_id=finding.id)
        session.add(row)
    row.weights_sha256, row.inferred_at = finding.weights_sha256, finding.inferred_at
    row.dimension, row.vector = embedding.size, embedding.astype(STORED).tobytes()
    session.flush()


def read(session: Session, finding_ids: Collection[int]) -> dict[int, NDArray[np.float16]]:
    """The vectors of these findings; one that is missing, cut or not finite is left out."""
    wanted = bulk.given(session, {"number": BigInteger()}, [(number,) for number in finding_ids])
    rows = session.execute(
        select(FindingEmbedding.finding_id, FindingEmbedding.dimension, FindingEmbedding.vector).join(
            wanted, wanted.c.number == FindingEmbedding.finding_id
        )
    )
    whole = ((number, np.frombuffer(data, STORED)) for number, size, data in rows if len(data) == size * STORED.itemsize)
    return {number: vector for number, vector in whole if np.isfinite(vector).all()}


def forget(session: Session, *, now: datetime) -> None:
    """Remove what is older than `KEEP`, but for the days of each model's reference in use."""
    old = FindingEmbedding.inferred_at < now - KEEP
    newest = select(func.max(DriftLook.id)).where(DriftLook.figure == EMBEDDING).group_by(DriftLook.weights_sha256)
    looks = session.scalars(select(DriftLook).where(DriftLook.id.in_(newest)))
    session.execute(delete(FindingEmbedding).where(old, *(not_(_reference(one)) for one in looks)))


def _reference(look: DriftLook) -> ColumnElement[bool]:
    """The days that a look was held against, and one more at each end: its zone is not known here."""
    since, until = (
        datetime.combine(date.fromisoformat(look.detail[name]) + timedelta(days=more), time(), UTC)
        for name, more in (("reference_since", -1), ("reference_until", 2))
    )
    return and_(
        FindingEmbedding.weights_sha256 == look.weights_sha256, FindingEmbedding.inferred_at >= since, FindingEmbedding.inferred_at < until
    )
