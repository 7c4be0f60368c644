"""What a site promised of its models: the rates that the watch over time holds their answers against. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ptx_node.errors import UsageError


@dataclass(frozen=True, slots=True)
class Promise:
    """Shares between 0 and 1; None: nothing was promised, and the watch expects the rate of the very cases that it looks at.

    Attributes:
        sensitivity: of the node's answers.
        positive_predictive_value: of its positive answers.
        disagreement_rate: share of its answers that the truth contradicts, at most.
        limit: of each watch over a promise, in natural logarithms of likelihood; None: it is computed from the false alarms that an
            analysis accepts.

    Raises:
        UsageError: a value outside its range.
    """

    sensitivity: float | None = None
    positive_predictive_value: float | None = None
    disagreement_rate: float | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        for share in (self.sensitivity, self.positive_predictive_value, self.disagreement_rate):
            if share is not None and not 0 < share < 1:
                raise UsageError(f"a promised share is {share}; it must be between 0 and 1")
        if self.limit is not None and not self.limit > 0:
            raise UsageError(f"the limit of a promise is {self.limit}; it must be above 0")

    @property
    def missed(self) -> float | None:
        """Share of the positives that may be missed."""
        return None if self.sensitivity is None else 1 - self.sensitivity

    @property
    def false_calls(self) -> float | None:
        """Share of the positive answers that may be wrong."""
        return None if self.positive_predictive_value is None else 1 - self.positive_predictive_value


NO_PROMISE = Promise()
