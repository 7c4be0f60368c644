"""Data sets in the exact formats of the real ones, small, written into a folder of a test."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from tests.factories import Place, Size, as_file, ct_series, siim_like

SHAPE = (40, 32)


def siim_uid(number: int) -> str:
    return Place(study=number).uid(3)


def write_siim(folder: Path, rows: list[tuple[int, str]], *, files: range | list[int], heading: str = "ImageId, EncodedPixels") -> Path:
    """A tree `UID/UID/UID.dcm` and a table; `rows` are (number of the image, run lengths). Two images a patient."""
    for number in files:
        uid = siim_uid(number)
        path = folder / "dicom-images-train" / Place(study=number).uid(1) / Place(study=number).uid(2) / f"{uid}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        place = Place(study=number, patient_id=f"16d7f894-55d7-4d95-{number // 2:04d}")
        with warnings.catch_warnings():  # the real files, too, give the age as bare years, which is no Age String
            warnings.simplefilter("ignore")
            path.write_bytes(as_file(siim_like(place, size=Size(*SHAPE), PatientAge=f"{20 + number}")))
    blank = " " if ", " in heading else ""
    table = folder / "train-rle.csv"
    table.write_text("\n".join([heading, *(f"{siim_uid(number)},{blank}{text}" for number, text in rows)]) + "\n", "utf-8")
    return table


def slow_decode(text: str, shape: tuple[int, int]) -> np.ndarray:
    """The meaning of relative run lengths, pixel by pixel: walk down the columns, skip, then draw."""
    mask = np.zeros(shape, bool)
    numbers = [int(word) for word in text.split()]
    position = 0
    for skip, length in zip(numbers[::2], numbers[1::2], strict=True):
        for _ in range(skip):
            position += 1
        for _ in range(length):
            mask[position % shape[0], position // shape[0]] = True
            position += 1
    return mask


def write_table(path: Path, heading: str, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(heading + "\n")
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_png(path: Path, values: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    (picture if mode is None else picture.convert(mode)).save(path)


def grey(seed: int = 0, bits: int = 8) -> np.ndarray:
    """Smooth brightness over most of the range."""
    y, x = np.mgrid[0:48, 0:40]
    values = 0.5 + 0.3 * np.sin(y / 9 + seed) * np.cos(x / 7) + 0.1 * (x / 40)
    return (values * (2**bits - 1)).astype(np.uint16 if bits > 8 else np.uint8)


def write_ct(
    folder: Path, orientation: list[float] | None = None, *, count: int = 6, step_mm: float = 1.25, series: int = 1
) -> list[pydicom.Dataset]:
    """An oblique or axial series of non-square slices with unequal spacings, its files in another order than its slices."""
    folder.mkdir(parents=True, exist_ok=True)
    orientation = orientation or [1, 0, 0, 0, 1, 0]
    normal = np.cross(orientation[:3], orientation[3:])
    slices = ct_series(
        count, Place(study=77, series=series), size=Size(24, 20), ImageOrientationPatient=orientation, PixelSpacing=[0.9, 0.7]
    )
    for index, ds in enumerate(slices):
        ds.ImagePositionPatient = [round(float(value), 5) for value in np.array([-75.0, -80.0, 30.0]) + normal * step_mm * index]
        (folder / f"I{(index * 5) % count:03d}").write_bytes(as_file(ds))
    return slices


def blob(count: int = 6, rows: int = 24, columns: int = 20) -> np.ndarray:
    """A mask without any symmetry: every flip or swap of axes makes another one."""
    mask = np.zeros((count, rows, columns), bool)
    mask[1, 3:9, 2:5] = True
    mask[2, 4:7, 10:18] = True
    mask[4, 20, 19] = True
    return mask
