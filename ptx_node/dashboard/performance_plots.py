"""The plots of the page Performance, from the tree of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.dashboard.plots import Plot, axis, named_axis, unit_axis
from ptx_node.validation.wording import confidence, stated, whole, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

WATCHED = {
    "wrong": "Wrong answers",
    "missed": "Missed, of those with a pneumothorax",
    "false_alarm": "False alarms, of those without",
    "false_call": "Wrong, of the positive answers",
}


def roc(model: Mapping[str, Any]) -> Plot | None:
    """Sensitivity against 1 - specificity, with its band and the node's answers; None where there is no curve."""
    part = model["discrimination"]
    curve = part["roc"]
    if not curve["points"]:
        return None
    sensitivity, specificity = stated(model["answers"]["sensitivity"]), stated(model["answers"]["specificity"])
    plot = Plot(f"ROC curve. AUC {with_interval(part['auc'])}.", unit_axis("1 \N{MINUS SIGN} specificity"), unit_axis("sensitivity"))
    if curve["band"]:
        low, high = ([(1 - one["specificity"], one[end]) for one in curve["band"]] for end in ("low", "high"))
        plot.band(low, high, "b1")
    plot.line([(0, 0), (1, 1)], "chance")
    plot.line([(1 - one["specificity"], one["sensitivity"]) for one in curve["points"]], "s1")
    words = f"the node's answers: sensitivity {with_interval(sensitivity)}, specificity {with_interval(specificity)}"
    left, right = (None if specificity[end] is None else 1 - specificity[end] for end in ("high", "low"))
    place = (1 - specificity["value"], sensitivity["value"])
    plot.mark(place, words, "s2", low=sensitivity["low"], high=sensitivity["high"], left=left, right=right)
    plot.legend.extend([("s1", "model"), ("s2", "the node's answers"), ("chance", "chance")])
    if curve["band"]:
        plot.legend.insert(1, ("b1 pale", f"{confidence(part['auc'])} band"))
    return plot


def periods(model: Mapping[str, Any]) -> Plot | None:
    """Sensitivity and specificity of each month, with intervals; None where no month may be told."""
    shown = sorted(model["over_time"]["periods"]["shown"], key=lambda one: one["period"])
    if not shown:
        return None
    words = "; ".join(f"{one['period']}: sensitivity {with_interval(one['sensitivity'])}" for one in shown)
    plot = Plot(f"Sensitivity and specificity over time. {words}", named_axis("", [one["period"] for one in shown]), unit_axis(""))
    for name, kind, aside in (("sensitivity", "s1", -0.06), ("specificity", "s2", 0.06)):
        told = [(place + aside, one[name], one["period"]) for place, one in enumerate(shown) if one[name]["value"] is not None]
        plot.line([(place, one["value"]) for place, one, _ in told], kind)
        for place, one, period in told:
            plot.mark(
                (place, one["value"]), f"{period}: {name} {with_interval(one)}, n = {one['n']}", kind, low=one["low"], high=one["high"]
            )
        plot.legend.append((kind, name))
    return plot


def watches(model: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Plot | None]]:
    """A CUSUM each: its name, its figures, and its course, where there is a rate to watch."""
    watched = model["over_time"]["watches"]
    return [(words, watched[name], _course(words, watched[name])) for name, words in WATCHED.items() if name in watched]


def _course(name: str, watch: Mapping[str, Any]) -> Plot | None:
    if not watch["course"]:
        return None
    top = 1.15 * max(watch["limit"], *(value for _, value in watch["course"]))
    last = max(2, watch["course"][-1][0])
    plot = Plot(f"CUSUM of {name.lower()}: {len(watch['alarms'])} alarms.", axis("case, in the order of time", last), axis("", top))
    steps = [(0.0, 0.0)]
    for place, value in watch["course"]:
        steps += [(place, steps[-1][1]), (place, value)]
    plot.line(steps, "s1")
    plot.line([(0, watch["limit"]), (plot.x.high, watch["limit"])], "limit")
    for place in watch["alarms"]:
        plot.mark((place, watch["limit"]), f"alarm at case {whole(place)}", "alarm")
    plot.legend.extend([("s1", "sum"), ("limit", "limit")])
    return plot
