"""What a bundle says of itself, read without torch: for routing, `ptx models` and `ptx doctor`.

The metadata are trusted only as far as the weights match the hash in them: `verify` compares the two.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.finding import ModelIdentity
from ptx_node.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

METADATA = "configs/metadata.json"
WEIGHTS = "models/model.safetensors"


@dataclass(frozen=True, slots=True)
class Decision:
    """How logits become an answer.

    Attributes:
        class_threshold: probability of the image or series at and above which the outcome is positive.
        pixel_threshold: probability of a pixel above which it belongs to the mask.
        min_pixels: smallest connected region that is kept, in pixels of the network's grid; for CT over all slices.
        smooth_mm: CT only: slice probabilities are averaged over so much of the patient before the largest is taken.
        class_from: `image` for the network's own answer about the image or slice; `mask` for networks trained on masks alone.
    """

    class_threshold: float
    pixel_threshold: float
    min_pixels: int
    smooth_mm: float = 0.0
    class_from: Literal["image", "mask"] = "image"

    def __post_init__(self) -> None:
        """Refuse what would otherwise be understood as something else."""
        if self.class_from not in {"image", "mask"}:
            raise ValueError(f"class_from {self.class_from!r} (image or mask)")


@dataclass(frozen=True, slots=True)
class Description:
    """What a bundle's metadata state."""

    identity: ModelIdentity
    reads: Literal["radiograph", "ct"]
    requirements: Requirements
    input_size: int
    decision: Decision


def describe(folder: Path) -> Description:
    """Read a bundle's metadata.

    Raises:
        ModelError: missing or malformed.
    """
    content = read_json(folder / METADATA)
    try:
        ours = content["ptx"]
        weights_sha256 = str(ours["weights_sha256"])
        reads = _reads(ours["reads"])
        identity = ModelIdentity(
            str(ours["manufacturer"]), str(content["name"]), str(content["version"]), weights_sha256, device_uid(weights_sha256)
        )
        requirements = _requirements(reads, ours.get("requirements", {}))
        return Description(identity, reads, requirements, int(ours["input_size"]), Decision(**ours["decision"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder}: {METADATA} lacks or has a wrong {error}. Export the bundle again") from error


def verified_weights(folder: Path, described: Description) -> bytes:
    """The bytes of the weights, which match the hash that the metadata state.

    Raises:
        ModelError: missing, or not those that the metadata describe.
    """
    weights = read_bytes(folder / WEIGHTS)
    found, stated = hashlib.sha256(weights).hexdigest(), described.identity.weights_sha256
    if found != stated:
        raise ModelError(
            f"{folder}: {WEIGHTS} has SHA-256 {found}, {METADATA} says {stated}. The weights were altered or cut: copy the bundle again"
        )
    return weights


def device_uid(weights_sha256: str) -> str:
    """Device UID (0018,1002) of a model: of UUID form (PS3.5 B.2), the same for the same weights, another for others."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, weights_sha256).int}"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a bundle.

    Raises:
        ModelError: missing, or not a JSON object.
    """
    try:
        content = json.loads(read_bytes(path))
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object")
    return content


def read_bytes(path: Path) -> bytes:
    """A file of a bundle.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. A model is a MONAI Bundle folder") from error


def _reads(value: object) -> Literal["radiograph", "ct"]:
    if value == "radiograph":
        return "radiograph"
    if value == "ct":
        return "ct"
    raise ValueError(f"reads {value!r} (radiograph or ct)")


def _requirements(reads: Literal["radiograph", "ct"], stated: Mapping[str, Any]) -> Requirements:
    return Requirements(
        reads=reads,
        min_age_years=float(stated.get("min_age_years", 0)),
        min_rows=int(stated.get("min_rows", 1)),
        min_columns=int(stated.get("min_columns", 1)),
        sop_classes=frozenset(stated.get("sop_classes", ())),
        modalities=frozenset(stated.get("modalities", ())),
    )
