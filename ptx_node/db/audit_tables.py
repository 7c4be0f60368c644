"""The table of how far the audit trail's chain has been verified by the node itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Table


class AuditCheck(Table):
    """One row: what the scheduler has verified. See `ptx_node.pipeline.audit_watch`.

    `head_…` is the newest row that was seen to follow; it must still be there at each look. `pass_…` is how far the present walk from the
    first row has come, and `passed_at` when the last whole walk ended that found nothing. `broken_sequence` is the first row that does not
    fit, null while all do.
    """

    __tablename__ = "audit_checks"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    head_sequence: Mapped[int] = mapped_column(BigInteger)
    head_sha256: Mapped[str] = mapped_column(String(64))
    pass_sequence: Mapped[int] = mapped_column(BigInteger)
    pass_sha256: Mapped[str] = mapped_column(String(64))
    pass_began_at: Mapped[datetime]
    passed_at: Mapped[datetime | None]
    checked_at: Mapped[datetime]
    broken_sequence: Mapped[int | None] = mapped_column(BigInteger)
    broken_at: Mapped[datetime | None]
