"""NIH ChestX-ray14: `Data_Entry_2017.csv` and PNG files in `images_001/images` … `images_012/images`.

Labels were mined from reports: about one in ten is wrong, and follow-ups of one patient are many. There are no masks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from training.datasets.known import with_truth
from training.datasets.pictures import index_pictures
from training.datasets.table import Row, find_table, read_rows
from training.records import DataSet, Problem, Record

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv", "Data_Entry*.csv")
FINDING = "Pneumothorax"
NO_FINDING = "No Finding"
VIEWS = frozenset({"PA", "AP"})
OLDEST = 120
"""Years; the table really has ages such as 411."""


def open_folder(folder: Path, *, table: Path | None = None, views: frozenset[str] = VIEWS) -> DataSet:
    """Read the table and find its pictures.

    Args:
        folder: pictures are found at any depth by their names.
        table: found by its usual names otherwise.
        views: rows of other views are left out without being a problem.

    Raises:
        UsageError: no table, or one without the columns.
    """
    table = find_table(folder, TABLES, table)
    pictures, problems = index_pictures(folder)
    records: list[Record] = []
    seen: dict[str, int] = {}
    for row in read_rows(table, ("Image Index", "Finding Labels", "Patient ID", "View Position")):
        name = row["Image Index"]
        path = pictures.get(name)
        if name in seen:
            problems.append(Problem(table, row.line, f"{name} is also in line {seen[name]}: left out"))
        elif path is None:
            problems.append(Problem(table, row.line, f"no picture {name or 'without a name'} below {folder}"))
        elif not row["Patient ID"]:
            problems.append(Problem(table, row.line, f"{name} has no Patient ID: left out, since it cannot be kept on one side of a split"))
        elif (findings := row["Finding Labels"].split("|")) == [""] or (NO_FINDING in findings and len(findings) > 1):
            problems.append(
                Problem(table, row.line, f"{name} has the labels '{row['Finding Labels']}': none, or a contradiction; left out")
            )
        elif row["View Position"].upper() in views:
            records.append(_record(row, path, findings))
            problems.extend(_odd_age(row, table))
        seen.setdefault(name, row.line)
    missing = [path for name, path in pictures.items() if name not in seen]
    problems.extend(Problem(path, None, f"{table.name} has no row for it: left out") for path in missing)
    return DataSet("nih", tuple(with_truth(records, folder)), tuple(problems))


def _record(row: Row, path: Path, findings: list[str]) -> Record:
    return Record(
        image_id=row["Image Index"],
        patient_id=f"nih:{row['Patient ID']}",
        path=path,
        label=int(FINDING in findings),
        series_id=f"{row['Patient ID']}/{row['Follow-up #']}",
        sex=(row["Patient Gender"] or row["Patient Sex"]).upper(),
        age_years=_age(row["Patient Age"]),
        view=row["View Position"].upper(),
        modality="DX",
        site="nih",
        extra={"findings": [finding for finding in findings if finding != NO_FINDING]},
    )


def _age(text: str) -> float | None:
    match = re.fullmatch(r"0*(\d+)([YMD]?)", text.upper())
    if match is None:
        return None
    years = int(match[1]) / {"": 1, "Y": 1, "M": 12, "D": 365.25}[match[2]]
    return round(years, 3) if years <= OLDEST else None


def _odd_age(row: Row, table: Path) -> list[Problem]:
    if row["Patient Age"] and _age(row["Patient Age"]) is None:
        return [
            Problem(table, row.line, f"{row['Image Index']}: an age of '{row['Patient Age']}' is not believed; the image is kept without")
        ]
    return []
