"""Takes Storage Commitment reports on our deliveries (PS3.4 J.3.3): N-EVENT-REPORT on an association that the peer opened."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from ptx_node.errors import DatabaseUnavailableError, InputError
from ptx_node.outbound.storage_commitment import read_report
from ptx_node.pipeline.prove import record_commitment_report

if TYPE_CHECKING:
    from sqlalchemy import Engine

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
INVALID_ARGUMENT = 0x0115


def take_commitment_report(engine: Engine, transfer_syntax_uid: str, data_set: bytes) -> tuple[int, str]:
    """Keep a report, then answer it: the N-EVENT-REPORT status and a comment.

    A report on a transaction that is not ours, or is over, is taken and changes nothing: the peer has nothing to repeat.
    Transaction UIDs are random: who was not asked does not know one.
    """
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    try:
        report = read_report(read_dataset(io.BytesIO(data_set), is_implicit_VR=implicit, is_little_endian=True))
    except (InputError, ValueError, KeyError, AttributeError, TypeError, EOFError, NotImplementedError) as error:
        return INVALID_ARGUMENT, f"the report cannot be read: {error}"
    try:
        record_commitment_report(engine, report)
    except DatabaseUnavailableError:
        return PROCESSING_FAILURE, "the database does not answer"
    return SUCCESS, ""
