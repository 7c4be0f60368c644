"""The simulated studies of the demonstration: positives, negatives and refusals, from three kinds of system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.demo.display import Expected
from ptx_node.domain.finding import Laterality
from ptx_node.simulator.first.instances import Profile
from ptx_node.simulator.first.studies import simulate_ct, simulate_hand, simulate_lateral, simulate_radiograph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ptx_node.simulator.first.studies import Study

CT_SLICES = 30
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """Files to send, and what is to come back."""

    expected: Expected
    files: tuple[Path, ...]


# Seeds above 9,000 are patients whom no training run has seen.
DAY: tuple[tuple[str, Callable[[Path], Study]], ...] = (
    ("DX, 12-bit JPEG Lossless", lambda folder: simulate_radiograph(folder, 9001, profile=Profile.DX, laterality=LEFT)),
    ("CR, 10-bit", lambda folder: simulate_radiograph(folder, 9002, profile=Profile.CR, laterality=None)),
    ("8-bit JPEG export", lambda folder: simulate_radiograph(folder, 9003, profile=Profile.EXPORT, laterality=RIGHT)),
    ("DX, 12-bit JPEG Lossless", lambda folder: simulate_radiograph(folder, 9004, profile=Profile.DX, laterality=None)),
    ("lateral chest", lambda folder: simulate_lateral(folder, 9005)),
    ("hand", lambda folder: simulate_hand(folder, 9006)),
    ("CT, positive", lambda folder: simulate_ct(folder, 9007, slices=CT_SLICES, laterality=LEFT)),
    ("CT, negative", lambda folder: simulate_ct(folder, 9008, slices=CT_SLICES, laterality=None)),
)


def simulate(folder: Path) -> list[DemoStudy]:
    """Write every study of the day below `folder`; the same files at each run."""
    day: list[DemoStudy] = []
    for number, (label, make) in enumerate(DAY, start=1):
        study = make(folder / f"{number:02}")
        outcome = "not_eligible" if not study.eligible else "positive" if study.laterality else "negative"
        side = str(study.laterality) if study.laterality else None
        day.append(DemoStudy(Expected(label, study.study_instance_uid, outcome, side), study.paths))
    return day
