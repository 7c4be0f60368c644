"""The report that a person reads: one page of HTML that needs nothing beside it, and the same on paper. The same bytes each time.

Both are made from the figures, the flow chart and a few facts; nothing is computed here. Needs Jinja2, matplotlib and ReportLab
(`ptx-node[export]`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ptx_node.errors import UsageError, writing_below
from ptx_node.validation.figures import pictures
from ptx_node.validation.metrics import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ptx_node.validation.figures.picture import Picture
    from ptx_node.validation.flow import Flow, Left

__all__ = ["write"]


def write(
    metrics: Mapping[str, Any],
    flow: Flow,
    exclusions: Sequence[Left],
    facts: Mapping[str, Any],
    folder: Path,
    made: Sequence[Picture] | None = None,
) -> list[Path]:
    """Write `report.html` and `report.pdf`.

    Args:
        metrics: what `compute` gave, or what was read from `metrics.json`.
        flow: the flow chart.
        exclusions: each reason with its words and how many images it took out.
        facts: `node_version`, `site`, `period`, `models` (a list of names, or of mappings that describe them), `settings_sha256`; what is
            missing is told as not stated, and what else is there is told under its own name.
        folder: is made where it does not exist; files of these names are overwritten.
        made: the pictures of these figures, if they are made already.

    Raises:
        StorageFullError: no space is left.
        UsageError: a library is not installed, or the folder cannot be written.
    """
    ordered = json.loads(canonical(metrics))  # one order of keys, whether from memory or from the file
    gallery = list(made) if made is not None else pictures(ordered, flow)
    try:
        from ptx_node.validation.report.content import content  # noqa: PLC0415 - the base install has none of these libraries
        from ptx_node.validation.report.page import page  # noqa: PLC0415
        from ptx_node.validation.report.paper import paper  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("a report needs Jinja2 and ReportLab: pip install 'ptx-node[export]'") from error
    title, blocks = content(ordered, exclusions, facts, gallery)
    written = []
    with writing_below(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in (("report.html", page(title, blocks)), ("report.pdf", paper(title, blocks))):
            (folder / name).write_bytes(data)
            written.append(folder / name)
    return written
