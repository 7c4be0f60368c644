"""Computes every figure of a package anew from its cases, and names each that is not the same to the last digit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ptx_node.errors import UsageError
from ptx_node.validation.case_table import read_cases, read_table
from ptx_node.validation.metrics import OVER_TIME, USED, Analysis, canonical, compute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LIBRARIES = "libraries"
"""Where the versions stand that the last digits may depend on."""
SPELLING = "(spelling)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the file and the cases do not say the same.

    Attributes:
        path: names and places in lists, joined by points.
        recorded: in metrics.json; None where it has nothing there.
        computed: from the cases; None where they give nothing there.
        explains: another library version, by which last digits may differ; no wrong figure of itself.
    """

    path: str
    recorded: Any
    computed: Any
    explains: bool = False

    def __str__(self) -> str:
        """For people."""
        if self.explains:
            return f"{self.path}: the package was made with {self.recorded}, this is {self.computed}; last digits may differ by that"
        return f"{self.path}: the package says {self.recorded!r}, its cases give {self.computed!r}"


def differences(folder: Path) -> list[Difference]:
    """Everything in which `metrics.json` is not what the cases give; empty if all is the same to the last digit.

    Args:
        folder: a package, or the folder with its `cases.csv`, `over_time.csv` and `metrics.json`.

    Raises:
        UsageError: a file is missing or cannot be read; it says which, and where.
    """
    data = folder / "data" if (folder / "data" / "metrics.json").exists() else folder
    try:
        written = (data / "metrics.json").read_bytes()
        recorded = json.loads(written)
        settings = recorded["analysis"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{data / 'metrics.json'} cannot be read as figures of an export: {error}") from error
    analysis = Analysis.from_json(settings)
    computed = compute(read_cases(data / "cases.csv", USED), read_table(data / "over_time.csv", OVER_TIME), analysis)
    found = [
        Difference(path, there, here, explains=path.startswith(f"{LIBRARIES}.")) for path, there, here in _unlike(recorded, computed, "")
    ]
    found += _out_of_order(computed)
    if not found and canonical(computed) != written:
        found.append(Difference(SPELLING, f"{len(written)} bytes", "the same figures in other bytes"))
    return sorted(found, key=lambda one: not one.explains)


def _out_of_order(computed: Mapping[str, Any]) -> Iterator[Difference]:
    """Where `over_time.csv` is not of the cases that count in `cases.csv`."""
    for key, model in computed["models"].items():
        ordered, counted = (
            {name: cell["value"] for name, cell in table.items()} for table in (model["over_time"]["table"], model["answers"]["table"])
        )
        if ordered != counted:
            yield Difference(f"models.{key}.over_time.table", f"over_time.csv: {ordered}", f"cases.csv: {counted}")


def _unlike(recorded: Any, computed: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """(path, recorded, computed) of every leaf that is not the same."""
    if isinstance(recorded, dict) and isinstance(computed, dict):
        yield from _between(recorded, computed, path)
    elif isinstance(recorded, list) and isinstance(computed, list):
        yield from _between(dict(enumerate(recorded)), dict(enumerate(computed)), path)
    elif type(recorded) is not type(computed) or recorded != computed:
        yield path, recorded, computed


def _between(recorded: Mapping[Any, Any], computed: Mapping[Any, Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    for key in [*recorded, *(one for one in computed if one not in recorded)]:
        yield from _unlike(recorded.get(key), computed.get(key), f"{path}.{key}" if path else str(key))
