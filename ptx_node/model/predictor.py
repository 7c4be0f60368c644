"""A loaded model that answers: prepares images in any thread, runs batches in one, gives findings on the source grid."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ptx_node.domain.finding import Finding, ModelIdentity, Outcome
from ptx_node.domain.image import Radiograph, SpacingReason
from ptx_node.errors import ModelError
from ptx_node.log import get
from ptx_node.model.bundle import load_bundle
from ptx_node.model.embedding import embedding_of
from ptx_node.model.inference_network import half_precision_pays, inference_network
from ptx_node.model.postprocess import area_mm2, class_probabilities, drop_small, series_probability, side_of_mask, source_masks, volume_ml
from ptx_node.model.preprocess import Letterbox, radiograph_input, slice_input

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ptx_node.domain.eligibility import Requirements
    from ptx_node.domain.image import Volume
    from ptx_node.model.bundle import Bundle
    from ptx_node.model.inference_network import Passed

log = get(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One radiograph or CT series as the network takes it, without the source pixels.

    Attributes:
        inputs_ZHW: float32, one square a slice (one for a radiograph).
        columns_to_left: of a CT; None for a radiograph, whose `patient_orientation` says it.
    """

    inputs_ZHW: torch.Tensor = field(repr=False, compare=False)
    box: Letterbox
    sop_instance_uids: tuple[str, ...]
    pixel_spacing_mm: tuple[float, float] | None
    slice_spacing_mm: float | None
    spacing_reason: str | None
    patient_orientation: tuple[str, ...]
    columns_to_left: bool | None


def load_predictor(folder: Path, *, device: str = "auto", torch_threads: int = 0, batch_size: int = 8) -> Predictor:
    """Load a bundle, put it on its device and run it once, so that the first patient does not wait.

    Args:
        folder: a MONAI Bundle.
        device: `auto`, `cpu`, `cuda` or `cuda:N`. Never call with a GPU in a process that will fork.
        torch_threads: CPU threads of the whole process; 0 for one a core.
        batch_size: most radiographs or slices in one forward pass.

    Raises:
        ModelError: the bundle cannot be used, or the device is not there.
    """
    torch.set_num_threads(torch_threads or len(os.sched_getaffinity(0)))
    predictor = Predictor(load_bundle(folder), choose_device(device), batch_size)
    predictor.warm_up()
    return predictor


