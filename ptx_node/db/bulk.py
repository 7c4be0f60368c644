"""Many values in one statement, at the same price on both databases: as a table to join, and as rows to insert.

An `IN` of thousands of values costs more to write down than to look up; here the values travel as arrays (PostgreSQL) or as one JSON text
(SQLite), and the statement stays the same whatever their number.
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import FromClause
    from sqlalchemy.orm import Session
    from sqlalchemy.types import TypeEngine

Columns = dict[str, "TypeEngine[Any]"]


def given(session: Session, columns: Columns, rows: Collection[Sequence[Any]], *, name: str = "given") -> FromClause:
    """These rows as a table to join. Values: whole numbers, texts, days, and None.

    Args:
        session: tells the database.
        columns: name and type of each column.
        rows: a value for each column.
        name: of the table, where a statement joins several.
    """
    if session.get_bind().dialect.name == "postgresql":
        arrays = [_array(kind, [row[place] for row in rows]) for place, kind in enumerate(columns.values())]
        return func.unnest(*arrays).table_valued(*columns, name=name).render_derived()
    text = json.dumps([[value.isoformat() if isinstance(value, date) else value for value in row] for row in rows])
    each = func.json_each(bindparam(None, text)).table_valued("value", name=f"{name}_each")
    cells = [func.json_extract(each.c.value, f"$[{place}]", type_=kind).label(one) for place, (one, kind) in enumerate(columns.items())]
    return select(*cells).subquery(name)


def add(session: Session, table: Any, rows: Sequence[Mapping[str, Any]], **same: Any) -> None:
    """Insert rows that all have the same columns into a `Table.__table__`; `same` holds in all of them."""
    if not rows:
        return
    if session.get_bind().dialect.name != "postgresql":
        session.execute(insert(table), [{**row, **same} for row in rows])
        return
    names = list(rows[0])
    arrays = [_array(table.c[name].type, [row[name] for row in rows]) for name in names]
    source = func.unnest(*arrays).table_valued(*names, name="given").render_derived()
    constant = [literal(value, table.c[name].type) for name, value in same.items()]
    session.execute(insert(table).from_select([*names, *same], select(*(source.c[name] for name in names), *constant)))


def _array(kind: TypeEngine[Any], values: list[Any]) -> Any:
    return bindparam(None, values, type_=ARRAY(kind))
