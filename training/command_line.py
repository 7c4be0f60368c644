"""How a command is told to others: as it was typed, but without the folders of this machine."""

from __future__ import annotations

from pathlib import Path


def command_of(arguments: list[str]) -> str:
    """`python -m training …` with the names of files and folders alone."""
    return " ".join(["python -m training", *(_shortened(one) for one in arguments)])


def _shortened(word: str) -> str:
    kind, colon, rest = word.partition(":")
    if colon and "/" in rest:
        return ":".join([kind, *(Path(one).name for one in rest.split(":"))])
    return Path(word).name if "/" in word and not word.startswith("-") else word
