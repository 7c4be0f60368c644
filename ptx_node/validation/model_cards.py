"""The models of an export: their cards, descriptions and hashes, and the thresholds at which they answered; never the weights."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from ptx_node.model.metadata import METADATA, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ptx_node.db.model_history import Used
    from ptx_node.db.thresholds import Step
    from ptx_node.domain.finding import ModelIdentity

FOLDER = "models"
INDEX = "models/index.json"
THRESHOLDS = "thresholds.csv"
TOLD = ("docs/README.md", METADATA, "configs/inference.json", "docs/evaluation.json")
"""Of a bundle, in the package under the last part of the name."""
HISTORY = "threshold-history.csv"
HISTORY_HEADER = ("version", "action", "model", "weights_sha256", "value", "of_proposal", "month", "decided_by", "note")
HEADER = ("model", "threshold", "findings", "first_month", "last_month")
DIGITS_OF_WEIGHTS = 12


def write_models(folder: Path, models: Sequence[ModelIdentity], place_of: Callable[[str], Path | None]) -> list[dict[str, Any]]:
    """Write `models/`: a folder a model, and an index with the hash of every file of its bundle.

    Args:
        folder: of the package's data.
        models: that answered.
        place_of: the bundle whose weights have this SHA-256; None where this node has it no more.
    """
    index = []
    (folder / FOLDER).mkdir()
    for number, model in enumerate(dict.fromkeys(models), 1):
        entry: dict[str, Any] = {
            "manufacturer": model.manufacturer,
            "name": model.name,
            "version": model.version,
            "weights_sha256": model.weights_sha256,
            "device_uid": model.device_uid,
        }
        bundle = place_of(model.weights_sha256)
        if bundle is None:
            entry |= {"folder": None, "note": "the bundle with these weights is not on this node any more: no card"}
        else:
            entry |= {"folder": f"{number:02}", "files": _copied(bundle, folder / FOLDER / f"{number:02}")}
        index.append(entry)
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return index


def write_thresholds(folder: Path, used: Sequence[Used], smallest: int) -> None:
    """Write `thresholds.csv`: every threshold at which a model answered, and its months; of fewer findings than `smallest` no month."""
    with (folder / THRESHOLDS).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADER)
        for one in used:
            months = [f"{moment:%Y-%m}" if one.findings >= smallest else "" for moment in (one.first_at, one.last_at)]
            name = f"{one.model.name} {one.model.version} {one.model.weights_sha256[:DIGITS_OF_WEIGHTS]}"
            rows.writerow((name, "" if one.threshold is None else repr(one.threshold), one.findings, *months))


def write_history(folder: Path, steps: Sequence[Step], *, identified: bool) -> None:
    """Write `threshold-history.csv`: the site's own thresholds, the oldest step first; who decided, and why, only where names may stand."""
    with (folder / HISTORY).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HISTORY_HEADER)
        for one in sorted(steps, key=lambda step: step.number):
            value = "" if one.value is None else repr(one.value)
            who = (one.decided_by, " ".join(one.note.split())) if identified else ("", "")
            cells = (one.number, one.action, one.model, one.weights_sha256, value, one.proposal or "", f"{one.decided_at:%Y-%m}")
            rows.writerow((*cells, *who))


def _copied(bundle: Path, folder: Path) -> dict[str, str]:
    """SHA-256 of each file of the bundle, by its path there; those of `TOLD` are copied."""
    hashes = {}
    folder.mkdir()
    for name in (*TOLD, WEIGHTS):
        path = bundle / name
        if not path.is_file():
            continue
        with path.open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
        if name in TOLD:
            shutil.copyfile(path, folder / path.name)
    return hashes
