"""CheXpert: `train.csv` / `valid.csv` with one column a finding (1, 0, -1 for uncertain, blank for not mentioned), and JPEG files.

A blank says that the report does not speak of it, which is how most negatives are known; `blank` decides. There are no masks.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError
from training.datasets.headers import age_years
from training.datasets.known import with_truth
from training.datasets.pictures import Uncertain
from training.datasets.table import Row, find_table, read_rows
from training.records import DataSet, Problem, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLES = ("train.csv", "valid.csv")
FINDING = "Pneumothorax"
VALUES = {"1.0": 1, "1": 1, "0.0": 0, "0": 0, "-1.0": -1, "-1": -1}
BLANKS = ("zero", "ignore", "leave_out")


def open_folder(
    folder: Path, *, tables: Sequence[Path] | None = None, uncertain: str = "ignore", blank: str = "zero", lateral: bool = False
) -> DataSet:
    """Read the tables and look for their pictures.

    Args:
        folder: the folder with `train.csv`, or the one above it.
        tables: `train.csv` and `valid.csv` where they are, otherwise.
        uncertain: a policy of `Uncertain`.
        blank: `zero`, `ignore` (label None) or `leave_out`.
        lateral: whether lateral views are taken, too.

    Raises:
        UsageError: no table, one without the columns, or a policy that does not exist.
    """
    policy = Uncertain.named(uncertain)
    if blank not in BLANKS:
        raise UsageError(f"no policy '{blank}' for blank labels: there are {', '.join(BLANKS)}")
    if tables is None:
        first = find_table(folder, TABLES)
        tables = [path for name in TABLES if (path := first.with_name(name)).is_file()]
    records: list[Record] = []
    problems: list[Problem] = []
    for table in tables:
        for row in read_rows(table, ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", FINDING)):
            if row["Frontal/Lateral"].lower() == "lateral" and not lateral:
                continue
            try:
                record = _record(row, _picture(table, row["Path"]), policy, blank)
            except ValueError as error:
                problems.append(Problem(table, row.line, f"{error}: left out"))
            else:
                records.extend([record] if record else [])
    return DataSet("chexpert", tuple(with_truth(records, folder)), tuple(problems))


def _picture(table: Path, path: str) -> Path:
    """`CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg` begins with the set's own folder, whatever ours is called."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts:
        raise ValueError(f"'{path}' is no path")
    for place in (table.parent.joinpath(*parts[1:]), table.parent.joinpath(*parts), table.parent.parent.joinpath(*parts)):
        if place.is_file():
            return place
    raise ValueError(f"no picture {path} near {table.parent}")


def _record(row: Row, path: Path, policy: Uncertain, blank: str) -> Record | None:
    patient = next((part for part in path.parts[::-1] if part.lower().startswith("patient")), "")
    if not patient:
        raise ValueError(f"{row['Path']} names no patient")
    value = row[FINDING]
    if value == "":
        if blank == "leave_out":
            return None
        label = 0 if blank == "zero" else None
    elif value not in VALUES:
        raise ValueError(f"{row['Path']}: {FINDING} is '{value}', not 1, 0, -1 or blank")
    elif VALUES[value] == -1:
        if policy is Uncertain.LEAVE_OUT:
            return None
        label = policy.label
    else:
        label = VALUES[value]
    return Record(
        image_id=row["Path"],
        patient_id=f"chexpert:{patient}",
        path=path,
        label=label,
        series_id=str(PurePosixPath(row["Path"]).parent),
        sex=row["Sex"][:1].upper() if row["Sex"].lower() in {"male", "female"} else "",
        age_years=age_years(row["Age"].split(".")[0]),
        view=row["AP/PA"].upper() or ("LL" if row["Frontal/Lateral"].lower() == "lateral" else ""),
        modality="DX",
        site="chexpert",
        extra={"stated": value, "support_devices": row["Support Devices"]},
    )
