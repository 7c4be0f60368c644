"""The audit trail as a chain of hashes: what an event is, the exact bytes that are hashed, and how a broken row is known.

Pure: rows are read and written by `ptx_node.db.audit`. The format is a promise to strangers (docs/audit-trail.md): what is
written once is verified for ever, so a change here is a new format beside the old one, never another meaning.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ptx_node.domain.image import Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ptx_node.domain.image import Radiograph

NODE = "node"
"""The actor of what no person and no peer asked for."""


class AuditKind(StrEnum):
    """What an event is about: the closed list in `audit_events.kind`.

    receipt: an instance or a report that was acknowledged, new or again. refusal: what was not taken at the door, or that no
    model reads. inference: a finding, or an attempt that failed. delivery: an answer of a destination, a proof, or giving up.
    label: what a report says. decision: a person's. export, login: what left the node, who came. look: who was shown
    which studies. merge: patients joined or parted. verification: the trail or an export was checked.
    """

    RECEIPT = "receipt"
    REFUSAL = "refusal"
    INFERENCE = "inference"
    DELIVERY = "delivery"
    LABEL = "label"
    DECISION = "decision"
    EXPORT = "export"
    LOGIN = "login"
    LOOK = "look"
    MERGE = "merge"
    VERIFICATION = "verification"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, before it has its place in the chain.

    Attributes:
        actor: `node`, `peer AE@address` or `user name`.
        detail: plain JSON values; UIDs, numbers of rows, hashes, coded reasons. Never a patient's name.
    """

    kind: AuditKind
    actor: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the chain: a row's number and its hash. `str` gives `SEQUENCE:HASH`, which can be kept elsewhere."""

    sequence: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.sha256}"


START = Link(0, "0" * 64)
"""What the first row follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `body` is what is hashed: ASCII, one line; `recorded_at` and `kind` repeat it for queries.

    `recorded_at` is None when what is stored is no time, which only somebody else can have done.
    """

    sequence: int
    recorded_at: datetime | None
    kind: str
    body: str
    sha256: str

    @property
    def link(self) -> Link:
        """The row's place in the chain."""
        return Link(self.sequence, self.sha256)


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row that does not fit, and why."""

    sequence: int
    problem: str


@dataclass(frozen=True, slots=True)
class Trace:
    """What the trail keeps of an inference beside its finding.

    Attributes:
        pixel_sha256: see `pixel_sha256`; None when no image could be read.
        settings_sha256: of the settings that were in force, without secrets.
        timings_ms: by step.
    """

    pixel_sha256: str | None = None
    settings_sha256: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)


def peer(calling_ae: str, address: str) -> str:
    """The actor of what a peer did; STOW-RS clients have no AE title."""
    return f"peer {calling_ae}@{address}"


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical_json(value: Any) -> str:
    """JSON as it is hashed: keys sorted, no spaces, everything beyond ASCII escaped, hence one line and one encoding.

    Raises:
        TypeError, ValueError: a value that JSON has not, such as NaN.
    """
    return _encode(value)


def digest(text: str) -> str:
    """SHA-256 of canonical text, in lower-case hexadecimal."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def pixel_sha256(picture: Radiograph | Volume) -> str:
    """SHA-256 of the pixels that the model was given: the array in C order, little endian, before any resizing.

    float32 of a radiograph (0 to 1, after look-up tables, window and inversion); int16 Hounsfield units of a CT, slice by slice.
    """
    hashed = hashlib.sha256()
    for plane in picture.hu_ZHW if isinstance(picture, Volume) else (picture.image_HW,):  # a plane may be copied, a volume never
        hashed.update(plane.astype(plane.dtype.newbyteorder("<"), order="C", copy=False).data)
    return hashed.hexdigest()


def chain(last: Link, events: Sequence[Event], recorded_at: datetime) -> list[Entry]:
    """The rows of `events`, in order, after the row `last` (`START` when there is none)."""
    entries: list[Entry] = []
    at = _moment(recorded_at)
    for event in events:
        sequence = last.sequence + 1
        body = canonical_json(
            {
                "sequence": sequence,
                "previous_sha256": last.sha256,
                "recorded_at": at,
                "kind": event.kind.value,
                "actor": event.actor,
                "detail": event.detail,
            }
        )
        entry = Entry(sequence, recorded_at, event.kind.value, body, digest(body))
        entries.append(entry)
        last = entry.link
    return entries


def check(entry: Entry, last: Link) -> Broken | None:
    """What is wrong with a row that ought to follow `last`; None when it does."""
    expected = last.sequence + 1
    if entry.sequence > expected:
        return Broken(expected, f"row {expected} is missing: row {last.sequence} is followed by row {entry.sequence}")
    if entry.sequence < expected:
        return Broken(entry.sequence, f"row {entry.sequence} was put in: rows begin at 1")
    problem = _problem(entry, last)
    return Broken(entry.sequence, problem) if problem else None


def _problem(entry: Entry, last: Link) -> str | None:
    found = hashlib.sha256(entry.body.encode("utf-8", "surrogatepass")).hexdigest()
    if found != entry.sha256:
        return f"its content or its hash was changed: the content hashes to {found}, the row says {entry.sha256}"
    try:
        said = json.loads(entry.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return "its content is not a JSON object"
    if said.get("sequence") != entry.sequence:
        return f"it was moved: its content is that of row {said.get('sequence')}"
    if said.get("previous_sha256") != last.sha256:
        before = f"row {last.sequence}, whose hash is {last.sha256}" if last.sequence else "nothing, as the first row"
        return f"it, or the row before it, was replaced: it follows a row of hash {said.get('previous_sha256')}, but stands after {before}"
    columns, content = (entry.kind, _moment(entry.recorded_at)), (str(said.get("kind")), str(said.get("recorded_at")))
    if columns != content:
        return f"its columns were changed: they say {' at '.join(columns)}, its content says {' at '.join(content)}"
    return None


def _moment(moment: datetime | None) -> str:
    return "no time" if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
