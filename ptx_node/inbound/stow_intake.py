"""Hands the parts of one STOW-RS request to the receiver as their bytes come in; a part is never whole in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.errors import InputError
from ptx_node.outbound.multipart import MultipartParser, PartBegin, PartData, PartEnd
from ptx_node.pipeline.part import Asked, Part

if TYPE_CHECKING:
    from ptx_node.domain.study import Origin
    from ptx_node.pipeline.receive import Receipt, Receiver


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
        self._asked = Asked(study_instance_uid)
        self._parser = MultipartParser(boundary)
        self._part: Part | None = None
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
                self._part = Part(self._receiver, self._origin, self._asked)
            elif self._part is None:
                continue
            elif isinstance(event, PartData):
                self._part.write(event.data)
            elif isinstance(event, PartEnd):
                self.receipts.append(self._part.finish())
                self.abort()

    def close(self) -> None:
        """Say that the request is over.

        Raises:
            MultipartError: its last part is not complete.
        """
        self._parser.close()

    def abort(self) -> None:
        """Leave nothing behind of a part that is not complete."""
        if self._part is not None:
            self._part.abort()
            self._part = None
