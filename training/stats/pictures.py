"""Pictures of a report: a random batch with the masks' contours, and what was found, to be looked at. Small greys, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image as Picture

from ptx_node.errors import InputError
from training.datasets import read
from training.stats.charts import STYLE, png
from training.stats.observe import HU_RANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.stats.facts import Finding, Image

EDGE = 320
"""Longer edge of a picture, pixels."""
CONTOUR = "#ffb000"
BATCH = 12
SHOWN = 4
"""Findings of a kind that are shown as pictures."""


def choose(images: Sequence[Image], seed: int, count: int = BATCH) -> list[Image]:
    """A random batch, as many positives as not where there are enough, so that masks are seen."""
    readable = [image for image in images if not image.facts.unreadable]
    rng = np.random.default_rng([seed, 5])
    order = [readable[index] for index in rng.permutation(len(readable)).tolist()]
    positives = [image for image in order if image.record.label == 1]
    others = [image for image in order if image.record.label != 1]
    half = max(count // 2, count - len(others))
    chosen = positives[:half] + others[: count - min(half, len(positives))]
    return [chosen[index] for index in rng.permutation(len(chosen)).tolist()]


def batch(images: Sequence[Image], *, columns: int = 4) -> str:
    """The images with contours of their masks, and label, view, sex and age under each."""
    return grid([(image, _told(image)) for image in images], columns)


def found(findings: Sequence[Finding]) -> str | None:
    """The first findings of a kind, each a row of at most four pictures (single images stand side by side); None without a picture."""
    readable = [finding for finding in findings if finding.images and not any(image.facts.unreadable for image in finding.images)]
    if not readable:
        return None
    if all(len(finding.images) == 1 for finding in readable):
        return grid([(finding.images[0], f"{_id(finding.images[0])}\n{_wrapped(finding.detail)}") for finding in readable[: 2 * SHOWN]], 4)
    cells = []
    for finding in readable[:SHOWN]:
        of_row = [(image, f"{_id(image)}\n{_told(image)}") for image in finding.images[:2]]
        cells += of_row + [None] * (2 - len(of_row))
    return grid(cells, 4 if len(cells) > 2 else 2)


def grid(cells: Sequence[tuple[Image, str] | None], columns: int) -> str:
    """Pictures with what is written under each."""
    columns = min(columns, len(cells))
    lines = -(-len(cells) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.45 * columns, 2.85 * lines), layout="constrained")
        for place, cell in enumerate(cells):
            if cell is None:
                continue
            axes = figure.add_subplot(lines, columns, place + 1)
            _draw(axes, cell[0])
            axes.set_xlabel(cell[1], fontsize=7.5)
    return png(figure)


def _draw(axes: Any, image: Image) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    for spine in axes.spines.values():
        spine.set_visible(False)
    try:
        values_HW, mask_HW = read(image.record)
    except InputError as error:
        axes.text(0.5, 0.5, _wrapped(error.detail), color="white", ha="center", va="center", transform=axes.transAxes, fontsize=7)
        return
    shown_HW = values_HW.astype(np.float32)
    if image.record.slice_index is not None:
        shown_HW = np.clip((shown_HW - HU_RANGE[0]) / (HU_RANGE[1] - HU_RANGE[0]), 0, 1)
    axes.imshow(_shrunk(shown_HW), cmap="gray", vmin=0, vmax=1)
    if mask_HW is not None and mask_HW.any():
        axes.contour(_shrunk(mask_HW.astype(np.float32)), levels=[0.5], colors=CONTOUR, linewidths=1.1)


def _shrunk(image_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    scale = min(1.0, EDGE / max(image_HW.shape))
    size = max(1, round(image_HW.shape[1] * scale)), max(1, round(image_HW.shape[0] * scale))
    return np.asarray(Picture.fromarray(image_HW).resize(size, Picture.Resampling.BOX), dtype=np.float32)


def _told(image: Image) -> str:
    record = image.record
    label = {1: "pneumothorax", 0: "none", None: "uncertain"}[record.label]
    known = [record.view, record.sex, "" if record.age_years is None else f"{record.age_years:.0f} y", record.site]
    return f"{label}\n{' · '.join(word for word in known if word)}"


def _id(image: Image) -> str:
    name = image.record.image_id
    return f"{image.data_set}: {name if len(name) <= 26 else '…' + name[-25:]}"


def _wrapped(text: str, width: int = 38) -> str:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "\n".join([*lines, line][:3])
