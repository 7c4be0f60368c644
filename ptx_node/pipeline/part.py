"""A Part 10 file of which nothing was announced, on its way in: its head says what it is, its bytes go straight to the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.dicom.header_scan import scan_for
from ptx_node.dicom.identity import identifiers_from_scan
from ptx_node.dicom.part10 import split_part10
from ptx_node.errors import InputError
from ptx_node.pipeline.receive import ReceiveReason

if TYPE_CHECKING:
    from ptx_node.domain.study import Identifiers, Origin
    from ptx_node.pipeline.receive import Chunk, Receipt, Receiver, Reception

HEAD_BYTES = 262_144
"""So much of a file is looked at before its bytes go to the store: File Meta Information and the UIDs lie in there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: an instance of another study or patient is refused. Empty text: any."""

    study_instance_uid: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""

    def mismatch(self, seen: Identifiers) -> str:
        """Why an instance is not what was asked for, without patient data; empty when it is."""
        if self.study_instance_uid and seen.study_instance_uid != self.study_instance_uid:
            return f"the request is for study {self.study_instance_uid}, the instance is of {seen.study_instance_uid or 'none'}"
        if self.patient_id and seen.patient_id != self.patient_id:
            return "the Patient ID of the instance is not the one that was asked for"
        issuer = seen.issuer_of_patient_id
        if self.issuer_of_patient_id and issuer and issuer != self.issuer_of_patient_id:
            return "the Issuer of Patient ID of the instance is not the one that was asked for"
        return ""


class Part:
    """One file on its way in: `write` its bytes, then `finish`; `abort` leaves nothing behind and may follow both.

    Args:
        receiver: takes the instance.
        origin: who sent it.
        asked: what was asked for.
    """

    def __init__(self, receiver: Receiver, origin: Origin, asked: Asked) -> None:
        self._receiver = receiver
        self._origin = origin
        self._asked = asked
        self._head = bytearray()
        self._reception: Reception | None = None
        self._refused: Receipt | None = None

    def write(self, data: Chunk) -> None:
        """Take the next bytes of the file."""
        if self._reception is not None:
            self._reception.write(data)
        elif self._refused is None:
            self._head += data
            if len(self._head) >= HEAD_BYTES:
                self._begin()

    def finish(self) -> Receipt:
        """Make the instance safe and say so, or say why not."""
        if self._reception is None and self._refused is None:
            self._begin()
        if self._reception is None:
            assert self._refused is not None
            return self._refused
        return self._reception.finish()

    def abort(self) -> None:
        """Leave nothing behind of a file that is not complete."""
        if self._reception is not None:
            self._reception.abort()

    def _begin(self) -> None:
        """Decide by the head: refuse the file, or hand over what is there already."""
        head = bytes(self._head)
        self._head.clear()
        try:
            part = split_part10(memoryview(head))
        except InputError as error:
            self._refused = self._receiver.refused(self._origin, "", "", ReceiveReason.CANNOT_UNDERSTAND, error.detail)
            return
        seen = self._look(part.data_set, part.transfer_syntax_uid)
        sop_class_uid = part.sop_class_uid or seen.sop_class_uid
        sop_instance_uid = part.sop_instance_uid or seen.sop_instance_uid
        if mismatch := self._asked.mismatch(seen):
            self._refused = self._receiver.refused(self._origin, sop_class_uid, sop_instance_uid, ReceiveReason.UID_MISMATCH, mismatch)
            return
        self._reception = self._receiver.begin(
            self._origin, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid, transfer_syntax_uid=part.transfer_syntax_uid
        )
        self._reception.write(part.data_set)

    def _look(self, data_set: memoryview, transfer_syntax_uid: str) -> Identifiers:
        scan = scan_for(transfer_syntax_uid, max_bytes=self._receiver.max_instance_bytes)
        scan.feed(data_set)
        return identifiers_from_scan(scan.values, transfer_syntax_uid)
