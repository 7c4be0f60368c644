"""Charts of a report, as SVG in data addresses: bars of shares, histogram of mask sizes, completeness. No figure without its table."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

COLOURS = ("#1f6f8b", "#c9782e", "#6a8f3c", "#8b5a9e", "#7a7a7a")
"""One a data set; told apart by people who do not tell red from green."""
INK, GRID = "#24323a", "#dfe5e8"
WIDTH = 5.4
LEFT = 0.34
"""Where bars begin: charts under each other line up, and all reach to 100 %."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ptx",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.axisbelow": True,
}
LONGEST = 23


def colour(place: int) -> str:
    """Of the data set at this place."""
    return COLOURS[place % len(COLOURS)]


def bars(
    table: Mapping[str, Mapping[str, Mapping[str, int]]], names: Sequence[str], totals: Mapping[str, int], *, split: bool = True
) -> str:
    """Share of images a value, one bar a data set; the darker part of a bar is the positives."""
    values = list(table)
    with mpl.rc_context(STYLE):
        top, bottom, line = (0.3 if len(names) > 1 else 0.05), 0.5, 0.14 + 0.17 * len(names)
        height = top + bottom + len(values) * line
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((LEFT, bottom / height, 0.97 - LEFT, 1 - (top + bottom) / height))
        thick = 0.78 / len(names)
        for place, name in enumerate(names):
            y = np.arange(len(values)) + (place - (len(names) - 1) / 2) * thick
            images = np.array([table[value][name]["images"] for value in values]) * 100 / max(totals[name], 1)
            positive = np.array([table[value][name]["positive"] for value in values]) * 100 / max(totals[name], 1)
            axes.barh(y, images, thick * 0.92, color=colour(place), alpha=0.45 if split else 0.85)
            if split:
                axes.barh(y, positive, thick * 0.92, color=colour(place))
        axes.set_yticks(range(len(values)), [_short(value) for value in values])
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the images" + (", the darker part positive" if split else ""))
        _plain(axes)
        if len(names) > 1:
            figure.legend(handles=_handles(names), loc="upper left", ncols=min(len(names), 4), frameon=False)
    return svg(figure)


def mask_histogram(percent_of: Mapping[str, Sequence[float]]) -> str:
    """Images by mask size on a logarithmic scale; lines at the 5th percentile (dotted) and the median (dashed) of each set."""
    everything = [value for values in percent_of.values() for value in values]
    low, high = np.floor(np.log10(min(everything)) * 2) / 2, np.ceil(np.log10(max(everything)) * 2) / 2
    edges = np.logspace(low, max(high, low + 0.5), 25)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        axes = figure.add_subplot()
        for place, values in enumerate(percent_of.values()):
            if not values:
                continue
            weights = np.full(len(values), 100 / len(values))
            axes.hist(values, edges.tolist(), weights=weights, color=colour(place), alpha=0.55, edgecolor="white", linewidth=0.5)
            for quantile, line in ((5, ":"), (50, "--")):
                axes.axvline(float(np.percentile(values, quantile)), color=colour(place), linestyle=line, linewidth=1.6)
        axes.set_xscale("log")
        axes.set_xlabel("mask, % of the picture (dotted: 5th percentile, dashed: median)")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high - low <= 2.5 else (1,)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylabel("% of the images with a mask")
        _plain(axes, along="y")
        if len(percent_of) > 1:
            figure.legend(handles=_handles(list(percent_of)), loc="outside upper left", ncols=min(len(percent_of), 4), frameon=False)
    return svg(figure)


def completeness(rows: Mapping[str, Mapping[str, float]], titles: Mapping[str, str]) -> str:
    """Share of images that state each attribute; set -> attribute -> 0..1."""
    table = {
        title: {name: {"images": round(10_000 * shares[key]), "positive": 0} for name, shares in rows.items()}
        for key, title in titles.items()
    }
    return bars(table, list(rows), dict.fromkeys(rows, 10_000), split=False)


def heat_map(pictures: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64], int]]) -> str:
    """Where masks lie: share of masks that cover a place, over the set's mean picture; set -> (mean picture, mean mask, images)."""
    columns = min(3, len(pictures))
    lines = -(-len(pictures) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns, 3.3 * lines), layout="constrained")
        for place, (name, (picture, mask, count)) in enumerate(pictures.items()):
            axes = figure.add_subplot(lines, columns, place + 1)
            axes.imshow(picture, cmap="gray", interpolation="bicubic")
            top = max(float(mask.max()), 1e-9)
            shown = axes.imshow(
                mask * 100, cmap="inferno", alpha=np.clip(mask / top * 1.3, 0, 0.8), vmin=0, vmax=100 * top, interpolation="bicubic"
            )
            axes.set_title(f"{name}: {count} masks", fontsize=9)
            axes.axis("off")
            bar = figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.02)
            bar.set_label("% of masks that cover the place", fontsize=8)
            bar.outline.set_visible(False)
    return png(figure)


def _plain(axes: Any, along: str = "x") -> None:
    for side in ("top", "right", "left" if along == "x" else "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis=along, color=GRID, linewidth=0.8)
    axes.tick_params(length=0)


def _handles(names: Sequence[str]) -> list[Patch]:
    return [Patch(color=colour(place), label=name) for place, name in enumerate(names)]


def _short(text: str) -> str:
    """Both ends of a long name: what tells vendors or storage classes apart is often the last word."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 1]}…{text[-LONGEST // 2 :]}"


def svg(figure: Figure) -> str:
    """The figure as a data address; the same bytes for the same figure."""
    with mpl.rc_context(STYLE):
        return _address(figure, "svg+xml", format="svg", metadata={"Date": None, "Creator": None})


def png(figure: Figure) -> str:
    """The figure as a data address, for pictures."""
    return _address(figure, "png", format="png", dpi=130, metadata={"Software": None})


def _address(figure: Figure, kind: str, **options: Any) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
