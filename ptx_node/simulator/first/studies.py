"""Simulated studies as DICOM files, with the truth about them. Every name and comment in them says SIMULATED.

The same arguments give the same files, UIDs included: what a test or a demo sends again is the same instance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.first.ct import ChestVolume
from ptx_node.simulator.first.instances import Profile, ct_slice_dataset, radiograph_dataset, save_instance, set_spacing
from ptx_node.simulator.first.other_views import hand, lateral_chest
from ptx_node.simulator.first.phantom import frontal
from ptx_node.simulator.first.radiograph import Look, display

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

DRAWN_ROWS = 1280
"""Larger pictures are drawn at half the size and enlarged."""


SIZES = {Profile.EXPORT: (1024, 1024), Profile.DX: (2500, 2048), Profile.CR: (1760, 1440)}


@dataclass(frozen=True, slots=True)
class Study:
    """Simulated files and what is true of them.

    Attributes:
        paths: one file, or one a slice from the patient's feet upwards.
        laterality: side of the pneumothorax, None for none.
        mask: where it is, on the grid of the pixels (a slice first for CT); None for none.
        eligible: whether a pneumothorax model should read it.
    """

    kind: str
    seed: int
    paths: tuple[Path, ...]
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    patient_id: str
    accession_number: str
    laterality: Laterality | None = None
    mask: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    eligible: bool = True


def side_of_seed(seed: int) -> Laterality | None:
    """The side that a seed has when none is asked for: even seeds none, odd ones left and right in turn."""
    return None if seed % 2 == 0 else (Laterality.LEFT, Laterality.RIGHT)[seed // 2 % 2]


def simulate_radiograph(
    folder: Path,
    seed: int,
    *,
    profile: Profile = Profile.EXPORT,
    laterality: Laterality | str | None = "seed",
    size: tuple[int, int] | None = None,
) -> Study:
    """Write one frontal chest radiograph.

    Args:
        folder: made if missing.
        seed: the patient.
        profile: how the system stores it.
        laterality: a side, None for no pneumothorax, or "seed" for `side_of_seed`.
        size: (rows, columns); the profile's by default.
    """
    side = side_of_seed(seed) if laterality == "seed" else (Laterality(laterality) if laterality else None)
    rows, columns = size or SIZES[profile]
    times = 2 if rows > DRAWN_ROWS else 1
    drawn = frontal(seed, laterality=side, rows=rows // times, columns=columns // times)
    thickness, mask = _enlarged(drawn.thickness_HW, (rows, columns), seed), drawn.mask_HW
    if mask.shape != (rows, columns):
        mask = np.asarray(Image.fromarray(mask).resize((columns, rows), Image.Resampling.NEAREST))
    shown = display(thickness, _look(seed))
    ds = radiograph_dataset(shown, profile, f"{profile}/{seed}/{side}/{rows}x{columns}", seed)
    set_spacing(ds, profile, drawn.pixel_mm * (rows // times) / rows)
    path = save_instance(ds, folder, profile)
    return _study(profile, seed, (path,), (ds,), (drawn.laterality, mask if drawn.laterality else None))


def simulate_lateral(folder: Path, seed: int, *, size: tuple[int, int] = (1024, 860)) -> Study:
    """Write a lateral chest radiograph, which a frontal model must refuse."""
    shown = display(lateral_chest(seed, *size), _look(seed))
    ds = radiograph_dataset(shown, Profile.CR, f"lateral/{seed}/{size}", seed)
    ds.ViewPosition, ds.PatientOrientation = "LL", ["A", "F"]
    set_spacing(ds, Profile.CR, 400 / size[0])
    return _study("lateral", seed, (save_instance(ds, folder, Profile.CR),), (ds,), (None, None), eligible=False)


def simulate_hand(folder: Path, seed: int, *, size: tuple[int, int] = (900, 700)) -> Study:
    """Write a radiograph of a hand, which a chest model must refuse."""
    shown = display(hand(seed, *size), Look(detail=0.2))
    ds = radiograph_dataset(shown, Profile.CR, f"hand/{seed}/{size}", seed)
    ds.BodyPartExamined, ds.ViewPosition, ds.PatientOrientation = "HAND", "PA", ["L", "F"]
    ds.Laterality = "R"
    ds.StudyDescription = "SIMULATED hand radiograph"
    set_spacing(ds, Profile.CR, 220 / size[0])
    return _study("hand", seed, (save_instance(ds, folder, Profile.CR),), (ds,), (None, None), eligible=False)


def simulate_ct(folder: Path, seed: int, *, slices: int = 40, laterality: Laterality | str | None = "seed", columns: int = 512) -> Study:
    """Write one axial chest CT series, uncompressed, a file a slice."""
    side = side_of_seed(seed) if laterality == "seed" else (Laterality(laterality) if laterality else None)
    patient = ChestVolume(seed, laterality=side, columns=columns)
    hu_ZHW, mask_ZHW, distance = patient.series(slices)
    name = f"ct/{seed}/{side}/{slices}/{columns}"
    paths, headers = [], []
    for index, hu_HW in enumerate(hu_ZHW):
        ds = ct_slice_dataset(hu_HW, name, seed, index)
        ds.ImagePositionPatient = [round(-patient.field_mm / 2, 4), round(-patient.field_mm / 2, 4), round(index * distance, 4)]
        ds.PixelSpacing = [round(patient.pixel_mm, 6)] * 2
        ds.SliceThickness = round(distance, 4)
        paths.append(save_instance(ds, folder, Profile.CR))
        headers.append(ds)
    found = side if mask_ZHW.any() else None
    return _study("ct", seed, tuple(paths), tuple(headers), (found, mask_ZHW if found else None))


def _study(
    kind: str,
    seed: int,
    paths: tuple[Path, ...],
    headers: tuple[Dataset, ...],
    truth: tuple[Laterality | None, NDArray[np.bool_] | None],
    *,
    eligible: bool = True,
) -> Study:
    first = headers[0]
    return Study(
        kind=kind,
        seed=seed,
        paths=paths,
        study_instance_uid=first.StudyInstanceUID,
        series_instance_uid=first.SeriesInstanceUID,
        sop_instance_uids=tuple(str(ds.SOPInstanceUID) for ds in headers),
        patient_id=first.PatientID,
        accession_number=first.AccessionNumber,
        laterality=truth[0],
        mask=truth[1],
        eligible=eligible,
    )


def _look(seed: int) -> Look:
    rng = np.random.default_rng([seed, 6])
    return Look(float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.5, 3)), float(rng.uniform(96, 99.5)), float(rng.uniform(0.8, 1.1)))


def _enlarged(thickness_HW: NDArray[np.float32], shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """The picture on a finer grid, with the noise of the finer detector added."""
    if thickness_HW.shape == shape:
        return thickness_HW
    large = np.asarray(Image.fromarray(thickness_HW).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)
    return large + np.random.default_rng([seed, 9]).standard_normal(shape, dtype=np.float32)
