"""The plots of the page Drift, from its looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.dashboard.plots import Plot, axis, named_axis
from ptx_node.validation.wording import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.db.watch_tables import DriftLook
    from ptx_node.db.watching import Course

IN_ORDER = frozenset({"age", "bits_stored"})
"""Figures whose values have an order of their own; the others stand by size."""
UNITS = {"probability": "probability", "mask_size": "mm² of a radiograph, mL of a CT", "exposure_index": "exposure index, as sent"}
"""What stands under the axis of a figure of numbers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value, and its share of the patients of reference and window, in percent."""

    name: str
    reference: float
    window: float


def rows(look: DriftLook) -> list[Row]:
    """The values of a figure; none of a figure of numbers."""
    places, reference, window = (look.detail[name] for name in ("places", "reference", "window"))
    if len(places) != len(reference):
        return []
    found = [Row(shown(name, 60), 100 * before, 100 * after) for name, before, after in zip(places, reference, window, strict=True)]
    return sorted(found, key=lambda one: (not one.name[:1].isdigit(), one.name)) if look.figure in IN_ORDER else found


def distribution(look: DriftLook) -> Plot | None:
    """A figure of numbers: the reference as bars, the window as a line; None of a figure of values, and where there is nothing."""
    places, reference, window = (look.detail[name] for name in ("places", "reference", "window"))
    if not reference or len(places) == len(reference):
        return None
    words = f"Reference of {look.reference_count} and window of {look.window_count} patients, by bin."
    across = axis(UNITS.get(look.figure, ""), float(places[-1]), float(places[0]))
    plot = Plot(words, across, axis("", 100 * max(0.02, *reference, *window)))
    corners = []
    for low, high, before, after in zip(places, places[1:], reference, window, strict=False):
        told = f"{low:.3g} to {high:.3g}: reference {100 * before:.1f} %, window {100 * after:.1f} %"
        plot.bar(low, high, 100 * before, told, "b0")
        corners += [(low, 100 * after), (high, 100 * after)]
    plot.line(corners, "s1")
    plot.legend.extend([("b0", "reference, %"), ("s1", "window, %")])
    return plot


def course(looks: Sequence[Course], newest: DriftLook) -> Plot | None:
    """How far the window was from the reference, day by day, with the newest look's limit if it has one; None before two days."""
    told = [one for one in looks if one.effect is not None]
    if len(told) < 2:  # noqa: PLR2004 - a line needs two
        return None
    effects = [one.effect or 0.0 for one in told]
    limit = newest.detail.get("limit")
    plot = Plot(
        f"Difference from the reference, {told[0].day} to {told[-1].day}.",
        named_axis("", [f"{one.day:%d %b}" for one in told], most=5),
        axis("", max(0.2, *effects, limit or 0.0)),
    )
    plot.line(list(enumerate(effects)), "s1")
    if limit is not None:
        plot.line([(-0.5, limit), (len(told) - 0.5, limit)], "limit")
        plot.legend.extend([("s1", "difference"), ("limit", "limit of the newest window")])
    for place, one in enumerate(told):
        if one.crossed:
            plot.mark((place, one.effect or 0.0), f"{one.day}: unlike the reference", "alarm")
    return plot


def scatter(look: DriftLook) -> Plot | None:
    """Embeddings as points in the two directions in which the reference spreads most; None of other figures, and of too few cases."""
    points = look.detail.get("points")
    if not points:
        return None
    before, after = points["reference"], points["window"]
    across, upright = (axis("", max(some), min(some)) for some in zip(*before, *after, strict=True))
    plot = Plot(f"{len(before)} patients of the reference and {len(after)} of the window, along the first two directions.", across, upright)
    for kind, some in (("dot b0", before), ("dot b1", after)):
        for x, y in some:
            plot.mark((x, y), "", kind)
    plot.legend.extend([("b0", "reference"), ("b1", "window")])
    return plot
