"""The tables of the watch over drift: what the network saw, each day's look at each figure, and the alarms that a person settles."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Table


class FindingEmbedding(Table):
    """What the network saw of a finding's images: `dimension` numbers in half precision, the least significant byte first.

    Of a patient's images: it stays at the site, in no view and no export. Housekeeping takes old ones.
    """

    __tablename__ = "finding_embeddings"

    finding_id: Mapped[int] = mapped_column(Id, ForeignKey("findings.id"), primary_key=True, autoincrement=False)
    weights_sha256: Mapped[str] = mapped_column(String(64))
    inferred_at: Mapped[datetime] = mapped_column(index=True)
    dimension: Mapped[int] = mapped_column(Integer)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class DriftLook(Table):
    """One figure of one model in the window that ends with `day`, held against the reference. Only ever added.

    `method` is empty where there were too few cases. `crossed`: unlike the reference by this window alone. `detail` has the shares of both
    by bin or value, and the days of the reference.
    """

    __tablename__ = "drift_looks"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    weights_sha256: Mapped[str] = mapped_column(String(64))
    model_name: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    figure: Mapped[str] = mapped_column(Text)
    day: Mapped[date]
    method: Mapped[str] = mapped_column(Text)
    reference_count: Mapped[int] = mapped_column(Integer)
    window_count: Mapped[int] = mapped_column(Integer)
    statistic: Mapped[float | None]
    p_value: Mapped[float | None]
    effect: Mapped[float | None]
    crossed: Mapped[bool]
    detail: Mapped[dict[str, Any]]
    looked_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("weights_sha256", "figure", "day"), Index("ix_drift_looks_day", "day"))


class WatchAlarm(Table):
    """Something that a person has to look at. `kind` is `drift` (`name`: the figure) or `stop` (`name`: the rule).

    Of one kind, name and model one stands open at most: nothing alarms twice. The acknowledgement is written once.
    """

    __tablename__ = "watch_alarms"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[str] = mapped_column(Text)
    model_name: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    day: Mapped[date]
    words: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
    raised_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)


_OPEN = text("acknowledged_at IS NULL")
Index(
    "uq_watch_alarms_open",
    WatchAlarm.kind,
    WatchAlarm.name,
    WatchAlarm.weights_sha256,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
