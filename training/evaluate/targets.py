"""What the project asks of its models, and whether this evaluation reaches it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.validation.statistics import Chance, roc_auc, specificity_at_sensitivity
from training.evaluate.rows import Row, known, probability_of, truth_of
from training.evaluate.tables import masks, volumes

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table. `value` is NaN where these cases cannot tell."""

    what: str
    cases: int
    value: float
    limit: float
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if math.isnan(self.value):
            return "not measured"
        return "reached" if (self.value <= self.limit if self.at_most else self.value >= self.limit) else "NOT reached"


ONCE = Chance(repeats=0)
"""Targets ask for values; their intervals stand in the tables."""


def targets(rows: Sequence[Row], own_sites: frozenset[str], *, reads: str) -> list[Target]:
    """The lines for this kind of model. A row is of an own site if training saw others from there."""
    kept = known(rows)
    own, other = ([row for row in kept if (row.site in own_sites) is seen] for seen in (True, False))
    if reads == "ct":
        found = volumes(kept, ONCE)
        return [
            Target("CT: patient-wise Dice on slices with air", *_value(found, "dice_on_slices_with_air"), 0.93),
            Target("CT: volume error, median", *_value(found, "median_volume_error"), 0.05, at_most=True),
        ]
    at = specificity_at_sensitivity(truth_of(own), probability_of(own), 0.90).specificity
    return [
        Target("radiograph, same site: AUC", len(own), roc_auc(truth_of(own), probability_of(own)), 0.98),
        Target("radiograph, same site: Dice of positives", *_value(masks(own, ONCE), "dice_of_positives"), 0.75),
        Target("radiograph, same site: specificity at sensitivity 0.90", len(own), at, 0.95),
        Target("radiograph, sites never trained on: AUC", len(other), roc_auc(truth_of(other), probability_of(other)), 0.95),
    ]


def _value(found: dict[str, dict[str, float]], name: str) -> tuple[int, float]:
    one = found.get(name, {"count": 0, "value": math.nan})
    return int(one["count"]), one["value"]


def as_text(lines: Sequence[Target]) -> str:
    """The table for the terminal."""
    rows = [(one.what, str(one.cases), _number(one.value), f"{'<=' if one.at_most else '>='} {one.limit:g}", one.verdict) for one in lines]
    rows.insert(0, ("must reach", "cases", "found", "asked", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
