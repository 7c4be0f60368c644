"""Studies of simulated patients as DICOM files, with what is true of them. Every name and comment in them says SIMULATED.

The same seed, site and wishes give the same files, UIDs included: what is sent again is the same instance.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ptx_node.simulator import reports
from ptx_node.simulator.ct import acquire
from ptx_node.simulator.ct_protocol import draw_protocol
from ptx_node.simulator.encoding import save
from ptx_node.simulator.grids import finer
from ptx_node.simulator.hand import HEIGHT_MM as HAND_MM
from ptx_node.simulator.hand import hand_attenuation
from ptx_node.simulator.instances import common_attributes, radiograph_dataset, slice_dataset, view_of
from ptx_node.simulator.lateral import project_lateral
from ptx_node.simulator.patient import ANYBODY, NOBODY, Wishes, draw_patient
from ptx_node.simulator.people import person_of
from ptx_node.simulator.radiograph import MASK_MM, Detector, Look, Projection, display, expose, project
from ptx_node.simulator.sites import Site, site_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from ptx_node.domain.finding import Laterality
    from ptx_node.simulator.ct_protocol import Protocol
    from ptx_node.simulator.patient import Patient

FULL_ROWS = 1400
"""Rays are followed on no finer grid than this; larger pictures are made finer before noise and processing."""
NO_AIR = Wishes(laterality=NOBODY)
QUANTA = {"lateral": 600_000.0, "hand": 60_000.0}
"""A trunk from its side takes about eight times the exposure of one from the front."""
LOOKS: dict[str, dict[str, Any]] = {"lateral": {}, "hand": {"latitude": 0.9, "lung": 0.35, "heart": 0.8}}
Kind = Literal["radiograph", "ct", "lateral", "hand"]


@dataclass(frozen=True, slots=True)
class Study:
    """Simulated files and what is true of them.

    Attributes:
        paths: one file, or one a slice from the patient's feet upwards.
        mask: pleural air on the grid of the pixels (a slice first for CT); None for none.
        laterality: side of the pneumothorax, None for none.
        area_mm2, volume_ml: of the mask: of a radiograph its area in the patient, of a CT its volume.
        eligible: whether a pneumothorax model should read it.
    """

    kind: Kind
    site: str
    patient: Patient
    paths: tuple[Path, ...]
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    patient_id: str
    accession_number: str
    mask: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    area_mm2: float | None = None
    volume_ml: float | None = None
    eligible: bool = True

    @property
    def seed(self) -> int:
        """Of the patient."""
        return self.patient.seed

    @property
    def laterality(self) -> Laterality | None:
        """The patient's, where the study shows the chest."""
        return self.patient.laterality if self.eligible else None

    def report(self, language: Literal["en", "fr"] = "en") -> reports.CtReport:
        """What the radiologist dictates of this patient's CT of the day."""
        return reports.write(self.patient, language=language, seed=self.seed)


def simulate(
    folder: Path,
    seed: int,
    *,
    site: str | Site,
    wishes: Wishes = ANYBODY,
    size: tuple[int, int] | None = None,
    protocol: Protocol | None = None,
) -> Study:
    """Write one study of the patient of this seed, as this site sends it: a frontal radiograph, or a CT series.

    Args:
        folder: made if missing.
        seed: the patient; the same at every site under the same wishes.
        site: a site, or the name of one of `SITES`.
        wishes: what must be so of the patient.
        size: (rows, columns); the system's own by default.
        protocol: of a CT; drawn by the seed by default.

    Raises:
        UsageError: no such site.
    """
    site = site_of(site) if isinstance(site, str) else site
    if site.ct:
        patient = draw_patient(seed, wishes)
        return simulate_ct(folder, patient, site, protocol or draw_protocol(seed, columns=(size or site.size)[1]))
    return simulate_radiograph(folder, draw_patient(seed, site.wishes(seed, wishes)), site, size)


def simulate_radiograph(folder: Path, patient: Patient, site: Site, size: tuple[int, int] | None = None) -> Study:
    """A frontal radiograph of this patient."""
    system, person = site.system(patient.seed), person_of(patient)
    rows, columns = size or system.size
    projection, shown_HW = picture(patient, site, (rows, columns))
    name = f"{site.name}/{_identity(patient)}/{rows}x{columns}"
    ds = common_attributes(name, site, system, person, person.arrives_at)
    ds.ViewPosition = view_of(patient.posture)
    values_HW = radiograph_dataset(shown_HW, site, system, ds, projection.pixel_mm)
    path = save(ds, values_HW, folder, system.transfer_syntax)
    mask_HW = projection.mask_HW if projection.mask_HW.any() else None
    area = float(mask_HW.sum()) * projection.pixel_mm**2 if mask_HW is not None else None
    return replace(_study("radiograph", site, patient, [path], [ds]), mask=mask_HW, area_mm2=area)


def _identity(patient: Patient) -> str:
    """Everything about the patient in words; a set's own order differs from process to process."""
    return f"{replace(patient, confounders=frozenset())!r}/{' '.join(sorted(patient.confounders))}"


