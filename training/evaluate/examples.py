"""Cases to look at: true and false positives and negatives, each with the true outline and the answer's mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ptx_node.domain.image import Radiograph
from training.evaluate.figures import STYLE, save
from training.evaluate.judge import answer_of, outputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ptx_node.model.predictor import Predictor
    from training.evaluate.cases import Load
    from training.evaluate.judge import Output
    from training.evaluate.rows import Row
    from training.records import Record

KINDS = {
    "true positives": (1, True),
    "false negatives": (1, False),
    "false positives": (0, True),
    "true negatives": (0, False),
}
TRUTH, ANSWER = "#35d07f", "#ff5a36"
LUNG_WINDOW = (-1350.0, 150.0)
"""Hounsfield units shown from black to white."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One example in memory: a plane of it, with both masks there."""

    row: Row
    picture_HW: NDArray[np.float32]
    truth_HW: NDArray[np.bool_] | None
    answer_HW: NDArray[np.bool_]
    plane: str


def chosen(rows: Sequence[Row], each: int) -> dict[str, list[int]]:
    """Places of the cases to show: the wrong ones from the worst, the right ones spread from the surest to the least sure."""
    found = {}
    for name, (label, positive) in KINDS.items():
        places = [place for place, row in enumerate(rows) if row.label == label and row.positive is positive]
        places.sort(key=lambda place: rows[place].probability, reverse=positive)
        if name.startswith("true") and len(places) > each:
            places = [places[place] for place in np.linspace(0, len(places) - 1, each).round().astype(int)]
        found[name] = places[:each]
    return found


def draw_examples(
    rows: Sequence[Row], groups: Sequence[tuple[Record, ...]], predictor: Predictor, load: Load, folder: Path, *, each: int = 4, note: str
) -> dict[str, str]:
    """Write one picture a kind of answer; {caption: file name}. The cases are read and run once more."""
    made = {}
    for name, places in chosen(rows, each).items():
        if not places:
            continue
        seen = outputs(predictor, [groups[place] for place in places], load, threads=1)
        shown = [_shown(rows[place], output, predictor) for place, output in zip(places, seen, strict=True)]
        file = name.replace(" ", "-") + ".png"
        with mpl.rc_context(STYLE):
            figure = _panel(shown, each)
            save(figure, folder / file, note)
        made[name.capitalize()] = file
    return made


def _shown(row: Row, output: Output, predictor: Predictor) -> Shown:
    finding = predictor.finding_of(output.prepared, output.probabilities_Z, output.logits_ZHW.clone())
    answer_ZHW, truth_ZHW, image = answer_of(finding, output), output.case.truth_ZHW, output.case.image
    if isinstance(image, Radiograph):
        return Shown(row, image.image_HW, None if truth_ZHW is None else truth_ZHW[0], answer_ZHW[0], "")
    of_slice = answer_ZHW.sum(axis=(1, 2), dtype=np.int64) + (0 if truth_ZHW is None else truth_ZHW.sum(axis=(1, 2), dtype=np.int64))
    place = int(np.argmax(of_slice)) if of_slice.any() else int(np.argmax(output.probabilities_Z))
    low, high = LUNG_WINDOW
    picture_HW = np.clip((image.hu_ZHW[place].astype(np.float32) - low) / (high - low), 0, 1)
    truth_HW = None if truth_ZHW is None else truth_ZHW[place]
    return Shown(row, picture_HW, truth_HW, answer_ZHW[place], f", slice {place + 1} of {of_slice.size}")


def _panel(shown: Sequence[Shown], each: int) -> Figure:
    """Above: the pictures as they are, since an overlay hides what a reader looks for. Below: the same with both masks."""
    figure = Figure(figsize=(2.9 * each, 6.6))
    axes = figure.subplots(2, each, squeeze=False)
    for column in range(each):
        for row in range(2):
            axes[row, column].set_axis_off()
        if column < len(shown):
            _draw(axes[0, column], axes[1, column], shown[column])
    return figure


def _draw(above: Any, below: Any, one: Shown) -> None:
    for axes in (above, below):
        axes.imshow(one.picture_HW, cmap="gray", vmin=0, vmax=1, interpolation="antialiased")
    if one.answer_HW.any():
        layer = np.zeros((*one.answer_HW.shape, 4), dtype=np.float32)
        layer[one.answer_HW] = (*mpl.colors.to_rgb(ANSWER), 0.35)
        below.imshow(layer, interpolation="nearest")
        below.contour(one.answer_HW, levels=[0.5], colors=ANSWER, linewidths=0.8)
    if one.truth_HW is not None and one.truth_HW.any():
        below.contour(one.truth_HW, levels=[0.5], colors=TRUTH, linewidths=0.9)
    above.set_title(_title(one), fontsize=8, fontweight="normal")


def _title(one: Shown) -> str:
    row = one.row
    facts = [text for text in (row.site, row.view, row.size, "tube" if row.tube else "") if text]
    overlap = f", Dice {row.counts.dice:.2f}" if row.counts is not None and row.truth_pixels else ""
    return f"{', '.join(facts)}\np = {row.probability:.3f}{overlap}{one.plane}"
