"""Reports from a table, CSV or Parquet, by a mapping of columns: one row a version, read in flat memory.

A row that is wrong is an error of its own with its place; the others go on.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator

from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import Examination, PatientIdentity, ReportFlag, ReportStatus, ReportVersion, storable
from ptx_node.errors import PermanentError, UsageError
from ptx_node.inbound.hl7_charset import codec_of, decode
from ptx_node.inbound.hl7_fields import read_time
from ptx_node.settings import Group, known_zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

Column = Annotated[str, Field(min_length=1)]
Columns = Column | tuple[Column, ...]

LONGEST_FIELD = 16_000_000
PARQUET_MAGIC = b"PAR1"
PARQUET_ROWS = 200


class ReportColumns(Group):
    """Which columns hold what. Several columns of `text` are joined, each with its name as a heading if it has one."""

    report: Column
    patient_id: Column
    text: Columns
    patient_authority: Column | None = None
    patient_type: Column | None = None
    accession: Column | None = None
    study_uid: Column | None = None
    examined_at: Column | None = None
    issued_at: Column | None = None
    modality: Column | None = None
    procedure_code: Column | None = None
    procedure_text: Column | None = None
    status: Column | None = None


class ColumnMap(Group):
    """What `--map` holds."""

    source: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    columns: ReportColumns
    time_zone: str = ""
    authority: str = ""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = ""
    date_format: str = Field(default="", description="as strptime reads it; else ISO 8601 or HL7")
    modality: str = Field(default="", description="of every row, where no column says it")
    statuses: dict[str, Literal["preliminary", "final", "corrected", "addendum", "withdrawn"]] = Field(default_factory=dict)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name) if name else name

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        if name and codec_of(name) is None:
            raise ValueError(f"{name!r} is not known here; give utf-8, windows-1252, iso-8859-1 … or leave it out")
        return name


class RowError(PermanentError):
    """One row cannot be a report. `column` is the site's name of it; empty where the row itself is wrong."""

    def __init__(self, column: str, detail: str) -> None:
        super().__init__(f"column {column!r}: {detail}" if column else detail)
        self.column = column
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by column, or why there are none. `place` is for people: `line 12`, `row 12`."""

    place: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: RowError | None = None
    doubtful: bool = False


def load_map(path: Path) -> ColumnMap:
    """Read a mapping of columns.

    Raises:
        UsageError: the file is missing, is not TOML, or says something wrong; the message names the place.
    """
    try:
        return ColumnMap(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def rows(path: Path, mapping: ColumnMap) -> Iterator[Row]:
    """Every row of a file, in order.

    Raises:
        UsageError: it lacks a column of the mapping, or is Parquet and pyarrow is not installed.
        PermanentError: it is no Parquet file that can be read.
    """
    with path.open("rb") as stream:
        parquet = stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    return _parquet_rows(path, mapping) if parquet else _csv_rows(path, mapping)


def _csv_rows(path: Path, mapping: ColumnMap) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_FIELD)
    with path.open("rb") as stream:
        lines = _Lines(stream, mapping.encoding)
        reader = csv.reader(lines, delimiter=mapping.delimiter)
        try:
            header = [name.strip() for name in next(reader)]
        except StopIteration:
            raise PermanentError("the file is empty") from None
        except csv.Error as error:
            raise PermanentError(f"the first line is no header: {error}") from error
        _require(mapping, header)
        while True:
            begins = reader.line_num + 1
            lines.doubtful = False
            place = f"line {begins}"
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(place, error=RowError("", str(error)))
                continue
            if not values:
                continue
            if len(values) != len(header):
                yield Row(place, error=RowError("", f"there are {len(values)} fields where the header has {len(header)}"))
                continue
            yield Row(place, dict(zip(header, values, strict=True)), doubtful=lines.doubtful)


class _Lines:
    """The lines of a CSV file as text: by the encoding given, else UTF-8, else windows-1252, which is then said."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._first = True
        self.doubtful = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data = next(self._stream)
        if self._first:
            data, self._first = data.removeprefix(b"\xef\xbb\xbf"), False
        read = decode(data, [self._encoding] if self._encoding else [])
        self.doubtful |= read.doubtful
        return read.text


def _parquet_rows(path: Path, mapping: ColumnMap) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - an optional package
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError:
        raise UsageError("Parquet needs pyarrow: install ptx-node[parquet]") from None
    try:
        with ParquetFile(path) as file:
            _require(mapping, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=sorted(_wanted(mapping))):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"row {number}", values)
    except (ArrowException, OSError) as error:
        raise PermanentError(f"the Parquet file cannot be read: {' '.join(str(error).split())[:200]}") from error


def _wanted(mapping: ColumnMap) -> set[str]:
    named = mapping.columns.model_dump(exclude_none=True).values()
    return {one for value in named for one in ((value,) if isinstance(value, str) else value)}


