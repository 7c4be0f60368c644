"""The flow chart of a validation (STARD 2015, item 19): who came in, who left and why, who is counted. Counts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Left:
    """Those who leave after one step for one reason.

    Attributes:
        reason: of the closed list of whoever counts.
        words: the reason for people.
    """

    reason: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """A box of the chart.

    Attributes:
        words: what is counted here, such as "radiographs with an answer".
        left: why the next step has fewer; their counts add up to the difference.
    """

    name: str
    words: str
    count: int
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """The boxes from top to bottom, then those that stand side by side at the end, such as the four cells of the 2x2 table.

    Raises:
        UsageError: counts that do not add up: a chart that hides somebody is worse than none.
    """

    steps: tuple[Step, ...]
    ends: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        """Nobody is lost between two boxes."""
        for here, below in zip(self.steps, self.steps[1:], strict=False):
            self._adds_up(here, below.count, f"'{below.name}' has")
        if self.steps and self.ends:
            self._adds_up(self.steps[-1], sum(end.count for end in self.ends), "the last boxes have")

    @staticmethod
    def _adds_up(here: Step, below: int, whose: str) -> None:
        left = sum(one.count for one in here.left)
        if here.count - left != below:
            raise UsageError(f"flow chart: of {here.count} in '{here.name}' {left} leave, but {whose} {below}: the counts do not add up")

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""

        def box(step: Step) -> dict[str, Any]:
            left = [{"reason": one.reason, "words": one.words, "count": one.count} for one in step.left]
            return {"name": step.name, "words": step.words, "count": step.count, "left": left}

        return {"steps": [box(step) for step in self.steps], "ends": [box(step) for step in self.ends]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """From what `to_json` gave."""

        def step(box: Mapping[str, Any]) -> Step:
            left = tuple(Left(one["reason"], one["words"], one["count"]) for one in box["left"])
            return Step(box["name"], box["words"], box["count"], left)

        return cls(tuple(map(step, content["steps"])), tuple(map(step, content["ends"])))
