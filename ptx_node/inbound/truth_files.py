"""`ptx truth import`: readers' labels from tables and readers' masks from DICOM SEG files, each kind told by its content.

What is wrong is said with its place, and the rest is taken. Whatever was taken before is found again and not taken twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ptx_node.domain.reading import TruthKind
from ptx_node.errors import InputError, PermanentError, UsageError
from ptx_node.inbound.report_files import Problem, file_digest, is_dicom
from ptx_node.inbound.tables import RowError, rows
from ptx_node.inbound.truth_table import map_by_names, reading_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from ptx_node.domain.radiology_report import Authorities
    from ptx_node.domain.reading import Reading
    from ptx_node.inbound.truth_table import TruthMap
    from ptx_node.pipeline.truths import TruthIntake

BATCH = 500
"""Readings in one transaction."""
LARGEST_MASK_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class TruthImport:
    """How files are read.

    Attributes:
        mapping: of columns; None: the columns have the names that are known.
        reader: who read, where the file does not say it.
        kind: what every file is; None: as it looks. A mask may be taken for its label alone (`reader`).
        zone: the site's.
    """

    mapping: TruthMap | None
    reader: str
    kind: TruthKind | None
    authorities: Authorities
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class TruthCount:
    """How many readings were new, and how many were there already."""

    new: int = 0
    known: int = 0

    def __add__(self, other: TruthCount) -> TruthCount:
        return TruthCount(self.new + other.new, self.known + other.known)


def import_truths(intake: TruthIntake, path: Path, how: TruthImport) -> Iterator[TruthCount | Problem]:
    """Take one file in; gives a count after each transaction, and each problem where it is.

    Raises:
        DatabaseUnavailableError: what was counted before is there; the file may be taken in again.
        StorageFullError: there is no room for a mask; nothing of it was taken.
    """
    try:
        sha256 = file_digest(path)
        if is_dicom(path):
            yield _mask(intake, path, how, sha256)
        else:
            yield from _table(intake, path, how, sha256)
    except (PermanentError, UsageError, InputError) as error:
        yield Problem(str(path), "", str(error))
    except OSError as error:
        yield Problem(str(path), "", f"cannot be read: {error.strerror or type(error).__name__}")


def _table(intake: TruthIntake, path: Path, how: TruthImport, sha256: str) -> Iterator[TruthCount | Problem]:
    if how.kind is TruthKind.MASK:
        raise UsageError("masks come as DICOM SEG, and this is a table: leave --kind out, or say reader")
    found = _rows(path, how.mapping or map_by_names(path), how)
    while batch := list(islice(found, BATCH)):
        yield from (one for one in batch if isinstance(one, Problem))
        if readings := [one for one in batch if not isinstance(one, Problem)]:
            yield TruthCount(*intake.take(readings, file=path.name, sha256=sha256))


def _rows(path: Path, mapping: TruthMap, how: TruthImport) -> Iterator[tuple[str, Reading] | Problem]:
    for row in rows(path, mapping):
        try:
            yield row.place, reading_of(row, mapping, reader=how.reader, authorities=how.authorities, site_zone=how.zone)
        except RowError as error:
            yield Problem(str(path), row.place, str(error))


def _mask(intake: TruthIntake, path: Path, how: TruthImport, sha256: str) -> TruthCount:
    try:
        from ptx_node.dicom.reader_masks import readings_of  # noqa: PLC0415 - what reads masks comes with ptx-node[worker]
    except ImportError:
        raise UsageError("masks need what reads DICOM SEG: install ptx-node[worker]") from None
    if path.stat().st_size > LARGEST_MASK_BYTES:
        raise UsageError(f"a mask may have {LARGEST_MASK_BYTES} bytes")
    kind = how.kind or TruthKind.MASK
    readings = readings_of(path, sha256, kind=kind, reader=how.reader, zone=how.zone)
    stored = intake.keep(sha256, path.read_bytes()) if kind is TruthKind.MASK else None
    return TruthCount(*intake.take([("", one) for one in readings], file=path.name, sha256=sha256, path=stored))
