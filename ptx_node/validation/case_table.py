"""The case table and its like as files: cells of text become CSV and Parquet row by row, and a CSV file becomes columns again.

Both files say the same, since the Parquet cells are read from the text cells. The bytes depend on the rows and on the version of pyarrow,
on nothing else. What a file holds came from other people's machines: a cell is a value, never a formula, a tag or a path.
"""

from __future__ import annotations

import csv
import importlib
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.errors import UsageError, writing_below
from ptx_node.validation.case_columns import COLUMNS, Column, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Columns = dict[str, "NDArray[Any]"]
"""Text as text; numbers, and yes or no, as float64; NaN where empty. All of one length."""

ROW_GROUP = 4_000
"""Rows of one Parquet row group, and what is held in memory."""

LONGEST_TEXT = 64
"""Characters of a text that the node did not write itself: those of a DICOM LO (PS3.5 6.2)."""

FORMULA = tuple("=+-@")
"""A cell that begins so is a formula to a spreadsheet."""


def text_told(value: str | None, longest: int = LONGEST_TEXT) -> str:
    """Free text as a cell: one line of at most so many printable characters.

    What a spreadsheet would take as a formula begins with an apostrophe, in both files: nobody has to know where the value came from.
    """
    plain = " ".join("".join(one if one.isprintable() else " " for one in value or "").split())[:longest].rstrip()
    return f"'{plain}"[:longest].rstrip() if plain.startswith(FORMULA) else plain


def number_told(value: float | None) -> str:
    """A number with as many digits as give the same double again; empty where it is None or not finite."""
    return repr(float(value)) if value is not None and np.isfinite(value) else ""


def yes_told(value: bool | None) -> str:  # noqa: FBT001 - a cell, not a switch
    """`1` or `0`; empty where it is not known."""
    return "" if value is None else str(int(value))


@contextmanager
def writing_csv(path: Path, columns: Sequence[Column]) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """A function that writes one row: UTF-8, quoted as RFC 4180 says, lines end with LF.

    Raises:
        StorageFullError: no space is left.
        UsageError: the file cannot be written.
    """
    names = [column.name for column in columns]
    with writing_below(path.parent), path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        yield lambda row: writer.writerow([row[name] for name in names])


@contextmanager
def writing_parquet(path: Path, columns: Sequence[Column]) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """As `writing_csv`; an empty cell is null. Every row group but the last has `ROW_GROUP` rows.

    Raises:
        UsageError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    kinds = {Type.NUMBER: arrow.float64(), Type.WHOLE: arrow.int64(), Type.YES_NO: arrow.bool_(), Type.DAY: arrow.date32()}
    schema = arrow.schema([(column.name, kinds.get(column.type, arrow.string())) for column in columns])
    held: list[Mapping[str, str]] = []

    def flush() -> None:
        values = [arrow.array([VALUES[one.type](row[one.name]) for row in held], schema.field(one.name).type) for one in columns]
        writer.write_batch(arrow.record_batch(values, schema=schema), row_group_size=ROW_GROUP)
        held.clear()

    def write(row: Mapping[str, str]) -> None:
        held.append(row)
        if len(held) == ROW_GROUP:
            flush()

    with writing_below(path.parent), parquet.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        yield write
        if held:
            flush()


TEXT = np.dtypes.StringDType()
"""Of a text column in memory."""

VALUES: dict[Type, Callable[[str], Any]] = {
    Type.TEXT: lambda cell: cell or None,
    Type.NUMBER: lambda cell: float(cell) if cell else None,
    Type.WHOLE: lambda cell: int(cell) if cell else None,
    Type.YES_NO: lambda cell: cell == "1" if cell else None,
    Type.DAY: lambda cell: date.fromisoformat(cell) if cell else None,
}
"""A cell of each type as Parquet holds it."""


def read_cases(path: Path, names: Collection[str] | None = None) -> Columns:
    """The columns of `cases.csv`, or those that are named; every cell is looked at.

    Raises:
        UsageError: the file is damaged or another one; the message names line and column.
    """
    return read_table(path, COLUMNS, names)


def read_table(path: Path, columns: Sequence[Column], names: Collection[str] | None = None) -> Columns:
    """The columns of a file that `writing_csv` wrote with these columns. Errors as of `read_cases`."""
    kept: dict[str, list[Any]] = {one.name: [] for one in columns if names is None or one.name in names}
    known: dict[str, str] = {}  # texts repeat: one object each
    for line, row in _rows(path, columns):
        for column, cell in zip(columns, row, strict=True):
            value = _checked(cell, column, f"{path}, line {line}, column {column.name}")
            if column.name in kept:
                kept[column.name].append(known.setdefault(cell, cell) if value is None else value)
    texts = {one.name for one in columns if one.type in {Type.TEXT, Type.DAY}}
    # Texts of any width side by side: with one width for all, a hundred thousand UIDs and names would be hundreds of megabytes.
    return {name: np.array(kept.pop(name), TEXT if name in texts else np.float64) for name in list(kept)}


def _rows(path: Path, columns: Sequence[Column]) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its last line."""
    names = [column.name for column in columns]
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = csv.reader(file, strict=True)
            try:
                if next(lines, None) != names:
                    raise UsageError(f"{path}, line 1: these are not the columns {', '.join(names)}: take the file as it was exported")
                for row in lines:
                    if len(row) != len(names):
                        raise UsageError(
                            f"{path}, line {lines.line_num}: {len(row)} cells instead of {len(names)}: take the file as it was exported"
                        )
                    yield lines.line_num, row
            except csv.Error as error:
                raise UsageError(f"{path}, line {lines.line_num}: {error}: take the file as it was exported") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _checked(cell: str, column: Column, place: str) -> float | None:
    """The number of a cell, NaN where it is empty; None of a text.

    Only what the writer writes is taken: another way of writing the same number is a byte that somebody changed.
    """
    try:
        if column.type is Type.TEXT or column.type is Type.DAY:
            cell.isascii() or cell.encode("utf-8")
            right = not cell or not column.values or cell in column.values
            if cell and column.type is Type.DAY:
                right = date.fromisoformat(cell).isoformat() == cell
            value = None
        elif column.type is Type.NUMBER:
            value = float(cell or "nan")
            right = not cell or (repr(value) == cell and np.isfinite(value))
        elif column.type is Type.WHOLE:
            value = float(int(cell)) if cell else np.nan
            right = not cell or str(int(cell)) == cell
        else:
            value = float(cell or "nan")
            right = cell in {"", "0", "1"}
    except ValueError:
        right, value = False, None
    if not right:
        raise UsageError(f"{place}: {cell[:40]!r} cannot stand there: take the file as it was exported")
    return value


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError("the case table is written as Parquet too, which needs pyarrow: pip install 'ptx-node[export]'") from error
