"""The answer to a STOW-RS request (PS3.18 10.5.3): HTTP status and Store Instances Response Module, as JSON or XML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ptx_node.pipeline.receive import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.pipeline.receive import Receipt

JSON, XML = "application/dicom+json", "application/dicom+xml"
NATIVE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
PASSING = (Status.OUT_OF_RESOURCES, Status.PROCESSING_FAILURE)
"""Failures of the node, not of the instances: the same request may succeed later."""

KEYWORDS = {
    "00081150": "ReferencedSOPClassUID",
    "00081155": "ReferencedSOPInstanceUID",
    "00081190": "RetrieveURL",
    "00081197": "FailureReason",
    "00081198": "FailedSOPSequence",
    "00081199": "ReferencedSOPSequence",
    "0008119A": "OtherFailuresSequence",
}
NOT_XML = re.compile(r"[^\x20-\x7e\xa0-\ud7ff]")

Element = dict[str, object]


def http_status(receipts: Sequence[Receipt]) -> int:
    """200: all stored. 202: some. 409: none. 503: none, and only for want of room or of the database."""
    failures = [receipt.status for receipt in receipts if receipt.status != Status.SUCCESS]
    if not failures:
        return 200
    if len(failures) < len(receipts):
        return 202
    return 503 if all(status in PASSING for status in failures) else 409


def response_module(receipts: Sequence[Receipt]) -> dict[str, Element]:
    """Which instances were stored, which were not and why; failures without a UID are Other Failures (PS3.18 I.2)."""
    stored: list[dict[str, Element]] = []
    failed: list[dict[str, Element]] = []
    other: list[dict[str, Element]] = []
    for receipt in receipts:
        reason = {"00081197": _element("US", receipt.status)}
        reference = {
            "00081150": _element("UI", receipt.sop_class_uid),
            "00081155": _element("UI", receipt.sop_instance_uid),
        }
        if receipt.status == Status.SUCCESS:
            stored.append({**reference, "00081190": {"vr": "UR"}})
        elif receipt.sop_class_uid and receipt.sop_instance_uid:
            failed.append({**reference, **reason})
        else:
            other.append(reason)
    module: dict[str, Element] = {"00081190": {"vr": "UR"}}
    for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", other)):
        if items:
            module[tag] = {"vr": "SQ", "Value": items}
    return module


def encode(module: dict[str, Element], media_type: str) -> bytes:
    """The module as DICOM JSON (PS3.18 F) or as native XML (PS3.19 A.1)."""
    if media_type == JSON:
        return json.dumps(module).encode("ascii")
    root = ET.Element("NativeDicomModel", {"xmlns": NATIVE, "xml:space": "preserve"})
    _add(root, module)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def negotiate(accept: str) -> str | None:
    """The media type of the answer for an Accept header; None if it admits neither. JSON unless only XML is named."""
    named = {part.split(";", 1)[0].strip().lower() for part in accept.split(",")} - {""}
    if not named or named & {JSON, "application/json", "application/*", "*/*"}:
        return JSON
    return XML if XML in named else None


def _element(vr: str, value: str | int) -> Element:
    return {"vr": vr, "Value": [value]}


def _add(parent: ET.Element, module: dict[str, Element]) -> None:
    for tag, element in module.items():
        node = ET.SubElement(parent, "DicomAttribute", {"tag": tag, "vr": str(element["vr"]), "keyword": KEYWORDS[tag]})
        values = element.get("Value", [])
        assert isinstance(values, list)
        for number, value in enumerate(values, start=1):
            child = ET.SubElement(node, "Item" if element["vr"] == "SQ" else "Value", {"number": str(number)})
            if isinstance(value, dict):
                _add(child, value)
            else:
                child.text = NOT_XML.sub("?", str(value))
