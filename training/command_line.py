"""How a command is told to others: as it was typed, but without the folders of this machine."""

from __future__ import annotations

from pathlib import Path


def command_of(arguments: list[str]) -> str:
    """`python -m training …` with the names of files and folders alone."""
    return " ".join(["python -m training", *(_shortened(one) for one in arguments)])


def _shortened(word: str) -> str:
    """A folder stands alone, after `KIND:`, or after `KEY=` of a setting."""
    if "/" not in word or word.startswith("-"):
        return word
    for mark in "=:":
        before, found, rest = word.partition(mark)
        if found and "/" not in before:
            return f"{before}{mark}{':'.join(Path(one).name for one in rest.split(':'))}"
    return Path(word).name
