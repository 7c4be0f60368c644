"""The conformance statement says what the program does: lists of the one compared with lists of the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.sr.coding import Code
from pydicom.uid import UID

from ptx_node.dicom import codes
from ptx_node.dicom.file_meta import IMPLEMENTATION_CLASS_UID
from ptx_node.domain.eligibility import TRANSFER_SYNTAXES
from ptx_node.inbound import commitment_scp
from ptx_node.inbound.association import SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION
from ptx_node.inbound.negotiation import transfer_syntaxes
from ptx_node.outbound.statuses import REFUSALS, RETRIES, WARNINGS
from ptx_node.outbound.storage_classes import STORAGE_CLASSES
from ptx_node.pipeline import commitment
from ptx_node.pipeline.receive import Status

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ptx_node"
STATEMENT = (ROOT / "docs" / "conformance-statement.md").read_text(encoding="utf-8")


def rows(start: str, end: str) -> list[list[str]]:
    """Cells of the table rows between two places of the statement, without heads."""
    part = STATEMENT.split(start, 1)[1].split(end, 1)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return [row for row in found[1:] if not set("".join(row)) <= set("-: ")]


def test_storage_sop_classes_are_those_that_are_negotiated() -> None:
    stated = {uid: name for name, uid, _ in rows("Table 4.2-1", "Table 4.2-2")}
    assert stated == {str(uid): UID(uid).name for uid in STORAGE_CLASSES}


def test_transfer_syntaxes_are_those_that_are_negotiated_in_their_order() -> None:
    stated = rows("Table 4.2-2", "Table 4.2-3")
    assert [uid for _, uid, _ in stated] == list(transfer_syntaxes())
    assert {uid for _, uid, decoded in stated if decoded == "yes"} == TRANSFER_SYNTAXES


def test_storage_statuses_are_those_that_are_answered() -> None:
    stated = {int(row[0], 16) for row in rows("Table 4.2-3", "### 4.3")}
    assert stated == {*Status, SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION}


def test_commitment_statuses_are_those_that_are_answered() -> None:
    section = STATEMENT.split("### 4.3", 1)[1].split("### 4.4", 1)[0]
    for name in ("SUCCESS", "PROCESSING_FAILURE", "NO_SUCH_INSTANCE", "INVALID_ARGUMENT", "NO_SUCH_ACTION"):
        assert f"| 0x{getattr(commitment_scp, name):04X} |" in section
    for name in ("PROCESSING_FAILURE", "NO_SUCH_OBJECT_INSTANCE", "CLASS_INSTANCE_CONFLICT"):
        assert f"0x{getattr(commitment, name):04X}" in section


@pytest.mark.parametrize(("statuses", "row"), [(WARNINGS, 1), (RETRIES, 2), (REFUSALS, 3)])
def test_statuses_of_peers_are_taken_as_stated(statuses: dict[int, str], row: int) -> None:
    stated = rows("### 4.4", "### 4.5")[row][0]
    for status in statuses:
        assert f"0x{status:04X}" in stated or (status & 0xF000 == 0xB000 and "0xBxxx" in stated)


def test_every_code_that_is_written_is_stated() -> None:
    stated = {(value, scheme): meaning for value, scheme, meaning in rows("### 10.5", "Private attributes")}
    for name, one in vars(codes).items():
        found = (
            [one] if isinstance(one, Code) else [code for code in one.values() if isinstance(code, Code)] if isinstance(one, dict) else []
        )
        for code in [] if name.startswith("_") else found:
            assert stated.get((code.value, code.scheme_designator)) == code.meaning, name


def test_implementation_class_uid_is_ours() -> None:
    assert IMPLEMENTATION_CLASS_UID in STATEMENT


def test_reports_of_commitment_on_new_associations_are_stated_as_they_are() -> None:
    """Whether the doors take N-EVENT-REPORT from a peer that calls us: the statement must not lag behind."""
    users = [path for path in PACKAGE.rglob("*.py") if "take_commitment_report(" in path.read_text(encoding="utf-8")]
    taken = len(users) > 1  # the module that defines it, and one that calls it
    assert ("A report on an association that the peer opens is taken by the STORE-SCP" in STATEMENT) is taken


def test_the_statement_has_no_empty_places() -> None:
    assert not re.search(r"@@|TODO|TBD|XXX", STATEMENT)
