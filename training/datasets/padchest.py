"""PadChest: one table, labels as the text of a Python list (`['pneumothorax', 'suboptimal study']`), and 16-bit PNG files.

Labels of 27 % of the reports were made by physicians, the others by a network (`MethodLabel`). There are no masks.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from training.datasets.known import with_truth
from training.datasets.pictures import Uncertain, index_pictures
from training.datasets.table import Row, find_table, read_rows
from training.records import DataSet, Problem, Record

if TYPE_CHECKING:
    from pathlib import Path

TABLES = ("PADCHEST_chest_x_ray_images_labels*.csv", "*PADCHEST*.csv", "*padchest*.csv")
FRONTAL = frozenset({"PA", "AP", "AP_HORIZONTAL"})
FINDINGS = frozenset({"pneumothorax", "hydropneumothorax"})
UNCERTAIN = frozenset({"possible pneumothorax", "doubtful pneumothorax"})
SUBOPTIMAL = "suboptimal study"
EXCLUDED = frozenset({"exclude"})
COLUMNS = ("ImageID", "PatientID", "Projection", "Labels")


def open_folder(
    folder: Path, *, table: Path | None = None, uncertain: str = "ignore", projections: frozenset[str] = FRONTAL, suboptimal: bool = False
) -> DataSet:
    """Read the table and find its pictures.

    Args:
        folder: pictures are found at any depth by their names.
        table: found by its usual names otherwise.
        uncertain: a policy of `Uncertain`, also for studies without any label and, unless `suboptimal`, for those of bad quality.
        projections: rows of other projections are left out without being a problem.
        suboptimal: whether the label of a 'suboptimal study' is believed.

    Raises:
        UsageError: no table, one without the columns, or a policy that does not exist.
    """
    policy = Uncertain.named(uncertain)
    table = find_table(folder, TABLES, table)
    pictures, problems = index_pictures(folder)
    records: list[Record] = []
    seen: dict[str, int] = {}
    for row in read_rows(table, COLUMNS):
        name = row["ImageID"]
        first = seen.setdefault(name, row.line)
        if row["Projection"].upper() not in projections:
            continue
        try:
            if first != row.line:
                raise ValueError(f"{name} is also in line {first}")  # noqa: TRY301 - one place turns reasons into problems
            record = _record(row, pictures.get(name), policy, believed=suboptimal)
        except ValueError as error:
            problems.append(Problem(table, row.line, f"{error}: left out"))
        else:
            records.extend([record] if record else [])
    return DataSet("padchest", tuple(with_truth(records, folder)), tuple(problems))


def labels_of(text: str) -> list[str]:
    """The list that the text is, lower case, without blanks around the labels.

    Raises:
        ValueError: it is none.
    """
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"labels '{text[:60]}' are no Python list") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"labels '{text[:60]}' are no list of texts")
    return [one.strip().lower() for one in found if one.strip()]


def _record(row: Row, path: Path | None, policy: Uncertain, *, believed: bool) -> Record | None:
    name = row["ImageID"]
    if path is None:
        raise ValueError(f"no picture {name or 'without a name'}")
    if not row["PatientID"]:
        raise ValueError(f"{name} has no PatientID")
    labels = set(labels_of(row["Labels"]))
    if labels & EXCLUDED:
        raise ValueError(f"{name} is marked 'exclude'")
    label: int | None = int(bool(labels & FINDINGS))
    if not labels or labels & UNCERTAIN or (SUBOPTIMAL in labels and not believed):
        if policy is Uncertain.LEAVE_OUT:
            return None
        label = policy.label
    return Record(
        image_id=name,
        patient_id=f"padchest:{row['PatientID']}",
        path=path,
        label=label,
        series_id=row["StudyID"],
        sex=row["PatientSex_DICOM"].upper(),
        age_years=_age(row),
        view="AP" if row["Projection"].upper().startswith("AP") else row["Projection"].upper(),
        modality=row["Modality_DICOM"] or "DX",
        manufacturer=row["Manufacturer_DICOM"],
        site="padchest",
        extra={"findings": sorted(labels), "method": row["MethodLabel"], "position": row["ViewPosition_DICOM"]},
    )


def _age(row: Row) -> float | None:
    """Year of the study less year of birth (`1934.0`)."""
    born = re.match(r"(\d{4})", row["PatientBirth"])
    taken = re.match(r"(\d{4})", row["StudyDate_DICOM"])
    return float(int(taken[1]) - int(born[1])) if born and taken and 0 <= int(taken[1]) - int(born[1]) <= 120 else None
