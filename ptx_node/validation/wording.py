"""Figures and names as a reader sees them. Names come from other people's machines: one line, printable, not endless."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = "not estimable"
WATCHED = {
    "wrong": "wrong answers",
    "missed": "missed, of those with",
    "false_alarm": "false alarms, of those without",
    "false_call": "wrong, of the positive answers",
}
"""What is watched over time, the last one where it was promised."""
HARD = "\N{NO-BREAK SPACE}"
"""Between words that belong on one line."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that draw nothing, or turn the direction of what follows."""


def shown(text: object, longest: int = 200) -> str:
    """A name in one line without what a page cannot show; very long ones end in an ellipsis."""
    plain = "".join("\ufffd" if unicodedata.category(one) in HIDDEN else one for one in " ".join(str(text).split()))
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def interval(figure: Mapping[str, Any], digits: int = 3) -> str:
    """`0.830 to 0.907`, or a dash where there is none."""
    if figure.get("low") is None and figure.get("high") is None:
        return "—"
    low, high = (("…" if figure[end] is None else f"{figure[end]:.{digits}f}") for end in ("low", "high"))
    return f"{low}{HARD}to{HARD}{high}"


def with_interval(figure: Mapping[str, Any], digits: int = 3) -> str:
    """`0.873 (0.830 to 0.907)`."""
    value = number(figure["value"], digits)
    return value if interval(figure) == "—" else f"{value} ({interval(figure, digits)})"


def stated(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a share that is told several ways, the one for the headline."""
    one: Mapping[str, Any] = section[section["stated"]]
    return one


def confidence(figure: Mapping[str, Any]) -> str:
    """`95 %`."""
    return f"{100 * figure['confidence']:g}{HARD}%"


def whole(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"
