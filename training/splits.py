"""Who is trained on and who is never seen: by patient, drawn once, written with a digest, and checked before every run.

Splits of images or mask rows leak: in the best-known ones of SIIM-ACR nine of ten positive validation images share a patient with training.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from training.records import Record

PARTS = ("train", "validation", "test")
FORMAT = "ptx-node split 1"
NAMED = 5
"""So many patients are named in an error; the rest is counted."""


class LeakError(UsageError):
    """One patient or image stands on two sides of a split: nothing is trained."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which part each patient belongs to.

    Attributes:
        part_of: patient_id -> one of `PARTS`.
        drawn: how: seed, shares, what was stratified by, and counts; told to people, not used.
    """

    name: str
    part_of: Mapping[str, str] = field(repr=False)
    drawn: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over the content."""
        text = json.dumps(self._content(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def of(self, patient_id: str) -> str:
        """The part of a patient.

        Raises:
            UsageError: the split does not know the patient; it was drawn over another data set.
        """
        try:
            return self.part_of[patient_id]
        except KeyError:
            raise UsageError(f"split {self.name} does not know patient {patient_id}: draw one over this data set") from None

    def divide(self, records: Iterable[Record]) -> dict[str, list[Record]]:
        """Records by part, checked for leaks.

        Raises:
            UsageError: an unknown patient.
            LeakError: as `check_leaks`.
        """
        parts: dict[str, list[Record]] = {part: [] for part in PARTS}
        for record in records:
            parts[self.of(record.patient_id)].append(record)
        check_leaks(parts)
        return parts

    def save(self, path: Path) -> None:
        """Write it once; the same split again is nothing new.

        Raises:
            UsageError: another split is already there. It stays.
        """
        if path.exists():
            if load(path).digest == self.digest:
                return
            raise UsageError(f"{path} holds another split, which stays: results are only comparable on one. Choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(
            json.dumps(self._content() | {"sha256": self.digest}, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
        )
        partial.rename(path)

    def _content(self) -> dict[str, Any]:
        return {"format": FORMAT, "name": self.name, "drawn": dict(self.drawn), "patients": dict(self.part_of)}


def load(path: Path) -> Split:
    """Read a split and verify it.

    Raises:
        UsageError: no such file, another format, or content that does not agree with its digest.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        split = Split(str(content["name"]), dict(content["patients"]), dict(content["drawn"]))
        written, version = content["sha256"], content["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as a split: {error!r}") from error
    if version != FORMAT:
        raise UsageError(f"{path} is '{version}', this program reads '{FORMAT}'")
    if written != split.digest or set(split.part_of.values()) - set(PARTS):
        raise UsageError(
            f"{path} was edited after it was drawn (its SHA-256 does not agree): restore it, or draw a new one under a new name"
        )
    return split


def of_run(folder: Path) -> list[Path]:
    """The splits that a run was trained under, in the order of its data sets; empty where it has none of its own."""
    return [path for path in (folder / "split.json", *sorted(folder.glob("split[0-9]*.json"))) if path.is_file()]


def told(splits: Sequence[Path]) -> dict[str, str]:
    """Name and digest of each split, for people; empty without any."""
    loaded = [load(path) for path in splits]
    return {"name": ", ".join(one.name for one in loaded), "digest": ", ".join(one.digest for one in loaded)} if loaded else {}


def draw(
    name: str,
    records: Sequence[Record],
    *,
    seed: int = 1,
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
    by: tuple[str, ...] = ("site", "size"),
    together: Iterable[Iterable[str]] = (),
) -> Split:
    """Divide patients at random; each part gets its share of every stratum, to one patient.

    A stratum is: has a positive image, and the patient's values of `by` (fields of `Record`).

    Args:
        name: told with every result.
        records: all of the data set, or of several together.
        seed: of the draw.
        shares: of `PARTS`; they add up to 1.
        by: what else must be alike in all parts.
        together: groups of image ids that must not be divided, such as near duplicates: their patients become one.

    Raises:
        UsageError: shares that do not add up, or a group that names an image which is not in the set.
    """
    if abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
        raise UsageError(f"shares {shares} do not add up to 1")
    groups = _groups(records, together)
    strata: dict[tuple[str, ...], list[list[Record]]] = defaultdict(list)
    for group in groups:
        strata[_stratum(group, by)].append(group)
    rng = np.random.default_rng([seed, 77])
    part_of: dict[str, str] = {}
    given, total = np.zeros(len(PARTS)), 0
    for stratum in sorted(strata):
        members = strata[stratum]
        # Neighbours in this order have about as many images each, so that equal shares of patients are equal shares of images.
        for index in sorted(rng.permutation(len(members)).tolist(), key=lambda place: len(members[place])):
            total += 1
            part = int(np.argmax(np.array(shares) * total - given))  # the part that is furthest behind its share
            given[part] += 1
            part_of.update({record.patient_id: PARTS[part] for record in members[index]})
    drawn = {"seed": seed, "shares": list(shares), "stratified_by": ["label", *by], "images": _counts(records, part_of)}
    return Split(name, part_of, drawn)


def _groups(records: Sequence[Record], together: Iterable[Iterable[str]]) -> list[list[Record]]:
    """Records of patients, and of patients joined by `together`, in the order of their ids."""
    parent: dict[str, str] = {record.patient_id: record.patient_id for record in records}

    def root(patient_id: str) -> str:
        while parent[patient_id] != patient_id:
            parent[patient_id] = patient_id = parent[parent[patient_id]]
        return patient_id

    patient_of = {record.image_id: record.patient_id for record in records}
    for images in together:
        ids = list(images)
        missing = [one for one in ids if one not in patient_of]
        if missing:
            raise UsageError(f"images that must stay together are not in the data set: {', '.join(missing[:NAMED])}")
        for one in ids[1:]:
            low, high = sorted((root(patient_of[ids[0]]), root(patient_of[one])))
            parent[high] = low
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[root(record.patient_id)].append(record)
    return [found[key] for key in sorted(found)]


def _stratum(group: Sequence[Record], by: tuple[str, ...]) -> tuple[str, ...]:
    """Label and fields of a patient; of several values the most frequent, of an empty and a full one the full."""
    values = ["1" if any(record.label == 1 for record in group) else "0"]
    for name in by:
        seen = Counter(str(getattr(record, name)) for record in group if getattr(record, name) not in {"", None})
        values.append(min(seen, key=lambda value: (-seen[value], value)) if seen else "")
    return tuple(values)


def _counts(records: Iterable[Record], part_of: Mapping[str, str]) -> dict[str, dict[str, int]]:
    counts = {part: {"images": 0, "positive": 0, "patients": 0} for part in PARTS}
    for record in records:
        counts[part_of[record.patient_id]]["images"] += 1
        counts[part_of[record.patient_id]]["positive"] += record.label == 1
    for part in part_of.values():
        counts[part]["patients"] += 1
    return counts


def check_leaks(records_by_part: Mapping[str, Iterable[Record]]) -> None:
    """Refuse what would make a figure too good.

    Raises:
        LeakError: a patient, an image, a file or a simulated patient's seed stands in two parts; patients and files are named.
    """
    places: dict[tuple[str, str], dict[str, Record]] = defaultdict(dict)
    for part, records in records_by_part.items():
        for record in records:
            keys = [("patient", record.patient_id), ("image", record.image_id), ("file", f"{record.path}#{record.slice_index}")]
            if record.simulated and "seed" in record.extra:  # two sites know the same simulated person under other names
                keys.append(("simulated patient", f"seed {record.extra['seed']}"))
            for key in keys:
                places[key].setdefault(part, record)
    leaks = [(what, one, found) for (what, one), found in places.items() if len(found) > 1]
    if not leaks:
        return
    kind = min({what for what, _, _ in leaks}, key=("patient", "image", "file", "simulated patient").index)
    of_kind = [(one, found) for what, one, found in leaks if what == kind]
    told = "; ".join(f"{one} ({', '.join(f'{part}: {found[part].path}' for part in found)})" for one, found in of_kind[:NAMED])
    more = f" and {len(of_kind) - NAMED} more" if len(of_kind) > NAMED else ""
    raise LeakError(f"the same {kind} stands on both sides: {told}{more}. Nothing was trained; split by patient")
