"""Pictures of an evaluation's figures: ROC, calibration, scores, overlap by size, volumes. All from rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ptx_node.validation.statistics import auc_interval, reliability, roc_curve, wilson
from training.evaluate.rows import Row, known, probability_of, truth_of
from training.evaluate.subgroups import SIZES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NEGATIVE, POSITIVE, QUIET = "#4878a8", "#c8502d", "#8a8f98"
RESAMPLED = 300
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "savefig.dpi": 130,
    "figure.constrained_layout.use": True,
}


def draw_all(rows: Sequence[Row], folder: Path, *, threshold: float, note: str) -> dict[str, str]:
    """Write every figure that these rows allow; {caption: file name}.

    Args:
        rows: judged cases.
        folder: where to.
        threshold: of the decision rule.
        note: stands in every figure: what the cases are, such as SIMULATED.
    """
    kept = known(rows)
    truth_N = truth_of(kept)
    made: dict[str, Figure] = {}
    captions: dict[str, str] = {}
    with mpl.rc_context(STYLE):
        if truth_N.any() and not truth_N.all():
            made["roc"], captions["roc"] = roc(kept, threshold), "ROC. Band: 95 % of resamples by patient. Cross: the decision rule."
            made["scores"], captions["scores"] = scores(kept, threshold), "Probabilities of both kinds; the line is the class threshold."
            made["calibration"], captions["calibration"] = calibration(kept), "Calibration: what was said against what was so."
        masked = [row for row in kept if row.truth_pixels]
        if masked:
            made["overlap"], captions["overlap"] = overlap(masked), "Dice of positives by size; a missed case counts 0."
        volumes = [row for row in kept if row.truth_volume_ml and row.volume_ml is not None]
        if volumes:
            made["volume"], captions["volume"] = volume(volumes), "Volume of the answer against the true mask's."
        for name, figure in made.items():
            save(figure, folder / f"{name}.png", note)
    return {captions[name]: f"{name}.png" for name in made}


def save(figure: Figure, path: Path, note: str) -> None:
    """Write a figure with its note in a strip of its own at the foot."""
    strip = 0.2 / figure.get_figheight()
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, strip, 1, 1 - strip))  # type: ignore[call-arg]  # of the constrained engine
    figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=7, color=QUIET)
    figure.savefig(path)


def _axes(width: float = 4.6, height: float = 4.2) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def roc(rows: Sequence[Row], threshold: float) -> Figure:
    """Sensitivity against 1 - specificity."""
    truth_N, score_N = truth_of(rows), probability_of(rows)
    _, sensitivity, specificity = roc_curve(truth_N, score_N)
    figure, axes = _axes()
    grid = np.linspace(0, 1, 201)
    low, high = np.quantile(_resampled(rows, grid), [0.025, 0.975], axis=0)
    axes.fill_between(grid, low, high, color=POSITIVE, alpha=0.18, linewidth=0)
    axes.plot(1 - specificity, sensitivity, color=POSITIVE, linewidth=1.6)
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
    called = score_N >= threshold
    hit, alarm = (wilson(int(called[kind].sum()), int(kind.sum())) for kind in (truth_N, ~truth_N))
    axes.errorbar(
        alarm.value,
        hit.value,
        xerr=[[alarm.value - alarm.low], [alarm.high - alarm.value]],
        yerr=[[hit.value - hit.low], [hit.high - hit.value]],
        color="black",
        linewidth=1.2,
        capsize=2,
    )
    area = auc_interval(truth_N, score_N)
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
        xlabel="1 - specificity",
        ylabel="sensitivity",
        title=f"AUC {area.value:.3f} ({area.low:.3f} to {area.high:.3f})",
    )
    axes.text(0.97, 0.05, f"{int(truth_N.sum())} with, {int((~truth_N).sum())} without pneumothorax", ha="right", transform=axes.transAxes)
    return figure


def _resampled(rows: Sequence[Row], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Curves of resampled patients at these places of 1 - specificity."""
    truth_N, score_N = truth_of(rows), probability_of(rows)
    names, place = np.unique(np.array([row.patient_id for row in rows]), return_inverse=True)
    members = [np.flatnonzero(place == index) for index in range(names.size)]
    rng = np.random.default_rng(5)
    curves: list[NDArray[np.float64]] = []
    while len(curves) < RESAMPLED:
        index = np.concatenate([members[one] for one in rng.integers(0, names.size, names.size)])
        if truth_N[index].any() and not truth_N[index].all():
            _, sensitivity, specificity = roc_curve(truth_N[index], score_N[index])
            curves.append(np.interp(grid, 1 - specificity, sensitivity))
    return np.array(curves)


