"""C-FIND as SCU, Study Root (PS3.4 C.4.1): the answers to one question, and whether a peer has these instances."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NoReturn

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]  # made at run time

from ptx_node.domain.delivery import Arrival, Proof
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ptx_node.domain.delivery import Outgoing

FIND_CONTEXT = build_context(StudyRootQueryRetrieveInformationModelFind)
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
"""0xFF01: matches, but some keys were not supported (PS3.4 table C.4-1); what came is looked at again by who asked."""

BY = "c_find"

MAY_PASS = {0x0110: "processing failure", 0x0213: "resource limitation", 0xFE00: "cancelled"}
MEANINGS = {
    **MAY_PASS,
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0xA700: "out of resources",
    0xA701: "out of resources, it cannot count the matches",
    0xA702: "out of resources, it cannot send",
    0xA801: "it does not know the AE title to send to",
    0xA900: "the question does not match the service",
}


def raise_for(code: int, peer: str, service: str, comment: str = "") -> NoReturn:
    """Raise what a failure status of query or retrieve means (PS3.4 C.4): want of resources may pass, the others will not.

    Raises:
        DestinationUnavailableError, DestinationRefusedError: always one of them.
    """
    told = ": ".join(word for word in (MEANINGS.get(code, "unable to process"), comment) if word)
    message = f"{peer} answered {service} with 0x{code:04X} ({told})"
    if code in MAY_PASS or 0xA700 <= code <= 0xA7FF:  # noqa: PLR2004 - the standard's range
        raise DestinationUnavailableError(message)
    raise DestinationRefusedError(message)


def matches(assoc: Any, identifier: Dataset, peer: str, *, limit: int = 0) -> tuple[list[Dataset], bool]:
    """What a peer answers to one question, and whether that is all.

    Args:
        assoc: an association with `FIND_CONTEXT`.
        identifier: the question.
        peer: its name, for messages.
        limit: so many answers are enough: then the peer is told to stop, and left if it does not. 0: all.

    Raises:
        DestinationUnavailableError: no answer, or not now.
        DestinationRefusedError: the peer does not take the question, or its answers cannot be read.
    """
    found: list[Dataset] = []
    surplus = 0
    try:
        for status, answer in assoc.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind):
            code = status.get("Status")
            if code is None:
                raise DestinationUnavailableError(f"{peer} gave no answer to C-FIND, or went away")
            if code in PENDING and limit and len(found) == limit:
                surplus += 1
                if surplus == 1:
                    assoc.send_c_cancel(1, query_model=StudyRootQueryRetrieveInformationModelFind)
                elif surplus > limit:
                    assoc.abort()
                    break
            elif code in PENDING and answer is None:
                raise DestinationRefusedError(f"{peer} gave an answer to C-FIND that cannot be read")
            elif code in PENDING:
                found.append(answer)
            elif code != SUCCESS and not surplus:
                raise_for(code, peer, "C-FIND", str(status.get("ErrorComment", "") or ""))
    except (RuntimeError, ValueError) as error:
        raise DestinationUnavailableError(f"C-FIND could not be sent to {peer}: {error}") from error
    return found, not surplus


def find_instances(assoc: Any, batch: Sequence[Outgoing]) -> list[Proof]:
    """Which instances the peer has; one query a series (list of UID matching), then one each for what that did not find.

    Raises:
        DestinationUnavailableError: the peer did not answer the query.
    """
    by_series: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for item in batch:
        by_series[item.study_instance_uid, item.series_instance_uid].append(item.sop_instance_uid)
    found: set[str] = set()
    for (study, series), uids in by_series.items():
        found |= _query(assoc, study, series, uids)
        if len(uids) > 1:
            for uid in set(uids) - found:
                found |= _query(assoc, study, series, [uid])
    return [
        Proof(Arrival.PROVEN, BY) if item.sop_instance_uid in found else Proof(Arrival.MISSING, BY, "not found by query") for item in batch
    ]


def _query(assoc: Any, study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Iterable[str]) -> set[str]:
    ds = Dataset()
    ds.QueryRetrieveLevel = "IMAGE"
    ds.StudyInstanceUID = study_instance_uid
    ds.SeriesInstanceUID = series_instance_uid
    ds.SOPInstanceUID = list(sop_instance_uids)
    try:
        answers, _ = matches(assoc, ds, "the peer")
    except DestinationRefusedError as error:  # a delivery that was accepted is asked about again, until its deadline
        raise DestinationUnavailableError(str(error)) from error
    return {str(answer.get("SOPInstanceUID", "")) for answer in answers}
