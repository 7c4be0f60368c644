"""Storage Commitment push model as SCP (PS3.4 annex J): the N-ACTION is answered only when the request is durable.

The answer to what was asked, N-EVENT-REPORT on a new association, is `ptx_node.pipeline.commitment`'s.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from ptx_node.dicom.identity import uid_problem
from ptx_node.errors import DatabaseUnavailableError
from ptx_node.inbound.commitment_report_scp import take_commitment_report
from ptx_node.pipeline.commitment import record_commitment_request

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ptx_node.domain.study import Origin
    from ptx_node.inbound.command_set import CommandSet

STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
NO_SUCH_ACTION = 0x0123


class DurableCommitmentScp:
    """Writes each request into the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def action(self, origin: Origin, request: CommandSet, transfer_syntax_uid: str, data_set: bytes) -> tuple[int, str]:
        """Make the request durable; returns the N-ACTION status and a comment."""
        if request.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            return NO_SUCH_INSTANCE, "not the Storage Commitment SOP instance"
        if request.action_type_id != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, "the only action type is 1"
        try:
            transaction_uid, references = _read_request(data_set, transfer_syntax_uid)
        except (ValueError, KeyError, AttributeError, TypeError, EOFError, NotImplementedError) as error:
            return INVALID_ARGUMENT, f"the request cannot be read: {error}"
        try:
            ours = record_commitment_request(self._engine, origin, transaction_uid, references)
        except DatabaseUnavailableError:
            return PROCESSING_FAILURE, "the database does not answer"
        return (SUCCESS, "") if ours else (INVALID_ARGUMENT, "Transaction UID belongs to another application entity")

    def report(self, transfer_syntax_uid: str, data_set: bytes) -> tuple[int, str]:
        """Keep a peer's report on our deliveries; returns the N-EVENT-REPORT status and a comment."""
        return take_commitment_report(self._engine, transfer_syntax_uid, data_set)


def _read_request(data_set: bytes, transfer_syntax_uid: str) -> tuple[str, list[dict[str, str]]]:
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    ds = read_dataset(io.BytesIO(data_set), is_implicit_VR=implicit, is_little_endian=True)
    references = [
        {"sop_class_uid": str(item.ReferencedSOPClassUID), "sop_instance_uid": str(item.ReferencedSOPInstanceUID)}
        for item in ds.ReferencedSOPSequence
    ]
    transaction_uid = str(ds.TransactionUID)
    if problem := uid_problem(transaction_uid):
        raise ValueError(f"Transaction UID {problem}")
    if not references:
        raise ValueError("Referenced SOP Sequence is empty")
    return transaction_uid, references
