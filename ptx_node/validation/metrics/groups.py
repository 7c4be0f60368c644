"""Figures of parts of the cases, as far as they may be shown; the others are named as withheld."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.validation.metrics.sections import brief
from ptx_node.validation.metrics.tree import Tree, count, estimate
from ptx_node.validation.statistics import Group, auc, groups_of, groups_up_to, release

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.validation.metrics.analysis import Analysis
    from ptx_node.validation.metrics.selection import Judged, OfModel

OF_POSITIVES = {"size": "truth_size", "side": "truth_laterality"}
"""What only a positive report tells: such a group's positives are held against all cases without a pneumothorax."""
OF_ALL = {
    "drain": "drain",
    "view": "view",
    "sex": "sex",
    "age": "age_band",
    "manufacturer": "manufacturer",
    "device": "device",
    "source": "source",
}
INTERVALS = (("up to 2 h", 120.0), ("up to 6 h", 360.0), ("same day", np.inf))
YES_NO = {1.0: "yes", 0.0: "no"}
NOT_STATED = "not stated"
MOST_VALUES = 12
"""Of one attribute; rarer values stand together as `other`, since a page of groups of three patients helps nobody."""
OTHER = "other values"


def subgroups(model: OfModel, analysis: Analysis) -> Tree:
    """The shown groups with their figures, and the names of those that are withheld."""
    judged = model.counted
    groups = _groups(model, judged)
    decided = release(groups, judged.truth_N, judged.patient_N, analysis.smallest_cell)
    return {
        "smallest_cell": decided.minimum,
        "total_is_small": not decided.total,
        "shown": [_figures(name, groups[name], judged, analysis) for name in groups if name in decided.shown],
        "withheld": [{"attribute": attribute, "value": value} for attribute, value in decided.withheld],
    }


def _groups(model: OfModel, judged: Judged) -> dict[Group, NDArray[np.bool_]]:
    groups: dict[Group, NDArray[np.bool_]] = {}
    positive_N = np.flatnonzero(judged.truth_N)
    for attribute, column in OF_POSITIVES.items():
        values_P = _few(_stated(model.of_counted(column)[positive_N]))
        for name, chosen_P in groups_of(attribute, values_P).items():
            groups[name] = np.zeros_like(judged.truth_N)
            groups[name][positive_N[chosen_P]] = True
    for attribute, column in OF_ALL.items():
        groups |= groups_of(attribute, _few(_stated(model.of_counted(column))))
    interval_N = np.abs(model.of_counted("interval_min"))
    return groups | {name: chosen_N for name, chosen_N in groups_up_to("interval", interval_N, INTERVALS).items() if chosen_N.any()}


def _stated(value_N: NDArray[np.generic]) -> NDArray[np.str_]:
    if value_N.dtype.kind == "f":
        value_N = np.array([YES_NO.get(one, NOT_STATED) for one in value_N.tolist()], dtype=np.str_)
    text_N = np.array(value_N.tolist(), dtype=np.str_)
    return np.where(text_N == "", NOT_STATED, text_N)


def _few(value_N: NDArray[np.str_]) -> NDArray[np.str_]:
    """The values, the rarest of very many taken together."""
    names, place_N, counts = np.unique(value_N, return_inverse=True, return_counts=True)
    if names.size <= MOST_VALUES:
        return value_N
    kept = sorted(range(names.size), key=lambda one: (-int(counts[one]), str(names[one])))[: MOST_VALUES - 1]
    return np.where(np.isin(place_N, kept), value_N, OTHER)


def _figures(name: Group, chosen_N: NDArray[np.bool_], judged: Judged, analysis: Analysis) -> Tree:
    attribute, value = name
    if attribute not in OF_POSITIVES:
        return {"attribute": attribute, "value": value, "against": "of the group", "figures": brief(judged.of(chosen_N), analysis)}
    beside = judged.of(chosen_N | ~judged.truth_N)
    figures = brief(judged.of(chosen_N), analysis)
    area = auc(beside.truth_N, beside.score_N, beside.patient_N, analysis.chance, analysis.confidence)
    kept = {key: figures[key] for key in ("cases", "patients", "sensitivity")}
    against = count(int((~judged.truth_N).sum()), judged.count)
    return {
        "attribute": attribute,
        "value": value,
        "against": "all cases without a pneumothorax",
        "figures": kept | {"auc": estimate(area), "others": against},
    }
