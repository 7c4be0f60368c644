"""How far a run is, from 0 to 1, and what follows from it: stage, learning rate, share of positives."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.settings import Settings, Stage


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stages one after the other, each with its own cosine."""

    stages: tuple[Stage, ...]
    positive_rate: tuple[float, float] | None
    epoch_steps: int

    @property
    def epochs(self) -> float:
        """Of all stages."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def steps(self) -> int:
        """Of all stages, without a time budget."""
        return max(1, round(self.epochs * self.epoch_steps))

    def stage_at(self, progress: float) -> tuple[int, float]:
        """(index of the stage, how far it is)."""
        done = progress * self.epochs
        for index, stage in enumerate(self.stages):
            if done < stage.epochs - 1e-9:
                return index, max(0.0, done / stage.epochs)
            done -= stage.epochs
        return len(self.stages) - 1, 1.0

    def learning_rate(self, progress: float, steps_in_stage: int) -> float:
        """On the stage's cosine, after its linear rise."""
        index, inside = self.stage_at(progress)
        stage = self.stages[index]
        rate = stage.rate_to + (stage.rate_from - stage.rate_to) * 0.5 * (1 + math.cos(math.pi * inside))
        return rate * min(1.0, (steps_in_stage + 1) / stage.warm_up) if stage.warm_up else rate

    def positives_at(self, progress: float) -> float | None:
        """Share of positives in a batch; None where every image comes once an epoch."""
        if self.positive_rate is None:
            return None
        start, end = self.positive_rate
        return start + (end - start) * min(1.0, progress)


def schedule_of(settings: Settings, images: int) -> Schedule:
    """The schedule of a run on so many images."""
    epoch_steps = max(1, (settings.data.epoch_images or images) // settings.optimiser.batch)
    return Schedule(settings.stages, settings.data.positive_rate, epoch_steps)


class Clock:
    """Progress by steps, or by wall time when a budget is given; time spent before a resume counts.

    Args:
        steps: of the whole run, where there is no budget.
        minutes: wall-time budget of the whole run; 0 for none.
        spent_s: seconds already spent.
    """

    def __init__(self, steps: int, minutes: float, spent_s: float) -> None:
        self._steps, self._minutes = steps, minutes
        self._start = time.monotonic() - spent_s

    @property
    def spent_s(self) -> float:
        """Seconds since the run began, without the time between a stop and its resume."""
        return time.monotonic() - self._start

    def progress(self, step: int) -> float:
        """0 at the start, 1 when it is time to end."""
        return min(1.0, self.spent_s / (60 * self._minutes) if self._minutes else step / self._steps)
