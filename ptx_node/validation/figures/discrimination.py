"""Positives told from negatives: the ROC curve, the 2x2 table, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle

from ptx_node.validation.figures.picture import BLUE, GREEN, GREY, INK, ORANGE, PALE_BLUE, PALE_GREY, Picture, canvas, finished
from ptx_node.validation.metrics.balanced import OF
from ptx_node.validation.wording import confidence, number, shown, stated, whole, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping


def counted(model: Mapping[str, Any]) -> str:
    """`292 cases of 292 patients, 92 with and 200 without pneumothorax`."""
    n = {name: whole(one["value"]) for name, one in model["counts"].items()}
    return f"{n['counted']} cases of {n['patients']} patients, {n['with']} with and {n['without']} without pneumothorax"


def foot(model: Mapping[str, Any]) -> str:
    """The model and its cases, for the foot of a picture."""
    return f"{shown(model['name'], 44)} · n = {whole(model['counts']['counted']['value'])}"


def whiskers(figure: Mapping[str, Any]) -> list[list[float]]:
    """Distances of the limits from the value, as matplotlib takes them; 0 where there is no limit."""
    value = figure["value"]
    return [[max(0.0, value - figure["low"]) if figure["low"] is not None else 0.0], [max(0.0, (figure["high"] or value) - value)]]


def roc(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """Sensitivity against 1 - specificity with its band, and where the node's answers lie."""
    part = model["discrimination"]
    if not part["roc"]["points"]:
        return []
    figure = canvas(4.7, 4.9)
    axes = figure.subplots()
    share = confidence(part["auc"])
    if part["roc"]["band"]:
        x = [1 - one["specificity"] for one in part["roc"]["band"]]
        low, high = ([one[end] for one in part["roc"]["band"]] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=PALE_BLUE, linewidth=0, label=f"{share} band, patients drawn again")
    points = part["roc"]["points"]
    axes.plot([1 - one["specificity"] for one in points], [one["sensitivity"] for one in points], color=BLUE, linewidth=1.8, label="model")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), label="chance")
    sensitivity, specificity = stated(model["answers"]["sensitivity"]), stated(model["answers"]["specificity"])
    x_whiskers = whiskers(specificity)[::-1]
    axes.errorbar(
        1 - specificity["value"],
        sensitivity["value"],
        xerr=x_whiskers,
        yerr=whiskers(sensitivity),
        color=ORANGE,
        marker="D",
        markersize=4.5,
        linewidth=1.3,
        capsize=2.5,
        label="the node's answers",
        zorder=5,
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="1 - specificity", ylabel="sensitivity")
    axes.set_title(f"ROC: AUC {with_interval(part['auc'])}")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.13))
    n = model["counts"]
    axes.text(0.98, 0.05, f"{whole(n['with']['value'])} with, {whole(n['without']['value'])} without pneumothorax", ha="right", fontsize=8)
    words = (
        f"ROC curve of {counted(model)}. AUC {with_interval(part['auc'])} ({part['auc']['method']}). Diamond: sensitivity "
        f"{with_interval(sensitivity)} and specificity {with_interval(specificity)} of the node's answers, {share} intervals."
    )
    return [finished(figure, name=f"{key}-roc", title="ROC curve", words=words, alternative=words, foot=foot(model), simulated=simulated)]


