"""Tables, CSV or Parquet, by a mapping of columns: read row by row in flat memory. What a row means is told elsewhere.

A row that is wrong is an error of its own with its place; the others go on.
"""

from __future__ import annotations

import csv
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator

from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import storable
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
Map = TypeVar("Map", bound="TableMap")

LONGEST_FIELD = 16_000_000
PARQUET_MAGIC = b"PAR1"
PARQUET_ROWS = 200


class TableMap(Group):
    """What every mapping holds; the kinds of table say which `columns` there are."""

    columns: Group
    time_zone: str = ""
    authority: str = ""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = ""
    date_format: str = Field(default="", description="as strptime reads it; else ISO 8601 or HL7")

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
    """One row cannot be taken. `column` is the site's name of it; empty where the row itself is wrong."""

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


def load_map(path: Path, kind: type[Map]) -> Map:
    """Read a mapping of columns of one kind.

    Raises:
        UsageError: the file is missing, is not TOML, or says something wrong; the message names the place.
    """
    try:
        return kind(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = (f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
        raise UsageError(f"{path}: {'; '.join(wrong)}") from error


def rows(path: Path, mapping: TableMap) -> Iterator[Row]:
    """Every row of a file, in order.

    Raises:
        UsageError: it lacks a column of the mapping, or is Parquet and pyarrow is not installed.
        PermanentError: it is no Parquet file that can be read.
    """
    return _parquet_rows(path, mapping) if _is_parquet(path) else _csv_rows(path, mapping)


def header(path: Path, mapping: TableMap) -> list[str]:
    """The names of a table's columns.

    Raises:
        UsageError: it is Parquet and pyarrow is not installed.
        PermanentError: it is empty, or no Parquet file that can be read.
    """
    if _is_parquet(path):
        with _opened_parquet(path) as file:
            return list(file.schema_arrow.names)
    with path.open("rb") as stream:
        return _header(csv.reader(_Lines(stream, mapping.encoding), delimiter=mapping.delimiter))


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def _header(reader: Any) -> list[str]:
    try:
        return [name.strip() for name in next(reader)]
    except StopIteration:
        raise PermanentError("the file is empty") from None
    except csv.Error as error:
        raise PermanentError(f"the first line is no header: {error}") from error


def _csv_rows(path: Path, mapping: TableMap) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_FIELD)
    with path.open("rb") as stream:
        lines = _Lines(stream, mapping.encoding)
        reader = csv.reader(lines, delimiter=mapping.delimiter)
        names = _header(reader)
        _require(mapping, names)
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
            if len(values) != len(names):
                yield Row(place, error=RowError("", f"there are {len(values)} fields where the header has {len(names)}"))
                continue
            yield Row(place, dict(zip(names, values, strict=True)), doubtful=lines.doubtful)


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


def _parquet_rows(path: Path, mapping: TableMap) -> Iterator[Row]:
    with _opened_parquet(path) as file:
        _require(mapping, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=sorted(_wanted(mapping))):
            for values in batch.to_pylist():
                number += 1
                yield Row(f"row {number}", values)


@contextmanager
def _opened_parquet(path: Path) -> Iterator[Any]:
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - an optional package
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError:
        raise UsageError("Parquet needs pyarrow: install ptx-node[parquet]") from None
    try:
        with ParquetFile(path) as file:
            yield file
    except (ArrowException, OSError) as error:
        raise PermanentError(f"the Parquet file cannot be read: {' '.join(str(error).split())[:200]}") from error


def _wanted(mapping: TableMap) -> set[str]:
    named = mapping.columns.model_dump(exclude_none=True).values()
    return {one for value in named for one in ((value,) if isinstance(value, str) else value)}


def _require(mapping: TableMap, names: Sequence[str]) -> None:
    missing = sorted(_wanted(mapping) - set(names))
    if missing:
        raise UsageError(f"there is no column {', '.join(map(repr, missing))}; there are {', '.join(map(repr, names))[:300]}")


def cell(told: Mapping[str, Any], column: str | None) -> str:
    """The text of a column, without the space around it; empty where there is no such column or value."""
    value = told.get(column) if column else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # numbers that a tool kept as floating point because some were missing
    return "" if value is None else storable(str(value)).strip()


def required(told: Mapping[str, Any], column: str) -> str:
    """The text of a column that has to hold one.

    Raises:
        RowError: it is empty.
    """
    value = cell(told, column)
    if not value:
        raise RowError(column, "is empty")
    return value


def moment(told: Mapping[str, Any], column: str | None, mapping: TableMap, site_zone: ZoneInfo) -> Examined:
    """When a column says that something was: by the mapping's zone, else the site's; the day as it is at the site.

    Raises:
        RowError: it holds something that is no time.
    """
    zone = ZoneInfo(mapping.time_zone) if mapping.time_zone else site_zone
    value = told.get(column) if column else None
    if column is None or value is None or value == "":
        return Examined()
    when = value if isinstance(value, date) else _read_time(str(value).strip(), column, mapping)
    if not isinstance(when, datetime):
        return Examined(None, when)
    here = Examined.local(when, zone)
    return here if zone.key == site_zone.key or here.at is None else Examined(here.at, here.at.astimezone(site_zone).date(), here.ambiguous)


def _read_time(value: str, column: str, mapping: TableMap) -> datetime | date:
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
