"""Leaves a row for each refusal, for people to find; a flood of refusals is counted, not written out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ptx_node import log
from ptx_node.db.session import now
from ptx_node.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from ptx_node.domain.study import Origin
    from ptx_node.pipeline.ledger import Ledger

logger = log.get(__name__)

BURST = 100
"""Rows that may be written at once by a process."""
ROWS_PER_S = 1.0
"""Rows a second that may be written for long."""
LONGEST_TEXT = 500


class Allowance:
    """How many rows strangers may cause: `BURST` at once, `ROWS_PER_S` for long. Shared by the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = float(BURST)
        self._filled_at = time.monotonic()
        self._dropped = 0

    def take(self) -> tuple[bool, int]:
        """Whether one more row may be written, and how many were not since the last that was."""
        with self._lock:
            moment = time.monotonic()
            self._tokens = min(float(BURST), self._tokens + (moment - self._filled_at) * ROWS_PER_S)
            self._filled_at = moment
            if self._tokens < 1:
                self._dropped += 1
                return False, 0
            self._tokens -= 1
            dropped, self._dropped = self._dropped, 0
            return True, dropped


class RefusalLog:
    """Best effort: what cannot be written is logged and let go. Shared by the threads of one process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._allowance = Allowance()

    def note(self, origin: Origin, *, status: str, reason: str, detail: str, sop_instance_uid: str = "", sop_class_uid: str = "") -> None:
        """Write a row, unless too many were written lately. Never raises."""
        allowed, dropped = self._allowance.take()
        if not allowed:
            return
        logger.warning(
            "refused",
            status=status,
            reason=reason,
            detail=detail,
            sop_instance_uid=sop_instance_uid[:LONGEST_TEXT],
            calling_ae=origin.calling_ae,
            peer_address=origin.peer_address,
            not_written_before=dropped,
        )
        row = {
            "sop_instance_uid": sop_instance_uid[:LONGEST_TEXT],
            "sop_class_uid": sop_class_uid[:LONGEST_TEXT],
            "status": status,
            "reason": reason,
            "detail": (f"{detail} ({dropped} more refusals were not written before this one)" if dropped else detail)[:LONGEST_TEXT],
            "via": origin.via.value,
            "calling_ae": origin.calling_ae,
            "peer_address": origin.peer_address,
            "refused_at": now(),
        }
        try:
            self._ledger.record_refusal({key: value.replace("\0", "") if isinstance(value, str) else value for key, value in row.items()})
        except DatabaseUnavailableError as error:
            logger.warning("refusal not written", reason=reason, error=str(error))
