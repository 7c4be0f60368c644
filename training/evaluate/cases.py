"""What is judged at once, as the node would get it: one radiograph, or all slices of one CT series, with the true mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.image import Radiograph, SpacingReason, Volume
from ptx_node.errors import UsageError
from training.datasets import NODE, Handling, read
from training.datasets.masks import draw
from training.datasets.pixels import PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from training.records import Record


class Load(Protocol):
    """Reads one case: `read_case` from files."""

    def __call__(self, records: tuple[Record, ...]) -> Case:
        """The case of these records. Raises PtxError, which names the file."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """One radiograph or one CT series in memory.

    Attributes:
        records: of the radiograph, or of the slices in the order of the volume.
        truth_ZHW: true mask, one plane for a radiograph; None where the data set draws none.
    """

    records: tuple[Record, ...]
    image: Radiograph | Volume = field(repr=False)
    truth_ZHW: NDArray[np.bool_] | None = field(repr=False)

    @property
    def first(self) -> Record:
        """The record that speaks for the patient."""
        return self.records[0]

    @property
    def label(self) -> int | None:
        """1 where any slice has a pneumothorax, None where nothing is known."""
        return label_of(self.records)


def label_of(records: Sequence[Record]) -> int | None:
    """Of one case: positive where any of its slices is, negative where none is and none is uncertain."""
    labels = [record.label for record in records]
    if 1 in labels:
        return 1
    return None if None in labels else 0


def grouped(records: Iterable[Record]) -> list[tuple[Record, ...]]:
    """Records of one case together: a radiograph alone, the slices of a CT series from the feet upwards."""
    cases: dict[str, list[Record]] = {}
    for place, record in enumerate(records):
        key = f"{place}" if record.slice_index is None else f"{record.patient_id}/{record.series_id}"
        cases.setdefault(key, []).append(record)
    return [tuple(sorted(case, key=lambda one: one.slice_index or 0)) for case in cases.values()]


def case_id(records: Sequence[Record]) -> str:
    """The image's, or the series'."""
    first = records[0]
    return first.image_id if first.slice_index is None else first.series_id or first.patient_id


def read_case(records: tuple[Record, ...], *, handling: Handling = NODE, masks: bool = True) -> Case:
    """Read one case from its files, as the node reads them unless the handling says otherwise.

    Args:
        records: of one case.
        handling: of a radiograph's pixels.
        masks: False for a network that draws none: its cases are not judged by masks.

    Raises:
        InputError: a file cannot be read.
        UsageError: a CT series whose slices are not those of its records.
    """
    first = records[0]
    if first.slice_index is not None:
        return _series(records, masks=masks)
    if handling == NODE and first.path.suffix.lower() not in PICTURES:
        image = read_radiograph(first.path)
        truth_HW = draw(first, (image.image_HW.shape[0], image.image_HW.shape[1])) if masks else None
    else:
        image_HW, truth_HW = read(first, handling)
        spacing = first.extra.get("pixel_spacing_mm")
        pair = (float(spacing[0]), float(spacing[1])) if spacing is not None else None
        reason = None if pair else SpacingReason.UNKNOWN.value
        image = Radiograph(first.image_id, np.asarray(image_HW, dtype=np.float32), pair, reason)
    return Case(records, image, truth_HW[None] if masks and truth_HW is not None else None)


def _series(records: tuple[Record, ...], *, masks: bool) -> Case:
    volume = read_volume(list(dict.fromkeys(record.path for record in records)))
    by_uid = {str(record.extra.get("sop_instance_uid", record.image_id)): record for record in records}
    missing = [uid for uid in volume.sop_instance_uids if uid not in by_uid]
    if missing:
        raise UsageError(f"{records[0].path}: {len(missing)} slices of the series are in no record, such as {missing[0]}")
    ordered = tuple(by_uid[uid] for uid in volume.sop_instance_uids)
    shape = volume.hu_ZHW.shape[1], volume.hu_ZHW.shape[2]
    drawn = [draw(record, shape) if masks else None for record in ordered]
    if all(one is None for one in drawn):
        return Case(ordered, volume, None)
    truth_ZHW = np.stack([np.zeros(shape, dtype=bool) if one is None else one for one in drawn])
    return Case(ordered, volume, truth_ZHW)
