"""Every figure of a validation, made of the case table alone: one tree for each model, the same bytes for the same cases.

`compute` makes it, `canonical` writes it. Each figure carries its n, method and confidence, seed and resamples where it was resampled,
and its own path as `id`, by which a report cites it. docs/export.md describes the tree, docs/statistics.md the methods.
"""

from ptx_node.validation.case_columns import OVER_TIME
from ptx_node.validation.metrics.analysis import Analysis
from ptx_node.validation.metrics.compute import USED, compute
from ptx_node.validation.metrics.tree import at, canonical

__all__ = ["OVER_TIME", "USED", "Analysis", "at", "canonical", "compute"]
