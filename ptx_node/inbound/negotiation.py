"""Answers A-ASSOCIATE-RQ (PS3.8 section 7.1): who may associate, and for what. PDUs and rules are pynetdicom's."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from ptx_node.dicom.file_meta import IMPLEMENTATION_CLASS_UID
from ptx_node.outbound.storage_classes import STORAGE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptx_node.settings import Peer

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
PREFERRED_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
NOT_FOR_STORAGE = ("MIME", "XML", "Papyrus", "SMPTE")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A-ASSOCIATE-RJ: result, source and reason as in PS3.8 table 9-21."""

    result: int
    source: int
    reason: int
    detail: str

    def encode(self) -> bytes:
        """The PDU."""
        return bytes((0x03, 0, 0, 0, 0, 4, 0, self.result, self.source, self.reason))


def too_many(limit: int) -> Rejection:
    """Rejected for now: local limit exceeded."""
    return Rejection(2, 3, 2, f"{limit} associations are open (dicom.max_associations)")


def shutting_down() -> Rejection:
    """Rejected for now: temporary congestion."""
    return Rejection(2, 3, 1, "the receiver is shutting down")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the peer asks for."""

    calling_ae: str
    called_ae: str
    primitive: A_ASSOCIATE


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed: A-ASSOCIATE-AC as bytes, and context id -> (abstract syntax, transfer syntax)."""

    pdu: bytes
    contexts: Mapping[int, tuple[str, str]]
    peer_max_pdu: int


def read_proposal(body: memoryview) -> Proposal:
    """Decode an A-ASSOCIATE-RQ.

    Raises:
        ValueError: it cannot be decoded.
    """
    pdu = A_ASSOCIATE_RQ()
    raw = bytes(body)
    try:
        pdu.decode(b"\x01\x00" + len(raw).to_bytes(4, "big") + raw)
        primitive = pdu.to_primitive()
        return Proposal(str(pdu.calling_ae_title).strip(), str(pdu.called_ae_title).strip(), primitive)
    except Exception as error:  # pynetdicom raises whatever the peer's bytes provoke
        raise ValueError(f"an A-ASSOCIATE-RQ that cannot be decoded: {type(error).__name__}: {error}") from error


def check_proposal(proposal: Proposal, *, address: str, peers: Sequence[Peer], called_ae_titles: frozenset[str]) -> Rejection | None:
    """Whether the peer may associate at all; None if it may."""
    if proposal.primitive.application_context_name != APPLICATION_CONTEXT:
        return Rejection(1, 1, 2, f"application context {proposal.primitive.application_context_name} is not DICOM's")
    if proposal.called_ae not in called_ae_titles:
        return Rejection(1, 1, 7, f"called AE title {proposal.called_ae!r} is not in dicom.ae_title, retrieve_ae_title, sources")
    titles = [peer for peer in peers if peer.ae_title in ("*", proposal.calling_ae)]
    if not titles:
        return Rejection(1, 1, 3, f"calling AE title {proposal.calling_ae!r} is not in dicom.peers")
    if not any(address_allowed(address, peer.addresses) for peer in titles):
        return Rejection(1, 1, 3, f"calling AE title {proposal.calling_ae!r} may not come from {address} (dicom.peers addresses)")
    return None


def address_allowed(address: str, allowed: Sequence[str]) -> bool:
    """Whether an address is in one of the networks; `*` is any."""
    if "*" in allowed:
        return True
    peer = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in _network(text) for text in allowed)


@cache
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def agree(proposal: Proposal, *, max_pdu: int) -> Agreement:
    """Accept what we serve of what the peer proposes.

    Asynchronous operations, extended and user identity items are not answered: the defaults hold (PS3.7 D.3.3).
    Role selection is answered with the default roles, but for Storage Commitment: who reports on our deliveries is its SCP.
    """
    request = proposal.primitive
    roles: dict[UID, tuple[bool | None, bool | None]] = {}
    peer_max_pdu = 0
    for item in request.user_information:
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation):
            roles[UID(str(item.sop_class_uid))] = (item.scu_role, item.scp_role)
        elif isinstance(item, MaximumLengthNotification):
            peer_max_pdu = item.maximum_length_received or 0
    contexts, role_items = negotiate_as_acceptor(request.presentation_context_definition_list, supported_contexts(), roles)
    answer = A_ASSOCIATE()
    answer.application_context_name = UID(APPLICATION_CONTEXT)
    answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
    answer.result, answer.result_source = 0x00, 0x01
    answer.presentation_context_definition_results_list = contexts
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    answer.user_information = [length, implementation, *role_items]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    accepted = {cx.context_id or 0: (str(cx.abstract_syntax), str(cx.transfer_syntax[0])) for cx in contexts if cx.result == 0x00}
    return Agreement(bytes(pdu.encode()), accepted, peer_max_pdu)


@cache
def transfer_syntaxes() -> tuple[str, ...]:
    """Every transfer syntax that pydicom knows for storage, the uncompressed little endian ones preferred, retired ones last."""
    known = {
        uid: entry
        for uid, entry in UID_dictionary.items()
        if entry[1] == "Transfer Syntax" and not any(w in entry[0] for w in NOT_FOR_STORAGE)
    }
    rest = sorted((uid for uid in known if uid not in PREFERRED_SYNTAXES), key=lambda uid: bool(known[uid][3]))
    return (*PREFERRED_SYNTAXES, *rest)


@cache
def supported_contexts() -> list[PresentationContext]:
    """What the node serves. Called once before forking, so that the processes share it."""

    def context(uid: str, syntaxes: Sequence[str]) -> PresentationContext:
        one = PresentationContext()
        one.abstract_syntax = UID(uid)
        for syntax in syntaxes:
            one.add_transfer_syntax(UID(syntax))
        return one

    storage = [context(uid, transfer_syntaxes()) for uid in STORAGE_CLASSES]
    commitment = context(STORAGE_COMMITMENT, PREFERRED_SYNTAXES)
    commitment.scu_role = commitment.scp_role = True  # reports on our own requests come with the roles turned round
    commitment.scu_role = commitment.scp_role = True
    return [context(VERIFICATION, (*PREFERRED_SYNTAXES, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")), commitment, *storage]
