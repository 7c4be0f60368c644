"""What the truth leaves open: uncertain reports, reports that name no pneumothorax, patients without a CT, and the side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.domain.truth import LabelValue
from ptx_node.validation.metrics.sections import brief
from ptx_node.validation.metrics.tree import Tree, count, estimate, number, share
from ptx_node.validation.statistics import Share, begg_greenes, clopper_pearson, kappa, three_ways, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.validation.metrics.analysis import Analysis
    from ptx_node.validation.metrics.selection import OfModel
    from ptx_node.validation.statistics.verification import Bounds


def uncertain(model: OfModel, analysis: Analysis) -> Tree:
    """Every main figure without the uncertain cases, with all as positives, with all as negatives."""
    chosen = model.judged.of(model.counted_N | model.uncertain_N)
    uncertain_N = model.uncertain_N[model.counted_N | model.uncertain_N]
    ways = three_ways(chosen.truth_N & ~uncertain_N, uncertain_N, lambda truth_N, index_N: brief(chosen.of(index_N, truth_N), analysis))
    return {
        "uncertain": count(ways.uncertain, chosen.count),
        "excluded": ways.excluded,
        "as_positive": ways.as_positive,
        "as_negative": ways.as_negative,
    }


def not_mentioned(model: OfModel, analysis: Analysis) -> Tree:
    """The main figures without the cases whose report does not name a pneumothorax; elsewhere these count as without."""
    silent_N = model.counted_N & (model.columns["label"] == LabelValue.NOT_MENTIONED.value)
    return {
        "not_mentioned": count(int(silent_N.sum()), int(model.counted_N.sum())),
        "excluded": brief(model.judged.of(model.counted_N & ~silent_N), analysis),
    }


def verification(model: OfModel, analysis: Analysis) -> Tree:
    """Sensitivity and specificity if all answered cases had had a CT, by stratum and without strata."""
    population_N = model.counted_N | model.unverified_N
    stratum_N = np.zeros(int(population_N.sum()), dtype=np.str_)
    for column in analysis.strata:
        stratum_N = np.char.add(np.char.add(stratum_N, " / " if column != analysis.strata[0] else ""), model.columns[column][population_N])
    return {
        "by_stratum": {"strata": list(analysis.strata)} | _verified(model, population_N, stratum_N, analysis),
        "without_strata": _verified(model, population_N, np.zeros(stratum_N.size, dtype=np.int64), analysis),
    }


def _verified(model: OfModel, population_N: NDArray[np.bool_], stratum_N: NDArray[Any], analysis: Analysis) -> Tree:
    cases = model.judged.of(population_N)
    verified_N = model.counted_N[population_N]
    one = begg_greenes(
        cases.called_N,
        cases.truth_N & verified_N,
        verified_N,
        stratum_N,
        cases.patient_N,
        analysis.chance,
        confidence=analysis.confidence,
    )
    return {
        "answered": count(one.count, one.count),
        "verified": count(one.verified, one.count),
        "called_verified": share(_share(int((cases.called_N & verified_N).sum()), int(cases.called_N.sum()), analysis)),
        "uncalled_verified": share(_share(int((~cases.called_N & verified_N).sum()), int((~cases.called_N).sum()), analysis)),
        "naive_sensitivity": share(one.naive_sensitivity),
        "naive_specificity": share(one.naive_specificity),
        "sensitivity": estimate(one.sensitivity),
        "specificity": estimate(one.specificity),
        "positive_predictive_value": estimate(one.positive_predictive_value),
        "negative_predictive_value": estimate(one.negative_predictive_value),
        "sensitivity_bounds": _bounds(one.sensitivity_bounds, one.count),
        "specificity_bounds": _bounds(one.specificity_bounds, one.count),
        "strata_count": one.strata,
        "unverified_strata": [{"stratum": name, "called": called} for name, called in one.unverified_strata],
    }


def _share(hits: int, of: int, analysis: Analysis) -> Share:
    return Share(wilson(hits, of, analysis.confidence), clopper_pearson(hits, of, analysis.confidence))


def _bounds(one: Bounds, cases: int) -> Tree:
    return {"worst": number(one.worst), "best": number(one.best), "n": cases, "method": "whatever the cases without a truth are"}


def side(model: OfModel, analysis: Analysis) -> Tree:
    """Whether the side of the finding is the side of the report, in true positives where both name one."""
    hits_N = model.counted_N & model.judged.truth_N & model.judged.called_N
    said_N, so_N = (model.columns[name][hits_N] for name in ("laterality", "truth_laterality"))
    both_N = (said_N != "") & (so_N != "")
    said_N, so_N = said_N[both_N], so_N[both_N]
    return {
        "true_positives": count(int(hits_N.sum()), int(model.counted_N.sum())),
        "with_both_sides": count(int(both_N.sum()), int(hits_N.sum())),
        "agreement": share(_share(int((said_N == so_N).sum()), int(both_N.sum()), analysis)),
        "kappa": estimate(kappa(said_N, so_N, analysis.confidence)),
        "pairs": [
            {"node": str(left), "truth": str(right), "cases": count(int(((said_N == left) & (so_N == right)).sum()), int(both_N.sum()))}
            for left in np.unique(said_N)
            for right in np.unique(so_N)
        ],
    }
