"""What is wrong between images: duplicates, labels that contradict each other, laterals among frontals, leaks of a split."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from training.datasets.masks import draw
from training.stats.alike import near_pairs
from training.stats.facts import Finding, Image
from training.stats.headers import FRONTAL, LATERAL
from training.stats.observe import FLAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from training.stats.alike import Pair
    from training.stats.gather import Gathered

LEAST_SYMMETRY = 0.25
LEAST_MIDDLE = 0.15
"""Under these, a picture may be a lateral or lie on its side. Simulated frontals, tension pneumothorax too, have 0.45 and 0.22 at least."""
INVERTED = -0.35
"""Correlation with the set's mean picture under which a picture looks like a negative."""
SAME_MASK = 0.7
"""Dice under which two masks of one picture are told to differ."""
ENOUGH = 20
"""Pictures that make a mean picture."""


def findings(gathered: Gathered, part_of: Callable[[Image], str | None] | None = None) -> list[Finding]:
    """Everything found. `part_of` gives the part of the split that an image stands in, None where the split does not know it."""
    images = gathered.images
    groups = same_pixels(images)
    pairs = _near(gathered)
    found = [*_loader(gathered), *_single(images), *_mask_and_label(images), *_views(gathered), *_patients(images), *_studies(images)]
    found += [Finding("same_pixels", f"{len(group)} files hold the same pixels", group) for group in groups]
    found += [Finding("near_duplicate", _alike(pair), (images[pair.first], images[pair.second])) for pair in pairs]
    found += _same_uid(images)
    alike = [*groups, *((images[pair.first], images[pair.second]) for pair in pairs)]
    found += _labels(alike)
    found += _masks([*groups, *((images[pair.first], images[pair.second]) for pair in pairs if pair.how == "same")])
    if part_of is not None:
        found += _leaks(images, alike, part_of)
    return found


def _alike(pair: Pair) -> str:
    how = "" if pair.how == "same" else f", {pair.how}"
    return f"codes differ in {pair.bits} of 64 bits, details correlate {pair.correlation:.2f}{how}"


def together(found: Iterable[Finding]) -> list[list[str]]:
    """Groups of image ids that a split must not divide: same pixels and near duplicates, joined."""
    root: dict[str, str] = {}

    def of(one: str) -> str:
        while root.setdefault(one, one) != one:
            one = root[one]
        return one

    for finding in found:
        if finding.kind in {"same_pixels", "near_duplicate"}:
            for first, second in pairwise(image.record.image_id for image in finding.images):
                root[of(second)] = of(first)
    groups: dict[str, list[str]] = defaultdict(list)
    for one in root:
        groups[of(one)].append(one)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def same_pixels(images: Sequence[Image]) -> list[tuple[Image, ...]]:
    """Groups of images with one digest; empty pictures are told elsewhere."""
    by_digest: dict[bytes, list[Image]] = defaultdict(list)
    for image in images:
        if image.facts.digest and image.facts.contrast >= FLAT:
            by_digest[image.facts.digest].append(image)
    return [tuple(group) for group in by_digest.values() if len(group) > 1]


def _near(gathered: Gathered) -> list[Pair]:
    """Near duplicates that are no exact ones; slices of one series are neighbours, not duplicates."""
    usable = [image for image in gathered.images if image.facts.digest and image.facts.contrast >= FLAT]
    rows = [image.row for image in usable]
    pairs = []
    for pair in near_pairs(gathered.codes_NW[rows], gathered.details_NHW, np.array(rows, dtype=np.int64)):
        one, other = gathered.images[pair.first], gathered.images[pair.second]
        neighbours = one.record.slice_index is not None and one.record.series_id == other.record.series_id
        if one.facts.digest != other.facts.digest and not neighbours:
            pairs.append(pair)
    return pairs


def _loader(gathered: Gathered) -> Iterator[Finding]:
    for name, data_set in gathered.data_sets.items():
        for problem in data_set.problems:
            yield Finding("problem", problem.reason, data_set=name, path=str(problem.path), line=problem.line)


def _single(images: Iterable[Image]) -> Iterator[Finding]:
    """What is wrong with one image alone."""
    for image in images:
        if image.facts.unreadable:
            yield Finding("unreadable", image.facts.unreadable, (image,))
        for complaint in image.facts.complaints:
            yield Finding(complaint.kind, complaint.detail, (image,))


def _mask_and_label(images: Iterable[Image]) -> Iterator[Finding]:
    for image in images:
        pixels, label = image.facts.mask_pixels, image.record.label
        if pixels and label != 1:
            yield Finding("mask_without_label", f"a mask of {pixels} pixels, label {'unknown' if label is None else label}", (image,))
        elif pixels == 0 and label == 1:
            drawn = "its mask is empty" if image.record.masks else "no mask is drawn"
            yield Finding("label_without_mask", drawn, (image,))


