"""What a data set holds, whatever its format: one record an image, with its label, its mask and what is known about the patient.

Loaders (`training.datasets`) give records, splits and statistics read them, `training.prepared` turns them into arrays.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a data set, or one CT slice.

    Attributes:
        image_id: unique in its data set; a SOP Instance UID where the set has one.
        patient_id: who it is; what a split never divides.
        path: the file with the pixels.
        label: 1 pneumothorax, 0 none, None uncertain or not stated.
        masks: how to draw the mask, in the words of the loader that made the record (run lengths, a SEG's or NIfTI's path);
            empty for none. `masked` says whether the set draws masks at all.
        slice_index: of a CT slice in its series, from the feet upwards; None for a radiograph.
        simulated: whether no person was before the tube.
    """

    image_id: str
    patient_id: str
    path: Path
    label: int | None
    masks: tuple[str, ...] = ()
    masked: bool = False
    series_id: str = ""
    slice_index: int | None = None
    sex: str = ""
    age_years: float | None = None
    view: str = ""
    modality: str = ""
    manufacturer: str = ""
    site: str = ""
    size: str = ""
    tube: bool | None = None
    simulated: bool = False
    extra: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; the path as text."""
        return asdict(self) | {"path": str(self.path), "masks": list(self.masks)}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one file or row; the rest of the set is still loaded.

    Attributes:
        line: of a table, counted from 1 with the heading as line 1; None for a file that is wrong as a whole.
    """

    path: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        """FILE:LINE: reason."""
        return f"{self.path}:{self.line}: {self.reason}" if self.line is not None else f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a loader found."""

    name: str
    records: tuple[Record, ...]
    problems: tuple[Problem, ...] = ()
