"""What is learnt of one image, and what is found to be wrong: plain values, small enough to keep for a hundred thousand images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.records import Record

STATED_NOT = "not stated"
"""Value of an attribute that the set does not give."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    Attributes:
        title, meaning: what the page says of it.
        serious: whether it makes figures wrong, or is only good to know.
        shown: whether the page shows pictures of it.
    """

    title: str
    meaning: str
    serious: bool = True
    shown: bool = False


KINDS: Mapping[str, Kind] = {
    "problem": Kind("Loader problems", "A file or row that the loader left out or doubts."),
    "unreadable": Kind("Unreadable pixels", "The header is fine, the picture or its mask cannot be read."),
    "same_pixels": Kind(
        "Same pixels",
        "SHA-256 of the stored values agrees, whatever the file format or lossless compression.",
        shown=True,
    ),
    "near_duplicate": Kind(
        "Near duplicates",
        "The same exposure again: compressed, resized, windowed, mirrored or inverted.",
        shown=True,
    ),
    "same_sop_instance_uid": Kind("Same SOP Instance UID", "Two files claim to be one instance."),
    "label_conflict": Kind(
        "Same picture, other label",
        "One of the two labels is wrong; near duplicates are to be looked at.",
        shown=True,
    ),
    "mask_conflict": Kind("Same picture, other mask", "Two annotations of one picture overlap little.", serious=False, shown=True),
    "study_conflict": Kind(
        "Same study, other label",
        "May be true (before and after drainage), or noise.",
        serious=False,
        shown=True,
    ),
    "mask_without_label": Kind(
        "Mask without a positive label",
        "A mask is drawn where the label is not positive.",
        shown=True,
    ),
    "label_without_mask": Kind(
        "Positive label without a mask",
        "The set draws masks, but this positive has none or an empty one.",
        shown=True,
    ),
    "leak": Kind("Both sides of the split", "The same patient, study or picture in two parts makes figures too good."),
    "not_in_split": Kind("Not in the split", "The split does not know the patient or image.", serious=False),
    "other_view": Kind(
        "Not a frontal view, by its attributes",
        "A lateral or another view among the frontals.",
        shown=True,
    ),
    "may_be_lateral": Kind(
        "May be lateral, by the picture",
        "No bright middle between two dark fields, or halves that do not mirror each other: look at it.",
        serious=False,
        shown=True,
    ),
    "may_be_inverted": Kind(
        "May be inverted, by the picture",
        "It looks like the negative of the set's mean picture.",
        serious=False,
        shown=True,
    ),
    "flat": Kind("Empty pictures", "All pixels have nearly the same value."),
    "no_patient": Kind("No patient", "Patient ID is empty: a split by patient is impossible without a mapping file."),
    "uid": Kind("Invalid UIDs", "Not a UID by PS3.5 section 9.1: dots and digits, no leading zeros, at most 64 characters.", serious=False),
    "sex": Kind("Sex", "A value other than M, F or O, or two values for one patient."),
    "age": Kind("Age", "Age and birth date disagree, or the age is impossible."),
    "orientation": Kind("View and orientation", "View Position and Patient Orientation contradict each other, or the picture is mirrored."),
    "modality": Kind("Modality and SOP class", "The modality is not one that this SOP class has."),
    "bits": Kind("Bits and values", "Bit depth and pixel values do not fit."),
    "spacing": Kind("Pixel spacing", "Not a spacing of a radiograph of a person, or two that contradict each other."),
}
"""In the order of the page."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with one image alone: a key of `KINDS` and what was seen, without the patient's name or birth date."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept of one image.

    Attributes:
        attributes: name -> value as text for everything that is counted; empty where it is not stated.
        shape: (rows, columns); zeros where the pixels cannot be read.
        spacing_mm: (between rows, between columns), where it is known and sane.
        digest: SHA-256 of the pixels, empty where they cannot be read.
        contrast, symmetry, middle: as `fingerprint.Fingerprint` has them.
        mask_pixels, mask_regions: of all masks together; None where the set draws none.
        born: birth date as stored, to compare files of one patient; never written out.
        unreadable: why pixels or mask cannot be read.
    """

    attributes: Mapping[str, str]
    shape: tuple[int, int] = (0, 0)
    spacing_mm: tuple[float, float] | None = None
    digest: bytes = b""
    contrast: float = 0.0
    symmetry: float = 0.0
    middle: float = 0.0
    mask_pixels: int | None = None
    mask_regions: int | None = None
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    born: str = field(default="", repr=False)
    complaints: tuple[Complaint, ...] = ()
    unreadable: str = ""

    @property
    def mask_share(self) -> float | None:
        """Mask as part of the picture, 0..1; None without a mask."""
        return self.mask_pixels / (self.shape[0] * self.shape[1]) if self.mask_pixels and self.shape[0] else None

    @property
    def mask_mm2(self) -> float | None:
        """Area of the mask; None without a mask or a spacing."""
        return self.mask_pixels * self.spacing_mm[0] * self.spacing_mm[1] if self.mask_pixels and self.spacing_mm else None


@dataclass(frozen=True, slots=True)
class Image:
    """A record of one of the sets of a report, with its facts. `row` is its place in the small pictures of `gather`."""

    data_set: str
    record: Record
    facts: Facts
    row: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with one image, a pair or a group, or with a row of a table."""

    kind: str
    detail: str
    images: tuple[Image, ...] = ()
    data_set: str = ""
    path: str = ""
    line: int | None = None

    @property
    def data_sets(self) -> tuple[str, ...]:
        """Whose images these are, each set once."""
        return tuple(dict.fromkeys(image.data_set for image in self.images)) or (self.data_set,)
