"""The table of what people say of findings."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.append_only import guard
from ptx_node.db.tables import Id, PairRow, Table


class AssessmentRow(Table):
    """One word of a person on a finding. Only ever added; the newest of a finding counts. See `ptx_node.domain.assessment`.

    `laterality` is the side that a person gives with `modify`. `pair_id` is the disagreement from which it was said; null elsewhere.
    """

    __tablename__ = "finding_assessments"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    finding_id: Mapped[int] = mapped_column(Id, ForeignKey("findings.id"), index=True)
    pair_id: Mapped[int | None] = mapped_column(Id, ForeignKey("pairs.id"), index=True)
    word: Mapped[str] = mapped_column(Text)
    laterality: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    assessed_by: Mapped[str] = mapped_column(Text)
    assessed_at: Mapped[datetime]


guard(AssessmentRow.__table__, "id")

DISAGREES = text("superseded_at IS NULL AND secondary_reason IS NULL AND agreement IN ('false_positive', 'false_negative')")
Index("ix_pairs_disagreeing", PairRow.id, sqlite_where=DISAGREES, postgresql_where=DISAGREES)
