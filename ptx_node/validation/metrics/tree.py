"""Figures as JSON: each with its n, method and confidence, with seed and resamples where it was resampled, and with an identifier.

JSON has no NaN and no infinity: both become null, and a note says which.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ptx_node.validation.statistics import Estimate, Method, Note, Share, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Tree = dict[str, Any]
INFINITE = "infinite"
COUNT = "count"


def number(value: float | None) -> float | None:
    """The number, or None where JSON has none."""
    return None if value is None or not math.isfinite(value) else value


def estimate(one: Estimate) -> Tree:
    """A figure with everything that is needed to compute it again."""
    notes = [one.note.value] if one.note else []
    notes += [f"{name} is {INFINITE}" for name in ("value", "low", "high") if math.isinf(getattr(one, name))]
    if not notes and math.isnan(one.value):
        notes.append(Note.NOT_DETERMINED.value)
    known: Tree = {
        "value": number(one.value),
        "low": number(one.low),
        "high": number(one.high),
        "n": one.count,
        "method": one.method.value,
        "confidence": one.confidence,
    }
    beside = {
        "hits": one.hits,
        "patients": one.clusters,
        "seed": one.seed,
        "resamples": one.repeats,
        "resamples_without": one.undefined if one.repeats is not None else None,
        "note": "; ".join(notes) or None,
    }
    return known | {name: value for name, value in beside.items() if value is not None}


def plain(value: float, count: int, note: Note = Note.NO_CASES) -> Tree:
    """A figure without an interval; where it cannot be had, `note` says why."""
    return estimate(Estimate(value, math.nan, math.nan, count, method=Method.NONE, note=note if math.isnan(value) else None))


def share(one: Share) -> Tree:
    """A share under both intervals."""
    return {"wilson": estimate(one.wilson), "clopper_pearson": estimate(one.clopper_pearson)}


def count(value: int, of: int) -> Tree:
    """So many of `of` cases: no estimate, no interval."""
    return {"value": value, "n": of, "method": COUNT}


def table_of(truth_N: NDArray[np.bool_], called_N: NDArray[np.bool_]) -> Tree:
    """A 2x2 table, each cell of all its cases."""
    table = Table.of(truth_N, called_N)
    return {name: count(value, table.count) for name, value in asdict(table).items()}


def with_identifiers(tree: Tree, prefix: str = "") -> Tree:
    """The tree, each figure with its own path as `id`: names and places in lists, joined by points.

    A figure is whatever has a method. The path leads from the tree's root to it, so that a reader finds it without a search.
    """

    def walked(node: Any, path: str) -> Any:
        if isinstance(node, dict):
            inner = {key: walked(value, f"{path}.{key}" if path else str(key)) for key, value in node.items()}
            return {"id": path, **inner} if "method" in node else inner
        if isinstance(node, list):
            return [walked(value, f"{path}.{place}") for place, value in enumerate(node)]
        return node

    named: Tree = walked(tree, prefix)
    return named


def at(tree: Mapping[str, Any], path: str) -> Any:
    """What stands at a path.

    Raises:
        KeyError: nothing does.
    """
    node: Any = tree
    for step in path.split("."):
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


def canonical(tree: Mapping[str, Any]) -> bytes:
    """The one spelling of a tree: keys in order, each number with the fewest digits that give it back, UTF-8, a line end at the end.

    Raises:
        ValueError: a number is not finite.
    """
    return (json.dumps(tree, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
