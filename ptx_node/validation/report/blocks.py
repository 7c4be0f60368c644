"""What a report is made of, whether it becomes a page or paper: headings, words, tables, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ptx_node.validation.metrics.balanced import OF
from ptx_node.validation.wording import HARD, interval, number, shown, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ptx_node.validation.figures.picture import Picture

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a section; `anchor` names it within the report."""

    text: str
    level: Literal[1, 2, 3]
    anchor: str


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph.

    Attributes:
        kind: `notice` is framed; `small` is a remark.
    """

    text: str
    kind: Literal["plain", "notice", "small"] = "plain"


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption and names of columns.

    Attributes:
        numbers: places of the columns that hold numbers.
        codes: places of the columns that hold identifiers.
        widths: of the columns on paper, as shares.
    """

    caption: str
    head: Row
    rows: tuple[Row, ...]
    numbers: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()
    widths: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture."""

    picture: Picture


Block = Heading | Words | Points | Table | Shown

FIGURES_HEAD = ("figure", "value", "interval", "n", "interval by", "cited as")
FIGURES_WIDTHS = (0.22, 0.1, 0.15, 0.13, 0.19, 0.21)


def figures(caption: str, rows: Sequence[tuple[str, Mapping[str, Any]]], digits: int = 3) -> Table:
    """A table of figures, each with its interval, n, method and the identifier by which it is cited."""
    return Table(
        caption,
        FIGURES_HEAD,
        tuple(figure(name, one, digits) for name, one in rows),
        numbers=(1, 2, 3),
        codes=(5,),
        widths=FIGURES_WIDTHS,
    )


def figure(name: str, one: Mapping[str, Any], digits: int = 3) -> Row:
    """One row of such a table."""
    n = f"{whole(one['hits'])}{HARD}of{HARD}{whole(one['n'])}" if "hits" in one else whole(one["n"])
    if "patients" in one:
        n += f" ({whole(one['patients'])} patients)"
    how = one["method"]
    if "resamples" in one:
        how += f", {one['resamples']} resamples, seed {one['seed']}"
    if one.get("resamples_without"):
        how += f", {one['resamples_without']} without the figure"
    name = f"{name}, in the balanced sample" if OF in one else name
    return shown(name), number(one["value"], digits), interval(one, digits), n, f"{how}; {one['note']}" if "note" in one else how, one["id"]
