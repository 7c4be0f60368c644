"""What the model says of one image or one CT series: the finding, and the identity of the model that said it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Outcome(StrEnum):
    """No answer is ever ambiguous: each input ends in exactly one of these."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NOT_ELIGIBLE = "not_eligible"
    FAILED = "failed"


class Laterality(StrEnum):
    """Side of the patient (not of the picture)."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


class ResultKind(StrEnum):
    """The kinds of result a finding is written as."""

    SEG = "seg"
    SR = "sr"
    SC = "sc"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model spoke (IHE AIR): a retrained model has another `weights_sha256` and so another `device_uid`."""

    manufacturer: str
    name: str
    version: str
    weights_sha256: str
    device_uid: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The model's answer for one radiograph or one CT series.

    Attributes:
        sop_instance_uids: the images that were read, in the mask's frame order (one for a radiograph).
        probability: of pneumothorax, 0 to 1; None unless the outcome is positive or negative.
        threshold: the probability at and above which the outcome is positive.
        laterality: side of the patient; None when negative or when the side cannot be told.
        area_mm2: mask area of a radiograph; None with a `spacing_reason` when pixel spacing is unknown.
        volume_ml: mask volume of a CT series; None for a radiograph, or with a `spacing_reason`.
        embedding: what the network saw, for the watch over drift: the encoder's deepest features, averaged; None where there are none.
        mask: boolean, on the source pixel grid: (rows, columns), or (slices, rows, columns) for CT; None if empty.
        reason: coded reason of a not-eligible outcome, or cause of a failed one.
    """

    outcome: Outcome
    sop_instance_uids: tuple[str, ...]
    model: ModelIdentity
    probability: float | None = None
    threshold: float | None = None
    laterality: Laterality | None = None
    area_mm2: float | None = None
    volume_ml: float | None = None
    spacing_reason: str | None = None
    reason: str | None = None
    detail: str = ""
    mask: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    embedding: NDArray[np.float16] | None = field(default=None, repr=False, compare=False)
