"""The one way in: DIMSE and DICOMweb hand bytes to a `Receiver`, and success is said only when they are safe.

Order: temporary file, fsync, rename, fsync of the folder, committed row, then status 0x0000. The bytes of the data set
are kept as received; no pixel is decoded, no rule looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ptx_node.db.session import now
from ptx_node.dicom.file_meta import encode_file_meta
from ptx_node.dicom.header_scan import Wholeness, scan_for
from ptx_node.dicom.identity import identifiers_from_file, identifiers_from_scan, uid_problem
from ptx_node.dicom.part10 import split_part10
from ptx_node.domain.study import Identifiers
from ptx_node.errors import DatabaseUnavailableError, InputError, StorageFullError
from ptx_node.pipeline.ledger import Ledger
from ptx_node.pipeline.receipt import STATUS_OF, Receipt, ReceiveReason, Status
from ptx_node.pipeline.refusals import RefusalLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from sqlalchemy import Engine

    from ptx_node.domain.study import Origin
    from ptx_node.pipeline.store import FileStore, StoreWriter

Chunk = bytes | bytearray | memoryview

IDENTIFIER_FIELDS = tuple(field.name for field in fields(Identifiers))
PADDING = "\0 "

__all__ = ["Receipt", "ReceiveReason", "Receiver", "Reception", "Status", "conflict_path", "instance_path"]


class Receiver:
    """Takes instances for one process; shared by its threads.

    Args:
        engine: opened in this process.
        store: where the files go.
        invalid_uid: `accept` stores and flags an instance whose UIDs break PS3.5 section 9; `refuse` answers 0xA900.
        max_instance_bytes: a larger data set is refused.
        ring: called after commits, so that workers wake; must return at once and must not raise.
    """

    def __init__(
        self,
        engine: Engine,
        store: FileStore,
        *,
        invalid_uid: Literal["accept", "refuse"],
        max_instance_bytes: int,
        ring: Callable[[], None],
    ) -> None:
        self.store = store
        self.engine = engine
        self.invalid_uid = invalid_uid
        self.max_instance_bytes = max_instance_bytes
        self.ledger = Ledger(engine, ring)
        self.refusals = RefusalLog(self.ledger)

    def begin(self, origin: Origin, *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> Reception:
        """Begin one instance. Never raises for want of room: then `finish` answers 0xA700 and the bytes are let go.

        The two SOP UIDs are what the sender announced, empty where it announced nothing.
        """
        return Reception(self, origin, Announced(sop_class_uid.strip(PADDING), sop_instance_uid.strip(PADDING), transfer_syntax_uid))

    def receive_part10(self, origin: Origin, data: Chunk) -> Receipt:
        """Take a Part 10 file, or a data set without preamble, as STOW-RS delivers it."""
        try:
            part = split_part10(memoryview(data))
        except InputError as error:
            return self.refused(origin, "", "", ReceiveReason.CANNOT_UNDERSTAND, error.detail)
        sop_class_uid, sop_instance_uid = part.sop_class_uid, part.sop_instance_uid
        if not (sop_class_uid and sop_instance_uid):
            scan = scan_for(part.transfer_syntax_uid, max_bytes=self.max_instance_bytes)
            scan.feed(part.data_set)
            seen = identifiers_from_scan(scan.values, part.transfer_syntax_uid)
            sop_class_uid, sop_instance_uid = sop_class_uid or seen.sop_class_uid, sop_instance_uid or seen.sop_instance_uid
        reception = self.begin(
            origin, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid, transfer_syntax_uid=part.transfer_syntax_uid
        )
        try:
            reception.write(part.data_set)
            return reception.finish()
        finally:
            reception.abort()

    def refused(self, origin: Origin, sop_class_uid: str, sop_instance_uid: str, reason: ReceiveReason, detail: str) -> Receipt:
        """Make the receipt of a refusal, and leave a trace of it for people."""
        receipt = Receipt(STATUS_OF[reason], reason, detail, sop_instance_uid, sop_class_uid)
        self.refusals.note(
            origin,
            status=f"0x{receipt.status:04X}",
            reason=reason,
            detail=detail,
            sop_instance_uid=sop_instance_uid,
            sop_class_uid=sop_class_uid,
        )
        return receipt


class _RefusedError(Exception):
    """An outcome on its way out of the steps of `Reception`."""

    def __init__(self, reason: ReceiveReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Announced:
    """What the sender said of the instance before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Reception:
    """One instance on its way in: `write` its data set, then `finish`; `abort` leaves nothing behind and may follow both."""

    __slots__ = ("_announced", "_origin", "_receiver", "_refusal", "_scan", "_size", "_writer")

    def __init__(self, receiver: Receiver, origin: Origin, announced: Announced) -> None:
        self._receiver = receiver
        self._origin = origin
        self._announced = announced
        self._refusal: _RefusedError | None = None
        self._scan = scan_for(announced.transfer_syntax_uid, max_bytes=receiver.max_instance_bytes)
        self._size = 0
        self._writer: StoreWriter | None = None
        try:
            self._writer = receiver.store.writer()
            self._writer.write(
                encode_file_meta(
                    sop_class_uid=announced.sop_class_uid,
                    sop_instance_uid=announced.sop_instance_uid,
                    transfer_syntax_uid=announced.transfer_syntax_uid,
                )
            )
        except StorageFullError as error:
            self._give_up(ReceiveReason.STORAGE_FULL, str(error))

    def write(self, chunk: Chunk) -> None:
        """Take the next bytes of the data set. After a failure they are let go until `finish` says why."""
        if self._writer is None:
            return
        self._size += len(chunk)
        if self._size > self._receiver.max_instance_bytes:
            self._give_up(ReceiveReason.TOO_LARGE, f"larger than {self._receiver.max_instance_bytes} bytes (dicom.max_instance_bytes)")
            return
        try:
            self._writer.write(chunk)
        except StorageFullError as error:
            self._give_up(ReceiveReason.STORAGE_FULL, str(error))
            return
        self._scan.feed(memoryview(chunk))

    def finish(self) -> Receipt:
        """Make the instance safe and say so, or say why not."""
        sop_class_uid, sop_instance_uid = self._announced.sop_class_uid, self._announced.sop_instance_uid
        try:
            if self._refusal is not None or self._writer is None:
                raise self._refusal or _RefusedError(ReceiveReason.INTERNAL, "finished twice")
            identifiers, problem = self._identify(self._writer)
            sop_class_uid, sop_instance_uid = identifiers.sop_class_uid, identifiers.sop_instance_uid
            self._commit(self._writer, identifiers, problem)
        except _RefusedError as refusal:
            return self._receiver.refused(self._origin, sop_class_uid, sop_instance_uid, refusal.reason, refusal.detail)
        except StorageFullError as error:
            return self._receiver.refused(self._origin, sop_class_uid, sop_instance_uid, ReceiveReason.STORAGE_FULL, str(error))
        except DatabaseUnavailableError as error:
            return self._receiver.refused(self._origin, sop_class_uid, sop_instance_uid, ReceiveReason.DATABASE_UNAVAILABLE, str(error))
        finally:
            self.abort()
        return Receipt(Status.SUCCESS, "", "", sop_instance_uid, sop_class_uid)

    def abort(self) -> None:
        """Leave nothing behind of an instance that was not finished."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _give_up(self, reason: ReceiveReason, detail: str) -> None:
        self._refusal = _RefusedError(reason, detail)
        self.abort()

    def _identify(self, writer: StoreWriter) -> tuple[Identifiers, str | None]:
        """Read the header and check it against what was announced; returns it with what is wrong with its UIDs."""
        announced = self._announced
        wholeness = self._scan.end()
        if wholeness is Wholeness.TRUNCATED:
            raise _RefusedError(ReceiveReason.TRUNCATED, f"the data set ends inside an element, after {self._size} bytes")
        if wholeness is Wholeness.ODD:
            try:
                identifiers = identifiers_from_file(Path(writer.temporary_name), announced.transfer_syntax_uid)
            except InputError as error:
                raise _RefusedError(ReceiveReason.CANNOT_UNDERSTAND, error.detail) from error
        else:
            identifiers = identifiers_from_scan(self._scan.values, announced.transfer_syntax_uid)
        problems = self._check(identifiers)
        if problems and self._receiver.invalid_uid == "refuse":
            raise _RefusedError(ReceiveReason.UID_INVALID, f"{problems}; the site refuses such (dicom.invalid_uid)")
        if not identifiers.sop_instance_uid:
            identifiers = replace(identifiers, sop_instance_uid=announced.sop_instance_uid or invented_uid(writer.sha256))
        return identifiers, problems

    def _check(self, identifiers: Identifiers) -> str | None:
        announced = self._announced
        if not identifiers.sop_class_uid:
            raise _RefusedError(ReceiveReason.UID_MISSING, "the data set has no SOP Class UID (0008,0016)")
        for what, said, found in (
            ("SOP Class UID", announced.sop_class_uid, identifiers.sop_class_uid),
            ("SOP Instance UID", announced.sop_instance_uid, identifiers.sop_instance_uid),
        ):
            if said and found and said != found:
                raise _RefusedError(ReceiveReason.UID_MISMATCH, f"{what}: {said!r} was announced, the data set says {found!r}")
        found_problems = [
            f"{name} {problem}"
            for name, uid in (
                ("sop_instance_uid", identifiers.sop_instance_uid),
                ("series_instance_uid", identifiers.series_instance_uid),
                ("study_instance_uid", identifiers.study_instance_uid),
            )
            if (problem := uid_problem(uid))
        ]
        return "; ".join(found_problems) or None

    def _commit(self, writer: StoreWriter, identifiers: Identifiers, problem: str | None) -> None:
        """Put the file in its place, then the row; afterwards look whose bytes the row stands for."""
        receiver, origin = self._receiver, self._origin
        stored = writer.finish(instance_path(identifiers, writer.sha256))
        row: dict[str, Any] = {
            **{name: getattr(identifiers, name) for name in IDENTIFIER_FIELDS},
            "path": stored.path,
            "size_bytes": stored.size_bytes,
            "sha256": stored.sha256,
            "uid_problem": problem,
            "via": origin.via.value,
            "source": origin.source,
            "calling_ae": origin.calling_ae,
            "called_ae": origin.called_ae,
            "peer_address": origin.peer_address,
            "received_at": now(),
        }
        known = receiver.ledger.record(row)
        if known.sha256 != stored.sha256:
            path = conflict_path(identifiers, stored.sha256)
            receiver.store.move(stored.path, path)
            receiver.ledger.record_conflict(
                row,
                {
                    **{name: row[name] for name in ("sop_instance_uid", "size_bytes", "sha256", "source", "calling_ae", "received_at")},
                    "path": path,
                    "stored_sha256": known.sha256,
                },
            )
            raise _RefusedError(ReceiveReason.CONFLICT, f"this SOP Instance UID is here with other bytes (sha256 {known.sha256[:16]}…)")
        if known.path != stored.path:
            receiver.store.remove(stored.path)


def instance_path(identifiers: Identifiers, sha256: str) -> str:
    """Where an instance lies in the store: other bytes never get the same name, equal bytes always do.

    One folder for every 1/4096 of the series, so that a series lies together and no folder is made for each.
    """
    folder = hashlib.sha256(identifiers.series_instance_uid.encode("utf-8", "surrogateescape")).hexdigest()[:3]
    return f"instances/{folder}/{_safe_name(identifiers.sop_instance_uid)}-{sha256[:32]}.dcm"


def conflict_path(identifiers: Identifiers, sha256: str) -> str:
    """Where other bytes under a known SOP Instance UID are kept aside."""
    return f"conflicts/{_safe_name(identifiers.sop_instance_uid)}-{sha256[:32]}.dcm"


def invented_uid(sha256: str) -> str:
    """What an instance without any SOP Instance UID is known by here: derived from its bytes (PS3.5 B.2)."""
    return f"2.25.{int(sha256[:32], 16)}"


def _safe_name(uid: str) -> str:
    """A valid UID is its own file name; anything else from outside is replaced by a digest."""
    return uid if uid_problem(uid) is None else f"invalid-{hashlib.sha256(uid.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
