"""Hand-written stand-ins for parts that cannot be made to misbehave on command."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from ptx_node.domain.delivery import Answer, Arrival, Outgoing, Proof, Verdict
from ptx_node.errors import DestinationUnavailableError

ACCEPTED = Answer(Verdict.ACCEPTED, "0x0000")
PROVEN = Proof(Arrival.PROVEN, "fake")


class FakeDestination:
    """A `Destination` that answers as it is told and remembers what it was sent.

    Attributes:
        down: raise instead of answering.
        answers, proofs: by SOP Instance UID; everything else is accepted and proven.
        sent: SOP Instance UIDs in the order in which they came, with repetitions.
        while_sending: entered for each batch; a test may block there.
    """

    def __init__(self, name: str = "pacs") -> None:
        self.name = name
        self.down = False
        self.answers: dict[str, Answer] = {}
        self.proofs: dict[str, Proof] = {}
        self.sent: list[str] = []
        self.batches: list[list[str]] = []
        self.asked: list[tuple[str, str | None]] = []
        self.while_sending: AbstractContextManager[object] = nullcontext()
        self._lock = threading.Lock()

    def echo(self) -> str:
        if self.down:
            raise DestinationUnavailableError("the fake is down")
        return "the fake answers"

    def send(self, batch: Sequence[Outgoing]) -> list[Answer]:
        if self.down:
            raise DestinationUnavailableError("the fake is down")
        with self._lock:
            self.batches.append([item.sop_instance_uid for item in batch])
            self.sent += self.batches[-1]
        with self.while_sending:
            return [self.answers.get(item.sop_instance_uid, ACCEPTED) for item in batch]

    def prove(self, batch: Sequence[Outgoing], *, transaction_uid: str | None) -> list[Proof]:
        if self.down:
            raise DestinationUnavailableError("the fake is down")
        self.asked += [(item.sop_instance_uid, transaction_uid) for item in batch]
        return [self.proofs.get(item.sop_instance_uid, PROVEN) for item in batch]
