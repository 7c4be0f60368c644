"""What is trained, and under which handling of pixels each site is then read."""

from __future__ import annotations

from dataclasses import dataclass

from training.datasets import NODE, Handling
from training.datasets.handling import Standardise, Values

NAIVE = Handling(values=Values.DIVIDE_255, invert_monochrome1=False)
"""Stored values over 255, whatever they mean: the thesis's handling. Right for 8-bit MONOCHROME2 alone."""


@dataclass(frozen=True, slots=True)
class Model:
    """One training run.

    Attributes:
        handling: of the pictures that it is trained on.
        every_site: trained on all sites, with as many images in sum as the others have from one.
        overrides: of settings, `key=value`.
    """

    name: str
    handling: Handling = NODE
    every_site: bool = False
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table: a model, and how the pictures of every site are read for it."""

    name: str
    words: str
    model: str
    handling: Handling


DISPLAYS = (
    "augment.gamma=0.4",
    "augment.curve=1.0",
    "augment.detail=0.8",
    "augment.compression=0.6",
    "augment.contrast=0.25",
    "augment.noise=0.04",
    "augment.blur=0.2",
    "augment.jpeg=0.25",
    "augment.collimation=0.2",
    "augment.text=0.3",
)
"""Pictures are changed in training as other systems' processing would have shown them."""

LANDMARKS = Handling(standardise=Standardise.LANDMARKS)
CROPPED = Handling(lung_crop=True)

BASE = Model("base")
"""Where all models go on from, with `--base-minutes`: most of what they learn is the same, and need not be learned five times."""

MODELS = (
    Model("one_site"),
    Model("landmarks", handling=LANDMARKS),
    Model("lung_crop", handling=CROPPED),
    Model("displays", overrides=DISPLAYS),
    Model("every_site", every_site=True),
)

TRIALS = (
    Trial("naive", "stored values / 255, as in the thesis", "one_site", NAIVE),
    Trial("depth", "bit depth respected", "one_site", Handling(values=Values.FULL_RANGE, invert_monochrome1=False)),
    Trial("depth_inverted", "bit depth and MONOCHROME1", "one_site", Handling(values=Values.FULL_RANGE)),
    Trial("window_only", "VOI LUT or window, without MONOCHROME1", "one_site", Handling(invert_monochrome1=False)),
    Trial("node", "VOI LUT or window, MONOCHROME1: the node's handling", "one_site", NODE),
    Trial("landmarks", "node's handling + histogram landmarks", "landmarks", LANDMARKS),
    Trial("lung_crop", "node's handling + crop to the lungs", "lung_crop", CROPPED),
    Trial("displays", "node's handling + varied displays in training", "displays", NODE),
    Trial("every_site", "node's handling + training at every site", "every_site", NODE),
)
"""From what the thesis did to what helps, one change at a time; each trained variant stands on the node's handling."""
