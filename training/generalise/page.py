"""What people look at: the table in Markdown and CSV, the figures that fell and came back, and one picture under every handling."""

from __future__ import annotations

import csv
import textwrap
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from training.datasets import Handling, read
from training.evaluate.figures import QUIET, STYLE
from training.generalise.plan import TRIALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.generalise.command import Sites

COLOURS = ("#4878a8", "#c8502d", "#3a8f5c", "#8659a5", "#b08a2e")
RATES = ("auc", "sensitivity", "specificity")
SIMULATED = "SIMULATED patients only"


def write(results: Mapping[str, Any], folder: Path, sites: Sites) -> None:
    """table.md, table.csv, fall.png and handling.png."""
    note = SIMULATED if results["simulated"] else ""
    (folder / "table.md").write_text(table(results), "utf-8")
    _csv(results, folder / "table.csv")
    with mpl.rc_context(STYLE):
        for name, figure in {"fall": fall(results), "handling": pictures(sites)}.items():
            figure.suptitle(note, x=0.995, ha="right", fontsize=8, color=QUIET)
            figure.savefig(folder / f"{name}.png")


def table(results: Mapping[str, Any]) -> str:
    """One row a trial; at each site AUC, sensitivity and specificity with their 95 % intervals."""
    sites, lines = results["sites"], []
    if results["simulated"]:
        lines += ["All patients are SIMULATED.", ""]
    lines += [
        "| handling | " + " | ".join(f"{name}: AUC | sensitivity | specificity" for name in sites) + " |",
        "|---|" + "---|" * (3 * len(sites)),
    ]
    for row in results["rows"]:
        cells = [_interval(row["sites"][name][rate]) for name in sites for rate in RATES]
        lines.append(f"| {row['words']} | " + " | ".join(cells) + " |")
        local = {name: row["sites"][name]["local"] for name in sites}
        if any(local.values()):
            cells = [cell for name in sites for cell in _local(local[name])]
            lines.append(f"| the same, threshold from 50 local positives | {' | '.join(cells)} |")
    cases = ", ".join(
        f"{name} {results['rows'][0]['sites'][name]['cases']} ({results['rows'][0]['sites'][name]['positives']} positive)" for name in sites
    )
    lines += ["", f"Test patients: {cases}. Trained at {results['home']} unless the row says otherwise. Revision {results['revision']}."]
    return "\n".join(lines) + "\n"


def _interval(estimate: Mapping[str, float | None]) -> str:
    if estimate["low"] is None:
        return "-" if estimate["value"] is None else f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _local(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["", "", ""]
    return ["", *(f"{found[rate][0]:.3f} ({found[rate][1]:.3f} to {found[rate][2]:.3f})" for rate in RATES[1:])]


def _csv(results: Mapping[str, Any], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["trial", "words", "model", "site", "threshold", "cases", "positives", "rate", "value", "low", "high"])
        for row in results["rows"]:
            for name, found in row["sites"].items():
                head = [row["name"], row["words"], row["model"], name, row["threshold"], found["cases"], found["positives"]]
                rows.writerows([*head, rate, *(found[rate][part] for part in ("value", "low", "high"))] for rate in RATES)


def fall(results: Mapping[str, Any]) -> Figure:
    """The three rates of every trial and site, with intervals; the home site's naive figure as the line to come back to."""
    rows = results["rows"]
    figure = Figure(figsize=(11, 0.42 * len(rows) + 1.6))
    for axes, rate in zip(figure.subplots(1, 3, sharey=True), RATES, strict=True):
        for place, name in enumerate(results["sites"]):
            found = [row["sites"][name][rate] for row in rows]
            value, low, high = (np.array([one[part] for one in found], dtype=np.float64) for part in ("value", "low", "high"))
            reach = np.nan_to_num([value - low, high - value])
            height = np.arange(len(rows)) + 0.18 * (place - (len(results["sites"]) - 1) / 2)
            axes.errorbar(value, height, xerr=np.clip(reach, 0, None), fmt="o", ms=4, lw=1, color=COLOURS[place], label=name)
        axes.axvline(rows[0]["sites"][results["home"]][rate]["value"], color=QUIET, lw=0.8, ls=":")
        axes.set_title({"auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity"}[rate])
        axes.set_xlim(min(0.4, axes.get_xlim()[0]), 1.01)
        axes.grid(axis="x", color="#e6e6e6", lw=0.6)
        axes.set_axisbelow(True)
    axes = figure.axes[0]
    axes.set_yticks(range(len(rows)), [row["words"] for row in rows])
    axes.invert_yaxis()
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(results["sites"]), title="tested at", frameon=False
    )
    return figure


def pictures(sites: Sites) -> Figure:
    """The first positive of every site as the network is shown it under each handling."""
    shown = {trial.handling: trial for trial in reversed(TRIALS)}
    trials = [trial for trial in TRIALS if shown[trial.handling] is trial]
    figure = Figure(figsize=(1.9 * len(trials), 2.2 * len(sites.names) + 0.5))
    grid = figure.subplots(len(sites.names), len(trials), squeeze=False)
    for axes_of_site, name in zip(grid, sites.names, strict=True):
        record = next((one for one in sites.parts[name]["test"] if one.label == 1), sites.parts[name]["test"][0])
        for axes, trial in zip(axes_of_site, trials, strict=True):
            axes.imshow(read(record, Handling.of(trial.handling.to_json()))[0], cmap="gray", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
        axes_of_site[0].set_ylabel(name)
    for axes, trial in zip(grid[0], trials, strict=True):
        axes.set_title("\n".join(textwrap.wrap(trial.words.replace("node's handling ", ""), 24)), fontsize=7)
    return figure
