"""The File Meta Information (PS3.10 section 7.1) that the node writes before a data set it received.

It depends on the data set's identity alone, never on who sent it or on the node's version: equal data sets make
equal files, whichever door they came through and whenever.
"""

from __future__ import annotations

import struct

IMPLEMENTATION_CLASS_UID = "2.25.226137042310473935402186313164210543931"
"""Fixed for ever: a new one would make a repeated instance look like other bytes."""


def encode_file_meta(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and group 0002, explicit VR little endian. Text that is not ASCII is written as `?`."""
    group = b"".join(
        (
            struct.pack("<HH2s2xI2s", 0x0002, 0x0001, b"OB", 2, b"\x00\x01"),
            _ui(0x0002, sop_class_uid),
            _ui(0x0003, sop_instance_uid),
            _ui(0x0010, transfer_syntax_uid),
            _ui(0x0012, IMPLEMENTATION_CLASS_UID),
        )
    )
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(group)) + group


def _ui(element: int, uid: str) -> bytes:
    value = uid.encode("ascii", "replace")[:1024]
    if len(value) % 2:
        value += b"\0"
    return struct.pack("<HH2sH", 0x0002, element, b"UI", len(value)) + value
