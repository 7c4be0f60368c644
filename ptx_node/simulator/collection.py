"""Simulated patients as a folder that a person or a program can use: DICOM files, masks, reports, and a table of what is true."""

from __future__ import annotations

import csv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from ptx_node.errors import UsageError
from ptx_node.simulator.ct_protocol import draw_protocol
from ptx_node.simulator.patient import Wishes, draw_patient
from ptx_node.simulator.sites import SITES, Site
from ptx_node.simulator.studies import Study, simulate, simulate_ct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ptx_node.simulator.ct_protocol import Protocol

CT_SITE = "ct64"
TRUTH = "truth.csv"
COLUMNS = (
    *("patient_id", "seed", "site", "kind", "sex", "age_years", "posture", "pneumothorax", "laterality", "size", "depth_mm"),
    *("area_mm2", "volume_ml", "confounders", "study_instance_uid", "series_instance_uid", "accession_number"),
    *("instances", "files", "mask", "report", "report_label"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be simulated.

    Attributes:
        sites: patients go to them in turn.
        seeds: one patient each.
        positives: odds of a pneumothorax; the site's own where None.
        ct: whether everyone with a radiograph has a CT later that day.
        reports: language of the CT reports; None for none.
        rows: of radiographs, in the system's proportions, and at most of CT slices; None for as many as the systems have.
        slices: of a CT, spread over the lungs; None for as many as its protocol needs.
    """

    sites: Sequence[Site]
    seeds: Sequence[int]
    positives: float | None = None
    ct: bool = False
    reports: Literal["en", "fr"] | None = None
    rows: int | None = None
    slices: int | None = None


def write_collection(folder: Path, order: Order, *, processes: int = 1) -> Iterator[dict[str, object]]:
    """Write the patients; yields each study's line of the truth, in the order of the seeds, when its files are there.

    Args:
        folder: made if missing.
        order: what is to be simulated.
        processes: patients that are simulated at the same time. The files do not depend on it.

    Raises:
        UsageError: the folder holds an earlier collection.
    """
    truth = folder / TRUTH
    if truth.exists():
        raise UsageError(f"{truth} exists: give an empty folder with --out, so that files and truth belong together")
    folder.mkdir(parents=True, exist_ok=True)
    with truth.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for row in chain.from_iterable(_patients(folder, order, processes)):
            table.writerow(row)
            file.flush()
            yield row


def _patients(folder: Path, order: Order, processes: int) -> Iterator[list[dict[str, object]]]:
    """The lines of each patient."""
    jobs = [(folder, order, order.sites[number % len(order.sites)], seed) for number, seed in enumerate(order.seeds)]
    if processes == 1:
        yield from map(_lines, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:  # a fork would copy the terminal's threads
        yield from pool.map(_lines, jobs)


def _lines(job: tuple[Path, Order, Site, int]) -> list[dict[str, object]]:
    return list(_patient(*job))


def _patient(folder: Path, order: Order, site: Site, seed: int) -> Iterator[dict[str, object]]:
    """One patient's lines, files written."""
    place = folder / f"SIM{seed:08d}"
    wishes = Wishes(prevalence=site.prevalence if order.positives is None else order.positives)
    if site.ct:
        patient = draw_patient(seed, wishes)
        yield _row(folder, place, simulate_ct(place / "ct", patient, site, _protocol(order, site, seed)), order)
        return
    radiograph = simulate(place / "radiograph", seed, site=site, wishes=wishes, size=_size(site, seed, order.rows))
    yield _row(folder, place, radiograph, replace(order, reports=None) if order.ct else order)
    if order.ct:  # of this very patient: tubes and lines stay in
        ct_site = SITES[CT_SITE]
        yield _row(folder, place, simulate_ct(place / "ct", radiograph.patient, ct_site, _protocol(order, ct_site, seed)), order)


def _protocol(order: Order, site: Site, seed: int) -> Protocol:
    return replace(draw_protocol(seed, columns=_size(site, seed, order.rows)[1]), slices=order.slices)


def _size(site: Site, seed: int, rows: int | None) -> tuple[int, int]:
    whole = site.system(seed).size
    if rows is None:
        return whole
    rows = min(rows, whole[0]) if site.ct else rows
    return rows, round(rows * whole[1] / whole[0])


def _row(folder: Path, place: Path, study: Study, order: Order) -> dict[str, object]:
    """Write mask and report beside the study; its line of the truth, with paths below `folder`."""
    patient = study.patient.lying() if study.kind == "ct" else study.patient
    row: dict[str, object] = dict.fromkeys(COLUMNS, "")
    row |= {"patient_id": study.patient_id, "seed": study.seed, "site": study.site, "kind": study.kind}
    row |= {"sex": patient.sex, "age_years": patient.age_years, "posture": patient.posture.value}
    row |= {"pneumothorax": int(bool(patient.airs)), "laterality": study.laterality or "", "size": patient.size or ""}
    row["depth_mm"] = f"{max(air.depth_mm for air in patient.airs):.1f}" if patient.airs else ""
    row["area_mm2"] = f"{study.area_mm2:.0f}" if study.area_mm2 is not None else ""
    row["volume_ml"] = f"{study.volume_ml:.1f}" if study.volume_ml is not None else ""
    row["confounders"] = " ".join(sorted(patient.confounders))
    row |= {"study_instance_uid": study.study_instance_uid, "series_instance_uid": study.series_instance_uid}
    row |= {"accession_number": study.accession_number, "instances": len(study.paths)}
    whole = study.paths[0] if len(study.paths) == 1 else study.paths[0].parent
    row["files"] = whole.relative_to(folder).as_posix()
    row["mask"] = _write_mask(place, study, folder)
    if order.reports:
        report = study.report(order.reports)
        path = place / f"report-{order.reports}.txt"
        path.write_text(report.text, encoding="utf-8")
        row |= {"report": path.relative_to(folder).as_posix(), "report_label": report.label.value}
    return row


def _write_mask(place: Path, study: Study, folder: Path) -> str:
    """Of a radiograph a PNG, 255 where pleural air is; of a CT an archive with `mask_ZHW`. The path below `folder`, or nothing."""
    if study.mask is None:
        return ""
    if study.kind == "ct":
        path = place / "ct-mask.npz"
        np.savez_compressed(path, mask_ZHW=study.mask)
    else:
        path = place / f"{study.kind}-mask.png"
        Image.fromarray(study.mask.astype(np.uint8) * 255).save(path)
    return path.relative_to(folder).as_posix()