def _views(gathered: Gathered) -> Iterator[Finding]:
    """Only among radiographs; a picture is compared with the mean of its own set."""
    means = {name: mean.value for name, mean in gathered.pictures.items() if mean.count >= ENOUGH}
    for image in gathered.images:
        if image.record.slice_index is not None or not image.facts.digest:
            continue
        view, row = image.record.view.upper(), image.facts.attributes.get("orientation", "")[:1]
        if view in LATERAL or (view and view not in FRONTAL) or (not view and row in {"A", "P"}):
            yield Finding("other_view", f"view {view or '-'}, orientation {image.facts.attributes.get('orientation') or '-'}", (image,))
        if image.facts.contrast < FLAT:
            continue
        mean = means.get(image.data_set)
        likeness = 0.0 if mean is None else float(np.corrcoef(gathered.smalls_NHW[image.row].ravel(), mean.ravel())[0, 1])
        if likeness < INVERTED:
            yield Finding("may_be_inverted", f"correlation with the set's mean picture {likeness:.2f}", (image,))
        elif image.facts.symmetry < LEAST_SYMMETRY or image.facts.middle < LEAST_MIDDLE:
            told = f"symmetry {image.facts.symmetry:.2f}, middle {image.facts.middle:.2f} (at least {LEAST_SYMMETRY} and {LEAST_MIDDLE})"
            yield Finding("may_be_lateral", told, (image,))


def _patients(images: Iterable[Image]) -> Iterator[Finding]:
    """One patient with two sexes or birth dates."""
    of_patient: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in images:
        of_patient[image.data_set, image.record.patient_id].append(image)
    for group in of_patient.values():
        sexes = sorted({image.record.sex for image in group} - {""})
        if len(sexes) > 1:
            yield Finding("sex", f"one patient is {' and '.join(sexes)}", tuple(group))
        if len({image.facts.born for image in group} - {""}) > 1:
            yield Finding("age", "one patient has several birth dates", tuple(group))


def _studies(images: Iterable[Image]) -> Iterator[Finding]:
    of_study: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in images:
        if image.facts.study_instance_uid and image.record.slice_index is None:
            of_study[image.data_set, image.facts.study_instance_uid].append(image)
    for group in of_study.values():
        if {0, 1} <= {image.record.label for image in group}:
            yield Finding("study_conflict", _labels_told(group), tuple(group))
        patients = sorted({image.record.patient_id for image in group if not image.record.extra.get("patient_unknown")})
        if len(patients) > 1:
            yield Finding("no_patient", f"one study under {len(patients)} patients", tuple(group))


def _same_uid(images: Iterable[Image]) -> Iterator[Finding]:
    of_uid: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in images:
        if image.facts.sop_instance_uid:
            of_uid[image.data_set, image.facts.sop_instance_uid].append(image)
    for group in of_uid.values():
        if len(group) > 1:
            yield Finding("same_sop_instance_uid", f"{len(group)} files", tuple(group))


def _labels(alike: Iterable[tuple[Image, ...]]) -> Iterator[Finding]:
    for group in alike:
        if {0, 1} <= {image.record.label for image in group}:
            yield Finding("label_conflict", _labels_told(group), group)


def _masks(alike: Iterable[tuple[Image, ...]]) -> Iterator[Finding]:
    """The same picture in two hands: masks of one size of picture that overlap little."""
    for group in alike:
        drawn = [image for image in group if image.facts.mask_pixels and image.facts.shape == group[0].facts.shape]
        for first, second in pairwise(drawn):
            if first.record.masks == second.record.masks:
                continue
            one, other = draw(first.record, first.facts.shape), draw(second.record, second.facts.shape)
            if one is None or other is None:
                continue
            dice = 2 * int((one & other).sum()) / int(one.sum() + other.sum())
            if dice < SAME_MASK:
                yield Finding("mask_conflict", f"Dice of the two masks {dice:.2f}", (first, second))


def _labels_told(group: Sequence[Image]) -> str:
    return ", ".join({1: "pneumothorax", 0: "none", None: "uncertain"}[image.record.label] for image in group)


def _leaks(images: Iterable[Image], alike: Iterable[tuple[Image, ...]], part_of: Callable[[Image], str | None]) -> Iterator[Finding]:
    of_patient: dict[str, list[Image]] = defaultdict(list)
    of_study: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if part_of(image) is None:
            yield Finding("not_in_split", f"patient {image.record.patient_id}", (image,))
        of_patient[image.record.patient_id].append(image)
        if image.facts.study_instance_uid:
            of_study[image.facts.study_instance_uid].append(image)
    groups = (
        *(("patient", tuple(group)) for group in of_patient.values()),
        *(("study", tuple(group)) for group in of_study.values()),
        *(("picture", group) for group in alike),
    )
    for what, group in groups:
        parts = sorted({part for image in group if (part := part_of(image)) is not None})
        if len(parts) > 1:
            yield Finding("leak", f"the same {what} in {' and '.join(parts)}", tuple(group))