def _require(mapping: ColumnMap, header: Sequence[str]) -> None:
    missing = sorted(_wanted(mapping) - set(header))
    if missing:
        raise UsageError(f"there is no column {', '.join(map(repr, missing))}; there are {', '.join(map(repr, header))[:300]}")


def version_of(row: Row, mapping: ColumnMap, site_zone: ZoneInfo) -> ReportVersion:
    """The report version that a row is.

    Raises:
        RowError: something that must be there is missing, or cannot be read.
    """
    if row.error is not None:
        raise row.error
    told, columns = row.values, mapping.columns
    zone = ZoneInfo(mapping.time_zone) if mapping.time_zone else site_zone
    status = _status(told, mapping)
    text = _text(told, columns.text)
    if not text.strip() and status is not ReportStatus.WITHDRAWN:
        raise RowError(columns.text if isinstance(columns.text, str) else columns.text[0], "there is no text")
    patient = PatientIdentity(
        _cell(told, columns.patient_authority) or mapping.authority, _cell(told, columns.patient_type), _required(told, columns.patient_id)
    )
    when = _examined(told, columns.examined_at, mapping, zone, site_zone)
    issued = _examined(told, columns.issued_at, mapping, zone, site_zone)
    flags = {ReportFlag.CHARSET_DOUBTFUL} if row.doubtful else set()
    return ReportVersion(
        source=mapping.source,
        external_id=_required(told, columns.report),
        status=status,
        patients=(patient,),
        examination=Examination(
            accession_number=_cell(told, columns.accession),
            study_instance_uid=_cell(told, columns.study_uid),
            modality=_cell(told, columns.modality) or mapping.modality,
            procedure_code=_cell(told, columns.procedure_code),
            procedure_text=_cell(told, columns.procedure_text),
        ),
        examined=when,
        issued_at=issued.at,
        text="" if status is ReportStatus.WITHDRAWN else text,
        flags=frozenset(flags | ({ReportFlag.TIME_AMBIGUOUS} if when.ambiguous else set())),
    )


def _cell(told: Mapping[str, Any], column: str | None) -> str:
    value = told.get(column) if column else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # numbers that a tool kept as floating point because some were missing
    return "" if value is None else storable(str(value)).strip()


def _required(told: Mapping[str, Any], column: str) -> str:
    value = _cell(told, column)
    if not value:
        raise RowError(column, "is empty")
    return value


def _text(told: Mapping[str, Any], columns: Columns) -> str:
    if isinstance(columns, str):
        return _cell(told, columns)
    parts = [(column, _cell(told, column)) for column in columns]
    return "\n\n".join(f"{column.upper()}:\n{text}" for column, text in parts if text)


def _status(told: Mapping[str, Any], mapping: ColumnMap) -> ReportStatus:
    """Without a column every row is final."""
    column = mapping.columns.status
    if column is None:
        return ReportStatus.FINAL
    value = _cell(told, column)
    if value in mapping.statuses:
        return ReportStatus(mapping.statuses[value])
    try:
        return ReportStatus(value.casefold())
    except ValueError:
        raise RowError(column, f"{value[:40]!r} is neither a status nor among [statuses] of the mapping") from None


def _examined(told: Mapping[str, Any], column: str | None, mapping: ColumnMap, zone: ZoneInfo, site_zone: ZoneInfo) -> Examined:
    value = told.get(column) if column else None
    if column is None or value is None or value == "":
        return Examined()
    moment = value if isinstance(value, date) else _read_time(str(value).strip(), column, mapping)
    if not isinstance(moment, datetime):
        return Examined(None, moment)
    here = Examined.local(moment, zone)
    return here if zone.key == site_zone.key or here.at is None else Examined(here.at, here.at.astimezone(site_zone).date(), here.ambiguous)


def _read_time(value: str, column: str, mapping: ColumnMap) -> datetime | date:
    """A time as the mapping's format has it, else ISO 8601, else as HL7 writes it; a day where it has no clock time."""
    try:
        if mapping.date_format:
            moment = datetime.strptime(value, mapping.date_format)  # noqa: DTZ007 - the sender's clock; the caller gives it its zone
            return moment if any(mark in mapping.date_format for mark in ("%H", "%I", "%c", "%X")) else moment.date()
        if value.isdecimal():
            if (stamp := read_time(value, ZoneInfo("UTC"))) is not None:
                return stamp.replace(tzinfo=None) if isinstance(stamp, datetime) else stamp
        else:
            moment = datetime.fromisoformat(value)
            return moment if ":" in value else moment.date()
    except ValueError:
        pass
    raise RowError(column, "is no time that can be read" + (f" by {mapping.date_format!r}" if mapping.date_format else ""))
