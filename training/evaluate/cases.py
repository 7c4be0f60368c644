"""What is judged at once, as the node would get it: one radiograph, or all slices of one CT series, with the true mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ptx_node.domain.image import Radiograph, SpacingReason, Volume
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from training.records import Record


class Reader(Protocol):
    """Reads one record's picture and mask (`training.datasets.read` with its handling of pixels chosen)."""

    def __call__(self, record: Record) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """(float32 0..1 of a radiograph, or int16 Hounsfield units of a slice; mask, or None where the set draws none)."""
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

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Of the pixels."""
        return self.image.pixel_spacing_mm


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


def load_case(records: tuple[Record, ...], read: Reader) -> Case:
    """Read one case.

    Raises:
        UsageError: slices of one series differ in shape.
        PtxError: as the reader raises it.
    """
    read_all = [read(record) for record in records]
    first = records[0]
    drawn = any(mask is not None for _, mask in read_all)
    truth_ZHW = None
    shapes = {picture.shape for picture, _ in read_all}
    if len(shapes) > 1:
        raise UsageError(f"{first.path}: the slices of series {case_id(records)} have several shapes: {sorted(shapes)}")
    if drawn:
        truth_ZHW = np.stack([np.zeros(picture.shape, dtype=bool) if mask is None else mask.astype(bool) for picture, mask in read_all])
    elif first.masked:
        truth_ZHW = np.zeros((len(read_all), *shapes.pop()), dtype=bool)
    spacing = _pair(first.extra.get("pixel_spacing_mm"))
    reason = None if spacing else SpacingReason.UNKNOWN.value
    if first.slice_index is None:
        orientation = tuple(str(one) for one in first.extra.get("patient_orientation", ()))
        return Case(records, Radiograph(first.image_id, read_all[0][0].astype(np.float32), spacing, reason, orientation), truth_ZHW)
    distance = first.extra.get("slice_spacing_mm")
    volume = Volume(
        series_instance_uid=case_id(records),
        sop_instance_uids=tuple(record.image_id for record in records),
        hu_ZHW=np.stack([picture for picture, _ in read_all]).astype(np.int16),
        pixel_spacing_mm=spacing,
        slice_spacing_mm=float(distance) if distance else None,
        spacing_reason=reason if distance else SpacingReason.UNKNOWN.value,
        columns_to_left=bool(first.extra.get("columns_to_left", True)),
    )
    return Case(records, volume, truth_ZHW)


def _pair(value: Any) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if value is not None else None
