"""The tables of what people are told: conditions that begin and end, and one row for each notice to each recipient."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ptx_node.db.tables import Id, Table


class NoticeCondition(Table):
    """Something that was wrong from `began_at` to `ended_at`; of one kind and subject one is open at most.

    `seen_at` is the last look that found it. `uuid` is what strangers know it by.
    """

    __tablename__ = "notice_conditions"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


_OPEN = text("ended_at IS NULL")
Index(
    "uq_notice_conditions_open",
    NoticeCondition.kind,
    NoticeCondition.subject,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)


class NoticeRow(Table):
    """One notice to one recipient: written with the change that it tells of, sent under a lease, told once it was taken.

    `recipient` is an e-mail address, and empty for a webhook. `number` counts the repetitions. `facts` are those of its moment.
    `studies` is empty unless the receiver's settings ask for identifiers.
    """

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    condition_id: Mapped[int] = mapped_column(Id, ForeignKey("notice_conditions.id"))
    receiver: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text)
    step: Mapped[str] = mapped_column(Text)
    number: Mapped[int] = mapped_column(Integer)
    facts: Mapped[dict[str, Any]]
    studies: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    queued_at: Mapped[datetime] = mapped_column(index=True)
    told_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("condition_id", "receiver", "recipient", "step", "number"),)


_UNTOLD = text("state IN ('waiting', 'sending')")
Index("ix_notices_untold", NoticeRow.receiver, NoticeRow.id, sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)