def choose_device(device: str) -> torch.device:
    """The device of this name.

    Raises:
        ModelError: there is none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"worker.device {device!r} is not a device: use auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda" and (not torch.cuda.is_available() or (chosen.index or 0) >= torch.cuda.device_count()):
        raise ModelError(f"worker.device is {device}, but this process sees {torch.cuda.device_count()} CUDA devices. Use auto or cpu")
    return chosen


class Predictor:
    """One model on one device. `prepare` may be called from several threads at once, `predict` from one."""

    def __init__(self, bundle: Bundle, device: torch.device, batch_size: int = 8, *, half: bool | None = None) -> None:
        """`half`: forward passes in bfloat16; None where it is faster on this device."""
        self.bundle = bundle
        self.device = device
        self.batch_size = max(1, batch_size)
        self._network: Callable[[torch.Tensor], Passed] = inference_network(
            bundle.network, device, half=half_precision_pays(device) if half is None else half
        )

    @property
    def identity(self) -> ModelIdentity:
        """Which model speaks."""
        return self.bundle.identity

    @property
    def reads(self) -> Literal["radiograph", "ct"]:
        """One finding for each radiograph, or one for each CT series."""
        return self.bundle.reads

    @property
    def requirements(self) -> Requirements:
        """What an instance's header must allow."""
        return self.bundle.requirements

    def prepare(self, image: Radiograph | Volume) -> Prepared:
        """Everything before the forward pass: shrink to the network's grid and normalise.

        Raises:
            ModelError: a radiograph for a CT model, or the other way round.
        """
        if isinstance(image, Radiograph) != (self.reads == "radiograph"):
            raise ModelError(f"model {self.identity.name} reads {self.reads}, it was given a {type(image).__name__.lower()}")
        if isinstance(image, Radiograph):
            square, box = radiograph_input(image.image_HW, self.bundle.input_size)
            return Prepared(
                inputs_ZHW=torch.from_numpy(square)[None],
                box=box,
                sop_instance_uids=(image.sop_instance_uid,),
                pixel_spacing_mm=image.pixel_spacing_mm,
                slice_spacing_mm=None,
                spacing_reason=image.spacing_reason,
                patient_orientation=image.patient_orientation,
                columns_to_left=None,
            )
        inputs_ZHW = np.empty((image.hu_ZHW.shape[0], self.bundle.input_size, self.bundle.input_size), dtype=np.float32)
        box = Letterbox.fit((image.hu_ZHW.shape[1], image.hu_ZHW.shape[2]), self.bundle.input_size)
        for index, hu_HW in enumerate(image.hu_ZHW):
            inputs_ZHW[index] = slice_input(hu_HW, self.bundle.input_size)[0]
        return Prepared(
            inputs_ZHW=torch.from_numpy(inputs_ZHW),
            box=box,
            sop_instance_uids=image.sop_instance_uids,
            pixel_spacing_mm=image.pixel_spacing_mm,
            slice_spacing_mm=image.slice_spacing_mm,
            spacing_reason=image.spacing_reason,
            patient_orientation=(),
            columns_to_left=image.columns_to_left,
        )

    def predict(self, batch: Sequence[Prepared], threshold: float | None = None) -> tuple[list[Finding], float]:
        """Findings in the order of `batch`, each with its embedding, and the milliseconds of the forward passes alone.

        Args:
            batch: prepared images.
            threshold: the site's own class threshold, 0 to 1; None: the model's.

        Raises:
            MemoryError: not even one image fits.
        """
        if not batch:
            return [], 0.0
        start = time.perf_counter()
        probabilities_N, logits_NHW, embeddings_NC = self._pass(torch.cat([one.inputs_ZHW for one in batch]))
        forward_ms = (time.perf_counter() - start) * 1000
        findings, place = [], 0
        for one in batch:
            count = one.inputs_ZHW.shape[0]
            chosen = slice(place, place + count)
            finding = self.finding_of(one, probabilities_N[chosen], logits_NHW[chosen], threshold)
            embedding = None if embeddings_NC is None else embedding_of(embeddings_NC[chosen], one.inputs_ZHW, self.reads)
            findings.append(replace(finding, embedding=embedding))
            place += count
        return findings, forward_ms

    def forward(self, inputs_NHW: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        """(probabilities of shape N, float64; mask logits of shape NHW, float32, on the CPU), in chunks that fit.

        Raises:
            MemoryError: not even one image fits.
        """
        probabilities_N, logits_NHW, _ = self._pass(inputs_NHW)
        return probabilities_N, logits_NHW

    def _pass(self, inputs_NHW: torch.Tensor) -> tuple[np.ndarray, torch.Tensor, np.ndarray | None]:
        """As `forward`, and the embeddings of shape NC, float32; None of a network without an encoder."""
        probabilities, logits, embeddings, place = [], [], list[np.ndarray](), 0
        size = self.batch_size
        while place < inputs_NHW.shape[0]:
            try:
                class_logit_B, mask_logits_B1HW, embedding_BC = self._network(inputs_NHW[place : place + size, None])
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                if size == 1:
                    raise MemoryError(f"model {self.identity.name}: one image does not fit on {self.device}") from error
                size = max(1, size // 2)
                log.warning("out of memory, batch halved", model=self.identity.name, batch_size=size)
                continue
            probabilities.append(class_logit_B.double().sigmoid().cpu().numpy())
            logits.append(mask_logits_B1HW[:, 0].cpu().float())
            if embedding_BC is not None:
                embeddings.append(embedding_BC.cpu().numpy())
            place += size
        return np.concatenate(probabilities), torch.cat(logits), np.concatenate(embeddings) if embeddings else None

    def warm_up(self) -> None:
        """One pass at the smallest and one at the largest batch, so that kernels are chosen and memory is reserved."""
        size = self.bundle.input_size
        for count in {1, self.batch_size}:
            self.forward(torch.zeros((count, size, size)))

    def finding_of(self, one: Prepared, probabilities_Z: np.ndarray, logits_ZHW: torch.Tensor, threshold: float | None = None) -> Finding:
        """The finding of one prepared image from its slices' probabilities and mask logits (changed in place)."""
        decision = self.bundle.decision if threshold is None else replace(self.bundle.decision, class_threshold=threshold)
        probabilities_Z = class_probabilities(probabilities_Z, logits_ZHW, decision)
        if self.reads == "radiograph":
            probability = float(probabilities_Z[0])
        else:
            probability = series_probability(probabilities_Z, one.slice_spacing_mm, decision.smooth_mm)
        if probability < decision.class_threshold:
            return Finding(Outcome.NEGATIVE, one.sop_instance_uids, self.identity, probability, decision.class_threshold)
        masks_ZHW = source_masks(drop_small(logits_ZHW, decision), one.box, decision)
        if not masks_ZHW.any():
            return Finding(Outcome.POSITIVE, one.sop_instance_uids, self.identity, probability, decision.class_threshold)
        area = volume = reason = None
        if self.reads == "radiograph":
            side = side_of_mask(masks_ZHW[0], one.patient_orientation)
            if one.pixel_spacing_mm is not None:
                area = area_mm2(masks_ZHW[0], one.pixel_spacing_mm)
        else:
            side = side_of_mask(masks_ZHW.sum(axis=0, dtype=np.int32), to_left=one.columns_to_left)
            if one.pixel_spacing_mm is not None and one.slice_spacing_mm is not None:
                volume = volume_ml(masks_ZHW, one.pixel_spacing_mm, one.slice_spacing_mm)
        if area is None and volume is None:
            reason = one.spacing_reason or SpacingReason.UNKNOWN.value
        return Finding(
            outcome=Outcome.POSITIVE,
            sop_instance_uids=one.sop_instance_uids,
            model=self.identity,
            probability=probability,
            threshold=decision.class_threshold,
            laterality=side,
            area_mm2=area,
            volume_ml=volume,
            spacing_reason=reason,
            mask=masks_ZHW[0] if self.reads == "radiograph" else masks_ZHW,
        )


def out_of_memory(error: RuntimeError) -> bool:
    """Whether this is an allocation that failed, on the GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error) or "DefaultCPUAllocator" in str(error)
