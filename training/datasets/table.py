"""Reads a table (CSV) with the line of every row, in whatever spelling and encoding the field's files come."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

csv.field_size_limit(10_000_000)  # one run-length mask may be longer than csv's own limit


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `line` counts from 1 with the heading as line 1."""

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell without blanks around it; empty where the row is too short."""
        return self.cells.get(column, "")


def read_rows(path: Path, needed: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a table; blanks around column names and cells, a byte order mark and empty lines do not count.

    Raises:
        UsageError: no such file, not text, or a needed column is missing; the message names file and columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            heading = [name.strip() for name in next(reader, [])]
            missing = [name for name in needed if name not in heading]
            if missing:
                raise UsageError(f"{path}:1: no column {', '.join(missing)}; the columns are {', '.join(heading)[:300] or 'none'}")
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield Row(reader.line_num, {name: cell.strip() for name, cell in zip(heading, cells, strict=False)})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a table: {error}") from error


def find_table(folder: Path, names: tuple[str, ...], given: Path | None = None) -> Path:
    """The given table, else the first of these name patterns found in the folder or one folder below.

    Raises:
        UsageError: none is there.
    """
    if given is not None:
        return given
    for pattern in names:
        for place in (pattern, f"*/{pattern}"):
            for path in sorted(folder.glob(place)):
                return path
    raise UsageError(f"{folder} holds no table named {' or '.join(names)}: name it with --table")
