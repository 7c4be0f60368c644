"""One simulated patient's files in the format of a data set, and what is true of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from ptx_node.dicom.decode import read_dataset
from ptx_node.errors import UsageError
from ptx_node.simulator.ct_protocol import Protocol, draw_protocol
from ptx_node.simulator.patient import Confounder, Posture, Size, Wishes
from ptx_node.simulator.sites import site_of
from ptx_node.simulator.studies import Study
from ptx_node.simulator.studies import simulate as simulate_study
from training.datasets import run_lengths
from training.datasets.nifti import Plane
from training.datasets.writing import save_nifti, save_seg

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.simulate import Order


def kind_of(order: Order) -> str:
    """The loader that reads what an order gives.

    Raises:
        UsageError: no such site, or masks that its format does not have.
    """
    ct = site_of(order.site).ct
    allowed = {"seg", "nifti"} if ct else {"rle", "seg"}
    if order.masks not in allowed:
        raise UsageError(f"masks of {order.site} can be {' or '.join(sorted(allowed))}, not {order.masks}")
    return "ct_folder" if ct else ("siim" if order.masks == "rle" else "dicom_seg")


def write(order: Order, seed: int, scratch: Path) -> dict[str, Any]:
    """Write one patient into the set; the note of it: `truth` (a row of `patients.csv`) and `run_lengths`."""
    wishes = Wishes(prevalence=order.positives, posture=_posture(order, seed), size=_air(order, seed))
    study = simulate_study(scratch, seed, site=order.site, wishes=wishes, size=_size(order), protocol=_protocol(order, seed))
    kind = kind_of(order)
    if kind == "siim":
        _move_as_siim(order.out, study)
    elif kind == "ct_folder":
        _move_as_ct(order, study)
    else:
        _move_with_seg(order.out, study)
    drawn = study.mask
    runs = [run_lengths.encode(part) for part in in_halves(drawn)] if kind == "siim" and drawn is not None else []
    return {"truth": _truth(order, study), "run_lengths": runs}


def _posture(order: Order, seed: int) -> Posture | None:
    """Drawn from those that were asked for; None leaves it to the site."""
    if not order.postures:
        return None
    return Posture(order.postures[int(np.random.default_rng([seed, 311]).integers(len(order.postures)))])


def _air(order: Order, seed: int) -> Size | None:
    """As `_posture`, of the pneumothorax, if there is one."""
    if not order.sizes:
        return None
    return Size(order.sizes[int(np.random.default_rng([seed, 313]).integers(len(order.sizes)))])


def _size(order: Order) -> tuple[int, int] | None:
    if not order.rows:
        return None
    rows, columns = site_of(order.site).size
    return order.rows, max(1, round(order.rows * columns / rows))


def _protocol(order: Order, seed: int) -> Protocol | None:
    """As drawn, with the wished slices; None where none are wished."""
    if not order.slice_mm:
        return None
    columns = (_size(order) or site_of(order.site).size)[1]
    return replace(draw_protocol(seed, columns=columns), slice_distance_mm=order.slice_mm, slice_thickness_mm=order.slice_mm)


def _truth(order: Order, study: Study) -> dict[str, Any]:
    patient = study.patient
    ct = kind_of(order) == "ct_folder"
    return {
        "image_id": study.series_instance_uid if ct else study.sop_instance_uids[0],
        "patient_id": study.patient_id,
        "site": order.site,
        "label": int(bool(patient.airs)),
        "side": str(patient.laterality or ""),
        "size": str(patient.size or ""),
        "depth_mm": round(max((air.depth_mm for air in patient.airs), default=0.0), 1),
        "posture": str(patient.posture),
        "sex": patient.sex,
        "age_years": patient.age_years,
        "tube": int(Confounder.CHEST_TUBE in patient.confounders),
        "confounders": " ".join(sorted(patient.confounders)),
        "mask_share": round(float(study.mask.mean()), 6) if study.mask is not None else 0.0,
        "seed": study.seed,
    }


def _move_as_siim(out: Path, study: Study) -> None:
    """`dicom-images-train/STUDY/SERIES/INSTANCE.dcm`, as the set is handed out."""
    folder = out / "dicom-images-train" / study.study_instance_uid / study.series_instance_uid
    folder.mkdir(parents=True, exist_ok=True)
    study.paths[0].replace(folder / f"{study.sop_instance_uids[0]}.dcm")


def _move_with_seg(out: Path, study: Study) -> None:
    folder = out / study.patient_id
    folder.mkdir(parents=True, exist_ok=True)
    path = study.paths[0].replace(folder / f"{study.sop_instance_uids[0]}.dcm")
    if study.mask is not None and study.mask.any():
        save_seg(folder / "mask.seg.dcm", [read_dataset(path, header_only=True)], study.mask[None])


def _move_as_ct(order: Order, study: Study) -> None:
    folder = order.out / study.patient_id / study.series_instance_uid
    folder.mkdir(parents=True, exist_ok=True)
    paths = [path.replace(folder / path.name) for path in study.paths]
    headers = [read_dataset(path, header_only=True) for path in paths]
    first = headers[0]
    mask_ZHW = study.mask if study.mask is not None else np.zeros((len(paths), int(first.Rows), int(first.Columns)), dtype=np.bool_)
    if order.masks == "nifti":
        planes = [
            Plane(
                tuple(float(value) for value in ds.ImagePositionPatient),
                tuple(float(value) for value in ds.ImageOrientationPatient),
                tuple(float(value) for value in ds.PixelSpacing),
            )
            for ds in headers
        ]
        save_nifti(folder / "mask.nii.gz", planes, mask_ZHW)
    elif mask_ZHW.any():
        save_seg(folder / "mask.seg.dcm", headers, mask_ZHW)


def in_halves(mask_HW: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The mask in as many parts as a reader draws: what lies in the left half of the picture, and what lies in the right."""
    labels, count = ndimage.label(mask_HW)
    if count == 0:
        return []
    columns = [place[1] for place in ndimage.center_of_mass(mask_HW, labels, range(1, count + 1))]
    in_left = np.isin(labels, [index + 1 for index, column in enumerate(columns) if column < mask_HW.shape[1] / 2])
    return [part for part in (in_left, mask_HW & ~in_left) if part.any()]
