"""Hands the parts of one STOW-RS request to the receiver as their bytes come in; a part is never whole in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.dicom.header_scan import scan_for
from ptx_node.dicom.identity import identifiers_from_scan
from ptx_node.dicom.part10 import split_part10
from ptx_node.errors import InputError
from ptx_node.inbound.multipart import MultipartParser, PartBegin, PartData, PartEnd
from ptx_node.pipeline.receive import ReceiveReason

if TYPE_CHECKING:
    from ptx_node.domain.study import Identifiers, Origin
    from ptx_node.pipeline.receive import Receipt, Receiver, Reception

HEAD_BYTES = 262_144
"""So much of a part is looked at before its bytes go to the store: File Meta Information and the UIDs lie in there."""


class WrongPartError(InputError):
    """A part is of a media type that is not taken."""

    def __init__(self, media_type: str) -> None:
        super().__init__("media_type", f"parts of type {media_type} are not taken, only application/dicom")


class Intake:
    """One request. `feed` its bytes, then `close`; `receipts` are in the order of the parts. `abort` may follow anything.

    Every part that is complete is stored as soon as it is, whatever follows it: sending it again is harmless.

    Args:
        receiver: takes the instances.
        origin: who sent the request.
        boundary: of the multipart body.
        study_instance_uid: from the address; instances of another study are refused. Empty: any study.
    """

    def __init__(self, receiver: Receiver, origin: Origin, *, boundary: str, study_instance_uid: str = "") -> None:
        self._receiver = receiver
        self._origin = origin
        self._study_instance_uid = study_instance_uid
        self._parser = MultipartParser(boundary)
        self._head = bytearray()
        self._reception: Reception | None = None
        self._refused: Receipt | None = None
        self.receipts: list[Receipt] = []

    def feed(self, chunk: bytes | bytearray) -> None:
        """Take the next bytes of the request. Blocks for the disk and the database.

        Raises:
            MultipartError: the body is broken.
            WrongPartError: a part is not application/dicom.
        """
        for event in self._parser.feed(chunk):
            if isinstance(event, PartBegin):
                if event.content_type not in ("", "application/dicom"):
                    raise WrongPartError(event.content_type)
            elif isinstance(event, PartData):
                self._data(event.data)
            elif isinstance(event, PartEnd):
                self._end()

    def close(self) -> None:
        """Say that the request is over.

        Raises:
            MultipartError: its last part is not complete.
        """
        self._parser.close()

    def abort(self) -> None:
        """Leave nothing behind of a part that is not complete."""
        if self._reception is not None:
            self._reception.abort()
        self._reception = self._refused = None
        self._head.clear()

    def _data(self, data: bytes) -> None:
        if self._reception is not None:
            self._reception.write(data)
        elif self._refused is None:
            self._head += data
            if len(self._head) >= HEAD_BYTES:
                self._begin()

    def _end(self) -> None:
        if self._reception is None and self._refused is None:
            self._begin()
        if self._reception is not None:
            self.receipts.append(self._reception.finish())
        elif self._refused is not None:
            self.receipts.append(self._refused)
        self.abort()

    def _begin(self) -> None:
        """Decide on a part by its head: refuse it, or hand over what is there already."""
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
        if self._study_instance_uid and seen.study_instance_uid != self._study_instance_uid:
            detail = f"the request is for study {self._study_instance_uid}, the instance is of {seen.study_instance_uid or 'none'}"
            self._refused = self._receiver.refused(self._origin, sop_class_uid, sop_instance_uid, ReceiveReason.UID_MISMATCH, detail)
            return
        self._reception = self._receiver.begin(
            self._origin, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid, transfer_syntax_uid=part.transfer_syntax_uid
        )
        self._reception.write(part.data_set)

    def _look(self, data_set: memoryview, transfer_syntax_uid: str) -> Identifiers:
        scan = scan_for(transfer_syntax_uid, max_bytes=self._receiver.max_instance_bytes)
        scan.feed(data_set)
        return identifiers_from_scan(scan.values, transfer_syntax_uid)
