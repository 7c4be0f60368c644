"""All sections of all models, put together."""

from __future__ import annotations

import platform
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.validation.case_columns import KEY
from ptx_node.validation.metrics.balanced import of_sample_alone
from ptx_node.validation.metrics.groups import OF_ALL, OF_POSITIVES, subgroups
from ptx_node.validation.metrics.sections import answers, benefit, discrimination, probabilities, thresholds
from ptx_node.validation.metrics.selection import OfModel, models_in
from ptx_node.validation.metrics.time import over_time as followed
from ptx_node.validation.metrics.tree import Tree, count, estimate, with_identifiers
from ptx_node.validation.metrics.truths import not_mentioned, side, uncertain, verification
from ptx_node.validation.statistics import auc_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from ptx_node.validation.metrics.analysis import Analysis

FORMAT = "ptx-node metrics 1"
USED = frozenset(
    {"case_id", "patient", "model", "kind", "outcome", "probability", "threshold", "laterality", "label", "truth", "exclusion"}
    | {"interval_min", *OF_POSITIVES.values(), *OF_ALL.values()}
)
"""Columns of the case table that figures are made of; the strata of an analysis are among these."""


def compute(cases: Mapping[str, NDArray[Any]], over_time: Mapping[str, NDArray[Any]], analysis: Analysis) -> Tree:
    """Every figure of every model.

    Args:
        cases: columns of the case table, pseudonyms as they are exported: patients are drawn in the order of their names.
        over_time: columns of the same cases in their true order, without identifiers.
        analysis: what is asked for; it is stored with the figures.
    """
    cases, over_time = _sorted(cases, KEY), _sorted(over_time, ("position", "model"))  # sums of floats depend on their order
    models = models_in(cases)
    names = {f"m{place}": one for place, one in enumerate(models, 1)}
    return {
        "format": FORMAT,
        "analysis": analysis.to_json(),
        "libraries": libraries(),
        "made_of": {"cases": _digest(cases, USED), "over_time": _digest(over_time, over_time)},
        "models": {key: with_identifiers(_of_model(one, over_time, analysis), key) for key, one in names.items()},
        "comparisons": with_identifiers({"pairs": _comparisons(list(names.items()), analysis)}, "comparisons")["pairs"],
    }


def libraries() -> dict[str, str]:
    """Versions that the last digits may depend on."""
    return {"python": platform.python_version(), "numpy": version("numpy"), "scipy": version("scipy")}


def _sorted(columns: Mapping[str, NDArray[Any]], key: tuple[str, str]) -> dict[str, NDArray[Any]]:
    order = np.lexsort([columns[name] for name in reversed(key)])
    return {name: values[order] for name, values in columns.items()}


def _digest(columns: Mapping[str, NDArray[Any]], names: Iterable[str]) -> Tree:
    """Rows, and SHA-256 of the columns that figures are made of: a case may change without any figure showing it."""
    found = sha256()
    for name in sorted(names):
        values = columns[name]
        numbers = values.dtype.kind == "f"
        text = values.astype("<f8").tobytes() if numbers else "\0".join(values.tolist()).encode("utf-8", "surrogateescape")
        found.update(f"{name}\0{len(text)}\0".encode() + text)
    return {"rows": int(columns["model"].size), "sha256": found.hexdigest()}


def _of_model(model: OfModel, over_time: Mapping[str, NDArray[Any]], analysis: Analysis) -> Tree:
    judged = model.counted
    kinds, thresholds_used = np.unique(model.columns["kind"]), np.unique(model.of_counted("threshold"))
    used = [float(one) for one in thresholds_used[~np.isnan(thresholds_used)]]
    found: Tree = {
        "name": model.name,
        "kinds": [str(one) for one in kinds],
        "counts": _counts(model),
        "discrimination": discrimination(judged, analysis),
        "answers": answers(judged, analysis),
        "thresholds": thresholds(judged, used, analysis),
        "calibration": probabilities(judged, analysis),
        "decision_curve": benefit(judged, analysis),
        "side": side(model, analysis),
        "uncertain": uncertain(model, analysis),
        "not_mentioned": not_mentioned(model, analysis),
        "verification": verification(model, analysis),
        "subgroups": subgroups(model, analysis),
        "over_time": followed(over_time, model.name, analysis),
    }
    return of_sample_alone(found) if analysis.balanced else found


def _counts(model: OfModel) -> Tree:
    """Who is in the figures, and who is not."""
    rows, judged = int(model.answered_N.size), model.counted
    found = {
        "rows": rows,
        "answered": int(model.answered_N.sum()),
        "counted": judged.count,
        "with": int(judged.truth_N.sum()),
        "without": int((~judged.truth_N).sum()),
        "uncertain": int(model.uncertain_N.sum()),
        "unverified": int(model.unverified_N.sum()),
        "patients": judged.patients,
    }
    return {name: count(value, rows) for name, value in found.items()}


def _comparisons(models: Sequence[tuple[str, OfModel]], analysis: Analysis) -> list[Tree]:
    """AUC of two models on the cases that count for both."""
    found = []
    for place, (first_key, first) in enumerate(models):
        for second_key, second in models[place + 1 :]:
            _, mine, theirs = np.intersect1d(first.of_counted("case_id"), second.of_counted("case_id"), return_indices=True)
            if not mine.size:
                continue
            one, other = first.counted.of(mine), second.counted.of(theirs)
            same = one.truth_N == other.truth_N
            gap = auc_difference(
                one.truth_N[same],
                one.score_N[same],
                other.score_N[same],
                one.patient_N[same],
                analysis.chance,
                confidence=analysis.confidence,
            )
            found.append({"first": first_key, "second": second_key, "cases": count(int(same.sum()), mine.size), "auc": estimate(gap)})
    return found
