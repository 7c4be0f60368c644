"""A simulated hospital's day: ten patients, radiographs of three sites and CT, positives, negatives and what no model must read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ptx_node.demo.display import Expected
from ptx_node.domain.finding import Laterality
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.patient import NOBODY, Confounder, Posture, Size, Wishes, draw_patient
from ptx_node.simulator.ris import report_message
from ptx_node.simulator.sites import site_of
from ptx_node.simulator.studies import simulate, simulate_ct, simulate_hand, simulate_lateral

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ptx_node.simulator.studies import Study

FIRST_SEED = 9_000_001
"""Patients whom no training run has seen."""
CT = Protocol(slices=30, slice_thickness_mm=5.0)
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """Files to send, and what is to come back; `report` is what the radiologist says of the CT of the day, sent later by HL7."""

    expected: Expected
    files: tuple[Path, ...]
    report: bytes | None = None


# Patient by patient (the seed counts on), with what must be so of each.
PATIENTS: tuple[tuple[str, str, Wishes], ...] = (
    ("toulouse", "DX 12-bit", Wishes(LEFT, Size.MEDIUM, Posture.UPRIGHT_PA, confounders=frozenset())),
    ("toulouse", "DX 12-bit", Wishes(NOBODY, posture=Posture.UPRIGHT_PA, confounders=frozenset({Confounder.SCAPULA_EDGE}))),
    ("toulouse", "DX 12-bit", Wishes(RIGHT, Size.LARGE, Posture.UPRIGHT_PA, confounders=frozenset())),
    ("bedside", "in bed, tube", Wishes(RIGHT, Size.LARGE, Posture.BEDSIDE_AP, confounders=frozenset({Confounder.CHEST_TUBE}))),
    (
        "bedside",
        "supine, lines",
        Wishes(NOBODY, posture=Posture.SUPINE, confounders=frozenset({Confounder.SKIN_FOLD, Confounder.LINE, Confounder.ELECTRODES})),
    ),
    ("siim", "8-bit export", Wishes(LEFT, Size.MEDIUM, Posture.UPRIGHT_PA, confounders=frozenset())),
    ("siim", "8-bit export", Wishes(NOBODY, posture=Posture.UPRIGHT_PA, confounders=frozenset())),
)
NEVER_READ: tuple[tuple[str, Callable[[Path, int], Study]], ...] = (
    ("toulouse, lateral", simulate_lateral),
    ("toulouse, hand", simulate_hand),
)
EMERGENCY = Wishes(RIGHT, Size.LARGE, Posture.SUPINE, confounders=frozenset())
"""The tenth patient goes straight to CT."""
LATER_CT = 2
"""So many of the first patients have a CT later that day, whose images come too."""
REPORTED = 5
"""Of so many of the first patients, and of the tenth, a CT report comes; the export of `siim` bears no name to match."""
LANGUAGES: tuple[Literal["fr", "en"], ...] = ("fr", "en")


def simulate_day(folder: Path) -> list[DemoStudy]:
    """Write every study of the day below `folder`, in the order in which they are sent; the same files at each run."""
    day: list[DemoStudy] = []

    def add(label: str, study: Study, *, reported: bool = False) -> None:
        outcome = "not_eligible" if not study.eligible else "positive" if study.laterality else "negative"
        side = str(study.laterality) if study.laterality else None
        language = LANGUAGES[len(day) % len(LANGUAGES)]
        report = report_message(study.patient, study.report(language), control_id=f"SIM{len(day):04}") if reported else None
        day.append(DemoStudy(Expected(label, study.study_instance_uid, outcome, side), study.paths, report))

    seed = FIRST_SEED
    for number, (site, what, wishes) in enumerate(PATIENTS, start=1):
        add(f"{number} {site}, {what}", simulate(folder / f"{number:02}", seed, site=site, wishes=wishes), reported=number <= REPORTED)
        seed += 1
    for number, (label, make) in enumerate(NEVER_READ, start=len(PATIENTS) + 1):
        add(f"{number} {label}", make(folder / f"{number:02}", seed))
        seed += 1
    ct, number = site_of("ct64"), len(PATIENTS) + len(NEVER_READ) + 1
    add(f"{number} ct64, emergency", simulate_ct(folder / f"{number:02}", draw_patient(seed, EMERGENCY), ct, CT), reported=True)
    for number, (_, _, wishes) in enumerate(PATIENTS[:LATER_CT], start=1):
        patient = draw_patient(FIRST_SEED + number - 1, wishes)
        add(f"{number} ct64, later that day", simulate_ct(folder / f"{number:02}-ct", patient, ct, CT))
    return day