def scores(rows: Sequence[Row], threshold: float) -> Figure:
    """How far apart the two kinds are; cases on a logarithmic scale, so that the few wrong ones are seen."""
    truth_N, score_N = truth_of(rows), probability_of(rows)
    figure, axes = _axes(5.2, 3.4)
    bins = np.linspace(0, 1, 41)
    axes.hist(score_N[~truth_N], bins, color=NEGATIVE, alpha=0.75, label=f"without ({int((~truth_N).sum())})")
    axes.hist(score_N[truth_N], bins, color=POSITIVE, alpha=0.65, label=f"with ({int(truth_N.sum())})")
    axes.axvline(threshold, color="black", linewidth=1)
    axes.set_yscale("symlog", linthresh=1)
    axes.set(
        xlim=(0, 1), xlabel="probability of pneumothorax", ylabel="cases (logarithmic)", title=f"Probabilities; threshold {threshold:.3g}"
    )
    axes.legend(loc="upper center")
    return figure


def calibration(rows: Sequence[Row]) -> Figure:
    """Share of positives in bins of the probability, with Wilson's intervals."""
    bins = reliability(truth_of(rows), probability_of(rows))
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
    said = [one.mean_probability for one in bins]
    values, low, high = (np.array([getattr(one.positives, name) for one in bins]) for name in ("value", "low", "high"))
    axes.errorbar(said, values, yerr=[values - low, high - values], color=NEGATIVE, marker="o", markersize=4, linewidth=1, capsize=2)
    for one in bins:
        place = (one.mean_probability, one.positives.value)
        axes.annotate(str(one.positives.count), place, (7, -11), textcoords="offset points", fontsize=7, color=QUIET)
    axes.set(
        xlim=(-0.03, 1.05),
        ylim=(-0.05, 1.05),
        aspect="equal",
        xlabel="mean probability said",
        ylabel="share with pneumothorax",
        title="Calibration (cases beside the points)",
    )
    return figure


def overlap(rows: Sequence[Row]) -> Figure:
    """Each positive case a point, by the size that is known of it; without sizes by the share of the picture that the mask takes."""
    sized = {row.size for row in rows} - {""}
    order = sorted(sized, key=lambda size: (SIZES.index(size) if size in SIZES else len(SIZES), size)) or [""]
    figure, axes = _axes(5.2, 3.6)
    rng = np.random.default_rng(2)
    for place, size in enumerate(order):
        values = np.array([row.counts.dice for row in rows if row.counts is not None and (row.size == size or not sized)])
        axes.scatter(place + rng.uniform(-0.18, 0.18, values.size), values, s=9, color=POSITIVE, alpha=0.5, linewidth=0)
        axes.plot([place - 0.28, place + 0.28], [values.mean()] * 2, color="black", linewidth=1.5)
        axes.text(place + 0.3, values.mean(), f"{values.mean():.2f}", va="center", fontsize=8)
    labels = [f"{size or 'all'}\n({sum(row.size == size or not sized for row in rows)})" for size in order]
    axes.set_xticks(range(len(order)), labels)
    axes.set(ylim=(-0.03, 1.03), xlim=(-0.5, len(order) - 0.3), ylabel="Dice", title="Overlap with the true mask; line: mean")
    return figure


def volume(rows: Sequence[Row]) -> Figure:
    """Answer against truth, millilitres, both logarithmic."""
    truth = np.array([row.truth_volume_ml for row in rows], dtype=np.float64)
    answer = np.array([row.volume_ml for row in rows], dtype=np.float64)
    figure, axes = _axes()
    low, high = max(0.5, float(truth.min()) / 2), float(max(truth.max(), answer.max())) * 1.5
    axes.plot([low, high], [low, high], color=QUIET, linewidth=0.8, linestyle=":")
    axes.scatter(truth, np.maximum(answer, low), s=16, color=POSITIVE, alpha=0.7, linewidth=0)
    if (answer < low).any():
        axes.text(high, low * 1.08, f"{int((answer < low).sum())} missed", ha="right", va="bottom", fontsize=8, color=QUIET)
    axes.set_xscale("log")
    axes.set_yscale("log")
    error = float(np.median(np.abs(answer - truth) / truth))
    axes.set(
        xlim=(low, high),
        ylim=(low * 0.9, high),
        aspect="equal",
        xlabel="true mask, ml",
        ylabel="answer, ml",
        title=f"Volume; median error {100 * error:.1f} %",
    )
    return figure
