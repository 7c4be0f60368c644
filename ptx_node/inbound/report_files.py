"""`ptx reports import`: reports from files, each kind told by its content: tables, FHIR, DICOM structured reports.

What is wrong is said with its place, and the rest is taken. Whatever was taken before is found again and not taken twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ptx_node.dicom.report_text import Said, read_report
from ptx_node.domain.radiology_report import ReportVia, storable
from ptx_node.errors import InputError, PermanentError, UsageError
from ptx_node.inbound.fhir import load
from ptx_node.inbound.fhir_reports import Site, reports
from ptx_node.inbound.report_table import version_of
from ptx_node.inbound.tables import RowError, rows
from ptx_node.pipeline.report_intake import Arrival

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from ptx_node.domain.radiology_report import ReportVersion
    from ptx_node.inbound.report_table import ColumnMap
    from ptx_node.pipeline.report_intake import ReportIntake

BATCH = 200
"""Reports in one transaction."""
PREAMBLE_BYTES = 132
LARGEST_RESOURCE_BYTES = 500_000_000
BLOCK_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file or with one place in it (`line 12`, `Bundle.entry[3].resource`)."""

    file: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.detail}" if self.place else f"{self.file}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Count:
    """How many versions were new, how many were there already, and how many of all wait for their patient."""

    new: int = 0
    known: int = 0
    parked: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.new + other.new, self.known + other.known, self.parked + other.parked)


@dataclass(frozen=True, slots=True)
class Import:
    """How files are read.

    Attributes:
        mapping: of columns; None: tables cannot be read.
        source: the name of FHIR and DICOM files' reports.
        zone: the site's.
    """

    mapping: ColumnMap | None
    source: str
    zone: ZoneInfo


def import_file(intake: ReportIntake, path: Path, how: Import) -> Iterator[Count | Problem]:
    """Take one file in; gives a count after each transaction, and each problem where it is.

    Raises:
        DatabaseUnavailableError: what was counted before is there; the file may be taken in again.
    """
    found = _versions(path, how)
    try:
        via, source = _kind(path, how)
        arrival = Arrival(via, source, storable(path.name), file_digest(path), kind="file")
        message_id: int | None = None
        while batch := list(islice(found, BATCH)):
            yield from (one for one in batch if isinstance(one, Problem))
            versions = [one for one in batch if not isinstance(one, Problem)]
            if versions:
                message_id = intake.begin(arrival) if message_id is None else message_id
                taken = intake.take_more(message_id, versions)
                new = sum(one.new for one in taken)
                yield Count(new, len(taken) - new, sum(one.parked is not None for one in taken))
    except (PermanentError, UsageError) as error:
        yield Problem(str(path), "", str(error))
    except OSError as error:
        yield Problem(str(path), "", f"cannot be read: {error.strerror or type(error).__name__}")


def _kind(path: Path, how: Import) -> tuple[ReportVia, str]:
    """What a file is, by its first bytes.

    Raises:
        UsageError: it is a table, and there is no mapping.
    """
    if is_dicom(path):
        return ReportVia.DICOM_SR, how.source
    with path.open("rb") as stream:
        head = stream.read(PREAMBLE_BYTES)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        return ReportVia.FHIR, how.source
    if how.mapping is None:
        raise UsageError("a table needs a mapping of its columns: --map columns.toml (docs/radiology-reports.md)")
    return ReportVia.TABLE, how.mapping.source


def _versions(path: Path, how: Import) -> Iterator[ReportVersion | Problem]:
    via, source = _kind(path, how)
    if via is ReportVia.DICOM_SR:
        yield _document(path, Said(source), how.zone)
    elif via is ReportVia.FHIR:
        yield from _resources(path, Site(source, how.zone))
    elif how.mapping is not None:
        yield from _rows(path, how.mapping, how.zone)


def _rows(path: Path, mapping: ColumnMap, zone: ZoneInfo) -> Iterator[ReportVersion | Problem]:
    for row in rows(path, mapping):
        try:
            yield version_of(row, mapping, zone)
        except RowError as error:
            yield Problem(str(path), row.place, str(error))


def _resources(path: Path, site: Site) -> Iterable[ReportVersion | Problem]:
    if path.stat().st_size > LARGEST_RESOURCE_BYTES:
        return [Problem(str(path), "", f"a FHIR file may have {LARGEST_RESOURCE_BYTES} bytes: give bundles of fewer reports")]
    found = reports(load(path.read_bytes().removeprefix(b"\xef\xbb\xbf")), site)
    if not found:
        return [Problem(str(path), "", "there is no DiagnosticReport in it")]
    return [one.version or Problem(str(path), "", str(one.error)) for one in found]


def _document(path: Path, said: Said, zone: ZoneInfo) -> ReportVersion | Problem:
    try:
        return read_report(path, said, zone)
    except InputError as error:
        return Problem(str(path), "", str(error))


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do (PS3.10 7.1)."""
    with path.open("rb") as stream:
        return stream.read(PREAMBLE_BYTES)[128:] == b"DICM"


def file_digest(path: Path) -> str:
    """SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
