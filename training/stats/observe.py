"""Looks at one image: header, pixels, mask. Runs in several processes, so it takes a record and gives small plain values back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from ptx_node.dicom.decode import malformed_refused, read_dataset, stored_values
from ptx_node.dicom.grey_scale import display_table
from ptx_node.dicom.volume import hounsfield
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError
from training.datasets.headers import text
from training.datasets.masks import draw
from training.datasets.pixels import PICTURES
from training.stats import headers
from training.stats.facts import Complaint, Facts
from training.stats.fingerprint import Fingerprint, fingerprint, pixel_digest, small_mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from ptx_node.dicom.decode import Words
    from training.records import Record

HU_RANGE = (-1050.0, 150.0)
FLAT = 0.01
"""Deviation of the small picture (0..1) below which there is nothing in it."""
SEXES = {"", "M", "F", "O"}
OLDEST = 120
AGE_BANDS = (
    (0.077, "newborn (to 4 weeks)"),
    (2, "infant (to 2 years)"),
    (12, "child (2-11)"),
    (18, "adolescent (12-17)"),
    (40, "young adult (18-39)"),
    (65, "adult (40-64)"),
    (80, "older adult (65-79)"),
    (float("inf"), "80 and older"),
)
"""Upper bounds in years, excluded."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Facts of an image with its fingerprint and small mask; None where pixels cannot be read, or nothing is drawn."""

    facts: Facts
    print: Fingerprint | None = None
    mask: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Stored values for the digest, the shown picture 0..1, and what the values say against the header."""

    stored_HW: NDArray[Any]
    image_HW: NDArray[np.float32]
    complaints: tuple[Complaint, ...] = ()


def observe(record: Record) -> Seen:
    """Everything about one image. What cannot be read becomes `unreadable`: a broken file stops nothing."""
    facts = Facts(attributes=_told(record), complaints=tuple(_of_record(record)))
    try:
        if record.path.suffix.lower() in PICTURES:
            pixels = _picture(record.path)
            bits = 8 * pixels.stored_HW.dtype.itemsize
            told = {"bits": f"{bits} of {bits}", "transfer_syntax": f"{record.path.suffix.upper()[1:]} file"}
            facts = replace(facts, attributes=dict(facts.attributes) | told)
        else:
            with malformed_refused(record.path.name):
                facts = _with_header(facts, read_dataset(record.path, header_only=True))
                pixels = _dicom(record)
        mask_HW = draw(record, (pixels.image_HW.shape[0], pixels.image_HW.shape[1]))
    except InputError as error:
        return Seen(replace(facts, unreadable=error.detail))
    return _measured(replace(facts, complaints=(*facts.complaints, *pixels.complaints)), pixels, mask_HW)


def age_band(age_years: float | None) -> str:
    """Name of the band of `AGE_BANDS`; empty where the age is unknown or impossible."""
    if age_years is None or not 0 <= age_years <= OLDEST:
        return ""
    return next(name for bound, name in AGE_BANDS if age_years < bound)


def _told(record: Record) -> dict[str, str]:
    """What the record says in any format; the header's attributes come beside it."""
    return {
        "sex": record.sex,
        "age_band": age_band(record.age_years),
        "view": record.view,
        "modality": record.modality,
        "manufacturer": record.manufacturer,
        "site": record.site,
        "size": record.size,
        "tube": "" if record.tube is None else "yes" if record.tube else "no",
        "patient": "" if record.extra.get("patient_unknown") else "stated",
    }


def _of_record(record: Record) -> Iterator[Complaint]:
    if record.extra.get("patient_unknown"):
        yield Complaint("no_patient", "no patient is named")
    if record.sex not in SEXES:
        yield Complaint("sex", f"sex is {record.sex[:20]!r}")
    if record.age_years is not None and not 0 <= record.age_years <= OLDEST:
        yield Complaint("age", f"age is {record.age_years:g} years")


def _with_header(facts: Facts, ds: Dataset) -> Facts:
    return replace(
        facts,
        attributes=dict(facts.attributes) | headers.attributes(ds),
        spacing_mm=headers.spacing_mm(ds),
        study_instance_uid=text(ds, "StudyInstanceUID"),
        sop_instance_uid=text(ds, "SOPInstanceUID"),
        born=text(ds, "PatientBirthDate"),
        complaints=(*facts.complaints, *headers.complaints(ds)),
    )


def _picture(path: Path) -> _Pixels:
    """Of a PNG or JPEG: grey values over their range."""
    try:
        with Image.open(path) as picture:
            stored_HW = np.asarray(picture if picture.mode.startswith("I") else picture.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(Reason.PIXEL_DATA_CORRUPT, f"{path.name} cannot be read as a picture: {str(error)[:200]}") from error
    if stored_HW.dtype != np.uint8:
        stored_HW = np.clip(stored_HW, 0, 65535).astype(np.uint16)
    return _Pixels(stored_HW, stored_HW.astype(np.float32) / np.float32(np.iinfo(stored_HW.dtype).max))


def _dicom(record: Record) -> _Pixels:
    ds = read_dataset(record.path)
    words_HW = stored_values(ds)
    if record.slice_index is None:
        return _Pixels(words_HW, display_table(ds, words_HW)[words_HW], tuple(_of_values(ds, words_HW)))
    hu_HW = hounsfield(ds, words_HW)
    shown_HW = np.clip((hu_HW.astype(np.float32) - HU_RANGE[0]) / (HU_RANGE[1] - HU_RANGE[0]), 0, 1)
    return _Pixels(hu_HW, shown_HW)


def _of_values(ds: Dataset, words_HW: Words) -> Iterator[Complaint]:
    stored, most = int(ds.get("BitsStored") or ds.BitsAllocated), int(words_HW.max(initial=0))
    written = _most_written(ds)
    if int(ds.get("PixelRepresentation") or 0) == 0 and written >> stored:
        yield Complaint(
            "bits", f"a pixel of {written} does not fit in Bits Stored {stored}: an overlay in the unused bits, or a wrong header"
        )
    elif stored > 8 and 0 < most < 256:
        yield Complaint("bits", f"no pixel is above {most}, although {stored} bits are stored: 8-bit values in a wider file")


def _most_written(ds: Dataset) -> int:
    """The largest word of uncompressed 16-bit pixels as the file has it: the decoder takes bits away that are not stored."""
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax.is_compressed or int(ds.BitsAllocated) != 16:
        return 0
    words = np.frombuffer(ds.PixelData, dtype="<u2" if syntax.is_little_endian else ">u2")
    return int(words.max(initial=0))


def _measured(facts: Facts, pixels: _Pixels, mask_HW: NDArray[np.bool_] | None) -> Seen:
    found = fingerprint(pixels.image_HW)
    rows, columns = pixels.image_HW.shape
    flat = (Complaint("flat", f"deviation {found.contrast:.4f} of the full range"),) if found.contrast < FLAT else ()
    facts = replace(
        facts,
        attributes=dict(facts.attributes) | {"shape": f"{rows} x {columns}"},
        shape=(rows, columns),
        digest=pixel_digest(pixels.stored_HW),
        contrast=found.contrast,
        symmetry=found.symmetry,
        middle=found.middle,
        mask_pixels=None if mask_HW is None else int(mask_HW.sum()),
        mask_regions=None if mask_HW is None else int(ndimage.label(mask_HW)[1]),
        complaints=facts.complaints + flat,
    )
    return Seen(facts, found, small_mask(mask_HW) if mask_HW is not None and mask_HW.any() else None)
