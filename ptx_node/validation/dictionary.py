"""The data dictionary of the case table, for programs (CSV) and people (Markdown), from the one list of columns."""

from __future__ import annotations

import csv
import io

from ptx_node.validation.case_columns import COLUMNS

HEADER = ("column", "type", "meaning", "unit_ucum", "values", "source")


def as_csv() -> str:
    """One row a column."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((one.name, one.type.value, one.words, one.unit, " | ".join(one.values), one.source) for one in COLUMNS)
    return text.getvalue()


def as_markdown() -> str:
    """One line a column."""
    lines = [
        "# Data dictionary of cases.csv and cases.parquet",
        "",
        "One row a finding of a model. Empty: unknown, or does not apply. `yes_no` is `1` or `0`. Sides are the patient's.",
        "",
        "| column | type | meaning | unit | values | source |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{one.name}` | {one.type.value} | {one.words} | {one.unit} | {', '.join(f'`{value}`' for value in one.values)} | {one.source} |"
        for one in COLUMNS
    ]
    return "\n".join(lines) + "\n"
