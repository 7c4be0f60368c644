"""Tell receivers what is due: claim a notice, send it, keep that it was taken.

No transaction is open while sending. If this process dies between the receiver's answer and our commit, the lease runs out and the
notice is sent again under the same id: it arrives at least once, and a receiver can tell the second one. No receiver waits for another.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ptx_node.db import notices
from ptx_node.db.deliveries import Lease
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.errors import ConfigurationError, DestinationRefusedError, DestinationUnavailableError
from ptx_node.log import get
from ptx_node.pipeline.leases import renewing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.domain.notice import Notice
    from ptx_node.pipeline.deliver import Policy

log = get(__name__)


class Receiver(Protocol):
    """Somewhere to send notices to. Adapters in `ptx_node.outbound` satisfy it; library errors are mapped there, once."""

    @property
    def name(self) -> str:
        """The name that notice rows carry."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it reaches: e-mail addresses; one empty text for a webhook."""

    def tell(self, notice: Notice, recipient: str) -> None:
        """Send one notice; returns when it was taken.

        Raises:
            DestinationUnavailableError: nothing gets through now; later may help.
            DestinationRefusedError: this notice is not taken; others may be.
        """


@dataclass(frozen=True, slots=True)
class Told:
    """One turn: notices that were taken, and those that were not."""

    taken: int
    refused: int


def tell_due(
    engine: Engine,
    receiver: Receiver,
    *,
    owner: str,
    policy: Policy,
    until: Callable[[], bool] = lambda: False,
    clock: Callable[[], datetime] = now,
) -> Told:
    """Send what is due to one receiver, the oldest first, until nothing is, or nothing gets through, or `until` says so.

    Raises:
        DatabaseUnavailableError: nothing was claimed, or what was told could not be kept: then it is told again.
    """
    taken = refused = 0
    while not until():
        with begin_read(engine) as session:
            if not notices.anything_due(session, receiver.name, receiver.recipients, clock()):
                break
        lease = Lease(f"{owner}/{uuid.uuid4().hex[:12]}", clock(), timedelta(seconds=policy.lease_s))
        with begin_write(engine) as session:
            one = notices.claim(session, receiver.name, receiver.recipients, lease)
        if one is None:
            break
        try:
            with renewing(engine, partial(_renew, lease, clock), lease_s=policy.lease_s):
                receiver.tell(one.notice, one.recipient)
        except DestinationRefusedError as error:
            _postpone(engine, receiver.name, one, lease, clock() + policy.delay(one.attempts), str(error))
            refused += 1
        except (DestinationUnavailableError, ConfigurationError) as error:
            retry_at = clock() + policy.delay(one.attempts)
            _postpone(engine, receiver.name, one, lease, retry_at, str(error))
            with begin_write(engine) as session:
                notices.hold_back(session, receiver.name, retry_at)
            break
        else:
            _keep(engine, receiver.name, one, lease, clock())
            taken += 1
    return Told(taken, refused)


def _renew(lease: Lease, clock: Callable[[], datetime], session: Session) -> None:
    notices.renew(session, lease.owner, clock() + lease.duration)


def _keep(engine: Engine, name: str, one: notices.Claimed, lease: Lease, moment: datetime) -> None:
    with begin_write(engine) as session:
        kept = notices.keep_told(session, one.row_id, lease.owner, moment)
    log.info("notice told", receiver=name, notice=one.notice.notice_id, kind=one.notice.kind.value, step=one.notice.step.value)
    if not kept:
        log.warning("the lease of a notice was lost; it may be told twice", receiver=name, notice=one.notice.notice_id)


def _postpone(engine: Engine, name: str, one: notices.Claimed, lease: Lease, retry_at: datetime, error: str) -> None:
    with begin_write(engine) as session:
        notices.postpone(session, one.row_id, lease.owner, retry_at, error)
    log.warning("notice not told", receiver=name, notice=one.notice.notice_id, attempt=one.attempts, error=error)
