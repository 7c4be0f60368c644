"""`python -m training split`: divide a data set's patients into train, validation and test, once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ptx_node.errors import UsageError
from training.datasets import KINDS, open_data_set
from training.splits import PARTS, draw

if TYPE_CHECKING:
    import argparse

    from training.records import Record

SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--data", required=True, nargs="+", metavar="KIND:FOLDER", help=f"data sets; KIND is one of {', '.join(KINDS)}")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the split, JSON; one that is there stays")
    parser.add_argument("--patients", type=Path, metavar="FILE", help="table image -> patient, where the files hide the patient (SIIM-ACR)")
    parser.add_argument("--together", type=Path, metavar="FILE", help="JSON list of groups of image ids that must not be divided")
    parser.add_argument("--shares", type=float, nargs=3, default=(0.7, 0.15, 0.15), metavar=("TRAIN", "VALIDATION", "TEST"))
    parser.add_argument("--by", nargs="*", default=["site", "size"], metavar="FIELD", help="stratified by the label and these fields")
    parser.add_argument("--seed", type=int, default=1)


def run(chosen: argparse.Namespace) -> int:
    """Draw, save, and say what is in each part.

    Raises:
        UsageError: a data set or table that is wrong as a whole, or another split under this name.
    """
    records: list[Record] = []
    for words in chosen.data:
        kind, _, folder = words.partition(":")
        options = {"patients": chosen.patients} if chosen.patients else {}
        try:
            data_set = open_data_set(kind, Path(folder), **options)
        except TypeError as error:
            raise UsageError(f"{kind} takes no --patients: its files say who the patient is") from error
        records += data_set.records
        for problem in data_set.problems[:SHOWN]:
            print(problem, file=sys.stderr)
        if len(data_set.problems) > SHOWN:
            print(f"… and {len(data_set.problems) - SHOWN} more problems in {folder}", file=sys.stderr)
    unknown = sum(bool(record.extra.get("patient_unknown")) for record in records)
    if unknown:
        print(f"{unknown} images name no patient and stand for one each: give --patients, or images may leak", file=sys.stderr)
    split = draw(
        chosen.out.stem, records, seed=chosen.seed, shares=tuple(chosen.shares), by=tuple(chosen.by), together=_groups(chosen.together)
    )
    split.divide(records)
    split.save(chosen.out)
    print(f"{chosen.out}  sha256 {split.digest}")
    for part in PARTS:
        counts = split.drawn["images"][part]
        print(f"{part:<11}{counts['patients']:>7} patients {counts['images']:>7} images {counts['positive']:>7} positive")
    return 0


def _groups(path: Path | None) -> list[list[str]]:
    if path is None:
        return []
    try:
        groups: list[list[str]] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as groups of image ids: {error}") from error
    if not all(isinstance(group, list) for group in groups):
        raise UsageError(f"{path} holds no list of lists of image ids")
    return groups
