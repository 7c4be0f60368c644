"""The flow chart of STARD 2015: boxes from top to bottom, beside them who left and why, at the end the cells of the table."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.patches import FancyBboxPatch

from ptx_node.validation.figures.picture import BLUE, GREY, PALE_BLUE, Picture, canvas, finished
from ptx_node.validation.wording import shown, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.validation.flow import Flow, Step

LINE = 0.165
"""Inches of a line of text."""
MARGIN = 0.14
GAP = 0.3
MAIN, MAIN_WIDTH = 0.15, 2.9
SIDE, SIDE_WIDTH = 3.55, 3.5
WIDTH = 7.2
MOST_REASONS = 12
"""Beside one box; the rarer ones stand together."""


def flow_chart(flow: Flow, *, simulated: bool) -> list[Picture]:
    """The chart as a picture; none without a box."""
    if not flow.steps:
        return []
    main = [_wrapped(step, 38) for step in flow.steps]
    sides = [_reasons(step) for step in flow.steps]
    ends = [_wrapped(step, 19) for step in flow.ends]
    heights = [_high(lines) for lines in main]
    gaps = [max(GAP, _high(lines) + GAP / 2 if lines else GAP) for lines in sides]
    gaps = gaps if ends else [*gaps[:-1], gaps[-1] if sides[-1] else 0.0]
    end_height = max((_high(lines) for lines in ends), default=0.0)
    height = sum(heights) + sum(gaps) + end_height + (GAP if ends else 0) + 0.55
    figure = canvas(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    top = height - 0.12
    middle = MAIN + MAIN_WIDTH / 2
    for place, (lines, side, tall, gap) in enumerate(zip(main, sides, heights, gaps, strict=True)):
        _box(axes, (MAIN, top - tall, MAIN_WIDTH, tall), lines, bold_last=True)
        bottom, below = top - tall, top - tall - gap
        last = place == len(main) - 1
        if side:
            centre = (bottom + below) / 2
            _box(axes, (SIDE, centre - _high(side) / 2, SIDE_WIDTH, _high(side)), side, pale=False)
            axes.plot([middle, middle], [bottom, centre], color=GREY, linewidth=1)
            axes.annotate("", (SIDE, centre), (middle, centre), arrowprops=_arrow())
        if not last:
            axes.annotate("", (middle, below), (middle, bottom), arrowprops=_arrow())
        top = below
    if ends:
        _ends(axes, ends, middle, top + gaps[-1], end_height)
    first, last_step = flow.steps[0], flow.steps[-1]
    words = f"{whole(first.count)} {shown(first.words or first.name)}, {whole(last_step.count)} {shown(last_step.words or last_step.name)}."
    return [
        finished(
            figure,
            name="flow",
            title="Who was counted, and who was not",
            words=words,
            alternative=_told(flow),
            foot="STARD 2015, item 19",
            simulated=simulated,
        )
    ]


def _wrapped(step: Step, width: int) -> list[str]:
    return [*textwrap.wrap(shown(step.words or step.name), width), f"n = {whole(step.count)}"]


def _reasons(step: Step) -> list[str]:
    left = [one for one in step.left if one.count]
    kept = sorted(left, key=lambda one: -one.count)[:MOST_REASONS] if len(left) > MOST_REASONS else left
    lines = [f"left: n = {whole(sum(one.count for one in left))}"] if left else []
    for one in kept:
        lines += textwrap.wrap(f"{whole(one.count)}  {shown(one.words or one.reason)}", 46, subsequent_indent="      ")
    rest = sum(one.count for one in left) - sum(one.count for one in kept)
    return [*lines, f"{whole(rest)}  for other reasons (see exclusions.csv)"] if rest else lines


def _high(lines: Sequence[str]) -> float:
    return LINE * len(lines) + MARGIN if lines else 0.0


def _arrow() -> dict[str, Any]:
    return {"arrowstyle": "-|>", "color": GREY, "linewidth": 1, "shrinkA": 0, "shrinkB": 0}


def _box(axes: Any, place: tuple[float, float, float, float], lines: Sequence[str], *, pale: bool = True, bold_last: bool = False) -> None:
    x, y, width, height = place
    look: dict[str, Any] = {"facecolor": PALE_BLUE if pale else "white", "edgecolor": BLUE if pale else GREY, "linewidth": 0.9}
    axes.add_patch(FancyBboxPatch((x + 0.03, y + 0.03), width - 0.06, height - 0.06, boxstyle="round,pad=0.03", **look))
    for number, line in enumerate(lines):
        weight = "bold" if bold_last and number == len(lines) - 1 else "normal"
        at = (x + width / 2, "center") if pale else (x + 0.1, "left")
        axes.text(at[0], y + height - MARGIN / 2 - LINE * (number + 0.5), line, ha=at[1], va="center", fontsize=8, fontweight=weight)


def _ends(axes: Any, ends: Sequence[Sequence[str]], middle: float, bottom: float, height: float) -> None:
    """The last boxes side by side, each below a line from the last of the others."""
    wide = (WIDTH - 0.3 - 0.15 * (len(ends) - 1)) / len(ends)
    top = bottom - 2 * GAP
    bar = bottom - GAP
    centres = [0.15 + place * (wide + 0.15) + wide / 2 for place in range(len(ends))]
    axes.plot([middle, middle], [bottom, bar], color=GREY, linewidth=1)
    axes.plot([min(middle, *centres), max(middle, *centres)], [bar, bar], color=GREY, linewidth=1)
    for centre, lines in zip(centres, ends, strict=True):
        axes.annotate("", (centre, top), (centre, bar), arrowprops=_arrow())
        _box(axes, (centre - wide / 2, top - height, wide, height), lines, bold_last=True)


def _told(flow: Flow) -> str:
    """The chart in words."""
    told = []
    for step in flow.steps:
        left = ", ".join(f"{whole(one.count)} {shown(one.words or one.reason)}" for one in step.left if one.count)
        told.append(f"{whole(step.count)} {shown(step.words or step.name)}" + (f" (of these left: {left})" if left else ""))
    ends = ", ".join(f"{whole(step.count)} {shown(step.words or step.name)}" for step in flow.ends)
    return "Flow chart: " + "; ".join(told) + (f"; at the end {ends}." if ends else ".")
