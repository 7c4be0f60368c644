"""Cases through the node's predictor, one after the other: reading in threads, the network in this one, a row from each."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ptx_node.domain.finding import Finding, Outcome
from ptx_node.domain.image import Volume
from ptx_node.model.hemithorax import hemithorax_shares
from ptx_node.model.postprocess import drop_small, side_of_mask, source_masks, volume_ml
from ptx_node.model.preprocess import shrink
from training.evaluate.rows import Row
from training.overlap import PixelCounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ptx_node.model.metadata import Decision
    from ptx_node.model.predictor import Predictor, Prepared
    from training.evaluate.cases import Case, Load
    from training.records import Record

BINS, LOGITS = 2048, 40.0
"""Bins of the histograms of pixels, over logits from - to + this: probabilities would fall together near 0."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the network said of one case, before any rule."""

    case: Case
    prepared: Prepared = field(repr=False)
    probabilities_Z: NDArray[np.float64] = field(repr=False)
    logits_ZHW: torch.Tensor = field(repr=False)


@dataclass
class PixelHistogram:
    """Pixels of the network's grid by their logit, those of true masks and the others: for an AUC over pixels."""

    positives_K: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    negatives_K: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))

    def add(self, output: Output) -> None:
        """Count one case; without a true mask it counts for nothing."""
        truth_ZHW = truth_on_grid(output)
        if truth_ZHW is None:
            return
        rows, columns = output.prepared.box.window
        place = ((output.logits_ZHW[:, rows, columns].numpy() / LOGITS + 1) * (BINS / 2)).astype(np.int64).clip(0, BINS - 1)
        true = truth_ZHW[:, rows, columns]
        self.positives_K += np.bincount(place[true], minlength=BINS)
        self.negatives_K += np.bincount(place[~true], minlength=BINS)


def outputs(predictor: Predictor, groups: Sequence[tuple[Record, ...]], load: Load, *, threads: int = 2) -> Iterator[Output]:
    """Run all cases, in their order. A few are read ahead in threads; radiographs go through the network in batches.

    Raises:
        PtxError: of `load`, which names the file.
    """

    def prepared(records: tuple[Record, ...]) -> tuple[Case, Prepared]:
        case = load(records)
        return case, predictor.prepare(case.image)

    waiting: list[tuple[Case, Prepared]] = []
    ahead = 2 * threads if predictor.reads == "radiograph" else 1
    with ThreadPoolExecutor(max(1, threads)) as pool:
        futures = deque(pool.submit(prepared, records) for records in groups[:ahead])
        for place in range(len(groups)):
            waiting.append(futures.popleft().result())
            if place + ahead < len(groups):
                futures.append(pool.submit(prepared, groups[place + ahead]))
            if sum(one.inputs_ZHW.shape[0] for _, one in waiting) >= predictor.batch_size or place == len(groups) - 1:
                yield from _run(predictor, waiting)
                waiting = []


def _run(predictor: Predictor, batch: Sequence[tuple[Case, Prepared]]) -> Iterator[Output]:
    probabilities_N, logits_NHW = predictor.forward(torch.cat([one.inputs_ZHW for _, one in batch]))
    place = 0
    for case, one in batch:
        chosen = slice(place, place + one.inputs_ZHW.shape[0])
        place = chosen.stop
        yield Output(case, one, probabilities_N[chosen], logits_NHW[chosen])


def truth_on_grid(output: Output) -> NDArray[np.bool_] | None:
    """The true mask on the network's grid: pixels that are more than half inside; None where the set draws none."""
    truth_ZHW = output.case.truth_ZHW
    if truth_ZHW is None:
        return None
    box = output.prepared.box
    small_ZHW = np.zeros(tuple(output.logits_ZHW.shape), dtype=bool)
    for index, truth_HW in enumerate(truth_ZHW):
        if truth_HW.any():
            small_ZHW[index][box.window] = shrink(truth_HW.astype(np.float32), box.scaled) > 0.5
    return small_ZHW


