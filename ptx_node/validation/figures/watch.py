"""Errors over time: the CUSUM of wrong answers, of misses and of false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.validation.figures.discrimination import foot
from ptx_node.validation.figures.picture import BLUE, GREY, ORANGE, Picture, canvas, finished
from ptx_node.validation.wording import WATCHED, whole

if TYPE_CHECKING:
    from collections.abc import Mapping


def watch(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """One strip a watch, with its limit and its alarms."""
    known = model["over_time"]["watches"]
    watches = {words: known[name] for name, words in WATCHED.items() if name in known and known[name]["course"]}
    if not watches:
        return []
    figure = canvas(6.4, 0.8 + 1.3 * len(watches))
    rows = figure.subplots(len(watches), 1, sharex=True, squeeze=False)[:, 0]
    cases = model["over_time"]["cases"]["value"]
    for axes, (name, one) in zip(rows, watches.items(), strict=True):
        axes.step([at for at, _ in one["course"]], [value for _, value in one["course"]], where="post", color=BLUE, linewidth=1.2)
        axes.axhline(one["limit"], color=ORANGE, linewidth=1.1, linestyle="--")
        axes.text(max(2, cases), one["limit"], "limit", va="bottom", ha="right", fontsize=7, color=ORANGE)
        if one["alarms"]:
            axes.plot(
                one["alarms"], [one["limit"]] * len(one["alarms"]), linestyle="", marker="v", color=ORANGE, markersize=6, clip_on=False
            )
        top = 1.35 * max(one["limit"], *(value for _, value in one["course"]))
        axes.set(ylim=(0, top), xlim=(1, max(2, cases)), ylabel="sum")
        rate = f"{whole(one['events'])} of {whole(one['n'])} ({100 * one['rate']['value']:.1f} %)"
        axes.set_title(f"{name}: {rate}, {len(one['alarms'])} alarm{'s' * (len(one['alarms']) != 1)}", fontsize=8.5)
        axes.yaxis.label.set_color(GREY)
    rows[-1].set_xlabel("case, in the true order of time")
    alarms = "; ".join(f"{name}: {len(one['alarms'])} alarms" for name, one in watches.items())
    first = next(iter(watches.values()))
    words = (
        f"CUSUM of {whole(cases)} cases in the order of time. {alarms}. The watch asks whether the odds of such an event have grown; "
        f"at the expected rate a false alarm comes once in {first['cases_to_false_alarm']:,.0f} cases on average."
    )
    title = "Errors over time"
    return [finished(figure, name=f"{key}-time", title=title, words=words, alternative=words, foot=foot(model), simulated=simulated)]
