"""A model on disk: a MONAI Bundle folder whose weights are checked against the hash that its metadata states.

    configs/metadata.json     what the model is, reads and requires; its decision rule; SHA-256 of the weights (key `ptx`)
    configs/inference.json    the network as MONAI writes it: `network_def` with `_target_` and its arguments
    models/model.safetensors  weights in half precision, no code
    docs/README.md            the model card

Of the configuration only the arguments of our own networks are used: nothing in a bundle is executed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ptx_node.errors import ModelError
from ptx_node.model.metadata import METADATA, WEIGHTS, Decision, describe, read_json, verified_weights
from ptx_node.model.network import PneumothoraxNet
from ptx_node.model.patch_network import PatchNet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn

    from ptx_node.domain.eligibility import Requirements
    from ptx_node.domain.finding import ModelIdentity

INFERENCE = "configs/inference.json"
CARD = "docs/README.md"
NETWORK = "ptx_node.model.network.PneumothoraxNet"
PATCH_NETWORK = "ptx_node.model.patch_network.PatchNet"
NETWORKS: Mapping[str, type[PneumothoraxNet | PatchNet]] = {NETWORK: PneumothoraxNet, PATCH_NETWORK: PatchNet}
"""What a bundle may name: nothing else is run."""
OPTIONS: Mapping[str, Mapping[str, type]] = {
    NETWORK: {"centre": str, "centre_filters": int, "hypercolumns": bool, "scse": bool, "decoder": str},
    PATCH_NETWORK: {"patch": int, "score": str},
}
"""Further arguments of each network that a bundle may state, and of which type."""
FEATURES = 32
"""The input size is a multiple of this: the encoder halves it five times."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model in memory, on the CPU, ready to be given to a predictor."""

    identity: ModelIdentity
    reads: Literal["radiograph", "ct"]
    requirements: Requirements
    input_size: int
    decision: Decision
    network: nn.Module


def load_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        ModelError: missing, malformed, or the weights are not those that the metadata describe.
    """
    described = describe(folder)
    try:
        target, arguments = _network_arguments(read_json(folder / INFERENCE))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}: {INFERENCE} lacks or has a wrong {error}. Export the bundle again") from error
    if described.input_size < FEATURES or described.input_size % FEATURES:
        raise ModelError(f"{folder}: input_size {described.input_size} is not a multiple of {FEATURES}")
    network = _network(folder, NETWORKS[target], arguments, verified_weights(folder, described))
    return Bundle(described.identity, described.reads, described.requirements, described.input_size, described.decision, network)


def save_bundle(
    folder: Path, *, network: nn.Module, metadata: Mapping[str, Any], arguments: Mapping[str, Any], card: str, target: str = NETWORK
) -> Bundle:
    """Write a bundle and load it again, as proof.

    Args:
        folder: made where it is not there.
        network: of the class that `target` names, or one with the same weights under the same names.
        metadata: `metadata["ptx"]` holds all but the hash, which is filled in here.
        arguments: of the class.
        card: the model card.
        target: one of `NETWORKS`.

    Raises:
        ModelError: what was written cannot be loaded.
    """
    weights = half_weights(network)
    complete = {**metadata, "ptx": {**metadata["ptx"], "weights_sha256": hashlib.sha256(weights).hexdigest()}}
    inference = {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": target, **arguments},
        "network": "$@network_def.to(@device)",
    }
    for name, content in ((METADATA, complete), (INFERENCE, inference)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for name, data in ((WEIGHTS, weights), (CARD, card.encode())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return load_bundle(folder)


def half_weights(network: nn.Module) -> bytes:
    """The weights as a bundle holds them: safetensors in half precision. Their SHA-256 tells which model it is."""
    return bytes(save_tensors({name: _half(tensor) for name, tensor in network.state_dict().items()}, metadata={"format": "pt"}))


def decision_metadata(decision: Decision) -> dict[str, float | int | str]:
    """A decision rule as the metadata hold it."""
    return asdict(decision)


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().half().contiguous() if tensor.is_floating_point() else tensor.detach().cpu().contiguous()


def _network(folder: Path, kind: type[PneumothoraxNet | PatchNet], arguments: dict[str, Any], weights: bytes) -> nn.Module:
    try:
        network = kind(**arguments)
        state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_tensors(weights).items()}
        network.load_state_dict(state)
    except (RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder}: the weights do not fit the network of {INFERENCE}: {str(error)[:300]}") from error
    if not all(np.isfinite(tensor.sum().item()) for tensor in state.values()):
        raise ModelError(f"{folder}: the weights hold values that are not finite. Export the bundle again")
    return network.eval()


def _network_arguments(inference: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    definition = dict(inference["network_def"])
    target = definition.pop("_target_")
    if target not in NETWORKS:
        raise ValueError(f"network {target!r} (only {' and '.join(NETWORKS)} are run)")
    arguments: dict[str, Any] = {
        "backbone": str(definition.pop("backbone")),
        "decoder_channels": tuple(int(value) for value in definition.pop("decoder_channels")),
    }
    for name, value in definition.items():
        if name not in OPTIONS[target] or type(value) is not OPTIONS[target][name]:
            raise ValueError(f"argument {name} = {value!r} (only {', '.join(OPTIONS[target])} are understood)")
        arguments[name] = value
    return target, arguments
