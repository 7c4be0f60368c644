"""Known phantoms: simulated studies that are marked, new at every run, and of which it is known what must be said.

Each run gives them identifiers of its own, so that nothing is known already; PatientID begins with `PREFIX`, so that a
site can find and purge them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pydicom

from ptx_node.domain.eligibility import Reason
from ptx_node.domain.finding import Laterality, Outcome
from ptx_node.domain.study import PHANTOM_PREFIX, SIMULATED_ISSUER
from ptx_node.errors import UsageError
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.patient import NOBODY, Size, Wishes
from ptx_node.simulator.people import number_of, uid_of
from ptx_node.simulator.sites import SITES, site_of
from ptx_node.simulator.studies import simulate, simulate_hand, simulate_lateral

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

    from ptx_node.simulator.studies import Study

PREFIX = PHANTOM_PREFIX
FIRST_SEED = 9_100_001
"""Patients whom no training run has seen."""
CT_SLICES, CT_THICKNESS_MM = 40, 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to send.

    Attributes:
        patients: radiographs of the chest; every second has a pneumothorax.
        sites: simulated sites whose way of sending they have, in turn.
        ct: also two CT series, one of them with a pneumothorax.
        rows: of the radiographs, and of CT slices where smaller than usual; None for the systems' own.
    """

    patients: int = 4
    sites: tuple[str, ...] = ("toulouse", "bedside")
    ct: bool = True
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Phantom:
    """One study to send, and what must be said of it.

    Attributes:
        mask: pleural air on the grid of the pixels, slices first for CT.
        reason: for which it must be refused, where it must be.
    """

    label: str
    study_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    patient_id: str
    paths: tuple[Path, ...]
    outcome: Outcome
    laterality: Laterality | None = None
    reason: Reason | None = None
    mask: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)


def phantoms(order: Order, folder: Path, run: str, taken_at: datetime) -> Iterator[Phantom]:
    """Write the phantoms of this run below `folder`, one after the other.

    Args:
        order: what to send.
        folder: made if missing.
        run: a word that no other run has; it becomes part of Patient ID.
        taken_at: local time that the studies bear.

    Raises:
        UsageError: no such site, or one of CT among those of radiographs.
    """
    for number, (label, make) in enumerate(_plan(order), start=1):
        study = make(folder / "as simulated")
        yield _marked(study, label, folder / f"{number:02}", _Mark(run, number, taken_at))


def _plan(order: Order) -> list[tuple[str, Callable[[Path], Study]]]:
    """What is sent, and how it is made."""
    for name in order.sites:
        if site_of(name).ct:
            radiographs = ", ".join(site.name for site in SITES.values() if not site.ct)
            raise UsageError(f"the site {name} sends CT; for radiographs there are {radiographs}")
    plan: list[tuple[str, Callable[[Path], Study]]] = []
    for number in range(order.patients):
        name = order.sites[number % len(order.sites)]
        plan.append((f"radiograph as {name}", _radiograph(order, FIRST_SEED + number, name, _truth(order, number))))
    for number, truth in enumerate((Laterality.RIGHT, NOBODY) if order.ct else ()):
        plan.append(("CT", _ct(order, FIRST_SEED + 500 + number, truth)))
    first = order.sites[0]
    plan.append(("lateral chest", lambda folder: simulate_lateral(folder, FIRST_SEED + 600, first)))
    plan.append(("hand", lambda folder: simulate_hand(folder, FIRST_SEED + 601, first)))
    return plan


def _truth(order: Order, number: int) -> Laterality | str:
    """Every second has air, on both sides in turn; every site gets patients with and without."""
    turn, site = divmod(number, len(order.sites))
    if (turn + site) % 2:
        return NOBODY
    return Laterality.RIGHT if (turn // 2 + site) % 2 else Laterality.LEFT


def _wishes(truth: Laterality | str) -> Wishes:
    """Clear cases: commissioning asks whether the way works, not how good the model is."""
    return Wishes(laterality=truth, size=Size.LARGE, confounders=frozenset())


def _radiograph(order: Order, seed: int, name: str, truth: Laterality | str) -> Callable[[Path], Study]:
    rows, columns = site_of(name).size
    size = (order.rows, round(columns * order.rows / rows)) if order.rows else None
    return lambda folder: simulate(folder, seed, site=name, wishes=_wishes(truth), size=size)


def _ct(order: Order, seed: int, truth: Laterality | str) -> Callable[[Path], Study]:
    columns = min(512, order.rows or 512)
    protocol = Protocol(columns=columns, slices=min(CT_SLICES, max(8, columns // 8)), slice_thickness_mm=CT_THICKNESS_MM)
    return lambda folder: simulate(folder, seed, site="ct64", wishes=_wishes(truth), protocol=protocol)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a phantom of this run bears."""

    run: str
    number: int
    taken_at: datetime

    def uid(self, original: str) -> str:
        return uid_of("commissioning", self.run, original)

    def put_on(self, ds: Dataset) -> None:
        """Identity of this run, and today's date."""
        ds.PatientID, ds.IssuerOfPatientID = f"{PREFIX}-{self.run}-{self.number:02}", SIMULATED_ISSUER
        ds.PatientName = f"SIMULATED^COMMISSIONING {self.number:02}"
        ds.AccessionNumber = f"C{number_of(self.run, self.number)}"
        ds.StudyDescription = f"{ds.StudyDescription} commissioning"[:64]
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            if keyword in ds:
                setattr(ds, keyword, self.uid(str(ds[keyword].value)))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        for part in ("Study", "Series", "Acquisition", "Content"):
            setattr(ds, f"{part}Date", self.taken_at.strftime("%Y%m%d"))
            setattr(ds, f"{part}Time", self.taken_at.strftime("%H%M%S"))


def _marked(study: Study, label: str, folder: Path, mark: _Mark) -> Phantom:
    """The study under this run's identifiers; the files as they were simulated are taken away."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, uids = [], []
    for path in study.paths:
        ds = pydicom.dcmread(path)
        mark.put_on(ds)
        paths.append(folder / f"{ds.SOPInstanceUID}.dcm")
        uids.append(str(ds.SOPInstanceUID))
        ds.save_as(paths[-1], enforce_file_format=True)
        path.unlink()
    outcome = Outcome.NOT_ELIGIBLE if not study.eligible else Outcome.POSITIVE if study.laterality else Outcome.NEGATIVE
    return Phantom(
        label=label,
        study_instance_uid=mark.uid(study.study_instance_uid),
        sop_instance_uids=tuple(uids),
        patient_id=f"{PREFIX}-{mark.run}-{mark.number:02}",
        paths=tuple(paths),
        outcome=outcome,
        laterality=study.laterality,
        reason={"lateral": Reason.LATERAL_VIEW, "hand": Reason.NOT_CHEST}.get(study.kind),
        mask=study.mask if study.eligible else None,
    )
