"""One association from A-ASSOCIATE-RQ to its end, in the thread that accepted it (PS3.8 section 9, PS3.7).

The bytes of a C-STORE go from the socket's buffer to the receiver; nothing is held back, so memory does not depend on
the size of an instance.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ptx_node import log
from ptx_node.domain.study import Origin, Via
from ptx_node.inbound.command_set import Command, CommandError, CommandSet, decode_command, encode_response
from ptx_node.inbound.negotiation import (
    STORAGE_COMMITMENT,
    VERIFICATION,
    Rejection,
    agree,
    check_proposal,
    read_proposal,
    shutting_down,
    too_many,
)
from ptx_node.inbound.pdu_stream import IdleError, PduError, PduStream, PduType, PeerGoneError, close_after_reply, send, set_idle_timeout
from ptx_node.pipeline.receive import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptx_node.inbound.negotiation import Agreement
    from ptx_node.pipeline.receive import Receiver, Reception
    from ptx_node.settings import Peer

logger = log.get(__name__)

LONGEST_PROPOSAL_BYTES = 1_000_000
LONGEST_COMMAND_BYTES = 65_536
LONGEST_INFORMATION_BYTES = 64_000_000
UNRECOGNISED_OPERATION = 0x0211
SOP_CLASS_NOT_SUPPORTED = 0x0122
CLOSE_WAIT_S = 2.0


class CommitmentScp(Protocol):
    """Storage Commitment in both directions; see `ptx_node.inbound.commitment_scp`."""

    def action(self, origin: Origin, request: CommandSet, transfer_syntax_uid: str, data_set: bytes) -> tuple[int, str]:
        """Make the request durable; returns the N-ACTION status and a comment."""

    def report(self, transfer_syntax_uid: str, data_set: bytes) -> tuple[int, str]:
        """Keep a peer's report on what we asked of it; returns the N-EVENT-REPORT status and a comment."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What every association of the process is held to.

    What comes to `retrieve_ae_title` is what the node itself asked an archive to send (C-MOVE), and is marked so.
    """

    called_ae_titles: frozenset[str]
    sources: Mapping[str, str]
    peers: Sequence[Peer]
    max_associations: int
    max_pdu: int
    idle_timeout_s: float
    retrieve_ae_title: str = ""


class Association:
    """One connected peer. `run` returns when the association is over, however it ended; it does not raise."""

    def __init__(self, sock: socket.socket, address: str, terms: Terms, receiver: Receiver, commitment: CommitmentScp) -> None:
        self._sock = sock
        self._address = address
        self._terms = terms
        self._receiver = receiver
        self._commitment = commitment
        self._stream = PduStream(sock, max_bytes=LONGEST_PROPOSAL_BYTES)
        self._origin = Origin(Via.DIMSE, "", "", "", address)
        self._contexts: Mapping[int, tuple[str, str]] = {}
        self._command = bytearray()
        self._request: CommandSet | None = None
        self._context_id = 0
        self._reception: Reception | None = None
        self._information: bytearray | None = None
        self._stored = 0
        self._refused = 0
        self.busy = False
        self.draining = False

    def run(self, *, open_associations: int) -> None:
        """Serve the peer until it releases, aborts, goes away or falls silent."""
        ending = "released"
        try:
            set_idle_timeout(self._sock, self._terms.idle_timeout_s)
            agreement = self._negotiate(open_associations)
            if agreement is None:
                ending = "rejected"
            else:
                self._contexts = agreement.contexts
                self._stream.max_bytes = self._terms.max_pdu
                self._serve()
        except PeerGoneError as error:
            ending = f"peer gone: {error}"
            if self._reception is not None:
                self._note("association_aborted", f"{error}; the instance on its way was let go")
            if self.draining:
                self._send_abort(0)
        except IdleError:
            ending = f"silent for {self._terms.idle_timeout_s:g} s"
            self._send_abort(0)
            self._note("association_idle", f"{ending} (dicom.idle_timeout_s)")
        except PduError as error:
            ending = f"protocol error: {error}"
            self._send_abort(error.reason)
            self._note("protocol_error", str(error))
        except Exception:  # the SCP's last line: one association may fail, the receiver may not
            logger.exception("association failed", calling_ae=self._origin.calling_ae, peer_address=self._address)
            ending = "internal error"
            self._send_abort(0)
        finally:
            if self._reception is not None:
                self._reception.abort()
            close_after_reply(self._sock, wait_s=CLOSE_WAIT_S)
            self._log_end(ending)

    def _note(self, reason: str, detail: str) -> None:
        """Leave a trace of an association that did not end well, for people."""
        self._receiver.refusals.note(self._origin, status="A-ABORT", reason=reason, detail=detail)

    def drain(self) -> None:
        """Called from another thread at shutdown: an instance on its way is finished, then the peer is aborted."""
        self.draining = True
        if not self.busy:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def _negotiate(self, open_associations: int) -> Agreement | None:
        pdu_type, body = self._stream.read()
        if pdu_type != PduType.ASSOCIATE_RQ:
            raise PduError(2, f"PDU type 0x{pdu_type:02X} before an association")
        try:
            proposal = read_proposal(body)
        except ValueError as error:
            raise PduError(6, str(error)) from error
        terms = self._terms
        source = terms.sources.get(proposal.called_ae, proposal.called_ae)
        via = Via.RETRIEVE if proposal.called_ae == terms.retrieve_ae_title else Via.DIMSE
        self._origin = Origin(via, source, proposal.calling_ae, proposal.called_ae, self._address)
        rejection = check_proposal(proposal, address=self._address, peers=terms.peers, called_ae_titles=terms.called_ae_titles)
        if rejection is None and open_associations > terms.max_associations:
            rejection = too_many(terms.max_associations)
        if rejection is None and self.draining:
            rejection = shutting_down()
        if rejection is not None:
            self._reject(rejection)
            return None
        agreement = agree(proposal, max_pdu=terms.max_pdu)
        send(self._sock, agreement.pdu)
        logger.debug("association accepted", calling_ae=proposal.calling_ae, called_ae=proposal.called_ae, peer_address=self._address)
        return agreement

    def _reject(self, rejection: Rejection) -> None:
        send(self._sock, rejection.encode())
        self._receiver.refusals.note(
            self._origin,
            status=f"A-ASSOCIATE-RJ {rejection.result}/{rejection.source}/{rejection.reason}",
            reason="association_rejected",
            detail=rejection.detail,
        )

    def _serve(self) -> None:
        while not (self.draining and not self.busy):
            pdu_type, body = self._stream.read()
            if pdu_type == PduType.P_DATA_TF:
                self.busy = True
                self._data(body)
            elif pdu_type == PduType.RELEASE_RQ:
                send(self._sock, bytes((PduType.RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
                return
            elif pdu_type == PduType.ABORT:
                raise PeerGoneError("the peer aborted")
            else:
                raise PduError(2, f"unexpected PDU type 0x{pdu_type:02X}")
        self._send_abort(0)

    def _data(self, body: memoryview) -> None:
        """Go through the presentation data values of one P-DATA-TF (PS3.8 section 9.3.5 and annex E)."""
        position, end = 0, len(body)
        while position < end:
            if end - position < 6:  # noqa: PLR2004 - the shortest item
                raise PduError(6, "a presentation data value ends inside its header")
            length, context_id, control = struct.unpack_from(">IBB", body, position)
            stop = position + 4 + length
            if length < 2 or stop > end:  # noqa: PLR2004
                raise PduError(6, "a presentation data value does not fit into its PDU")
            fragment = body[position + 6 : stop]
            if control & 1:
                self._command_fragment(context_id, fragment, last=bool(control & 2))
            else:
                self._data_fragment(context_id, fragment, last=bool(control & 2))
            position = stop

    def _command_fragment(self, context_id: int, fragment: memoryview, *, last: bool) -> None:
        if context_id not in self._contexts:
            raise PduError(6, f"presentation context {context_id} was not accepted")
        if self._request is not None:
            raise PduError(5, "a command while the data set of the last one is missing")
        if len(self._command) + len(fragment) > LONGEST_COMMAND_BYTES:
            raise PduError(6, "a command set of more than 64 KiB")
        self._command += fragment
        if not last:
            return
        try:
            request = decode_command(bytes(self._command))
        except CommandError as error:
            raise PduError(6, str(error)) from error
        self._command.clear()
        self._context_id = context_id
        self._begin(request)

    def _begin(self, request: CommandSet) -> None:
        abstract_syntax, transfer_syntax = self._contexts[self._context_id]
        if request.command_field == Command.C_CANCEL_RQ or request.command_field & 0x8000:
            self.busy = False
            return
        if request.has_data_set:
            self._request = request
            if request.command_field == Command.C_STORE_RQ and abstract_syntax not in (VERIFICATION, STORAGE_COMMITMENT):
                self._reception = self._receiver.begin(
                    self._origin,
                    sop_class_uid=request.sop_class_uid,
                    sop_instance_uid=request.sop_instance_uid,
                    transfer_syntax_uid=transfer_syntax,
                )
            elif request.command_field in (Command.N_ACTION_RQ, Command.N_EVENT_REPORT_RQ) and abstract_syntax == STORAGE_COMMITMENT:
                self._information = bytearray()
        elif request.command_field == Command.C_ECHO_RQ and abstract_syntax == VERIFICATION:
            self._answer(request, Status.SUCCESS, "")
        else:
            self._answer(request, UNRECOGNISED_OPERATION, "not served in this presentation context")

    def _data_fragment(self, context_id: int, fragment: memoryview, *, last: bool) -> None:
        request = self._request
        if request is None or context_id != self._context_id:
            raise PduError(5, "a data set without its command")
        if self._reception is not None:
            self._reception.write(fragment)
        elif self._information is not None:
            self._information += fragment
            if len(self._information) > LONGEST_INFORMATION_BYTES:
                raise PduError(6, "a Storage Commitment data set of more than 64 MB")
        if last:
            self._request = None
            self._end(request)

    def _end(self, request: CommandSet) -> None:
        if self._reception is not None:
            reception, self._reception = self._reception, None
            self._answer(request, *self._store(request, reception))
        elif self._information is not None:
            data_set, self._information = bytes(self._information), None
            self._answer(request, *self._commit(request, self._contexts[self._context_id][1], data_set))
        else:
            self._answer(request, UNRECOGNISED_OPERATION, "not served in this presentation context")

    def _store(self, request: CommandSet, reception: Reception) -> tuple[int, str]:
        abstract_syntax = self._contexts[self._context_id][0]
        try:
            if request.sop_class_uid != abstract_syntax:
                return SOP_CLASS_NOT_SUPPORTED, "SOP class is not that of the presentation context"
            receipt = reception.finish()
        except Exception:  # whatever went wrong, the sender must keep its copy
            logger.exception("store failed", sop_instance_uid=request.sop_instance_uid, calling_ae=self._origin.calling_ae)
            return Status.PROCESSING_FAILURE, "internal error, see the log"
        finally:
            reception.abort()
        if receipt.status == Status.SUCCESS:
            self._stored += 1
        else:
            self._refused += 1
        return receipt.status, f"{receipt.reason}: {receipt.detail}" if receipt.reason else ""

    def _commit(self, request: CommandSet, transfer_syntax_uid: str, data_set: bytes) -> tuple[int, str]:
        """Storage Commitment (PS3.4 J): a peer asks it of us, or reports on what we asked of it."""
        if request.command_field == Command.N_EVENT_REPORT_RQ:
            return self._commitment.report(transfer_syntax_uid, data_set)
        return self._commitment.action(self._origin, request, transfer_syntax_uid, data_set)

    def _answer(self, request: CommandSet, status: int, comment: str) -> None:
        send(self._sock, encode_response(request, status, comment=comment, context_id=self._context_id))
        self.busy = False

    def _send_abort(self, reason: int) -> None:
        """A-ABORT by the service provider; best effort."""
        with contextlib.suppress(PeerGoneError):
            send(self._sock, bytes((PduType.ABORT, 0, 0, 0, 0, 4, 0, 0, 2, reason)))

    def _log_end(self, ending: str) -> None:
        logger.info(
            "association ended",
            ending=ending,
            stored=self._stored,
            refused=self._refused,
            calling_ae=self._origin.calling_ae,
            called_ae=self._origin.called_ae,
            peer_address=self._address,
        )
