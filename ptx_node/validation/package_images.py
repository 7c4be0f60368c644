"""The images of the counted cases, de-identified one by one, each scanned for what its original says before it may stay."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.dicom.deidentify import deidentify_file
from ptx_node.errors import InputError, PermanentError
from ptx_node.validation.leak_needles import Needles
from ptx_node.validation.leak_scan import identifiers_of, scan_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ptx_node.domain.pseudonym import Pseudonyms

LIST = "images.csv"
FOLDER = "images"
HEADER = ("case_id", "file", "left_out_because", "text_in_pixels")
MISSING = "not_in_the_store"


@dataclass(frozen=True, slots=True)
class Original:
    """An instance of a counted case.

    Attributes:
        case_id: as in the cases.
        patient: who it is of, as `deidentify` takes it.
    """

    case_id: str
    patient: str
    sop_instance_uid: str
    path: Path


def write_images(folder: Path, originals: Iterable[Original], pseudonyms: Pseudonyms) -> tuple[int, int]:
    """Write `images/` and `images.csv`, one object at a time; how many are there, and how many were left out.

    Raises:
        PermanentError: the scan found something of the original in what was to leave; the message names the file, never the value.
        OSError: as the file system has it.
    """
    written = left_out = 0
    with (folder / LIST).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADER)
        for one in originals:
            name = f"{FOLDER}/{one.case_id}/{pseudonyms.uid(one.sop_instance_uid)}.dcm"
            try:
                made = deidentify_file(one.path, pseudonyms, patient=one.patient)
                data = made.part10()
            except FileNotFoundError:
                rows.writerow((one.case_id, "", MISSING, ""))
                left_out += 1
                continue
            except InputError as error:
                rows.writerow((one.case_id, "", error.reason, ""))
                left_out += 1
                continue
            _scan(name, data, one.path)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            rows.writerow((one.case_id, name, "", made.pixel_text))
            written += 1
    return written, left_out


def _scan(name: str, data: bytes, original: Path) -> None:
    """The original's own identifiers, dates among them, are in no byte of what leaves."""
    found = [leak for leak in scan_bytes(name, data, Needles(identifiers_of([original]))) if leak.certain]
    if found:
        raise PermanentError(
            f"{name} still holds {found[0].what} of its original ({found[0].place}, {len(found)} findings in all). Nothing was exported"
        )
