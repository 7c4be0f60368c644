"""Which pictures there are, in their order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ptx_node.validation.figures.curves import decision, sweep
from ptx_node.validation.figures.discrimination import calibration, roc, table
from ptx_node.validation.figures.flow_chart import flow_chart
from ptx_node.validation.figures.forest import forest
from ptx_node.validation.figures.picture import Picture, style
from ptx_node.validation.figures.watch import watch
from ptx_node.validation.metrics import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.validation.flow import Flow


def gallery(metrics: Mapping[str, Any], flow: Flow) -> list[Picture]:
    """Every picture that these figures allow."""
    metrics = json.loads(canonical(metrics))  # one order of keys, whether from memory or from the file
    simulated = bool(metrics["analysis"]["simulated"])
    with style():
        made = flow_chart(flow, simulated=simulated)
        for key, model in metrics["models"].items():
            for kind in (roc, table, calibration, forest, sweep, decision, watch):
                made += kind(key, model, simulated=simulated)
    return made
