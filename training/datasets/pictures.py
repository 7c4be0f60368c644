"""Finds pictures (PNG, JPEG) by their names, at any depth, and what labels of uncertain findings become."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError
from training.datasets.pixels import PICTURES
from training.records import Problem

if TYPE_CHECKING:
    from pathlib import Path


class Uncertain(StrEnum):
    """What an uncertain label becomes (the names of Irvin et al. 2019)."""

    IGNORE = "ignore"
    """None: evaluated and trained without it."""
    ZEROS = "zeros"
    ONES = "ones"
    LEAVE_OUT = "leave_out"
    """No record at all."""

    @classmethod
    def named(cls, name: str) -> Uncertain:
        """The policy of this name.

        Raises:
            UsageError: there is none.
        """
        try:
            return cls(name)
        except ValueError as error:
            raise UsageError(f"no policy '{name}' for uncertain labels: there are {', '.join(cls)}") from error

    @property
    def label(self) -> int | None:
        """The label that it gives."""
        return {Uncertain.ZEROS: 0, Uncertain.ONES: 1}.get(self)


def index_pictures(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Path of each picture by its file name; a name that occurs twice is a problem, and the first counts."""
    found: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PICTURES or path.name.startswith("."):
            continue
        if found.setdefault(path.name, path) != path:
            problems.append(Problem(path, None, f"the same name as {found[path.name]}: left out"))
    return found, problems
