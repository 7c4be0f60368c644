"""A DIMSE peer that can stop anywhere: PDUs as bytes on a socket (PS3.8 9.3), for tests of what the receiver survives."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RP, ABORT = 2, 3, 4, 6, 7


def associate_rq(abstract_syntax: str, *, calling: str = "MODALITY", called: str = "PTX") -> bytes:
    """An A-ASSOCIATE-RQ for one SOP class in explicit VR little endian, as presentation context 1."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    context = build_context(abstract_syntax, ExplicitVRLittleEndian)
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = UID("1.2.3.4")
    primitive.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def store_command(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The P-DATA-TF of a C-STORE-RQ command that announces a data set (PS3.7 9.3.1.1)."""

    def text(element: int, value: str) -> bytes:
        raw = value.encode() + b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, element, len(raw)) + raw

    def number(element: int, value: int) -> bytes:
        return struct.pack("<HHIH", 0, element, 2, value)

    body = text(0x0002, sop_class_uid) + number(0x0100, 1) + number(0x0110, 1) + number(0x0700, 0) + number(0x0800, 1)
    body += text(0x1000, sop_instance_uid)
    return p_data(struct.pack("<HHII", 0, 0, 4, len(body)) + body, control=3)


def p_data(fragment: bytes, *, control: int) -> bytes:
    """A P-DATA-TF with one presentation data value; control bit 0: command, bit 1: last fragment."""
    value = struct.pack(">IBB", len(fragment) + 2, 1, control) + fragment
    return struct.pack(">BxI", P_DATA, len(value)) + value


def read_pdu(sock: socket.socket) -> tuple[int, bytes]:
    """The next PDU's type and body; (0, b"") when the peer closed."""
    header = _read(sock, 6)
    if len(header) < 6:
        return 0, b""
    return header[0], _read(sock, int.from_bytes(header[2:], "big"))


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


@contextmanager
def associated(port: int, abstract_syntax: str) -> Iterator[socket.socket]:
    """A socket on which an association was just accepted."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(associate_rq(abstract_syntax))
        kind, body = read_pdu(sock)
        assert kind == ASSOCIATE_AC, body
        yield sock
