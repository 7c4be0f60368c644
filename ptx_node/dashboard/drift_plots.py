"""The plots of the page Drift, from its looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.dashboard.plots import Plot, axis, named_axis
from ptx_node.validation.wording import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.db.watch_tables import DriftLook

LONGEST_NAME = 14


def shares(look: DriftLook) -> Plot | None:
    """The reference as bars and the window as a line or as points, by bin or value; None where neither has any."""
    places, reference, window = (look.detail[name] for name in ("places", "reference", "window"))
    if not reference:
        return None
    percent = axis("%", 100 * max(0.02, *reference, *window))
    numbers = len(places) == len(reference) + 1
    words = f"Reference of {look.reference_count} and window of {look.window_count} patients, by {'bin' if numbers else 'value'}."
    if numbers:
        plot = Plot(words, axis("", float(places[-1]), float(places[0])), percent)
        corners = []
        for low, high, before, after in zip(places, places[1:], reference, window, strict=False):
            told = f"{low:.3g} to {high:.3g}: reference {100 * before:.1f} %, window {100 * after:.1f} %"
            plot.bar(low, high, 100 * before, told, "b0")
            corners += [(low, 100 * after), (high, 100 * after)]
        plot.line(corners, "s1")
    else:
        names = [shown(one, LONGEST_NAME) for one in places]
        plot = Plot(words, named_axis("", names, most=6), percent)
        for place, (name, before, after) in enumerate(zip(places, reference, window, strict=True)):
            told = f"{shown(name, 60)}: reference {100 * before:.1f} %, window {100 * after:.1f} %"
            plot.bar(place - 0.36, place, 100 * before, told, "b0")
            plot.bar(place, place + 0.36, 100 * after, told, "b1")
    plot.legend.extend([("b0", "reference"), ("s1" if numbers else "b1", "window")])
    return plot


def course(looks: Sequence[DriftLook]) -> Plot | None:
    """How far the window was from the reference, day by day; None before there are two days."""
    told = [one for one in looks if one.effect is not None]
    if len(told) < 2:  # noqa: PLR2004 - a line needs two
        return None
    effects = [one.effect or 0.0 for one in told]
    plot = Plot(
        f"Difference from the reference, {told[0].day} to {told[-1].day}.",
        named_axis("", [f"{one.day:%d %b}" for one in told], most=5),
        axis("difference", max(0.2, *effects)),
    )
    plot.line(list(enumerate(effects)), "s1")
    for place, one in enumerate(told):
        if one.crossed:
            plot.mark((place, one.effect or 0.0), f"{one.day}: unlike the reference", "alarm")
    return plot
