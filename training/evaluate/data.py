"""Which cases are judged: parts of data sets under a split, and whole sets of sites that training never saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.errors import UsageError
from training.evaluate.cases import grouped, label_of
from training.parts import divide, open_data
from training.splits import LeakError, load, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from training.records import DataSet, Record

NAMED = 5
SEEN = frozenset({"train", "validation"})


@dataclass(frozen=True, slots=True)
class Judging:
    """The cases of one evaluation.

    Attributes:
        groups: records of each case.
        validation: of the cases that a decision rule may be chosen on.
        trained_sites: sites of the patients in the split's train part.
        data_sites: sites of the judged cases of `data`: the model's own, as far as anybody says.
        sources: what was given and how many cases it has, for the report.
        split: name and digest of each split.
    """

    groups: list[tuple[Record, ...]]
    validation: list[tuple[Record, ...]]
    trained_sites: frozenset[str]
    data_sites: frozenset[str]
    sources: tuple[str, ...]
    split: dict[str, str]


def gather(data: Sequence[str], unseen: Sequence[str], splits: Sequence[Path], *, part: str, reads: str) -> Judging:
    """Open everything and take the part that is asked for.

    Args:
        data: words such as `siim:FOLDER` of sets that the splits were drawn over.
        unseen: the same of sets that nothing was trained on.
        splits: one for all of `data`, or one each.
        part: of the split, or `all`.
        reads: `ct` for slices, `radiograph` for single pictures; others are passed over.

    Raises:
        UsageError: nothing to judge, or a part without a split.
        LeakError: an unseen set holds patients that were trained on.
    """
    sets = [_read_by(one, reads) for one in open_data(data)]
    others = [_read_by(one, reads) for one in open_data(unseen)]
    parts: dict[str, list[list[Record]]] = {}
    if splits and sets:
        parts = divide(sets, splits)
    elif part != "all" and sets:
        raise UsageError(f"--part {part} needs --split FILE; --part all judges everything, which is for sets that nothing was trained on")
    mine = [list(one.records) for one in sets] if part == "all" else parts.get(part, [])
    for one in others:
        _refuse_trained(one.records, splits)
    groups = [grouped(records) for records in (*mine, *(one.records for one in others))]
    parts_told = [part] * len(sets) + ["unseen"] * len(others)
    sources = [f"{one.name}: {which}, {len(found)} cases" for one, which, found in zip((*sets, *others), parts_told, groups, strict=True)]
    if not any(groups):
        raise UsageError(
            f"nothing to judge: no {'CT slice' if reads == 'ct' else 'radiograph'} in the part {part} of --data, or in --unseen"
        )
    return Judging(
        groups=[group for found in groups for group in found],
        validation=[group for records in parts.get("validation", []) for group in grouped(records)],
        trained_sites=frozenset(record.site for records in parts.get("train", []) for record in records),
        data_sites=frozenset(record.site for records in mine for record in records),
        sources=tuple(sources),
        split=told(splits),
    )


def _read_by(found: DataSet, reads: str) -> DataSet:
    """The set's records that such a model reads; a record without a site is of the site of its set."""
    kept = [record for record in found.records if (record.slice_index is not None) is (reads == "ct")]
    return replace(found, records=tuple(record if record.site else replace(record, site=found.name) for record in kept))


def _refuse_trained(records: Iterable[Record], splits: Sequence[Path]) -> None:
    """Raise LeakError where a patient of a set that is said to be unseen was in train or validation."""
    part_of = {patient: part for path in splits for patient, part in load(path).part_of.items()}
    seen = sorted({record.patient_id for record in records if part_of.get(record.patient_id) in SEEN})
    if seen:
        more = f" and {len(seen) - NAMED} more" if len(seen) > NAMED else ""
        raise LeakError(f"patients of --unseen were trained or validated on: {', '.join(seen[:NAMED])}{more}. Nothing was judged")


def limited(groups: Sequence[tuple[Record, ...]], limit: int, seed: int) -> list[tuple[Record, ...]]:
    """At most so many cases (0: all), positives and negatives in their proportion, drawn by the seed, in their order."""
    if not limit or len(groups) <= limit:
        return list(groups)
    rng = np.random.default_rng([seed, 31])
    labels = np.array([label_of(group) == 1 for group in groups])
    kept: list[int] = []
    for kind in (True, False):
        places = np.flatnonzero(labels == kind)
        kept += rng.permutation(places)[: round(limit * places.size / labels.size)].tolist()
    return [groups[place] for place in sorted(kept)]
