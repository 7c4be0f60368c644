"""Lists that a report is written by, filled in as far as the package answers them; our own words, kept as data beside this file."""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("stard_ai", "claim")
TO_FILL = "to be filled by the authors"


@dataclass(frozen=True, slots=True)
class Item:
    """One point: what it asks, where in the package it is answered, and how."""

    number: str
    topic: str
    where: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """A list, as it is shipped."""

    title: str
    note: str
    items: tuple[Item, ...]


def load(name: str) -> Checklist:
    """One of `NAMES`."""
    content = tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))
    items = (Item(one["number"], one["topic"], tuple(one.get("where", ())), one.get("answer", "")) for one in content["item"])
    return Checklist(content["title"], content["note"], tuple(items))


def as_markdown(checklist: Checklist) -> str:
    """The list as a table to go on with."""
    lines = [f"# {checklist.title}", "", checklist.note, "", "| no. | asks for | in this package | |", "|---|---|---|---|"]
    lines += [f"| {one.number} | {one.topic} | {_where(one)} | {one.answer} |" for one in checklist.items]
    return "\n".join(lines) + "\n"


def as_csv(checklist: Checklist) -> str:
    """The list as a table for programs."""
    return _table([("number", "topic", "where", "answer"), *((one.number, one.topic, _where(one), one.answer) for one in checklist.items)])


def assess_ai_mapping() -> str:
    """What an upload to the ACR's registry asks for, and which of our columns has it, as CSV."""
    content = tomllib.loads((HERE / "assess_ai.toml").read_text(encoding="utf-8"))
    rows = [(one["name"], one["column"], one["how"]) for one in content["field"]]
    return _table([("assess_ai_field", "our_column", "how"), *rows])


def _where(item: Item) -> str:
    return " ".join(item.where) or TO_FILL


def _table(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
