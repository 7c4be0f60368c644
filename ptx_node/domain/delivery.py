"""What is handed to a destination, and what a destination answers. No file format, no network, no database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Verdict(StrEnum):
    """A destination's answer to one instance, whatever the protocol.

    warning: stored, but the peer said so with a warning status (B000 …). refused: the same instance fails again.
    unavailable: refused for now, or no answer came; sending again may help.
    """

    ACCEPTED = "accepted"
    WARNING = "warning"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One instance to send: a Part 10 file and the UIDs that it holds."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Verdict on one instance, with the status as the peer gave it (`0xB000`, `HTTP 409 0xA900`) and words for a person."""

    verdict: Verdict
    status: str
    detail: str = ""


class Arrival(StrEnum):
    """What is known of an accepted instance.

    proven: the peer took responsibility, or the instance was found again. missing: the peer says that it does not have
    it. pending: a commitment was requested, its report has not come yet. unsupported: the peer cannot be asked so.
    """

    PROVEN = "proven"
    MISSING = "missing"
    PENDING = "pending"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Proof:
    """Arrival of one instance and how it is known: `storage_commitment`, `c_find`, `qido_rs`, `folder`."""

    arrival: Arrival
    by: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """A peer's Storage Commitment report (PS3.4 J.3.3): SOP Instance UIDs taken over, and those not, with Failure Reason."""

    transaction_uid: str
    committed: tuple[str, ...]
    failed: dict[str, int]