def row_of(predictor: Predictor, output: Output) -> Row:
    """The node's finding of this case beside the truth."""
    case, decision = output.case, predictor.bundle.decision
    finding = predictor.finding_of(output.prepared, output.probabilities_Z, output.logits_ZHW.clone())
    assert finding.probability is not None
    answer_ZHW = answer_of(finding, output)
    first = case.first
    return Row(
        case_id=case.image.sop_instance_uid if not isinstance(case.image, Volume) else case.image.series_instance_uid,
        patient_id=first.patient_id,
        site=first.site,
        sex=first.sex,
        age_years=first.age_years,
        view=first.view,
        modality=first.modality,
        size=first.size,
        tube=first.tube,
        simulated=first.simulated,
        label=case.label,
        probability=finding.probability,
        positive=finding.outcome is Outcome.POSITIVE,
        laterality=str(finding.laterality or ""),
        truth_laterality=_truth_side(case, output.prepared),
        **_overlap(output, finding, answer_ZHW, decision),
        **(_of_volume(case.image, case.truth_ZHW, answer_ZHW) if isinstance(case.image, Volume) else {}),
    )


def answer_of(finding: Finding, output: Output) -> NDArray[np.bool_]:
    """The finding's mask as (slices, rows, columns); empty where there is none."""
    if finding.mask is None:
        return np.zeros((output.logits_ZHW.shape[0], *output.prepared.box.source), dtype=bool)
    return finding.mask if finding.mask.ndim == 3 else finding.mask[None]


def _truth_side(case: Case, prepared: Prepared) -> str:
    if case.truth_ZHW is None or not case.truth_ZHW.any():
        return str(case.first.extra.get("laterality") or "")
    along_HW = case.truth_ZHW.sum(axis=0, dtype=np.int32)
    return str(side_of_mask(along_HW, prepared.patient_orientation, to_left=prepared.columns_to_left) or "")


def _overlap(output: Output, finding: Finding, answer_ZHW: NDArray[np.bool_], decision: Decision) -> dict[str, int]:
    truth_ZHW = output.case.truth_ZHW
    if truth_ZHW is None:
        return {}
    alone_ZHW = answer_ZHW
    if finding.outcome is not Outcome.POSITIVE:
        alone_ZHW = source_masks(drop_small(output.logits_ZHW.clone(), decision), output.prepared.box, decision)
    counts, alone = PixelCounts.of(truth_ZHW, answer_ZHW), PixelCounts.of(truth_ZHW, alone_ZHW)
    return {
        "pixels": truth_ZHW.size,
        "truth_pixels": counts.truth,
        "answer_pixels": counts.answer,
        "both_pixels": counts.true_positive,
        "alone_answer": alone.answer,
        "alone_both": alone.true_positive,
    }


def _of_volume(image: Volume, truth_ZHW: NDArray[np.bool_] | None, answer_ZHW: NDArray[np.bool_]) -> dict[str, Any]:
    found: dict[str, Any] = {"slices": image.hu_ZHW.shape[0]}
    if truth_ZHW is not None:
        airy_Z = truth_ZHW.any(axis=(1, 2))
        found["air_slices"] = int(airy_Z.sum())
        found["air_answer"] = int(np.count_nonzero(answer_ZHW[airy_Z]))
        found["air_both"] = int(np.count_nonzero(answer_ZHW[airy_Z] & truth_ZHW[airy_Z]))
    if image.pixel_spacing_mm is None or image.slice_spacing_mm is None:
        return found
    spacing = (image.slice_spacing_mm, *image.pixel_spacing_mm)
    masks = [answer_ZHW] if truth_ZHW is None else [answer_ZHW, truth_ZHW]
    shares = hemithorax_shares(image.hu_ZHW, masks, spacing, to_left=image.columns_to_left) if any(one.any() for one in masks) else None
    for index, prefix in enumerate(("", "truth_")[: len(masks)]):
        found[f"{prefix}volume_ml"] = volume_ml(masks[index], image.pixel_spacing_mm, image.slice_spacing_mm)
        found[f"{prefix}share_percent"] = 0.0 if shares is None else max(shares[index].values(), default=None)
    return found
