"""Simulated sites: which systems a hospital has, how they store a picture, and who lies before them.

Manufacturers are invented; "in the manner of" names whose habits of display and storage were imitated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from ptx_node.errors import UsageError
from ptx_node.simulator.patient import Posture, Wishes

if TYPE_CHECKING:
    from collections.abc import Mapping


class Grey(StrEnum):
    """What stands between stored values and the shown picture (PS3.3 C.11.2)."""

    NONE = "none"
    """Nothing: values use the whole range of Bits Stored."""
    WINDOW = "window"
    TWO_WINDOWS = "two_windows"
    """Two windows, of which the first counts."""
    SIGMOID = "sigmoid"
    """A window whose VOI LUT Function is SIGMOID."""
    VOI_LUT = "voi_lut"
    """Values close to logarithmic exposure, and a VOI LUT that holds the vendor's curve: without it the picture is flat."""


class Spacing(StrEnum):
    """Which attributes tell the size of a pixel (PS3.3 10.7)."""

    PIXEL = "pixel"
    """Pixel Spacing alone, in the patient."""
    IMAGER = "imager"
    """Imager Pixel Spacing alone, at the detector."""
    MAGNIFIED = "magnified"
    """Imager Pixel Spacing and the magnification."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class System:
    """One modality.

    Attributes:
        manner: whose display processing is imitated; a key of `display.TASTES`.
        size: (rows, columns) of its pictures.
        photometric: (0028,0004).
        transfer_syntax: as it sends; without the encoder on this machine the file is uncompressed.
    """

    name: str
    sop_class: UID
    modality: str
    manner: str
    model: str
    bits: int
    photometric: str
    grey: Grey
    transfer_syntax: UID
    spacing: Spacing
    size: tuple[int, int]

    @property
    def inverted(self) -> bool:
        """Whether low values are bright."""
        return self.photometric == MONOCHROME1


@dataclass(frozen=True, slots=True)
class Site:
    """One hospital, or one public data set.

    Attributes:
        systems: a patient comes to one of them by chance.
        character_set: (0008,0005), one value a component.
        postures: odds of each.
        prevalence: share of patients with a pneumothorax, where a caller leaves it to chance.
        bedside: exposure without grid and sometimes far too small.
        anonymous: patient name and identifier are as in public data sets.
    """

    name: str
    institution: str
    systems: tuple[System, ...]
    character_set: tuple[str, ...]
    postures: Mapping[Posture, float]
    prevalence: float = 0.3
    bedside: bool = False
    anonymous: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the first system."""
        return self.systems[0].size

    @property
    def ct(self) -> bool:
        """Whether it sends CT."""
        return self.systems[0].sop_class == CTImageStorage

    def system(self, seed: int) -> System:
        """Where the patient of this seed goes."""
        return self.systems[int(np.random.default_rng([seed, 301]).integers(len(self.systems)))]

    def wishes(self, seed: int, wishes: Wishes) -> Wishes:
        """The caller's wishes, with a posture that occurs here where none was wished."""
        if wishes.posture is not None:
            return wishes
        rng = np.random.default_rng([seed, 302])
        return replace(wishes, posture=Posture(str(rng.choice(list(self.postures), p=list(self.postures.values())))))


MONOCHROME1, MONOCHROME2 = "MONOCHROME1", "MONOCHROME2"
_DX, _CR, _SC = DigitalXRayImageStorageForPresentation, ComputedRadiographyImageStorage, SecondaryCaptureImageStorage

_SIIM = Site(
    name="siim",
    institution="SIMULATED PUBLIC SET",
    systems=(
        System("export", _SC, "CR", "carestream", "export", 8, MONOCHROME2, Grey.NONE, JPEGBaseline8Bit, Spacing.PIXEL, (1024, 1024)),
        System("export", _SC, "CR", "ge ", "export", 8, MONOCHROME2, Grey.NONE, JPEGBaseline8Bit, Spacing.PIXEL, (1024, 1024)),
    ),
    character_set=("ISO_IR 100",),
    postures={Posture.UPRIGHT_PA: 0.6, Posture.BEDSIDE_AP: 0.25, Posture.SUPINE: 0.15},
    prevalence=0.22,
    anonymous=True,
)

_TOULOUSE = Site(
    name="toulouse",
    institution="SIMULATED Hôpital de Toulouse",
    systems=(
        System("salle 1", _DX, "DX", "agfa", "DX-1", 12, MONOCHROME1, Grey.VOI_LUT, JPEGLosslessSV1, Spacing.MAGNIFIED, (2500, 2048)),
        System("salle 2", _CR, "CR", "fuji", "CR-2", 12, MONOCHROME1, Grey.VOI_LUT, JPEGLosslessSV1, Spacing.IMAGER, (2500, 2048)),
    ),
    character_set=("ISO_IR 100",),
    postures={Posture.UPRIGHT_PA: 0.8, Posture.BEDSIDE_AP: 0.15, Posture.SUPINE: 0.05},
)

_BEDSIDE = Site(
    name="bedside",
    institution="SIMULATED Intensive Care",
    systems=(
        System("mobile 1", _CR, "CR", "philips", "M-1", 10, MONOCHROME2, Grey.WINDOW, JPEGLSLossless, Spacing.IMAGER, (1760, 2140)),
        System("mobile 2", _DX, "DX", "siemens", "M-2", 12, MONOCHROME2, Grey.SIGMOID, JPEG2000Lossless, Spacing.MAGNIFIED, (1760, 2140)),
        System("mobile 3", _CR, "CR", "canon", "M-3", 12, MONOCHROME1, Grey.TWO_WINDOWS, RLELossless, Spacing.NONE, (1760, 2140)),
        System("mobile 4", _CR, "CR", "kodak", "M-4", 10, MONOCHROME2, Grey.WINDOW, ImplicitVRLittleEndian, Spacing.IMAGER, (1760, 2140)),
    ),
    character_set=("", "ISO 2022 IR 100"),
    postures={Posture.UPRIGHT_PA: 0.0, Posture.BEDSIDE_AP: 0.6, Posture.SUPINE: 0.4},
    bedside=True,
)

_CT64 = Site(
    name="ct64",
    institution="SIMULATED Hospital CT",
    systems=(
        System("CT 1", CTImageStorage, "CT", "", "CT-64", 12, MONOCHROME2, Grey.WINDOW, ExplicitVRLittleEndian, Spacing.PIXEL, (512, 512)),
        System("CT 2", CTImageStorage, "CT", "", "CT-64", 16, MONOCHROME2, Grey.WINDOW, JPEGLosslessSV1, Spacing.PIXEL, (512, 512)),
    ),
    character_set=("ISO_IR 192",),
    postures={Posture.SUPINE: 1.0},
)

SITES: Mapping[str, Site] = {site.name: site for site in (_SIIM, _TOULOUSE, _BEDSIDE, _CT64)}


def site_of(name: str) -> Site:
    """The site of this name.

    Raises:
        UsageError: there is none; the message lists those that there are.
    """
    if name not in SITES:
        raise UsageError(f"no simulated site '{name}': there are {', '.join(SITES)}")
    return SITES[name]
