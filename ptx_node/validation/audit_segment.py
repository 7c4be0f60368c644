"""The audit trail's stretch of an export: written beside the figures, verified alone, and against the node's trail where that is at hand.

In a de-identified package the rows' bodies stay at the site: what is told of each is a list of what may be, and its hash stands for the
rest (docs/decisions/a-reduced-audit-segment-keeps-the-hashes.md). With identifiers the rows are the lines that are hashed, as `ptx audit
list --lines` gives them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ptx_node.domain.audit import AuditKind, Link, canonical_json, digest
from ptx_node.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ptx_node.domain.audit import Entry

ROWS, ABOUT = "audit/rows.jsonl", "audit/segment.json"
LONGEST_ROW = 64_000_000
"""Characters: a CT of very many slices names each of them."""

TOLD = frozenset(
    {"outcome", "stage", "step", "what", "cause", "state", "threshold", "settings_sha256", "recorded", "kind", "attempt", "proof"}
)
"""Coded values and configuration, the same for many patients. Numbers of one image (probability, volume, milliseconds), UIDs, hashes of
files and numbers of rows would lead to a case, and the rows' order would then order the patients in time."""
TOLD_OF_MODELS = frozenset({"manufacturer", "name", "version", "weights_sha256"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CODED = re.compile(r"[A-Za-z0-9_.:+ -]{0,64}")


Stands = Callable[[int, int], "Iterator[Entry]"]
"""Rows of a node's own trail, from one number to another, both included."""


@dataclass(frozen=True, slots=True)
class About:
    """What the segment is, as segment.json says it.

    Attributes:
        after: the place in the chain that the first row follows.
        head: the place of the last row; `after` where there is no row.
        reduced: whether the bodies stay at the site.
    """

    after: Link
    head: Link
    rows: int
    reduced: bool

    def to_json(self) -> dict[str, Any]:
        """As `read_about` reads it."""
        return {
            "after": str(self.after),
            "head": str(self.head),
            "rows": self.rows,
            "reduced": self.reduced,
            "format": "docs/audit-trail.md",
        }


def write_segment(folder: Path, entries: Iterable[Entry], after: Link, *, reduced: bool) -> About:
    """Write the rows, in flat memory.

    Args:
        folder: of the package's data; `audit/` is made.
        entries: without a gap.
        after: the place in the chain before the first of them.
        reduced: leave the bodies out.

    Raises:
        PermanentError: a row does not follow the one before: the trail is broken, and no export can say otherwise.
    """
    path, last, rows = folder / ROWS, after, 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii", newline="\n") as file:
        for entry in entries:
            body = _body(entry.body)
            if (entry.sequence, body.get("previous_sha256"), digest(entry.body)) != (last.sequence + 1, last.sha256, entry.sha256):
                raise PermanentError(f"row {entry.sequence} of the audit trail is broken: see `ptx audit verify`. Nothing was exported")
            file.write((canonical_json(_reduced(entry.sequence, entry.sha256, body)) if reduced else entry.body) + "\n")
            last, rows = entry.link, rows + 1
    about = About(after, last, rows, reduced)
    (folder / ABOUT).write_text(json.dumps(about.to_json(), indent=2) + "\n", encoding="ascii")
    return about


def read_about(folder: Path) -> About:
    """What segment.json says.

    Raises:
        UsageError: it is missing or damaged.
    """
    try:
        content = json.loads((folder / ABOUT).read_text(encoding="ascii"))
        return About(_link(content["after"]), _link(content["head"]), int(content["rows"]), bool(content["reduced"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{ABOUT} of the package cannot be read: {type(error).__name__}") from error


def broken(folder: Path, stands: Stands | None = None) -> str:
    """What is wrong with the segment's chain, naming the first row; empty where it is whole from its first link to its head.

    Of a reduced segment the package alone shows numbers without a gap and the head: that each hash is of the row that follows the
    one before shows the node's trail, or a row's body that the site lays open.

    Args:
        folder: the package's data.
        stands: of the node; then each row is held against its own trail, and what is told of it against its body.

    Raises:
        UsageError: segment.json is missing or damaged.
    """
    about = read_about(folder)
    last, rows = about.after, 0
    kept = stands(about.after.sequence + 1, about.head.sequence) if stands else None
    for number, line in enumerate(_lines(folder / ROWS), about.after.sequence + 1):
        try:
            said = _body(line)
            here = Link(int(said["sequence"]), str(said["sha256"]) if about.reduced else digest(line))
            before = last.sha256 if about.reduced else str(said["previous_sha256"])
        except (PermanentError, ValueError, LookupError, TypeError):
            return f"row {number} is not one of an audit trail"
        if (here.sequence, before) != (number, last.sha256) or not _SHA256.fullmatch(here.sha256):
            return f"row {number} does not follow the row before it"
        if kept is not None and (problem := _differs(line, here, next(kept, None), reduced=about.reduced)):
            return problem
        last, rows = here, rows + 1
    if (last, rows) != (about.head, about.rows):
        return f"the segment ends with row {last.sequence}; {ABOUT} says {about.rows} rows and the head {about.head}"
    return ""


def _differs(line: str, here: Link, kept: Entry | None, *, reduced: bool) -> str:
    """How a row differs from the node's own trail; empty where it does not."""
    if kept is None or kept.link != here:
        return f"row {here.sequence} is not in the trail of this node"
    if digest(kept.body) != kept.sha256:
        return f"row {here.sequence} of this node's trail is broken: see `ptx audit verify`"
    expected = canonical_json(_reduced(kept.sequence, kept.sha256, _body(kept.body))) if reduced else kept.body
    return "" if line == expected else f"what the package tells of row {here.sequence} is not what the row says"


def _reduced(sequence: int, sha256: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What may be told of a row: its place in the chain, its kind, its month, coded values; nothing that leads to a patient or a day."""
    detail = body["detail"] if isinstance(body.get("detail"), dict) else {}
    told = {name: value for name, value in detail.items() if name in TOLD and _is_plain(value)}
    model = detail.get("model")
    if isinstance(model, dict):
        told["model"] = {name: value for name, value in model.items() if name in TOLD_OF_MODELS and isinstance(value, str)}
    return {
        "sequence": sequence,
        "sha256": sha256,
        "kind": body["kind"] if body["kind"] in set(AuditKind) else "",
        "actor": str(body["actor"]).partition(" ")[0],
        "month": str(body["recorded_at"])[:7],
        "told": told,
    }


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and _CODED.fullmatch(value) is not None)


def _body(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise PermanentError("a row of the audit trail is not a JSON object: see `ptx audit verify`")
    return said


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="ascii", errors="replace", newline="\n") as file:
            while line := file.readline(LONGEST_ROW):
                yield line.removesuffix("\n")
    except OSError:
        yield ""


def _link(text: str) -> Link:
    sequence, _, sha256 = text.partition(":")
    return Link(int(sequence), sha256)
