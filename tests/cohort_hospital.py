"""A small simulated hospital for cohorts: radiographs in an archive, CT reports in a table, and what is true of each. SIMULATED."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from ptx_node.domain.finding import Laterality
from ptx_node.domain.reconciliation import TRUTHS
from ptx_node.simulator.pacs import Pacs
from ptx_node.simulator.patient import NOBODY, Posture, Size, Wishes
from ptx_node.simulator.people import person_of
from ptx_node.simulator.reports.report import Language
from ptx_node.simulator.studies import Study, simulate, simulate_lateral

FIRST_SEED = 9_700_001
SMALL = (320, 256)
WITH = Wishes(Laterality.RIGHT, Size.LARGE, Posture.UPRIGHT_PA, confounders=frozenset())
WITHOUT = Wishes(NOBODY, posture=Posture.UPRIGHT_PA, confounders=frozenset())
POSITIVE = "CT chest. There is a large right pneumothorax."
NEGATIVE = "CT chest. No pneumothorax. Lungs are clear."
LANGUAGES: tuple[Language, ...] = ("en", "fr")
COLUMNS = ("report", "patient", "text", "time", "modality", "procedure", "status")
MAPPING = """
source = "ris"
[columns]
report = "report"
patient_id = "patient"
text = "text"
examined_at = "time"
modality = "modality"
procedure_text = "procedure"
status = "status"
"""


@dataclass(frozen=True)
class Told:
    """A row of the table, and why it is not counted (None: it is; then the group that it is in)."""

    row: dict[str, str]
    exclusion: str | None
    positive: bool | None = None


@dataclass(frozen=True)
class Hospital:
    """What lies in the archive, what the reports say, and what is true."""

    studies: tuple[Study, ...]
    told: tuple[Told, ...]
    absent: frozenset[str] = field(default_factory=frozenset)

    @property
    def expected(self) -> Counter[str]:
        """Reports by why they are not counted, `counted` for the others."""
        return Counter(one.exclusion or "counted" for one in self.told)

    @property
    def groups(self) -> dict[str, bool]:
        """Report -> group, of those that are counted."""
        return {one.row["report"]: one.positive for one in self.told if one.positive is not None and one.exclusion is None}

    def files(self) -> Iterator[Path]:
        """What to put into the archive."""
        for study in self.studies:
            if study.patient_id not in self.absent:
                yield from study.paths

    def table(self, folder: Path, *, backwards: bool = False) -> tuple[Path, Path]:
        """The reports as CSV, and the mapping of its columns."""
        path, mapping = folder / "reports.csv", folder / "columns.toml"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(one.row for one in (self.told[::-1] if backwards else self.told))
        mapping.write_text(MAPPING, encoding="utf-8")
        return path, mapping


def row_of(study: Study, text: str, *, hours: float = 0.0, number: str = "1", **changes: str) -> dict[str, str]:
    """The report of a patient's CT of the day, so many hours after when the simulator has it."""
    taken = person_of(study.patient).ct_at + timedelta(hours=hours)
    row = {
        "report": f"{study.patient_id}-{number}",
        "patient": study.patient_id,
        "text": text,
        "time": f"{taken:%Y-%m-%dT%H:%M:%S}",
        "modality": "CT",
        "procedure": "CT chest",
        "status": "final",
    }
    return row | changes


def simulate_hospital(folder: Path, *, ordinary: Sequence[Wishes] = (WITH, WITHOUT, WITH, WITHOUT, WITHOUT, WITH)) -> Hospital:
    """Patients with a radiograph in the morning and a CT report, and one of each of those who are not counted."""
    seeds = iter(range(FIRST_SEED, FIRST_SEED + 100))
    studies, told = [], []
    for number, wishes in enumerate(ordinary):
        study = simulate(folder / f"{number}", next(seeds), site="toulouse", wishes=wishes, size=SMALL)
        report = study.report(LANGUAGES[number % 2])
        truth = TRUTHS[report.label]
        studies.append(study)
        told.append(Told(row_of(study, report.text), "label_uncertain" if truth is None else None, truth))
    late, elsewhere, absent = (simulate(folder / name, next(seeds), site="toulouse", wishes=WITHOUT, size=SMALL) for name in "abc")
    lateral = simulate_lateral(folder / "lateral", next(seeds), size=SMALL)
    first, second = studies[:2]
    told += [
        Told(row_of(late, NEGATIVE, hours=-8.0), "only_after_ct"),
        Told(row_of(elsewhere, NEGATIVE, hours=24.0), "no_radiograph_that_day"),
        Told(row_of(absent, NEGATIVE), "patient_not_in_archive"),
        Told(row_of(lateral, NEGATIVE), "not_eligible/lateral_view"),
        Told(row_of(first, NEGATIVE if told[0].positive else POSITIVE, hours=48.0, number="2"), "other_group"),
        Told(row_of(second, POSITIVE if told[1].positive else NEGATIVE, hours=48.0, number="2"), "other_ct"),
        Told(row_of(first, "MRI of the knee.", number="3", modality="MR", procedure="MRI knee"), "not_ct"),
        Told(row_of(first, "CT abdomen. No free air.", number="4", procedure="CT abdomen"), "not_thorax"),
        Told(row_of(first, POSITIVE, number="5", status="preliminary"), "preliminary"),
        Told(row_of(first, POSITIVE, number="6", status="withdrawn"), "withdrawn"),
        Told(row_of(first, "CT chest. A small pneumothorax cannot be excluded.", number="7"), "label_uncertain"),
    ]
    return Hospital((*studies, late, elsewhere, absent, lateral), tuple(told), frozenset({absent.patient_id}))


def fill(pacs: Pacs, hospital: Hospital) -> None:
    """Put the radiographs into the archive."""
    for path in hospital.files():
        httpx.post(f"{pacs.http_url}/instances", content=path.read_bytes(), timeout=30).raise_for_status()