def picture(patient: Patient, site: Site, size: tuple[int, int]) -> tuple[Projection, NDArray[np.float32]]:
    """What the rays met, and the picture as this site's system shows it: 0 black to 1 white. Nothing is stored."""
    projection = _projected(patient, *size)
    rng = np.random.default_rng([patient.seed, 304])
    signal_HW = expose(projection, Detector.sample(rng, bedside=site.bedside), patient.seed)
    return projection, display(signal_HW, Look.sample(rng, site.system(patient.seed).manner))


def _projected(patient: Patient, rows: int, columns: int) -> Projection:
    times = -(-rows // FULL_ROWS)
    coarse = project(patient, -(-rows // times), -(-columns // times))
    if times == 1:
        return coarse
    air_HW = finer(coarse.air_mm_HW, (rows, columns))
    return replace(
        coarse,
        attenuation_HW=finer(coarse.attenuation_HW, (rows, columns)),
        mask_HW=air_HW > MASK_MM,
        air_mm_HW=air_HW,
        lung_HW=finer(coarse.lung_HW.astype(np.float32), (rows, columns)) > 0.5,
        pixel_mm=coarse.pixel_mm / times,
    )


def simulate_ct(folder: Path, patient: Patient, site: Site, protocol: Protocol) -> Study:
    """The CT of this patient later the same day."""
    system, person = site.system(patient.seed), person_of(patient)
    series = acquire(patient, protocol)
    name = f"{site.name}/{_identity(patient)}/{protocol!r}"

    def write(index: int) -> tuple[Path, Dataset]:
        ds = common_attributes(name, site, system, person, person.ct_at)
        values_HW = slice_dataset(series, index, ds, name)
        return save(ds, values_HW, folder, system.transfer_syntax), ds

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # encoders are programs of their own
        paths, headers = map(list, zip(*pool.map(write, range(len(series.hu_ZHW))), strict=True))
    mask_ZHW = series.mask_ZHW if series.mask_ZHW.any() else None
    volume = series.volume_ml if mask_ZHW is not None else None
    return replace(_study("ct", site, patient, paths, headers), mask=mask_ZHW, volume_ml=volume)


def simulate_lateral(folder: Path, seed: int, site: str | Site = "toulouse", *, size: tuple[int, int] = (1024, 860)) -> Study:
    """A lateral chest radiograph, which a frontal model must refuse."""
    patient = draw_patient(seed, NO_AIR)
    return _other("lateral", folder, site, project_lateral(patient, *size))


def simulate_hand(folder: Path, seed: int, site: str | Site = "toulouse", *, size: tuple[int, int] = (900, 700)) -> Study:
    """A radiograph of a hand, which a chest model must refuse."""
    attenuation_HW = hand_attenuation(seed, *size)
    nothing_HW = np.zeros_like(attenuation_HW)
    pixel_mm = HAND_MM / size[0]
    patient = draw_patient(seed, NO_AIR)
    return _other("hand", folder, site, Projection(attenuation_HW, nothing_HW > 0, nothing_HW, nothing_HW > 0, pixel_mm, patient))


def _other(kind: Literal["lateral", "hand"], folder: Path, site: str | Site, projection: Projection) -> Study:
    site, patient = site_of(site) if isinstance(site, str) else site, projection.patient
    system, person, rng = site.system(patient.seed), person_of(patient), np.random.default_rng([patient.seed, 305])
    signal_HW = expose(projection, replace(Detector.sample(rng), quanta=QUANTA[kind]), patient.seed)
    shown_HW = display(signal_HW, replace(Look.sample(rng, system.manner), **LOOKS[kind]))
    pixel_mm, seed = projection.pixel_mm, patient.seed
    ds = common_attributes(f"{kind}/{site.name}/{seed}/{shown_HW.shape}", site, system, person, person.arrives_at)
    ds.ViewPosition = "LL" if kind == "lateral" else "PA"
    values_HW = radiograph_dataset(shown_HW, site, system, ds, pixel_mm)
    if kind == "hand":
        ds.BodyPartExamined, ds.StudyDescription = "HAND", "SIMULATED hand radiograph"
        if "AnatomicRegionSequence" in ds:
            region = ds.AnatomicRegionSequence[0]
            region.CodeValue, region.CodeMeaning = "85562004", "Hand"
        if "ImageLaterality" in ds:
            ds.ImageLaterality = "R"
        else:
            ds.Laterality = "R"
    path = save(ds, values_HW, folder, system.transfer_syntax)
    return replace(_study(kind, site, patient, [path], [ds]), eligible=False)


def _study(kind: Kind, site: Site, patient: Patient, paths: list[Path], headers: list[Dataset]) -> Study:
    first = headers[0]
    return Study(
        kind=kind,
        site=site.name,
        patient=patient,
        paths=tuple(paths),
        study_instance_uid=str(first.StudyInstanceUID),
        series_instance_uid=str(first.SeriesInstanceUID),
        sop_instance_uids=tuple(str(ds.SOPInstanceUID) for ds in headers),
        patient_id=str(first.PatientID),
        accession_number=str(first.AccessionNumber),
    )
