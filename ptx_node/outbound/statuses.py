"""What a storage status means for a delivery: DIMSE statuses (PS3.4 B.2.3, PS3.7 C) and the same codes in STOW-RS answers."""

from __future__ import annotations

from ptx_node.domain.delivery import Verdict

SUCCESS = 0x0000
DUPLICATE_SOP_INSTANCE = 0x0111
WARNINGS = {
    0x0001: "requested optional attributes not supported",
    0x0107: "attribute list error",
    0x0116: "attribute value out of range",
    DUPLICATE_SOP_INSTANCE: "the peer has this SOP Instance UID already",
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
}
REFUSALS = {
    0x0112: "no such object instance",
    0x0117: "invalid object instance",
    0x0118: "no such SOP class",
    0x0122: "SOP class not supported",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
}
RETRIES = {0x0110: "processing failure", 0x0124: "not authorized", 0x0213: "resource limitation"}


RANGES = (
    (0xA700, 0xA7FF, Verdict.UNAVAILABLE, "out of resources"),
    (0xA900, 0xA9FF, Verdict.REFUSED, "data set does not match SOP class"),
    (0xB000, 0xBFFF, Verdict.WARNING, "stored with a warning"),
    (0xC000, 0xCFFF, Verdict.REFUSED, "cannot understand"),
)


def verdict_of(status: int) -> tuple[Verdict, str]:
    """The verdict on one storage status, and what the standard calls it.

    A7xx (out of resources) may pass; A9xx (does not match) and Cxxx (cannot understand) will not. A code that no part
    of the standard names is tried again: the delivery's deadline bounds it.
    """
    if status == SUCCESS:
        return Verdict.ACCEPTED, ""
    named = ((Verdict.WARNING, WARNINGS), (Verdict.REFUSED, REFUSALS), (Verdict.UNAVAILABLE, RETRIES))
    for verdict, meanings in named:
        if status in meanings:
            return verdict, meanings[status]
    for first, last, verdict, meaning in RANGES:
        if first <= status <= last:
            return verdict, meaning
    return Verdict.UNAVAILABLE, "unknown status"
