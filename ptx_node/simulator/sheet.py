"""A contact sheet: simulated radiographs side by side as their systems show them, each under a caption that says SIMULATED."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from ptx_node.simulator.patient import ANYBODY, Confounder, Posture, draw_patient
from ptx_node.simulator.studies import picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ptx_node.simulator.patient import Patient, Wishes
    from ptx_node.simulator.sites import Site

Rgb = tuple[int, int, int]
PAPER: Rgb = (18, 20, 23)
WORDS: Rgb = (226, 229, 233)
QUIET: Rgb = (142, 149, 158)
AIR: Rgb = (255, 168, 64)
"""Contour of the mask, and the words that name what it surrounds."""
TILE, GAP, MARGIN = 420, 18, 36
"""Pixels: largest side of a picture, between tiles, round the sheet."""
OVERSAMPLING = 2
"""Pictures are made so much finer than shown: a radiograph on a small screen is a large one made smaller."""
POSTURES = {Posture.UPRIGHT_PA: "upright PA", Posture.BEDSIDE_AP: "bedside AP", Posture.SUPINE: "supine AP"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet with its words."""

    image: Image.Image
    seed: int
    headline: str
    finding: str
    positive: bool


def tiles(sites: Sequence[Site], seeds: Iterable[int], wishes: Wishes = ANYBODY, *, masks: bool = False) -> Iterator[Tile]:
    """One tile a seed, the sites in turn.

    Args:
        sites: that send radiographs.
        seeds: of the patients.
        wishes: what must be so.
        masks: whether the projected pleural air is outlined.
    """
    for number, seed in enumerate(seeds):
        site = sites[number % len(sites)]
        patient = draw_patient(seed, site.wishes(seed, wishes))
        rows, columns = site.system(seed).size
        scale = OVERSAMPLING * TILE / max(rows, columns)
        projection, shown_HW = picture(patient, site, (round(rows * scale), round(columns * scale)))
        image = _drawn(shown_HW, projection.mask_HW if masks else None)
        yield Tile(image, seed, f"{site.name}  ·  {POSTURES[patient.posture]}", _finding(patient), bool(patient.airs))


def contact_sheet(pictures: Sequence[Tile], *, columns: int = 4) -> Image.Image:
    """All tiles on one sheet, under a line that says what they are."""
    columns = max(1, min(columns, len(pictures)))
    caption, head = 52, 58
    rows = -(-len(pictures) // columns)
    width = 2 * MARGIN + columns * TILE + (columns - 1) * GAP
    height = MARGIN + head + rows * (TILE + caption + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN - 6), "SIMULATED radiographs", WORDS, _font(27))
    draw.text((MARGIN, MARGIN + 27), f"{len(pictures)} phantoms, no patients. ptx-node, research software", QUIET, _font(15))
    for number, tile in enumerate(pictures):
        left = MARGIN + (number % columns) * (TILE + GAP)
        top = MARGIN + head + (number // columns) * (TILE + caption + GAP)
        draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), fill=(0, 0, 0))
        sheet.paste(tile.image, (left + (TILE - tile.image.width) // 2, top + (TILE - tile.image.height) // 2))
        below = top + TILE + 8
        draw.text((left, below), f"SIMULATED  ·  {tile.headline}", WORDS, _font(15))
        draw.text((left + TILE, below), f"seed {tile.seed}", QUIET, _font(14), anchor="ra")
        draw.text((left, below + 20), tile.finding, AIR if tile.positive else QUIET, _font(14))
    return sheet


def _drawn(shown_HW: NDArray[np.float32], mask_HW: NDArray[np.bool_] | None) -> Image.Image:
    """The picture at its size on the sheet, with the mask's outline just outside the mask."""
    size = shown_HW.shape[1] // OVERSAMPLING, shown_HW.shape[0] // OVERSAMPLING
    grey = Image.fromarray(np.round(shown_HW * 255).astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)
    image = grey.convert("RGB")
    if mask_HW is not None and mask_HW.any():
        ring_HW = binary_dilation(mask_HW, iterations=OVERSAMPLING) & ~mask_HW
        ring = Image.fromarray((ring_HW * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
        image.paste(Image.new("RGB", size, AIR), mask=ring)
    return image


def _finding(patient: Patient) -> str:
    if not patient.airs:
        return "no pneumothorax, chest tube" if Confounder.CHEST_TUBE in patient.confounders else "no pneumothorax"
    return "pneumothorax " + " + ".join(f"{air.side}, {air.size}" for air in patient.airs)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
