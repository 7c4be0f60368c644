"""Leads what an archive sends us through the one way in, and remembers what was not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.pipeline.part import Part
from ptx_node.pipeline.receipt import ReceiveReason, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from ptx_node.domain.retrieval import Incoming
    from ptx_node.domain.study import Origin
    from ptx_node.pipeline.part import Asked
    from ptx_node.pipeline.receipt import Receipt
    from ptx_node.pipeline.receive import Receiver

NO_FAULT_OF_THE_STUDY = (ReceiveReason.STORAGE_FULL, ReceiveReason.DATABASE_UNAVAILABLE)


class ArchiveIntake:
    """The instances of one study.

    Attributes:
        refusals: of instances that are not here, in words.
        blocked: why the node can take nothing at all just now; empty when it can.
    """

    def __init__(self, receiver: Receiver, origin: Origin, asked: Asked, seen: Callable[[], None]) -> None:
        self._receiver = receiver
        self._origin = origin
        self._asked = asked
        self._seen = seen
        self._conflicts = 0
        self.refusals: list[str] = []
        self.blocked = ""

    @property
    def kept_aside(self) -> str | None:
        """What is to be said of instances that were here with other bytes."""
        if not self._conflicts:
            return None
        return f"{self._conflicts} instance(s) were here with other bytes, which stay; the archive's are kept aside (table conflicts)"

    def begin(self) -> Incoming:
        """One more instance; one of another study or patient is refused."""
        return _Instance(self, Part(self._receiver, self._origin, self._asked))

    def note(self, receipt: Receipt) -> int:
        """Remember what became of an instance; what to answer. Other bytes under a known UID are kept, which is all that was asked."""
        self._seen()
        if receipt.reason == ReceiveReason.CONFLICT:
            self._conflicts += 1
            return Status.SUCCESS
        if receipt.reason in NO_FAULT_OF_THE_STUDY:
            self.blocked = receipt.detail
        elif receipt.reason:
            self.refusals.append(f"{receipt.sop_instance_uid} was refused ({receipt.reason}: {receipt.detail})")
        return receipt.status


class _Instance:
    """One instance on its way in."""

    def __init__(self, intake: ArchiveIntake, part: Part) -> None:
        self._intake = intake
        self._part = part

    def write(self, data: bytes) -> None:
        self._part.write(data)

    def finish(self) -> int:
        return self._intake.note(self._part.finish())

    def abort(self) -> None:
        self._part.abort()
