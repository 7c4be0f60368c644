"""Storage Commitment as SCU (PS3.4 J): ask by N-ACTION; the report comes by N-EVENT-REPORT, on this association or another.

On another association it comes to our Storage SCP, which reads it with `read_report`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from ptx_node.domain.delivery import Arrival, CommitmentReport, Proof
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.domain.delivery import Outgoing

COMMITMENT_CONTEXT = build_context(StorageCommitmentPushModel)
REQUEST_COMMITMENT = 1
"""Action Type ID (PS3.4 J.3.2)."""

BY = "storage_commitment"
SUCCESS = 0x0000


def read_report(ds: Dataset) -> CommitmentReport:
    """The content of an N-EVENT-REPORT (PS3.4 J.3.3.1), event type 1 (all committed) or 2 (failures exist).

    Raises:
        InputError: Transaction UID or a referenced UID is missing.
    """
    try:
        return CommitmentReport(
            transaction_uid=str(ds.TransactionUID),
            committed=tuple(str(item.ReferencedSOPInstanceUID) for item in ds.get("ReferencedSOPSequence") or ()),
            failed={
                str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", 0x0110)) for item in ds.get("FailedSOPSequence") or ()
            },
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError("commitment_report", f"the Storage Commitment report cannot be read: {error}") from error


def request(batch: Sequence[Outgoing], transaction_uid: str) -> Dataset:
    """Action Information of a request (PS3.4 J.3.2.1)."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = []
    for one in batch:
        item = Dataset()
        item.ReferencedSOPClassUID = one.sop_class_uid
        item.ReferencedSOPInstanceUID = one.sop_instance_uid
        ds.ReferencedSOPSequence.append(item)
    return ds


class CommitmentScu:
    """One request on one association, and the report if it comes there."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._report: CommitmentReport | None = None

    @property
    def reported(self) -> bool:
        """Whether a report came on this association."""
        return self._report is not None

    def handlers(self) -> list[tuple[Any, Any]]:
        """Event handlers that the association must be opened with."""
        return [(evt.EVT_N_EVENT_REPORT, self._on_report)]

    def _on_report(self, event: Any) -> tuple[int, None]:
        try:
            self._report = read_report(event.event_information)
        except InputError:
            return 0x0115, None  # invalid argument value (PS3.7 10.1.1.1.8)
        self._arrived.set()
        return SUCCESS, None

    def ask(self, assoc: Any, batch: Sequence[Outgoing], transaction_uid: str, wait_s: float) -> list[Proof] | None:
        """Request commitment of a batch and wait briefly for the report; pending if it does not come.

        None: the peer turned the request down, by a status or by an abort. Nobody reports then.
        """
        try:
            answer, _ = assoc.send_n_action(
                request(batch, transaction_uid), REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
        except (RuntimeError, ValueError):  # pynetdicom: the association has just gone
            return None
        if "Status" not in answer or answer.Status != SUCCESS:
            return None
        self._arrived.wait(wait_s)
        return [self._proof(one.sop_instance_uid, transaction_uid) for one in batch]

    def _proof(self, sop_instance_uid: str, transaction_uid: str) -> Proof:
        report = self._report
        if report is None or report.transaction_uid != transaction_uid:
            return Proof(Arrival.PENDING, BY, "no report yet")
        if sop_instance_uid in report.failed:
            return Proof(Arrival.MISSING, BY, f"not committed, failure reason 0x{report.failed[sop_instance_uid]:04X}")
        if sop_instance_uid in report.committed:
            return Proof(Arrival.PROVEN, BY)
        return Proof(Arrival.PENDING, BY, "not mentioned in the report")
