"""What a sender is answered for one instance: DIMSE status, coded reason, and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Status(IntEnum):
    """The C-STORE statuses that the node answers (PS3.4 B.2.3, PS3.7 annex C); STOW-RS gives them as Failure Reason."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class ReceiveReason(StrEnum):
    """Why an instance was not taken: the closed list in `refusals.reason`."""

    STORAGE_FULL = "storage_full"
    DATABASE_UNAVAILABLE = "database_unavailable"
    UID_MISSING = "uid_missing"
    UID_MISMATCH = "uid_mismatch"
    UID_INVALID = "uid_invalid"
    TRUNCATED = "truncated"
    CANNOT_UNDERSTAND = "cannot_understand"
    TOO_LARGE = "too_large"
    CONFLICT = "conflict"
    INTERNAL = "internal"


STATUS_OF = {
    ReceiveReason.STORAGE_FULL: Status.OUT_OF_RESOURCES,
    ReceiveReason.DATABASE_UNAVAILABLE: Status.PROCESSING_FAILURE,
    ReceiveReason.UID_MISSING: Status.DOES_NOT_MATCH_SOP_CLASS,
    ReceiveReason.UID_MISMATCH: Status.DOES_NOT_MATCH_SOP_CLASS,
    ReceiveReason.UID_INVALID: Status.DOES_NOT_MATCH_SOP_CLASS,
    ReceiveReason.TRUNCATED: Status.CANNOT_UNDERSTAND,
    ReceiveReason.CANNOT_UNDERSTAND: Status.CANNOT_UNDERSTAND,
    ReceiveReason.TOO_LARGE: Status.CANNOT_UNDERSTAND,
    ReceiveReason.CONFLICT: Status.DUPLICATE_SOP_INSTANCE,
    ReceiveReason.INTERNAL: Status.PROCESSING_FAILURE,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer for one instance. `reason` is empty for success, else a `ReceiveReason`; `detail` is for people."""

    status: int
    reason: str
    detail: str
    sop_instance_uid: str
    sop_class_uid: str
