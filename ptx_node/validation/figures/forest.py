"""Subgroups beside each other and beside all cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.validation.figures.discrimination import foot, whiskers
from ptx_node.validation.figures.picture import BLUE, GREY, PALE_BLUE, Picture, canvas, finished
from ptx_node.validation.wording import confidence, shown, stated, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROWS = 36
"""Groups of one picture: what a page can show."""
PANELS = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}


def forest(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """AUC, sensitivity and specificity of each shown subgroup, with all cases as the line to hold them against."""
    groups = model["subgroups"]["shown"]
    parts = [groups[start : start + ROWS] for start in range(0, len(groups), ROWS)]
    names = [f"{key}-subgroups" if len(parts) == 1 else f"{key}-subgroups-{place}" for place in range(1, len(parts) + 1)]
    return [_part(name, part, model, simulated=simulated) for name, part in zip(names, parts, strict=True)]


def _part(name: str, groups: Sequence[Mapping[str, Any]], model: Mapping[str, Any], *, simulated: bool) -> Picture:
    everybody = {
        "auc": model["discrimination"]["auc"],
        "sensitivity": stated(model["answers"]["sensitivity"]),
        "specificity": stated(model["answers"]["specificity"]),
    }
    attributes = list(dict.fromkeys(one["attribute"] for one in groups))
    lines: list[Mapping[str, Any] | str] = []
    for attribute in attributes:
        lines += [attribute, *(one for one in groups if one["attribute"] == attribute)]
    figure = canvas(7.4, 1.05 + 0.2 * (len(lines) + 1))
    left, *panels = figure.subplots(1, 4, sharey=True, width_ratios=(1.65, 1, 1, 1))
    left.set(ylim=(len(lines) + 0.5, -1.6), xlim=(0, 1))
    left.axis("off")
    left.text(0.98, -0.85, "patients", ha="right", fontsize=7.5, color=GREY)
    left.text(0.03, 0, "all cases", fontweight="bold", va="center", fontsize=8)
    left.text(0.98, 0, whole(model["counts"]["patients"]["value"]), ha="right", va="center", fontsize=8)
    for place, line in enumerate(lines, 1):
        if isinstance(line, str):
            left.text(0.03, place, line, va="center", fontsize=8, fontweight="bold")
            continue
        left.text(0.09, place, shown(line["value"], 22), va="center", fontsize=8)
        left.text(0.98, place, whole(line["figures"]["patients"]["value"]), ha="right", va="center", fontsize=8)
    for axes, (figure_name, title) in zip(panels, PANELS.items(), strict=True):
        _panel(axes, figure_name, title, lines, everybody[figure_name])
    share = confidence(everybody["auc"])
    words = (
        f"Subgroups with {share} intervals; line and band: all {whole(model['counts']['counted']['value'])} cases. By size and by side: "
        "positives of that kind against all cases without a pneumothorax. "
        f"{len(model['subgroups']['withheld'])} groups are withheld as too small, or so that nobody can compute those."
    )
    told = "; ".join(
        f"{one['attribute']} {shown(one['value'], 40)}: sensitivity {one['figures']['sensitivity']['value']:.3f}"
        for one in groups
        if one["figures"]["sensitivity"]["value"] is not None
    )
    return finished(
        figure,
        name=name,
        title="Subgroups",
        words=words,
        alternative=f"{words} {told}.",
        foot=foot(model),
        simulated=simulated,
    )


def _panel(axes: Any, name: str, title: str, lines: Sequence[Mapping[str, Any] | str], everybody: Mapping[str, Any]) -> None:
    lowest = 1.0
    rows = [(0, everybody)]
    rows += [(place, line["figures"][name]) for place, line in enumerate(lines, 1) if not isinstance(line, str) and name in line["figures"]]
    if everybody["value"] is not None:
        if everybody["low"] is not None:
            axes.axvspan(everybody["low"], everybody["high"], color=PALE_BLUE, linewidth=0)
        axes.axvline(everybody["value"], color=BLUE, linewidth=0.8, linestyle=(0, (3, 2)))
    for place, one in rows:
        if one["value"] is None:
            continue
        marker, size = ("D", 5.5) if not place else ("o", 4)
        axes.errorbar(one["value"], place, xerr=whiskers(one), color=BLUE, marker=marker, markersize=size, linewidth=1.1, capsize=2)
        lowest = min(lowest, one["value"] if one["low"] is None else one["low"])
    axes.set_xlim(max(0.0, min(0.9, lowest - 0.04)), 1.015)
    axes.set_title(title, fontsize=8.5)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines["left"].set_visible(False)
