"""From raw header values to the node's identifiers, and what is wrong with a UID."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydicom import charset, config, dcmread
from pydicom.errors import InvalidDicomError

from ptx_node.dicom import header_scan as tags
from ptx_node.domain.study import Identifiers
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LONGEST_UID = 64
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


def uid_problem(uid: str) -> str | None:
    """What PS3.5 section 9.1 finds wrong with a UID; None for a valid one. Such a UID never becomes a file name."""
    if not uid:
        return "is empty"
    if len(uid) > LONGEST_UID:
        return f"has {len(uid)} characters, 64 are allowed"
    if not _UID.fullmatch(uid):
        return "is not made of numbers and dots"
    return None


def identifiers_from_scan(values: Mapping[int, bytes], transfer_syntax_uid: str) -> Identifiers:
    """The identifiers of a scanned header; absent elements become empty text."""

    def text(tag: int) -> str:
        value = values.get(tag)
        if not value:
            return ""
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii").replace("\0", "").strip()
        return _decode(value, values.get(tags.CHARACTER_SET, b""))

    return Identifiers(
        sop_class_uid=text(tags.SOP_CLASS),
        sop_instance_uid=text(tags.SOP_INSTANCE),
        series_instance_uid=text(tags.SERIES_INSTANCE),
        study_instance_uid=text(tags.STUDY_INSTANCE),
        transfer_syntax_uid=transfer_syntax_uid,
        modality=text(tags.MODALITY),
        patient_id=text(tags.PATIENT_ID),
        issuer_of_patient_id=text(tags.ISSUER_OF_PATIENT_ID),
        accession_number=text(tags.ACCESSION_NUMBER),
    )


def identifiers_from_file(path: Path, transfer_syntax_uid: str) -> Identifiers:
    """The identifiers of a Part 10 file with an unusual header, read by pydicom.

    Raises:
        InputError: pydicom cannot read it either.
    """
    try:
        ds = dcmread(path, stop_before_pixels=True, force=True, specific_tags=sorted(tags.WANTED))
        values = {tag: _raw(ds.get_item(tag)) for tag in tags.WANTED if tag in ds}
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError, TypeError) as error:
        raise InputError("cannot_understand", f"the header cannot be read: {type(error).__name__}: {error}") from error
    return identifiers_from_scan(values, transfer_syntax_uid)


def _raw(element: object) -> bytes:
    value = getattr(element, "value", None)
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode("utf-8", "replace")


def _decode(value: bytes, character_set: bytes) -> str:
    """Decode text that is not plain ASCII by (0008,0005), keeping something readable whatever it says."""
    names = [name.strip() for name in character_set.decode("ascii", "replace").replace("\0", "").split("\\")]
    with config.disable_value_validation():
        try:
            encodings = charset.convert_encodings(names if any(names) else ["ISO_IR 100"])
            decoded = charset.decode_bytes(value, encodings, {0x5C, 0x0A, 0x0C, 0x0D})
        except (LookupError, UnicodeError, ValueError):
            decoded = value.decode("latin-1")
    return decoded.replace("\0", "").strip()
