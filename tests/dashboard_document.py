"""docs/dashboard-queries.md as data: the columns that it promises, and its example queries with their answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "dashboard-queries.md"
DIALECTS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Example:
    """One question: its SQL on each database, and the answer of `tests.week`."""

    title: str
    sql: dict[str, str]
    answer: str


def promised_columns() -> dict[str, list[tuple[str, str]]]:
    """(column, PostgreSQL type) of every view, in order, as the document's tables say."""
    found = {}
    for name, section in re.findall(r"^### `(ptx_v1_\w+)`\n(.*?)(?=^##|\Z)", _text(), flags=re.MULTILINE | re.DOTALL):
        found[name] = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", section, flags=re.MULTILINE)
    return found


def examples() -> list[Example]:
    found: list[Example] = []
    for title, section in re.findall(r"^### ([^`\n]+)\n(.*?)(?=^##|\Z)", _text(), flags=re.MULTILINE | re.DOTALL):
        sql: dict[str, str] = {}
        for dialect, body in re.findall(r"^```sql ?(\w*)\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL):
            sql |= dict.fromkeys((dialect,) if dialect else DIALECTS, body.strip())
        found += [Example(title, sql, text.strip()) for text in re.findall(r"^```text\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)]
    return found


def answer(connection: Connection, sql: str) -> str:
    """What a database says, as the document writes it: one row a line, cells between bars."""
    rows = connection.exec_driver_sql(sql.replace("%", "%%") if connection.dialect.name == "postgresql" else sql)
    lines = [list(rows.keys()), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, str):
        return re.sub(r"(\d\d:\d\d:\d\d)(?:\.000000|(\.\d*?)0*)$", r"\1\2", value)
    if isinstance(value, float | Decimal):
        return f"{float(value):.6g}"
    return str(value)


def _text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")
