"""Plots as numbers for SVG: drawn on the server, so that they need no script, print, and follow the page's colours.

Lines live in a square of 1000 by 1000 that is stretched to the plot's size, with y downwards; marks and ticks in percent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FULL = 1000.0
STEPS = (1, 2, 2.5, 5, 10)
FEWEST_PARTS = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis: percent of its length, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis, from `low` to `high`."""

    title: str
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[Tick, ...] = ()

    def part(self, value: float) -> float:
        """Where a value lies, 0 to 1; what is outside lies on the edge."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


@dataclass(frozen=True, slots=True)
class Line:
    """A line or a closed band, with a class of the style sheet."""

    points: str
    kind: str
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with its interval, in percent from the left and from the top; `words` appear when it is pointed at."""

    x: float
    y: float
    words: str
    kind: str = "s1"
    low: float | None = None
    high: float | None = None
    left: float | None = None
    right: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from the bottom, in percent."""

    x: float
    width: float
    height: float
    words: str
    kind: str = "s1"


@dataclass(frozen=True, slots=True)
class Plot:
    """A whole plot; `words` is for whoever does not see it."""

    words: str
    x: Axis
    y: Axis
    lines: list[Line] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    def line(self, points: Iterable[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        """Add a line through these values."""
        told = " ".join(f"{FULL * self.x.part(x):.1f},{FULL * (1 - self.y.part(y)):.1f}" for x, y in points)
        self.lines.append(Line(told, kind, closed))

    def band(self, low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]], kind: str) -> None:
        """Add an area between two lines."""
        self.line([*low, *reversed(high)], kind, closed=True)

    def mark(
        self,
        at: tuple[float, float],
        words: str,
        kind: str = "s1",
        *,
        low: float | None = None,
        high: float | None = None,
        left: float | None = None,
        right: float | None = None,
    ) -> None:
        """Add a point, with its interval upwards where `low` and `high` are known, and sideways where `left` and `right` are."""
        upright = [None if one is None else 100 * (1 - self.y.part(one)) for one in (low, high)]
        across = [None if one is None else 100 * self.x.part(one) for one in (left, right)]
        self.marks.append(Mark(100 * self.x.part(at[0]), 100 * (1 - self.y.part(at[1])), words, kind, *upright, *across))

    def bar(self, low: float, high: float, value: float, words: str, kind: str = "s1") -> None:
        """Add a bar between two places of the x axis."""
        begin, end = self.x.part(low), self.x.part(high)
        self.bars.append(Bar(100 * begin, 100 * (end - begin), 100 * self.y.part(value), words, kind))


def unit_axis(title: str) -> Axis:
    """From 0 to 1."""
    return Axis(title, 0.0, 1.0, tuple(Tick(20 * one, f"{one / 5:g}") for one in range(6)))


def axis(title: str, high: float, low: float = 0.0) -> Axis:
    """Round numbers, about five of them, that reach at least from `low` to `high`."""
    reach = max(high - low, 1e-9)
    size = 10.0 ** math.floor(math.log10(reach / FEWEST_PARTS))
    step = next(size * one for one in STEPS if size * one * (FEWEST_PARTS + 1) >= reach)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    parts = max(1, last - first)
    ticks = tuple(Tick(100 * one / parts, f"{(first + one) * step:g}") for one in range(parts + 1))
    return Axis(title, first * step, (first + parts) * step, ticks)


def named_axis(title: str, names: Sequence[str], most: int = 8) -> Axis:
    """One place a name, in the middle of its share; of many names some are written."""
    every = -(-len(names) // most) or 1
    size = max(1, len(names))
    ticks = tuple(Tick(100 * (place + 0.5) / size, name) for place, name in enumerate(names) if place % every == 0)
    return Axis(title, -0.5, size - 0.5, ticks)
