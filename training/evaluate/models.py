"""What is judged: a bundle, or a training run made into one in memory. Either answers through the node's `Predictor`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.finding import ModelIdentity
from ptx_node.errors import UsageError
from ptx_node.model.bundle import Bundle, half_weights
from ptx_node.model.metadata import Decision, device_uid
from ptx_node.model.predictor import Predictor, choose_device, load_predictor
from training.datasets import NODE, Handling
from training.networks.build import load_run

if TYPE_CHECKING:
    from pathlib import Path

    from training.settings import Settings

MANUFACTURER = "ptx-node project"
DECISION = "decision.json"
"""In a run folder: the rule that was chosen, for which weights, on what."""
EVALUATION = "docs/evaluation.json"
"""In a bundle: the evaluation that its card was written from."""
UNDECIDED = Decision(class_threshold=0.5, pixel_threshold=0.5, min_pixels=8)
EMPTY = -30.0
"""Mask logits of a network that draws none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model that is judged.

    Attributes:
        decided: whether its decision rule was chosen on validation cases.
        masks: whether it draws masks at all.
        asks_mask: whether its class answer was never trained, so that the mask is asked.
        settings: of a run; None for a bundle.
        trained_sites: of a bundle, as the evaluation inside it states them.
    """

    predictor: Predictor
    name: str
    decided: bool
    masks: bool = True
    asks_mask: bool = False
    handling: Handling = NODE
    settings: Settings | None = None
    trained_sites: tuple[str, ...] = ()

    def decide(self, decision: Decision) -> Judged:
        """The same model under another rule."""
        self.predictor.bundle = replace(self.predictor.bundle, decision=decision)
        return replace(self, decided=True)


def open_bundle(folder: Path, *, device: str = "auto", batch_size: int = 8) -> Judged:
    """A bundle as the node loads it. Raises ModelError."""
    predictor = load_predictor(folder, device=device, torch_threads=torch.get_num_threads(), batch_size=batch_size)
    return Judged(predictor, predictor.identity.name, decided=True, trained_sites=_stated_sites(folder / EVALUATION))


def _stated_sites(path: Path) -> tuple[str, ...]:
    """Nothing where the bundle holds no evaluation of ours."""
    try:
        return tuple(str(site) for site in json.loads(path.read_text("utf-8"))["about"]["trained_sites"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def open_run(folder: Path, *, device: str = "auto", batch_size: int = 8) -> Judged:
    """A training run, its weights rounded to half precision as an export rounds them.

    Raises:
        ConfigurationError: no finished epoch.
        UsageError: `decision.json` cannot be read.
    """
    settings, network = load_run(folder)
    weights_sha256 = round_to_half(network)
    decision = read_decision(folder, weights_sha256)
    masks = settings.network.kind != "classifier"
    bundle = Bundle(
        identity=ModelIdentity(MANUFACTURER, settings.name, "run", weights_sha256, device_uid(weights_sha256)),
        reads=settings.reads,
        requirements=Requirements(reads=settings.reads),
        input_size=settings.data.answered,
        decision=decision or UNDECIDED,
        network=network if masks else WithoutMask(network),
    )
    return Judged(
        predictor=Predictor(bundle, choose_device(device), batch_size),
        name=settings.name,
        decided=decision is not None,
        masks=masks,
        asks_mask=not settings.loss.classes,
        handling=Handling.of(settings.data.handling),
        settings=settings,
    )


class WithoutMask(nn.Module):
    """A classifier in the shape that the predictor takes: every mask is empty."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """(class logits of shape B, mask logits that say no everywhere)."""
        class_logit_B, _ = self.network(image_B1HW)
        return class_logit_B, torch.full_like(image_B1HW, EMPTY)


def round_to_half(network: nn.Module) -> str:
    """Round all weights in place to what half precision can hold; SHA-256 of the weights as a bundle of them states it."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    return hashlib.sha256(half_weights(network)).hexdigest()


def read_decision(folder: Path, weights_sha256: str) -> Decision | None:
    """The rule that was chosen for these very weights; None where there is none, or it was chosen for others.

    Raises:
        UsageError: the file is there and cannot be understood.
    """
    path = folder / DECISION
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
        return Decision(**content["decision"]) if content["weights_sha256"] == weights_sha256 else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} cannot be understood: {error!r}. Delete it, and the rule is chosen again") from error


def write_decision(folder: Path, weights_sha256: str, chosen: dict[str, Any], told: dict[str, Any]) -> None:
    """Keep a chosen rule beside its weights; `told` says on which cases it was chosen."""
    content = {"weights_sha256": weights_sha256, **chosen, "chosen_on": told}
    (folder / DECISION).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
