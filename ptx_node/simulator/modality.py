"""A modality of the simulated hospital: sends files by C-STORE, with the same SCU that delivers results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.errors import InvalidDicomError

from ptx_node.domain.delivery import Outgoing, Verdict
from ptx_node.errors import UsageError
from ptx_node.outbound.storage_scu import StorageScu

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ptx_node.outbound.association import DimsePeer

HEADER = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"]


def send_files(paths: Iterable[Path], peer: DimsePeer) -> list[dict[str, Any]]:
    """Send files, and those inside folders, in one association; one row a file with the peer's answer.

    Raises:
        UsageError: a path does not exist.
        DestinationUnavailableError: the peer cannot be reached.
    """
    rows: list[dict[str, Any]] = []
    outgoing: list[Outgoing] = []
    for path in _files(paths):
        try:
            outgoing.append(read_outgoing(path))
        except (InvalidDicomError, AttributeError, OSError, ValueError) as error:
            rows.append({"file": str(path), "sop_instance_uid": None, "verdict": "not_dicom", "status": None, "detail": str(error)})
    answers = StorageScu("send", peer).send(outgoing) if outgoing else []
    for one, answer in zip(outgoing, answers, strict=True):
        row = {"file": str(one.path), "sop_instance_uid": one.sop_instance_uid, "verdict": str(answer.verdict)}
        rows.append(row | {"status": answer.status, "detail": answer.detail})
    return rows


def read_outgoing(path: Path) -> Outgoing:
    """What a Part 10 file holds, from its header.

    Raises:
        InvalidDicomError, AttributeError: it is not a Part 10 file, or has no SOP class or instance UID.
    """
    ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=HEADER)
    return Outgoing(
        path,
        str(ds.SOPClassUID),
        str(ds.SOPInstanceUID),
        str(ds.file_meta.TransferSyntaxUID),
        str(ds.get("SeriesInstanceUID", "")),
        str(ds.get("StudyInstanceUID", "")),
    )


def all_taken(rows: Iterable[dict[str, Any]]) -> bool:
    """Whether every file was accepted."""
    return all(row["verdict"] in {Verdict.ACCEPTED, Verdict.WARNING} for row in rows)


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
        found += sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return found
