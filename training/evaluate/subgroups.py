"""The same figures by view, sex, age, size of the pneumothorax, tube and site: where a mean over everybody hides a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.evaluate.rows import Row, known
from training.evaluate.tables import AGE_BANDS, auc, masks, share, volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ptx_node.validation.statistics import Chance

SMALL_CELL = 20
"""Cells with fewer positives or negatives are marked: their intervals say little."""
SIZES = ("occult", "small", "medium", "large", "tension")


def age_band(row: Row) -> str:
    """Years, as a band."""
    if row.age_years is None:
        return ""
    low, high = next((band for band in AGE_BANDS if band[0] <= row.age_years < band[1]), AGE_BANDS[-1])
    if low == 0:
        return f"under {high}"
    return f"{low} and over" if high >= 200 else f"{low} to {high - 1}"


def _tube(row: Row) -> str:
    return {True: "tube", False: "no tube", None: ""}[row.tube]


BY: dict[str, Callable[[Row], str]] = {
    "site": lambda row: row.site,
    "view": lambda row: row.view,
    "sex": lambda row: row.sex,
    "age": age_band,
    "tube": _tube,
}


def by_subgroup(rows: Sequence[Row], chance: Chance) -> dict[str, dict[str, dict[str, Any]]]:
    """{what: {value: figures}}; values that are not known are `not stated`. A size has positives only: all negatives stand against it."""
    kept = known(rows)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, of in BY.items():
        values = sorted({of(row) for row in kept})
        if values != [""]:
            values.sort(key=_by_first_number)
            found[name] = {value or "not stated": _cell([row for row in kept if of(row) == value], chance) for value in values}
    negatives = [row for row in kept if row.label == 0]
    sizes = {row.size for row in kept if row.label == 1}
    if sizes - {""}:
        order = sorted(sizes, key=lambda size: (SIZES.index(size) if size in SIZES else len(SIZES), size))
        found["size"] = {size or "not stated": _cell(_of_size(kept, size) + negatives, chance) for size in order}
    return found


def _by_first_number(value: str) -> tuple[int, str]:
    """Bands of age in their order, `under` before its own number; other values by name."""
    numbers = [int(word) for word in value.split() if word.isdigit()]
    return (numbers[0] - value.startswith("under") if numbers else 0, value)


def _of_size(rows: Sequence[Row], size: str) -> list[Row]:
    return [row for row in rows if row.label == 1 and row.size == size]


def _cell(rows: Sequence[Row], chance: Chance) -> dict[str, Any]:
    positives, negatives = ([row for row in rows if row.label == label] for label in (1, 0))
    return {
        "positives": len(positives),
        "negatives": len(negatives),
        "small": min(len(positives), len(negatives)) < SMALL_CELL,
        "auc": auc(rows, chance),
        "sensitivity": share(positives, lambda row: row.positive, chance),
        "specificity": share(negatives, lambda row: not row.positive, chance),
        "dice_of_positives": masks(rows, chance).get("dice_of_positives"),
        "median_volume_error": volumes(rows, chance).get("median_volume_error"),
    }
