"""The table of a site's own thresholds: what was proposed, applied and withdrawn, by whom and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Table


class ThresholdRow(Table):
    """One step in the life of a model's threshold at this site. Only ever added; the newest that is no proposal holds.

    `action` is `proposed`, `applied` or `withdrawn`; `value` is null where the model's own threshold counts again, and of a proposal
    that had too few cases. `evidence` is the proposal as it was computed: aim, intervals, cases, period, seed.
    """

    __tablename__ = "thresholds"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    action: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[str] = mapped_column(String(64), index=True)
    value: Mapped[float | None]
    proposal_id: Mapped[int | None] = mapped_column(Id, ForeignKey("thresholds.id"))
    evidence: Mapped[dict[str, Any] | None]
    decided_by: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]