def table(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """The 2x2 table of answers with the rates of its rows and columns."""
    answers = model["answers"]
    n = {name: one["value"] for name, one in answers["table"].items()}
    if not sum(n.values()):
        return []
    figure = canvas(5.6, 3.5)
    axes = figure.subplots()
    axes.set(xlim=(-0.62, 2.95), ylim=(-0.72, 2.42))
    axes.axis("off")
    cells = {(0, 1): ("true_positive", PALE_BLUE), (1, 1): ("false_positive", PALE_GREY)}
    cells |= {(0, 0): ("false_negative", PALE_GREY), (1, 0): ("true_negative", PALE_BLUE)}
    for (column, row), (name, colour) in cells.items():
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
        axes.text(column + 0.5, row + 0.58, whole(n[name]), ha="center", va="center", fontsize=17, fontweight="bold")
        axes.text(column + 0.5, row + 0.2, name.replace("_", " "), ha="center", va="center", fontsize=8)
    for column, words in enumerate(("pneumothorax", "none")):
        axes.text(column + 0.5, 2.08, words, ha="center", fontweight="bold")
    axes.text(1, 2.3, "by the truth", ha="center", fontsize=8, color=GREY)
    for row, words in enumerate(("not called", "called\npositive")):
        axes.text(-0.06, row + 0.5, words, ha="right", va="center", fontweight="bold")
    beside = {(2.1, 1.5): ("PPV", "positive_predictive_value"), (2.1, 0.5): ("NPV", "negative_predictive_value")}
    beside |= {(0.03, -0.22): ("sensitivity", "sensitivity"), (1.03, -0.22): ("specificity", "specificity")}
    for (x, y), (short, name) in beside.items():
        one = stated(answers[name])
        whose = " (balanced)" if OF in one else ""
        axes.text(x, y, f"{short}{whose} {number(one['value'])}", va="center", fontweight="bold")
        axes.text(x, y - 0.2, f"{with_interval(one).partition(' ')[2]}".strip("()"), va="center", fontsize=8)
    told = ", ".join(f"{whole(n[name])} {name.replace('_', ' ')}" for name, _ in cells.values())
    sample = " PPV and NPV are of the balanced sample, of no practice." if OF in stated(answers["positive_predictive_value"]) else ""
    words = f"2x2 table of {counted(model)}: {told}.{sample}"
    return [
        finished(
            figure,
            name=f"{key}-table",
            title="2x2 table of the answers",
            words=words,
            alternative=words,
            foot=foot(model),
            simulated=simulated,
        )
    ]


def calibration(key: str, model: Mapping[str, Any], *, simulated: bool) -> list[Picture]:
    """Share of positives in bins of the probability, and below how many cases are in each bin."""
    part = model["calibration"]
    bins = part["bins"]
    if not bins:
        return []
    figure = canvas(4.7, 5.2)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), label="said = seen")
    x = [one["mean_probability"] for one in bins]
    y = [one["positives"]["value"] for one in bins]
    spread = np.concatenate([whiskers(one["positives"]) for one in bins], axis=1)
    share = confidence(bins[0]["positives"])
    axes.errorbar(x, y, yerr=spread, color=BLUE, marker="o", markersize=5, linewidth=1.2, capsize=2.5, label=f"bins, {share} intervals")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share with pneumothorax")
    axes.legend(loc="upper left")
    lines = (("slope", "slope"), ("intercept", "intercept"), ("observed / expected", "observed_to_expected"), ("Brier", "brier"))
    told = [f"{short} {with_interval(part[name], 2 if short != 'Brier' else 3)}" for short, name in lines]
    axes.set_title("Calibration", pad=30)
    axes.text(0, 1.02, f"{', '.join(told[:2])}\n{', '.join(told[2:])}", fontsize=7.5, color=GREY, transform=axes.transAxes)
    widths = [one["high"] - one["low"] for one in bins]
    counts = [one["positives"]["n"] for one in bins]
    below.bar([one["low"] for one in bins], counts, widths, align="edge", color=GREEN, edgecolor="white")
    below.bar_label(below.containers[0], [whole(one) for one in counts], fontsize=6.5, color=INK, padding=1)
    below.set(xlabel="probability that the model said", ylabel="cases", ylim=(0, 1.28 * max(counts)))
    below.tick_params(axis="y", labelsize=7)
    words = (
        f"Calibration of {counted(model)}: share with pneumothorax in bins of the probability with {share} intervals "
        f"(Wilson); below, cases in each bin. Slope {with_interval(part['slope'], 2)}, intercept {with_interval(part['intercept'], 2)}."
    )
    return [
        finished(
            figure, name=f"{key}-calibration", title="Calibration", words=words, alternative=words, foot=foot(model), simulated=simulated
        )
    ]
