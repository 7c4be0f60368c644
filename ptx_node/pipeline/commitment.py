"""Storage Commitment that peers ask of us: requests are rows, and are answered until a peer takes the answer.

Committed means: the row is there, and the file is there with the recorded size and digest (read back from disk).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select, update

from ptx_node import log
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import CommitmentRequest, Instance
from ptx_node.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from ptx_node.domain.study import Origin
    from ptx_node.pipeline.store import FileStore

logger = log.get(__name__)

PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 3600.0
GIVE_UP_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """One N-EVENT-REPORT to send. `failed` pairs (SOP class, SOP instance, Failure Reason of PS3.3 C.14)."""

    transaction_uid: str
    our_ae: str
    peer_ae: str
    peer_address: str
    committed: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]


class SendReport(Protocol):
    """Delivers a report; `ptx_node.outbound.commitment_report` does it by DIMSE."""

    def __call__(self, report: CommitmentReport) -> None:
        """Raise RetryableError when the peer did not take it."""


def record_commitment_request(engine: Engine, origin: Origin, transaction_uid: str, references: Sequence[Mapping[str, str]]) -> bool:
    """Make a request durable; one that was asked before is answered again. False if the transaction is another peer's.

    Raises:
        DatabaseUnavailableError: nothing was promised.
    """
    with begin_write(engine) as session:
        row = session.scalar(select(CommitmentRequest).where(CommitmentRequest.transaction_uid == transaction_uid))
        if row is not None and row.calling_ae != origin.calling_ae:
            return False
        if row is None:
            row = CommitmentRequest(transaction_uid=transaction_uid, requested_at=now())
            session.add(row)
        row.calling_ae, row.called_ae, row.peer_address = origin.calling_ae, origin.called_ae, origin.peer_address
        row.references = [dict(reference) for reference in references]
        row.attempts, row.next_attempt_at, row.reported_at, row.error = 0, now(), None, None
    return True


def report_commitments(engine: Engine, store: FileStore, send: SendReport, *, limit: int = 20) -> int:
    """Answer requests that are due, each on a new association; returns how many peers took their report.

    May run in several processes: a request is claimed by moving its next attempt. A crash before the answer is noted
    leads to a second report, which the standard allows.
    """
    reported = 0
    for request_id in _due(engine, limit):
        row = _claim(engine, request_id)
        if row is None:
            continue
        report = _examine(engine, store, row)
        try:
            send(report)
        except RetryableError as error:
            logger.warning("commitment report not taken", transaction_uid=row.transaction_uid, calling_ae=row.calling_ae, error=str(error))
            _note(engine, request_id, reported_at=None, error=str(error))
            continue
        _note(engine, request_id, reported_at=now(), error=None)
        reported += 1
    return reported


def _due(engine: Engine, limit: int) -> list[int]:
    with begin_read(engine) as session:
        query = (
            select(CommitmentRequest.id)
            .where(
                CommitmentRequest.reported_at.is_(None),
                CommitmentRequest.next_attempt_at <= now(),
                CommitmentRequest.requested_at > now() - GIVE_UP_AFTER,
            )
            .order_by(CommitmentRequest.next_attempt_at)
            .limit(limit)
        )
        return list(session.scalars(query))


def _claim(engine: Engine, request_id: int) -> CommitmentRequest | None:
    """Take a due request by moving its next attempt; None when another process was quicker."""
    with begin_write(engine) as session:
        row = session.get(CommitmentRequest, request_id, with_for_update=True)
        if row is None or row.reported_at is not None or row.next_attempt_at > now():
            return None
        row.attempts += 1
        row.next_attempt_at = now() + timedelta(seconds=min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(row.attempts - 1, 12)))
        return row


def _note(engine: Engine, request_id: int, *, reported_at: datetime | None, error: str | None) -> None:
    with begin_write(engine) as session:
        session.execute(update(CommitmentRequest).where(CommitmentRequest.id == request_id).values(reported_at=reported_at, error=error))


def _examine(engine: Engine, store: FileStore, row: CommitmentRequest) -> CommitmentReport:
    committed: list[tuple[str, str]] = []
    failed: list[tuple[str, str, int]] = []
    for reference in row.references:
        sop_class_uid, sop_instance_uid = reference["sop_class_uid"], reference["sop_instance_uid"]
        reason = _failure_reason(engine, store, sop_class_uid, sop_instance_uid)
        if reason is None:
            committed.append((sop_class_uid, sop_instance_uid))
        else:
            failed.append((sop_class_uid, sop_instance_uid, reason))
    return CommitmentReport(row.transaction_uid, row.called_ae, row.calling_ae, row.peer_address, tuple(committed), tuple(failed))


def _failure_reason(engine: Engine, store: FileStore, sop_class_uid: str, sop_instance_uid: str) -> int | None:
    with begin_read(engine) as session:
        instance = session.scalar(select(Instance).where(Instance.sop_instance_uid == sop_instance_uid))
    if instance is None:
        return NO_SUCH_OBJECT_INSTANCE
    if instance.sop_class_uid != sop_class_uid:
        return CLASS_INSTANCE_CONFLICT
    try:
        with store.path(instance.path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
    except OSError:
        return PROCESSING_FAILURE
    return None if (size_bytes, digest) == (instance.size_bytes, instance.sha256) else PROCESSING_FAILURE
