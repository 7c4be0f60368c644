"""DIMSE command sets (PS3.7 section 6.3 and annex E): implicit VR little endian, read and written by hand for speed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

NO_DATA_SET = 0x0101
COMMAND_FIELD = 0x0100
LONGEST_COMMENT = 64


class Command(IntEnum):
    """Command Field (0000,0100)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    C_CANCEL_RQ = 0x0FFF


class CommandError(Exception):
    """The bytes are not a command set."""


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The elements of a request that the node looks at; empty text or 0 where absent.

    `sop_class_uid` and `sop_instance_uid` are the affected ones, or the requested ones of an N-service.
    """

    command_field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    action_type_id: int
    event_type_id: int = 0


def decode_command(data: bytes | memoryview) -> CommandSet:
    """Read a request's command set.

    Raises:
        CommandError: it is cut short, or has no command field.
    """
    values: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < 8:  # noqa: PLR2004 - the element header
            raise CommandError("the command set ends inside an element")
        group, element, length = struct.unpack_from("<HHI", data, position)
        position += 8
        if group != 0 or length > end - position:
            raise CommandError(f"element ({group:04x},{element:04x}) of {length} bytes does not fit into the command set")
        values[element] = bytes(data[position : position + length])
        position += length

    def number(element: int, default: int = 0) -> int:
        value = values.get(element, b"")
        return int.from_bytes(value[:2], "little") if len(value) >= 2 else default  # noqa: PLR2004 - US

    def uid(*elements: int) -> str:
        return next((values[element].decode("ascii", "replace").strip("\0 ") for element in elements if element in values), "")

    if COMMAND_FIELD not in values:
        raise CommandError("the command set has no Command Field (0000,0100)")
    return CommandSet(
        command_field=number(COMMAND_FIELD),
        message_id=number(0x0110),
        has_data_set=number(0x0800, NO_DATA_SET) != NO_DATA_SET,
        sop_class_uid=uid(0x0002, 0x0003),
        sop_instance_uid=uid(0x1000, 0x1001),
        action_type_id=number(0x1008),
        event_type_id=number(0x1002),
    )


def encode_response(request: CommandSet, status: int, *, comment: str = "", context_id: int) -> bytes:
    """The P-DATA-TF PDU of a response without data set.

    `comment` becomes Error Comment (0000,0902) of a status other than success: ASCII, 64 characters at most.
    """
    elements = [
        _text(0x0002, request.sop_class_uid),
        _number(0x0100, request.command_field | 0x8000),
        _number(0x0120, request.message_id),
        _number(0x0800, NO_DATA_SET),
        _number(0x0900, status),
    ]
    if comment and status:
        elements.append(_text(0x0902, comment[:LONGEST_COMMENT].replace("\\", "/"), pad=b" "))
    if request.sop_instance_uid:
        elements.append(_text(0x1000, request.sop_instance_uid))
    if request.event_type_id:
        elements.append(_number(0x1002, request.event_type_id))
    if request.action_type_id:
        elements.append(_number(0x1008, request.action_type_id))
    body = b"".join(elements)
    command = struct.pack("<HHII", 0, 0, 4, len(body)) + body
    pdv = struct.pack(">IBB", len(command) + 2, context_id, 0x03) + command
    return struct.pack(">BxI", 0x04, len(pdv)) + pdv


def _number(element: int, value: int) -> bytes:
    return struct.pack("<HHIH", 0, element, 2, value)


def _text(element: int, value: str, pad: bytes = b"\0") -> bytes:
    raw = value.encode("ascii", "replace")
    if len(raw) % 2:
        raw += pad
    return struct.pack("<HHI", 0, element, len(raw)) + raw
