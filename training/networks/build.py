"""Networks from settings, and encoder weights from a local file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ptx_node.errors import ConfigurationError
from ptx_node.model.network import PneumothoraxNet, ResidualEncoder
from training.networks.clasegnet import ClaSegNet
from training.networks.classifier import Classifier
from training.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from training.settings import Network, Settings

WEIGHTS = "model.safetensors"
CONFIG = "config.toml"
RARE = -3.0
"""Logit that every pixel starts with: air is rare, and from 0.5 everywhere the first steps would do nothing but learn that."""
EARLY = ("conv1", "bn1", "layer1", "layer2")


def build(settings: Network) -> nn.Module:
    """A network with weights drawn from torch's seed; the encoder's, or all of them, from a file where the settings name one.

    Every network takes images_B1HW and gives (class logits of shape B, mask logits of shape B1HW or None).

    Raises:
        ConfigurationError: no such depth, or a file of weights does not fit.
    """
    network: nn.Module
    try:
        if settings.kind == "joint":
            network = joint = PneumothoraxNet(dropout=settings.dropout, **joint_arguments(settings))
            nn.init.constant_(joint.segmentation_head[0].bias, RARE)  # type: ignore[arg-type]  # a convolution with bias
        elif settings.kind == "classifier":
            network = Classifier(settings.backbone, settings.dropout)
        else:
            network = ClaSegNet(settings.backbone, settings.decoder_channels, settings.patch, settings.score)
    except ValueError as error:
        raise ConfigurationError(f"network: {error}") from error
    if settings.encoder_weights:
        load_encoder(_encoder(network), Path(settings.encoder_weights), settings.backbone)
    if settings.start:
        load_start(network, Path(settings.start))
    return network


def joint_arguments(settings: Network) -> dict[str, Any]:
    """Arguments of the node's network as a bundle states them: those that differ from its defaults, and the two that have none."""
    arguments: dict[str, Any] = {"backbone": settings.backbone, "decoder_channels": list(settings.decoder_channels)}
    if settings.centre != "none":
        arguments |= {"centre": settings.centre, "centre_filters": settings.centre_filters}
    arguments |= {name: True for name in ("hypercolumns", "scse") if getattr(settings, name)}
    return arguments | ({"decoder": settings.decoder} if settings.decoder != "monai" else {})


def load_run(folder: Path) -> tuple[Settings, nn.Module]:
    """What a run folder holds: its settings, and its best network in evaluation mode on the CPU.

    Raises:
        ConfigurationError: the folder holds no finished epoch, or its weights are of another network.
    """
    settings = load_settings(folder / CONFIG)
    network = build(settings.network.model_copy(update={"encoder_weights": "", "start": ""}))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigurationError(f"{folder / WEIGHTS}: {str(error)[:300]}. Train the run for at least one epoch") from error
    return settings, network.eval()


def freeze(network: nn.Module, what: str) -> None:
    """Let everything learn but `what`: `none`, `early` (up to the second group of layers) or `encoder`.

    Batch norm of frozen layers still follows the statistics of its input: it has to fit radiographs, whatever the start was.
    """
    network.requires_grad_(requires_grad=True)
    for name, child in _encoder(network).named_children():
        if what == "encoder" or (what == "early" and name in EARLY):
            child.requires_grad_(requires_grad=False)


def load_encoder(encoder: nn.Module, path: Path, backbone: str) -> None:
    """Load weights that carry torchvision's names; three input colours are added up to our one, the classifier is left out.

    Raises:
        ConfigurationError: not readable, or a key is missing or has another shape; names the key and both shapes.
    """
    found = {name.removeprefix("encoder."): tensor for name, tensor in _read(path).items()}
    wanted = encoder.state_dict()
    first = found.get("conv1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] > 1 == wanted["conv1.weight"].shape[1]:
        found["conv1.weight"] = first.sum(dim=1, keepdim=True)
    fitted = _fitted(path, found, wanted, f"{backbone} needs", "Set network.backbone to the depth of the file")
    encoder.load_state_dict(fitted)


def load_start(network: nn.Module, path: Path) -> None:
    """Begin with the weights that another run ended with, or that a bundle ships: the whole of the same network.

    Raises:
        ConfigurationError: not readable, or a key is missing or has another shape; names the key and both shapes.
    """
    network.load_state_dict(_fitted(path, _read(path), network.state_dict(), "the network needs", "Set network.* as that run had it"))


def _fitted(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], needs: str, advice: str) -> dict[str, Tensor]:
    """The tensors that are wanted, as single precision; only counters of batches may be missing."""
    fitted = dict(wanted)
    for name, tensor in wanted.items():
        if name not in found:
            if name.endswith("num_batches_tracked"):
                continue
            raise ConfigurationError(f"{path}: {name} is missing, {needs} it with shape {tuple(tensor.shape)}")
        if found[name].shape != tensor.shape:
            raise ConfigurationError(f"{path}: {name} has shape {tuple(found[name].shape)}, {needs} {tuple(tensor.shape)}. {advice}")
        fitted[name] = found[name].to(tensor.dtype)
    return fitted


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigurationError(f"{path}: weights cannot be read: {str(error)[:200]}") from error
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ConfigurationError(f"{path}: no table of tensors. Save the network's state_dict()")
    return content


def _encoder(network: nn.Module) -> ResidualEncoder:
    encoder = network.encoder
    assert isinstance(encoder, ResidualEncoder)
    return encoder
