"""How stored pixels become a picture: what the generalisation experiment switches, and what the node does by default.

The steps are always in this order: values (window or raw), inversion, standardisation, crop.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ptx_node.errors import ConfigurationError


class Values(StrEnum):
    """What becomes of stored values."""

    WINDOW = "window"
    """Modality LUT, then VOI LUT or window, else percentiles: as the node does (PS3.3 C.11.1, C.11.2)."""
    FULL_RANGE = "full_range"
    """Stored values over the range of Bits Stored; look-up tables and windows are ignored."""
    DIVIDE_255 = "divide_255"
    """Stored values over 255 whatever the bit depth, as the thesis did; clipped to 0..1, as where pixels pass through an eight-bit picture.

    A 12-bit picture is then nearly all white (or black, once turned round). Without clipping, the node's own scaling of the network's
    input would undo the mistake, and it would be `full_range`.
    """


class Standardise(StrEnum):
    """What makes the brightness of one vendor's processing like another's."""

    NONE = "none"
    LANDMARKS = "landmarks"
    """Percentiles of the picture are moved, piecewise linearly, to those of a reference (Nyúl and Udupa 1999; Nyúl et al. 2000)."""


SIIM_LIKE = (0.0, 0.19, 0.29, 0.38, 0.49, 0.63, 0.76, 0.86, 0.93, 0.975, 1.0)
"""Brightness at `training.datasets.landmarks.PERCENTILES` that landmarks are moved to unless another reference is given.

Learned from 60 SIMULATED radiographs of the site `siim` by `landmarks.learn`, rounded.
"""


@dataclass(frozen=True, slots=True)
class Handling:
    """Choices of reading. The default is exactly `ptx_node.dicom.pixels.read_radiograph`.

    Attributes:
        invert_monochrome1: whether low values that mean bright are turned round.
        reference: landmarks, brightness 0..1 in rising order, one for each of `landmarks.PERCENTILES`.
        lung_crop: whether the picture is cut to the lung fields, found in the picture alone, with a margin.
        bits: 8 or 16 a pixel in prepared arrays (16: half precision floats).
    """

    values: Values = Values.WINDOW
    invert_monochrome1: bool = True
    standardise: Standardise = Standardise.NONE
    reference: tuple[float, ...] = SIIM_LIKE
    lung_crop: bool = False
    bits: int = 8

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self) | {"values": str(self.values), "standardise": str(self.standardise), "reference": list(self.reference)}

    @classmethod
    def of(cls, chosen: dict[str, Any]) -> Handling:
        """From a configuration's or a saved object's values.

        Raises:
            ConfigurationError: a name or a value that does not exist; the message lists those that do.
        """
        unknown = set(chosen) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigurationError(f"handling has no {sorted(unknown)}: it has {sorted(cls.__dataclass_fields__)}")
        try:
            values = Values(chosen.get("values", Values.WINDOW))
            standardise = Standardise(chosen.get("standardise", Standardise.NONE))
            reference = tuple(float(value) for value in chosen.get("reference", SIIM_LIKE))
        except (ValueError, TypeError) as error:
            known = f"values: {[str(one) for one in Values]}; standardise: {[str(one) for one in Standardise]}"
            raise ConfigurationError(f"handling: {error}. {known}; reference: brightnesses 0..1") from error
        bits = chosen.get("bits", 8)
        if bits not in {8, 16}:
            raise ConfigurationError(f"handling: bits is {bits}, but can be 8 or 16")
        if len(reference) != len(SIIM_LIKE) or any(a >= b for a, b in itertools.pairwise(reference)):
            raise ConfigurationError(f"handling: reference needs {len(SIIM_LIKE)} rising brightnesses")
        flags = {name: bool(chosen.get(name, default)) for name, default in (("invert_monochrome1", True), ("lung_crop", False))}
        return cls(values=values, standardise=standardise, reference=reference, bits=int(bits), **flags)


NODE = Handling()
"""As the node reads."""
