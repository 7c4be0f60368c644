"""Packages that people asked for: one is worked on at a time, whoever works, and none is forgotten when a process dies."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ptx_node.db import audit
from ptx_node.db.export_tables import ExportRow
from ptx_node.domain.audit_events import decision
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

BUILD, VERIFY = "build", "verify"
QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
LEASE = timedelta(seconds=60)
"""A process that falls silent for so long is gone."""
LOST, MOST_LOST = "lost", 3
"""In `counts`, until there is something to count: how often its process was gone."""


def ask(session: Session, request: Mapping[str, Any], *, by: str, now: datetime) -> int:
    """Ask for a package; its number."""
    row = ExportRow(request=dict(request), task=BUILD, state=QUEUED, step="for its turn", asked_by=by, asked_at=now)
    session.add(row)
    session.flush()
    audit.note(session, decision(by, "ask for an export", export=row.id, **request))
    return row.id


def ask_verification(session: Session, number: int) -> None:
    """Have every byte of a package held against its manifests.

    Raises:
        UsageError: there is no such package, or it is not there as whole.
    """
    row = session.get(ExportRow, number, with_for_update=True)
    if row is None or row.package_sha256 is None:
        raise UsageError(f"there is no finished export {number} to verify")
    if row.removed_at is not None:
        raise UsageError(f"export {number} was removed on {row.removed_at:%Y-%m-%d}: there is nothing to verify")
    if row.state in (DONE, FAILED):
        row.task, row.state, row.step, row.error = VERIFY, QUEUED, "for its turn", None


def anything_open(session: Session) -> bool:
    """Whether something waits or runs: asked often, and takes no lock."""
    return session.scalar(select(ExportRow.id).where(ExportRow.state.in_((QUEUED, RUNNING))).limit(1)) is not None


def claim(session: Session, now: datetime) -> ExportRow | None:
    """Take the next one that waits, or one whose process is gone; None when nothing waits or another one runs.

    One whose process is gone so often has failed: it would take every process along that begins it anew.
    """
    running = session.scalar(select(ExportRow).where(ExportRow.state == RUNNING).with_for_update())
    if running is not None and running.lease_expires_at is not None and running.lease_expires_at > now:
        return None
    waiting = select(ExportRow).where(ExportRow.state == QUEUED).order_by(ExportRow.id).limit(1).with_for_update(skip_locked=True)
    if running is not None and (running.counts or {}).get(LOST, 0) >= MOST_LOST:
        failed(session, running.id, "its process was lost again and again; perhaps memory is short. Ask for a shorter period", now)
        session.flush()
        running = None
    row = running or session.scalar(waiting)
    if row is None:
        return None
    if running is not None:
        running.counts = {**(running.counts or {}), LOST: (running.counts or {}).get(LOST, 0) + 1}
    try:
        with session.begin_nested():
            row.state, row.started_at, row.finished_at, row.lease_expires_at, row.step = RUNNING, now, None, now + LEASE, "begins"
    except IntegrityError:  # another process began one at this moment
        return None
    return row


def renew(session: Session, number: int, now: datetime) -> None:
    """Say that its process lives."""
    row = session.get_one(ExportRow, number, with_for_update=True)
    if row.state == RUNNING:
        row.lease_expires_at = now + LEASE


def tell(session: Session, number: int, step: str) -> None:
    """Say how far it is."""
    session.get_one(ExportRow, number, with_for_update=True).step = step


def built(session: Session, number: int, digest: str, counts: Mapping[str, Any], now: datetime) -> None:
    """It is there as whole."""
    row = _end(session, number, DONE, now)
    row.package_sha256, row.counts = digest, dict(counts)


def verified(session: Session, number: int, problems: Sequence[str], now: datetime) -> None:
    """Every byte was looked at."""
    row = _end(session, number, DONE, now)
    row.verified_at, row.problems = now, list(problems)


def failed(session: Session, number: int, error: str, now: datetime) -> None:
    """It came to nothing; `error` is for people. One that has ended stays as it is."""
    row = session.get_one(ExportRow, number, with_for_update=True)
    if row.state == RUNNING:
        _end(session, number, FAILED, now).error = error


def _end(session: Session, number: int, state: str, now: datetime) -> ExportRow:
    row = session.get_one(ExportRow, number, with_for_update=True)
    row.state, row.finished_at, row.lease_expires_at, row.step = state, now, None, ""
    row.counts = {name: value for name, value in row.counts.items() if name != LOST} if row.counts else row.counts
    return row


def give_up_old(session: Session, *, before: datetime, now: datetime) -> None:
    """Say of packages that nobody built or verified since that they are removed; then their files may go."""
    old = (ExportRow.package_sha256.is_not(None), ExportRow.removed_at.is_(None), ExportRow.finished_at < before)
    ended = ExportRow.state.in_((DONE, FAILED))
    for row in session.scalars(select(ExportRow).where(*old, ended).order_by(ExportRow.id).with_for_update()).all():
        row.removed_at = now
        audit.note(session, decision("node", "remove export", export=row.id, package_sha256=row.package_sha256))


def removed_among(session: Session, numbers: Collection[int]) -> Sequence[int]:
    """Those of these whose rows say that they are removed."""
    return session.scalars(select(ExportRow.id).where(ExportRow.id.in_(numbers), ExportRow.removed_at.is_not(None))).all()


def listed(session: Session, limit: int) -> Sequence[ExportRow]:
    """The newest first."""
    return session.scalars(select(ExportRow).order_by(ExportRow.id.desc()).limit(limit)).all()
