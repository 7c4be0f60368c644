"""Prove that accepted results arrived: Storage Commitment, or found again by query. Only then a result is committed.

A result that turns out missing goes back to waiting and is sent again, a bounded number of times.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from ptx_node import log
from ptx_node.db import deliveries
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.delivery import Arrival, Proof
from ptx_node.domain.job import DeliveryState
from ptx_node.errors import DestinationUnavailableError
from ptx_node.pipeline.deliver import Policy, keeping_lease, outgoing, release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.deliveries import Claimed
    from ptx_node.db.tables import Delivery
    from ptx_node.domain.delivery import CommitmentReport
    from ptx_node.pipeline.deliver import Destination, ResultFiles

logger = log.get(__name__)

BATCH = 64
DEFAULT_POLICY = Policy()


def prove_due(engine: Engine, files: ResultFiles, destination: Destination, *, owner: str, policy: Policy) -> int:
    """Ask one destination about accepted results that are due for proof; the number whose question is closed.

    Raises:
        DatabaseUnavailableError: nothing was claimed, or the answers could not be kept: then they are asked again.
    """
    with begin_read(engine) as session:
        if not deliveries.anything_to_prove(session, destination.name, now()):
            return 0
    lease = deliveries.Lease(f"{owner}/{uuid.uuid4().hex[:12]}", now(), timedelta(seconds=policy.lease_s))
    transaction_uid = str(generate_uid(prefix=None))
    with begin_write(engine) as session:
        claimed = deliveries.claim_to_prove(session, destination.name, lease, limit=BATCH, transaction_uid=transaction_uid)
    fresh = [item for item in claimed if item.commitment_transaction_uid is None]
    unreported = [item for item in claimed if item.commitment_transaction_uid is not None]
    with keeping_lease(engine, lease):
        proofs = _ask(files, destination, fresh, transaction_uid) | _ask(files, destination, unreported, None)
    return _settle(engine, destination.name, lease, proofs, policy) if claimed else 0


def record_commitment_report(engine: Engine, report: CommitmentReport, *, policy: Policy = DEFAULT_POLICY) -> int:
    """Keep a Storage Commitment report, on whichever association it came; the number of deliveries that it settled.

    Idempotent; a report on an unknown transaction settles nothing (0). What the peer did not take over is sent again.
    """
    moment = now()
    with begin_write(engine) as session:
        rows = deliveries.lock_transaction(session, report.transaction_uid)
        proven: dict[int, Proof] = {}
        for delivery, sop_instance_uid in rows:
            if sop_instance_uid in report.committed:
                proof = Proof(Arrival.PROVEN, "storage_commitment")
            elif sop_instance_uid in report.failed:
                reason = f"not committed, failure reason 0x{report.failed[sop_instance_uid]:04X}"
                proof = Proof(Arrival.MISSING, "storage_commitment", reason)
            else:
                continue
            _apply(delivery, proof, moment, policy)
            proven[delivery.id] = proof
            release(delivery)
        _note(session, [delivery for delivery, _ in rows], proven)
        deliveries.stamp_jobs(session, {delivery.job_id for delivery, _ in rows})
    settled = len(proven)
    logger.info("commitment report", transaction_uid=report.transaction_uid, settled=settled, failed=len(report.failed))
    return settled


def _ask(files: ResultFiles, destination: Destination, items: Sequence[Claimed], transaction_uid: str | None) -> dict[int, Proof | None]:
    """Proofs by delivery id; None where the peer could not be asked."""
    batch = []
    for item in items:
        try:
            batch.append((item.delivery_id, outgoing(files, item)))
        except (OSError, InvalidDicomError, AttributeError) as error:
            logger.warning("result file not readable", sop_instance_uid=item.sop_instance_uid, error=str(error))
    answers: dict[int, Proof | None] = dict.fromkeys(item.delivery_id for item in items)
    if not batch:
        return answers
    try:
        proofs = destination.prove([one for _, one in batch], transaction_uid=transaction_uid)
    except DestinationUnavailableError as error:
        logger.warning("proof not possible now", destination=destination.name, error=str(error))
        return answers
    return answers | {delivery_id: proof for (delivery_id, _), proof in zip(batch, proofs, strict=True)}


def _settle(engine: Engine, name: str, lease: deliveries.Lease, proofs: Mapping[int, Proof | None], policy: Policy) -> int:
    moment = now()
    with begin_write(engine) as session:
        # Rows that a report settled meanwhile, on another association, have given their lease back.
        held = deliveries.lock_held(session, lease.owner)
        for delivery_id, delivery in held.items():
            _apply(delivery, proofs[delivery_id], moment, policy)
            release(delivery)
        _note(session, held.values(), proofs)
        deliveries.stamp_jobs(session, {delivery.job_id for delivery in held.values()})
        closed = sum(delivery.proof is not None or delivery.state != DeliveryState.ACCEPTED for delivery in held.values())
    logger.info("proof asked", destination=name, asked=len(proofs), closed=closed)
    return closed


def _note(session: Session, rows: Iterable[Delivery], proofs: Mapping[int, Proof | None]) -> None:
    """Note in the audit trail what is settled now; a question that stays open is none."""
    said: dict[int, dict[str, str | None]] = {}
    for delivery in rows:
        proof = proofs.get(delivery.id)
        if delivery.id in proofs and (delivery.state != DeliveryState.ACCEPTED or delivery.proof is not None):
            said[delivery.id] = {"arrival": proof.arrival.value if proof else "unknown", "by": proof.by if proof else None}
    if said:
        deliveries.note_step(session, "proof", said)


def _apply(delivery: Delivery, proof: Proof | None, moment: datetime, policy: Policy) -> None:
    """Move one accepted delivery on by what is known of its arrival."""
    age = moment - (delivery.accepted_at or moment)
    if proof is not None and proof.arrival is Arrival.PROVEN:
        delivery.state = DeliveryState.COMMITTED
        delivery.proof = proof.by
        delivery.committed_at = moment
        delivery.error = None
    elif proof is not None and proof.arrival is Arrival.PENDING:
        delivery.next_attempt_at = moment + timedelta(seconds=policy.commitment_timeout_s)
    elif proof is not None and proof.arrival is Arrival.MISSING and _believed(proof, age, policy):
        _send_again(delivery, proof, moment, policy)
    elif proof is not None and proof.arrival is Arrival.UNSUPPORTED and not _commitment_pending(delivery, proof):
        delivery.proof = "unsupported"
    else:
        _ask_again(delivery, proof, moment, policy)


def _believed(proof: Proof, age: timedelta, policy: Policy) -> bool:
    """A peer may index what it accepted a little later; its own commitment report leaves no doubt."""
    return proof.by == "storage_commitment" or age.total_seconds() >= policy.missing_after_s


def _commitment_pending(delivery: Delivery, proof: Proof) -> bool:
    """No report came and the peer answers no query: Storage Commitment is asked for once more, under a new transaction."""
    return proof.by == "storage_commitment" and delivery.commitment_transaction_uid is not None


def _send_again(delivery: Delivery, proof: Proof, moment: datetime, policy: Policy) -> None:
    delivery.commitment_transaction_uid = None
    delivery.error = f"accepted, then missing ({proof.by}): {proof.detail}"
    if delivery.resends >= policy.max_resends or delivery.deadline_at <= moment:
        delivery.state = DeliveryState.FAILED
        return
    delivery.state = DeliveryState.WAITING
    delivery.resends += 1
    delivery.next_attempt_at = moment + policy.delay(delivery.resends)


def _ask_again(delivery: Delivery, proof: Proof | None, moment: datetime, policy: Policy) -> None:
    """Ask later: the older the acceptance, the later; after the deadline the result stays accepted, never committed."""
    delivery.commitment_transaction_uid = None
    delivery.error = proof.detail if proof else "the destination could not be asked whether the result arrived"
    if delivery.deadline_at <= moment:
        delivery.proof = "unproven"
        return
    age_s = (moment - (delivery.accepted_at or moment)).total_seconds()
    delivery.next_attempt_at = moment + timedelta(seconds=min(max(age_s, policy.first_delay_s), policy.max_delay_s))
