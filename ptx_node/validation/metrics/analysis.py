"""What an analysis was asked for. It is stored in the file of its figures, so that whoever computes them again asks for the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ptx_node.domain.promise import NO_PROMISE, Promise
from ptx_node.errors import UsageError
from ptx_node.validation.statistics import CONFIDENCE, Chance
from ptx_node.validation.statistics.estimate import normal_quantile
from ptx_node.validation.statistics.subgroups import SMALLEST_CELL

STRATA = frozenset({"source", "view", "sex", "age_band", "device", "manufacturer"})
SWEEP = (0.01, 0.02, *(step / 20 for step in range(1, 20)), 0.98, 0.99)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The settings of an analysis.

    Attributes:
        seed: of every bootstrap.
        resamples: of every bootstrap; AUC and shares take a formula instead where each image is another patient's.
        confidence: of every interval.
        smallest_cell: patients of a shown subgroup, of its positives and of its negatives, at least.
        specificities: at which the sensitivity is told.
        thresholds: of the sweep and of the decision curve.
        strata: columns that together say who was likelier to get a CT, for the correction of verification bias.
        prevalence: for which predictive values are told beside those of these cases; None where nobody stated one.
        balanced: the cohort was put together by hand with a chosen share of positives: its own predictive values and its decision curve
            mean nothing.
        changed_odds: the watch over time looks for errors whose odds have grown so many times.
        false_alarms: of that watch within these cases, on average, where nothing changed.
        promise: rates that the site stated, which the watch expects instead of those of these cases.
        simulated: every case is a simulated patient's.

    Raises:
        UsageError: a value outside its range.
    """

    seed: int = 1
    resamples: int = 1000
    confidence: float = CONFIDENCE
    smallest_cell: int = SMALLEST_CELL
    specificities: tuple[float, ...] = (0.9, 0.95, 0.99)
    thresholds: tuple[float, ...] = SWEEP
    strata: tuple[str, ...] = ("source", "view")
    prevalence: float | None = None
    balanced: bool = False
    changed_odds: float = 2.0
    false_alarms: float = 0.1
    promise: Promise = NO_PROMISE
    simulated: bool = False

    def __post_init__(self) -> None:
        """Refuse what would fail after minutes of computing."""
        normal_quantile(self.confidence)
        if self.resamples < 0 or self.seed < 0 or self.smallest_cell < 1:
            raise UsageError("an analysis needs a seed and resamples of 0 or more, and a smallest cell of 1 or more")
        if not all(0 < one < 1 for one in (*self.specificities, *self.thresholds)):
            raise UsageError("specificities and thresholds of an analysis lie between 0 and 1")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise UsageError(f"the prevalence {self.prevalence} is not between 0 and 1")
        if not set(self.strata) <= STRATA:
            raise UsageError(f"strata of an analysis are of {', '.join(sorted(STRATA))}, not {', '.join(sorted({*self.strata} - STRATA))}")
        if not self.changed_odds > 1 or not 0 < self.false_alarms <= 1:
            raise UsageError("a watch looks for odds more than 1 times as large, with more than 0 and at most 1 false alarm")

    @property
    def chance(self) -> Chance:
        """Seed and number of resamples, as the statistics take them."""
        return Chance(self.seed, self.resamples)

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """From what `to_json` gave.

        Raises:
            UsageError: other settings than these, or of another kind.
        """
        if not isinstance(content, dict):
            raise UsageError(f"the analysis in metrics.json is {str(content)[:40]!r}, no settings")
        names = {field.name for field in fields(cls)}
        if set(content) != names:
            wrong = sorted(set(content) ^ names)
            raise UsageError(f"the analysis in metrics.json has other settings than this version knows: {', '.join(wrong)}")
        try:
            values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
            return cls(**values | {"promise": Promise(**values["promise"])})
        except TypeError as error:
            raise UsageError(f"the analysis in metrics.json holds a value of the wrong kind: {error}") from error
