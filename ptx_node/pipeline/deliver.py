"""Deliver results: claim what is due for one destination, send it, and keep the answer. See `pipeline.prove` for what follows.

No transaction is open while sending. If this process dies between the peer's answer and our commit, the lease runs out
and the instance is sent again: peers treat the same SOP Instance UID with the same content as the same instance, so a
delivery happens at least once and its effect exactly once. Each destination is claimed, sent and settled by itself.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from ptx_node import log
from ptx_node.db import audit, deliveries, destinations, history
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.audit_events import RETRY_DELIVERIES, decision
from ptx_node.domain.delivery import Answer, Outgoing, Proof, Verdict
from ptx_node.domain.job import DeliveryState
from ptx_node.errors import DestinationUnavailableError
from ptx_node.pipeline.leases import renewing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.db.deliveries import Claimed
    from ptx_node.db.tables import Delivery

logger = log.get(__name__)


class Destination(Protocol):
    """Somewhere to send results to. Adapters in `ptx_node.outbound` satisfy it; library errors are mapped there, once."""

    @property
    def name(self) -> str:
        """The name that delivery rows carry."""

    def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        """Send instances in order; one answer each, in order.

        Raises:
            DestinationUnavailableError: the destination could not be reached at all; nothing was answered.
        """

    def prove(self, batch: Sequence[Outgoing], *, transaction_uid: str | None) -> Sequence[Proof]:
        """Find out what the peer knows of accepted instances; one proof each, in order.

        Args:
            batch: instances that the peer has accepted.
            transaction_uid: use it to ask for Storage Commitment where the peer offers that; None: only query.

        Raises:
            DestinationUnavailableError: the peer could not be asked; a retry may help.
        """

    def echo(self) -> str:
        """Verify that the destination answers, changing nothing there; what was seen, in words.

        Raises:
            DestinationUnavailableError, DestinationRefusedError: it does not.
        """


class ResultFiles(Protocol):
    """The part of the file store that sending needs."""

    def path(self, relative: str) -> Path:
        """Where a stored file lies."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one destination is retried. Times in seconds.

    Attributes:
        first_delay_s, max_delay_s: exponential backoff with full jitter: uniform in (0, min(max, first * 2^n)).
        lease_s: how long a silent sender is believed to be alive; renewed while sending.
        findings: findings whose results are sent together.
        commitment_timeout_s: how long a Storage Commitment report may take before the result is looked for by query.
        missing_after_s: a result that a query does not find is believed missing only so long after its acceptance.
        max_resends: how often an accepted result that turned out missing is sent again.
    """

    first_delay_s: float = 5.0
    max_delay_s: float = 600.0
    lease_s: float = 60.0
    findings: int = 16
    commitment_timeout_s: float = 300.0
    missing_after_s: float = 60.0
    max_resends: int = 5

    def delay(self, failures: int) -> timedelta:
        """Time to wait after so many failures in a row (1 or more)."""
        ceiling = min(self.max_delay_s, self.first_delay_s * 2.0 ** min(failures - 1, 60))
        return timedelta(seconds=random.uniform(0.0, ceiling))  # noqa: S311 - jitter, not a secret


def deliver_due(engine: Engine, files: ResultFiles, destination: Destination, *, owner: str, policy: Policy) -> int:
    """Claim due deliveries of one destination, send them, and settle them; the number that were accepted or failed.

    0 means that nothing is due or that nothing got through now: call again later. Otherwise there may be more.

    Raises:
        DatabaseUnavailableError: nothing was claimed, or answers could not be kept: then they are sent again.
    """
    with begin_read(engine) as session:
        if not deliveries.anything_due(session, destination.name, now()):
            return 0
    lease = deliveries.Lease(f"{owner}/{uuid.uuid4().hex[:12]}", now(), timedelta(seconds=policy.lease_s))
    with begin_write(engine) as session:
        claimed = deliveries.claim_to_send(session, destination.name, lease, findings=policy.findings)
    if not claimed:
        return 0
    with keeping_lease(engine, lease):
        try:
            answers = _send(files, destination, claimed)
        except DestinationUnavailableError as error:
            logger.warning("destination unavailable", destination=destination.name, error=str(error), waiting=len(claimed))
            _postpone(engine, destination.name, lease, policy, str(error))
            return 0
    return _settle(engine, destination.name, lease, policy, answers)


def keeping_lease(engine: Engine, lease: deliveries.Lease) -> AbstractContextManager[None]:
    """Renew a lease while the block runs, so that a slow peer does not make it run out."""
    return renewing(
        engine, lambda session: deliveries.renew(session, lease.owner, now() + lease.duration), lease_s=lease.duration.total_seconds()
    )


def outgoing(files: ResultFiles, item: Claimed) -> Outgoing:
    """What the destination needs to know of a claimed delivery.

    Raises:
        OSError: the file is gone or cannot be read.
        InvalidDicomError: the file is not what was written.
    """
    path = files.path(item.path)
    if path.stat().st_size != item.size_bytes:
        raise InvalidDicomError(f"{item.path} has {path.stat().st_size} bytes instead of {item.size_bytes}")
    meta = read_file_meta_info(path)
    return Outgoing(
        path=path,
        sop_class_uid=item.sop_class_uid,
        sop_instance_uid=item.sop_instance_uid,
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        series_instance_uid=item.series_instance_uid,
        study_instance_uid=item.study_instance_uid,
    )


def _send(files: ResultFiles, destination: Destination, claimed: Sequence[Claimed]) -> dict[int, Answer]:
    """Answers by delivery id. A result whose file is gone is refused here, and holds up no other."""
    answers: dict[int, Answer] = {}
    batch: list[tuple[int, Outgoing]] = []
    for item in claimed:
        try:
            batch.append((item.delivery_id, outgoing(files, item)))
        except (FileNotFoundError, InvalidDicomError, AttributeError) as error:
            answers[item.delivery_id] = Answer(Verdict.REFUSED, "file", f"the stored result is lost: {error}")
        except OSError as error:
            answers[item.delivery_id] = Answer(Verdict.UNAVAILABLE, "file", f"the stored result cannot be read now: {error}")
    if batch:
        sent = destination.send([one for _, one in batch])
        answers.update({delivery_id: answer for (delivery_id, _), answer in zip(batch, sent, strict=True)})
    return answers


def _settle(engine: Engine, name: str, lease: deliveries.Lease, policy: Policy, answers: dict[int, Answer]) -> int:
    moment = now()
    with begin_write(engine) as session:
        destinations.let_go(session, name)
        held = deliveries.lock_held(session, lease.owner)
        for delivery_id, delivery in held.items():
            apply_answer(delivery, answers[delivery_id], moment, policy)
            release(delivery)
        said = {one: {"verdict": answers[one].verdict.value, "status": answers[one].status} for one in held}
        deliveries.note_step(session, "answered", said)
        deliveries.stamp_jobs(session, {delivery.job_id for delivery in held.values()})
        settled = sum(delivery.state != DeliveryState.WAITING for delivery in held.values())
    if len(held) < len(answers):
        logger.warning("delivery lease lost, answers not kept", destination=name, lost=len(answers) - len(held))
    for delivery_id, answer in answers.items():
        level = logger.info if answer.verdict is Verdict.ACCEPTED else logger.warning
        level("delivery answered", destination=name, delivery=delivery_id, verdict=answer.verdict.value, status=answer.status)
    return settled


def apply_answer(delivery: Delivery, answer: Answer, moment: datetime, policy: Policy) -> None:
    """Move one claimed delivery on by what the destination answered to it."""
    delivery.status = answer.status
    delivery.error = answer.detail or None
    if answer.verdict in (Verdict.ACCEPTED, Verdict.WARNING):
        delivery.state = DeliveryState.ACCEPTED
        delivery.warning = answer.verdict is Verdict.WARNING
        delivery.accepted_at = moment
        delivery.next_attempt_at = moment
        delivery.commitment_transaction_uid = None
    elif answer.verdict is Verdict.REFUSED:
        delivery.state = DeliveryState.FAILED
        delivery.error = f"refused with {answer.status}: {answer.detail}"
    else:
        postpone(delivery, moment + policy.delay(delivery.attempts), moment, answer.detail)


def postpone(delivery: Delivery, next_attempt_at: datetime, moment: datetime, error: str) -> None:
    """Let a delivery wait until `next_attempt_at`, or fail it when its deadline has passed."""
    late = delivery.deadline_at <= moment
    delivery.state = DeliveryState.FAILED if late else DeliveryState.WAITING
    delivery.error = f"deadline passed after {delivery.attempts} attempt(s): {error}" if late else error
    delivery.next_attempt_at = next_attempt_at


def release(delivery: Delivery) -> None:
    """Give the lease back."""
    delivery.lease_owner = None
    delivery.lease_expires_at = None


def _postpone(engine: Engine, name: str, lease: deliveries.Lease, policy: Policy, error: str) -> None:
    """Nothing got through: hold the whole destination back, so that its backlog costs one attempt, not thousands."""
    moment = now()
    with begin_write(engine) as session:
        state = destinations.lock_destination(session, name)
        held = deliveries.lock_held(session, lease.owner)
        retry_at = moment + policy.delay(state.failures + 1)
        for delivery in held.values():
            postpone(delivery, retry_at, moment, error)
            release(delivery)
        destinations.hold_back(state, retry_at)
        deliveries.note_given_up(session, [one.id for one in held.values() if one.state == DeliveryState.FAILED], "deadline")
        deliveries.fail_late(session, name, moment, f"deadline passed while the destination was unavailable: {error}")


def suspend(engine: Engine, name: str, reason: str, *, by: str) -> None:
    """Let everything for a destination wait; no deadline runs out meanwhile. `by` is the audit trail's actor."""
    with begin_write(engine) as session:
        destinations.suspend(session, name, reason, now())
        audit.note(session, decision(by, "suspend destination", destination=name, reason=reason))


def resume(engine: Engine, name: str, *, grace_s: float, by: str) -> None:
    """Deliver again; each waiting delivery has at least `grace_s` seconds until its deadline."""
    moment = now()
    with begin_write(engine) as session:
        destinations.resume(session, name, moment, moment + timedelta(seconds=grace_s))
        audit.note(session, decision(by, "resume destination", destination=name))


def retry(engine: Engine, *, deadline_s: float, by: str, delivery_ids: Sequence[int] = (), destination: str = "") -> int:
    """Make failed and waiting deliveries due now, by id or all of a destination; how many. Accepted ones stay as they are."""
    moment = now()
    deadline_at = moment + timedelta(seconds=deadline_s)
    with begin_write(engine) as session:
        for name in [destination] if destination else deliveries.destinations_of(session, delivery_ids):
            destinations.let_go(session, name)
        ids = deliveries.retry(session, moment, deadline_at, ids=tuple(delivery_ids), destination=destination)
        if ids:
            audit.note(session, decision(by, RETRY_DELIVERIES, delivery_ids=ids))
            history.deliveries_again(session, ids, by=by, what=RETRY_DELIVERIES, at=moment)
    return len(ids)
