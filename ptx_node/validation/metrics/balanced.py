"""Figures that depend on the share of positives, of a cohort in which that share was chosen: each says that it is of this sample alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptx_node.validation.metrics.tree import Tree

OF = "of"
SAMPLE = "the balanced sample: its share of positives was chosen, and no practice has this figure"
DEPENDENT = frozenset(
    {"positive_predictive_value", "negative_predictive_value", "accuracy", "prevalence", "decision_curve", "called"}
    | {"brier", "scaled_brier", "expected_calibration_error", "observed_to_expected", "intercept", "in_the_large", "bins"}
)
STATED = "at_prevalence"
"""Here somebody stated the share."""


def of_sample_alone(tree: Tree) -> Tree:
    """The tree, in which each figure that depends on the share of positives says of what it is."""

    def walked(node: Any, *, dependent: bool) -> Any:
        if isinstance(node, list):
            return [walked(one, dependent=dependent) for one in node]
        if not isinstance(node, dict):
            return node
        inner = {key: value if key == STATED else walked(value, dependent=dependent or key in DEPENDENT) for key, value in node.items()}
        return inner | {OF: SAMPLE} if dependent and "method" in node else inner

    found: Tree = walked(tree, dependent=False)
    return found
