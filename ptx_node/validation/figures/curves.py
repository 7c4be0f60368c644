"""What other thresholds would give: sensitivity and specificity, and net benefit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.validation.figures.discrimination import counted, foot
from ptx_node.validation.figures.picture import BLUE, GREY, INK, ORANGE, Picture, canvas, finished
from ptx_node.validation.metrics.balanced import OF
from ptx_node.validation.wording import confidence

if TYPE_CHECKING:
    from collections.abc import Mapping


def sweep(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """Sensitivity and specificity at each threshold."""
    swept = model["thresholds"]["sweep"]
    if not model["counts"]["counted"]["value"]:
        return []
    figure = canvas(5.6, 3.6)
    axes = figure.subplots()
    x = [one["threshold"] for one in swept]
    for name, colour, dashes in (("sensitivity", BLUE, "-"), ("specificity", ORANGE, "--")):
        if any(one[name]["value"] is None for one in swept):
            continue
        axes.fill_between(
            x, [one[name]["low"] for one in swept], [one[name]["high"] for one in swept], color=colour, alpha=0.16, linewidth=0
        )
        axes.plot(x, [one[name]["value"] for one in swept], color=colour, linestyle=dashes, linewidth=1.7, label=name)
    for place, used in enumerate(model["thresholds"]["used"]):
        label = "threshold of the node" if not place else None
        axes.axvline(used, color=INK, linewidth=1, linestyle=(0, (1, 2)), label=label)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="threshold of the probability", ylabel="share")
    axes.set_title("Other thresholds")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    share = confidence(swept[0]["sensitivity"])
    used_words = ", ".join(f"{one:.3g}" for one in model["thresholds"]["used"])
    words = (
        f"Sensitivity and specificity of {counted(model)} at other thresholds, {share} bands (Wilson). The node's: {used_words or 'none'}."
    )
    return [
        finished(
            figure,
            name=f"{key}-thresholds",
            title="Other thresholds",
            words=words,
            alternative=words,
            foot=foot(model),
            simulated=simulated,
        )
    ]


def decision(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """Net benefit of the model, of treating all, of treating none."""
    curve = model["decision_curve"]
    if not curve or curve[0]["model"]["value"] is None:
        return []
    figure = canvas(5.6, 3.6)
    axes = figure.subplots()
    x = [one["threshold"] for one in curve]
    if curve[0]["model"]["low"] is not None:
        low, high = ([one["model"][end] for one in curve] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=BLUE, alpha=0.16, linewidth=0)
    axes.plot(x, [one["model"]["value"] for one in curve], color=BLUE, linewidth=1.7, label="acting on the model")
    axes.plot(x, [one["treat_all"]["value"] for one in curve], color=ORANGE, linewidth=1.3, linestyle="--", label="acting on everybody")
    axes.axhline(0, color=GREY, linewidth=1.1, linestyle=(0, (2, 3)), label="acting on nobody")
    top = max(0.02, *(one["model"]["high"] or one["model"]["value"] for one in curve))
    axes.set(xlim=(0, 1), ylim=(-0.35 * top, 1.1 * top), xlabel="probability from which one would act", ylabel="net benefit")
    axes.set_title("Decision curve")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    share = confidence(curve[0]["model"])
    words = (
        f"Net benefit of {counted(model)}, in found cases per case seen, {share} band by patient. "
        "It holds only where the cases come as they do in practice"
        + (", and these do not: their share of positives was chosen." if OF in curve[0]["model"] else ".")
    )
    return [
        finished(
            figure, name=f"{key}-decision", title="Decision curve", words=words, alternative=words, foot=foot(model), simulated=simulated
        )
    ]
