"""How far the node has verified its own audit trail, as one row that any process may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.audit_tables import AuditCheck
from ptx_node.db.tables import AuditEvent
from ptx_node.domain.audit import START, Link

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

THE_ROW = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """What the scheduler knows of the chain.

    Attributes:
        head: the newest row that was seen to follow.
        at: how far the present walk from the first row has come.
        began_at: when that walk began.
        passed_at: when the last whole walk ended that found nothing; None: none has yet.
        checked_at: the last look.
        broken_sequence: the first row that does not fit; None while all do.
        broken_at: when it was found.
    """

    head: Link
    at: Link
    began_at: datetime
    passed_at: datetime | None
    checked_at: datetime
    broken_sequence: int | None = None
    broken_at: datetime | None = None


def last(session: Session) -> Checked | None:
    """What is known; None before the first look."""
    row = session.get(AuditCheck, THE_ROW)
    if row is None:
        return None
    head, at = Link(row.head_sequence, row.head_sha256), Link(row.pass_sequence, row.pass_sha256)
    return Checked(head, at, row.pass_began_at, row.passed_at, row.checked_at, row.broken_sequence, row.broken_at)


def begin(now: datetime) -> Checked:
    """What is known before the first look."""
    return Checked(START, START, now, None, now)


def keep(session: Session, before: Checked | None, found: Checked) -> bool:
    """Write down what a look found; False where another process has written since `before` was read, whose word counts then."""
    values = {
        "head_sequence": found.head.sequence,
        "head_sha256": found.head.sha256,
        "pass_sequence": found.at.sequence,
        "pass_sha256": found.at.sha256,
        "pass_began_at": found.began_at,
        "passed_at": found.passed_at,
        "checked_at": found.checked_at,
        "broken_sequence": found.broken_sequence,
        "broken_at": found.broken_at,
    }
    if before is None:
        insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        first = insert(AuditCheck).values(id=THE_ROW, **values).on_conflict_do_nothing().returning(AuditCheck.id)
        return session.scalar(first) is not None
    same = (AuditCheck.id == THE_ROW, AuditCheck.checked_at == before.checked_at, AuditCheck.pass_sequence == before.at.sequence)
    return session.scalar(update(AuditCheck).where(*same).values(values).returning(AuditCheck.id)) is not None


def row_hash(session: Session, sequence: int) -> str | None:
    """The hash that a row carries; None where there is no such row."""
    return session.scalar(select(AuditEvent.sha256).where(AuditEvent.sequence == sequence))
